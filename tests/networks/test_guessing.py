"""Random weight guessing against a twin in plain loops, and its unit: draws, wherever a number of them is shown."""

from __future__ import annotations

import csv
import io
import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from helpers import synthetic
from helpers.naive_rivals import forward_full
from helpers.naive_tasks import draw, two_sequence, uniform

from lstm_search import config
from lstm_search.networks import Guessing
from lstm_search.record import shipped
from lstm_search.report import canvas, summary, table
from lstm_search.report import comparison as compare
from lstm_search.simd.draws import CHECKS, WEIGHTS, stream_key
from lstm_search.spec import Cell, Definition, Outcome, Row, Stop, Training, TrialResult, TrialSpec, cell_from_dict
from lstm_search.tasks import Adding, EmbeddedReber, TwoSequence
from lstm_search.tracking.projection import StudyView, trial_run
from lstm_search.worker.trial import Worker

STOP = Stop(
    tolerance=0.3, window=6, max_wrong=0, mean_error=None, check_every=1, fresh_test_set=False, test_sequences=0
)
A1, A2 = Guessing("A1", hidden=1, range=20.0), Guessing("A2", hidden=3, range=20.0)


def cell_of(network: Guessing, *, noisy: bool = False) -> Cell:
    return Cell(TwoSequence(5, 2, noisy_input=noisy), network, Training(), (STOP,))


def results(cell: Cell, width: int, number: int = 6, cap: int = 5000) -> list[TrialResult]:
    worker, found, new = Worker(width), [], [TrialSpec(cell, seed, 7, cap) for seed in range(number)]
    while len(found) < number:
        found += worker.advance(new, 5).finished
        new = []
    order = [TrialSpec(cell, seed, 7, cap).key for seed in range(number)]
    return sorted(found, key=lambda result: order.index(result.key))


def sources_of(network: Guessing, unit: int) -> list[bool]:
    """Which of input, 1, hidden units and the output a unit sees; the output comes last."""
    h = network.hidden
    hidden = unit < h
    if network.architecture == "A1":
        return [True, hidden, *[True] * h, True]
    return [True, True, *(unit == other if hidden else True for other in range(h)), hidden]


def drawn(network: Guessing, key: int) -> list[list[float]]:
    n, M = network.hidden + 1, network.hidden + 3
    rows = [[network.range * (2 * uniform(key, i * M + m) - 1) for m in range(M)] for i in range(n)]
    return [[w * there for w, there in zip(row, sources_of(network, i), strict=True)] for i, row in enumerate(rows)]


def naive(cell: Cell, replicate: int) -> tuple[int, list[list[float]]]:
    """How many draws it takes, and the last of them."""
    task: Any = cell.task
    network: Any = cell.network
    checks = int(stream_key(7, replicate, CHECKS))
    keys = [draw(checks, number) for number in range(STOP.window)]
    training = [two_sequence(key, task.T, task.N, noisy_input=task.noisy_input, noisy_target=False) for key in keys]
    first = drawn(network, int(stream_key(7, replicate, WEIGHTS)))
    bits = struct.unpack("<Q", struct.pack("<d", first[0][0]))[0]
    for number in range(5000):
        weights = drawn(network, draw(bits, number))
        outputs = [forward_full(weights, [step.x for step in sequence], 1)[-1][-1] for sequence in training]
        targets = [sequence[-1].target for sequence in training]
        if all(abs(target[0] - y) < STOP.tolerance for y, target in zip(outputs, targets, strict=True) if target):
            return number + 1, weights
    raise AssertionError("no draw is right")


@pytest.mark.parametrize("network", [A1, A2], ids=lambda network: network.architecture)
@pytest.mark.parametrize("noisy", [False, True])
def test_a_trial_takes_as_many_draws_as_the_twin_and_ends_with_its_weights(network: Guessing, *, noisy: bool) -> None:
    cell = cell_of(network, noisy=noisy)
    found = results(cell, 4)
    assert len({result.sequences for result in found}) > 3
    for replicate, result in enumerate(found):
        number, weights = naive(cell, replicate)
        assert result.outcome == Outcome.SOLVED
        assert result.milestones[0].sequences == result.sequences == number
        with np.load(io.BytesIO(result.weights)) as archive:
            np.testing.assert_array_equal(archive["hidden"], weights)


@pytest.mark.parametrize("network", [A1, A2], ids=lambda network: network.architecture)
def test_a_trial_is_the_same_bits_in_packs_of_four_and_eight(network: Guessing) -> None:
    few, many = (results(cell_of(network), width, 12) for width in (4, 8))
    assert [replace(r, seconds=0, host="") for r in few] == [replace(r, seconds=0, host="") for r in many]


@pytest.mark.parametrize(("network", "number"), [(Guessing("A1", 1), 7), (Guessing("A2", 10), 52)])
def test_missing_connections_are_no_weights(network: Guessing, number: int) -> None:
    hidden, _ = network.initial(stream_key(0, 0, WEIGHTS), 1, 1)
    assert np.count_nonzero(hidden) == network.n_weights(1, 1) == number
    assert np.abs(hidden).max() <= network.range
    assert (hidden != 0).tolist() == [sources_of(network, unit) for unit in range(network.hidden + 1)]


def test_symbols_and_several_outputs_can_be_guessed_too() -> None:
    ranked = replace(STOP, correct="ranked", window=512)
    for task, stop in ((EmbeddedReber(), ranked), (Adding(20), STOP)):
        (result,) = results(Cell(task, Guessing(hidden=2), Training(), (stop,)), 4, 1, cap=5)
        assert (result.outcome, result.sequences) == (Outcome.CAPPED, 5)


def test_a_recorded_cell_is_built_again() -> None:
    assert cell_from_dict(cell_of(A1).as_dict()) == cell_of(A1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("task=two_sequence_3a network=guessing", r"stop.check_every=100: network guessing checks every draw; takes "),
        ("task=adding network=guessing", r"stop.check_every=null: network guessing checks every draw"),
        ("table=guessing network.range=0", r"network.range=0.0: takes a finite number above 0"),
        ("table=guessing network.architecture=A3", r"network.architecture=A3: takes one of A1, A2"),
        ("table=guessing training.update=step", r"training.update=step: network guessing takes sequence"),
    ],
)
def test_what_cannot_be_guessed_is_refused(words: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config.compose([*words.split(), "tracking=none"])


# Draws are never shown as sequences

ROW = Row("3a-A2", cell_of(A2), 2, 3590, table="guessing", published="3a-A2")
FOUND = synthetic.trials(ROW, synthetic.solved(700), synthetic.ended(Outcome.CAPPED, 3590))


def test_the_table_counts_draws() -> None:
    text = table.render(summary.summaries([ROW], {ROW.name: FOUND}))
    head = next(line for line in text.splitlines() if line.startswith("| row"))
    assert [cell.strip() for cell in head.split("|")[1:5]] == ["row", "solved", "draws", "ERT"]
    assert "ERT: all draws spent" in " ".join(text.split())
    assert "sequences" not in text.replace("test sequences", "")
    assert "10/10, 718" in text
    assert text.startswith("Published: Hochreiter & Schmidhuber (1997), in the text")


@pytest.mark.parametrize("format", ["csv", "json"])
def test_other_formats_name_draws_too(format: str) -> None:  # noqa: A002  # the renderer's key
    text = table.render(summary.summaries([ROW], {ROW.name: FOUND}), format)
    assert "draws_total" in text
    assert "sequences_total" not in text
    assert "published_sequences" not in text
    assert '"sequences":' not in text


def test_export_has_a_column_of_draws_and_what_is_shipped_can_be_read(tmp_path: Any) -> None:
    text = table.export_trials([ROW], {ROW.name: FOUND})
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["draws"] for line in lines] == ["700", "3590"]
    assert "sequences" not in lines[0]
    asked = Definition("guesses", synthetic.SEED, (ROW,))
    (tmp_path / "guesses.csv").write_text(text, encoding="utf-8")
    assert [trial.result.sequences for trial in shipped.trials(asked, tmp_path)[ROW.name]] == [700, 3590]


def test_runs_of_mlflow_have_draws() -> None:
    view = StudyView("guesses", synthetic.SEED, datetime(2020, 1, 1, tzinfo=UTC), ())
    names = {name for name, *_ in trial_run(view, ROW, FOUND[0]).metrics}
    assert {"draws", "solved/draws"} <= names
    assert not {"sequences", "solved/sequences"} & names


def test_a_figure_of_draws_says_so() -> None:
    assert canvas.xlabel([ROW]) == "draws"  # the label would otherwise have to be read from pixels
    assert canvas.xlabel([synthetic.row("6a")]) == "training sequences"


def test_draws_and_sequences_do_not_stand_side_by_side() -> None:
    other = synthetic.row("6a")
    studies = [(Definition(row.name, 7, (row,)), {row.name: FOUND}) for row in (ROW, other)]
    with pytest.raises(ValueError, match="rows '3a-A2' and '6a' count draws and sequences, which cannot stand side"):
        compare.compare(*studies)
    with pytest.raises(ValueError, match="count draws and sequences"):
        table.export_trials([ROW, other], {})
    with pytest.raises(ValueError, match="count sequences and draws"):
        canvas.xlabel([other, ROW])


def test_a_comparison_of_guesses_is_one_of_draws() -> None:
    study = (Definition("guesses", synthetic.SEED, (ROW,)), {ROW.name: FOUND})
    text = compare.render_comparison(study, study)
    assert "ERT: all draws spent" in text


def test_plan_counts_draws(capsys: pytest.CaptureFixture[str]) -> None:
    from lstm_search.cli.plan import plan

    plan(config.compose(["table=guessing", "tracking=none"]))
    assert "draws" in capsys.readouterr().out
