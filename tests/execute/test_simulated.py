from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.program import Lstm
from scipy.stats import binom, kstest, lognorm, norm

from lstm_search import config, study
from lstm_search.config.keys import options
from lstm_search.execute import SIMULATED_HOST, SURFACES, ExecuteSettings, Response, Simulated, open_executor, simulates
from lstm_search.execute.simulated import NEEDLE, drawn
from lstm_search.networks import NETWORKS, Lstm1997
from lstm_search.record import DefinitionChanged, Record
from lstm_search.spec import Cell, Definition, Outcome, Row, Stop, Training, Trial, TrialResult, TrialSpec
from lstm_search.tasks import Adding

CELL = Cell(Adding(), Lstm1997(), Training(), (Stop(),))
STAGES = (Stop("early"), Stop("middle", test_sequences=0), Stop("late", mean_error=None))
SURE = 1e-6  # chance that a correct draw fails a test; the keys are fixed, so it fails always or never


def trials(count: int, cell: Cell = CELL, cap: int = 10**9) -> list[TrialSpec]:
    return [TrialSpec(cell, replicate, 1997, cap) for replicate in range(count)]


def run(specs: Sequence[TrialSpec], surface: Any = SURFACES["smooth"], workers: int = 7) -> dict[str, TrialResult]:
    """Feed as the study does; every trial must come back exactly once."""
    executor, waiting, finished = Simulated(surface, workers), iter(specs), list[Trial]()
    keys = {spec.key for spec in specs}
    while (batch := list(islice(waiting, executor.room))) or executor.pending:
        executor.submit(batch)
        assert executor.progress().keys() <= keys
        finished += executor.gather(0.5)
    assert Counter(trial.spec.key for trial in finished) == Counter(spec.key for spec in specs)
    assert executor.gather(0.5) == []
    return {trial.spec.key: trial.result for trial in finished}


# What is drawn


@pytest.mark.parametrize("response", [Response(0.3, 5000.0, 0.8), Response(0.95, 40_000.0, 0.2)], ids=str)
def test_draws_have_the_distribution_of_the_response(response: Response) -> None:
    n = 20_000
    solved = [result for result in run(trials(n), lambda _: response).values() if result.outcome == Outcome.SOLVED]
    assert binom.ppf(SURE, n, response.solved) <= len(solved) <= binom.isf(SURE, n, response.solved)
    sequences = np.array([result.sequences for result in solved])
    error = response.mean * math.sqrt(math.expm1(response.spread**2) / len(solved))
    assert abs(sequences.mean() - response.mean) < norm.isf(SURE) * error
    whole = lognorm(response.spread, scale=response.mean / math.exp(response.spread**2 / 2))
    assert kstest(sequences, whole.cdf).pvalue > SURE


def test_whether_a_trial_is_solved_says_nothing_about_others() -> None:
    """Neighbouring replicates, and the same replicate in two cells, agree as often as independent draws do."""
    n, other = 10_000, replace(CELL, training=Training(rate=0.1))
    one, two = ([drawn(spec, Response(0.5, 9.0)).outcome for spec in trials(n, cell)] for cell in (CELL, other))
    for pairs in (zip(one, two, strict=True), zip(one[::2], one[1::2], strict=True)):
        agreed = [a == b for a, b in pairs]
        assert binom.ppf(SURE, len(agreed), 0.5) <= sum(agreed) <= binom.isf(SURE, len(agreed), 0.5)


def test_a_certain_response_is_certain() -> None:
    assert {result.sequences for result in run(trials(50), lambda _: Response(1, 1234, 0)).values()} == {1234}
    assert {result.outcome for result in run(trials(50), lambda _: Response(0, 1234)).values()} == {Outcome.CAPPED}


@pytest.mark.parametrize("fields", [(-0.1, 9.0), (1.1, 9.0), (math.nan, 9.0), (0.5, 0.9), (0.5, math.inf), (1, 9, -1)])
def test_responses_that_are_none_are_refused(fields: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="takes a fraction from 0 to 1"):
        Response(*fields)


# The same trial, the same result


@cache
def mixed() -> list[TrialSpec]:
    return [spec for rate in (0.1, 0.5, 5.0) for spec in trials(40, replace(CELL, training=Training(rate)), cap=20_000)]


@pytest.mark.parametrize("workers", [1, 3, 1000])
def test_neither_order_nor_width_moves_a_result(workers: int) -> None:
    expected = {spec.key: drawn(spec, SURFACES["smooth"](spec.cell)) for spec in mixed()}
    shuffled = random.Random(workers).sample(mixed(), len(mixed()))
    assert run(shuffled, workers=workers) == expected


def test_under_another_cap_it_is_the_same_trial_cut_off_elsewhere() -> None:
    cell, response = replace(CELL, stop=STAGES), Response(0.8, 10_000)
    for spec in trials(200, cell):
        whole = drawn(spec, response)
        for cap in (1, 3000, 9000, 20_000):
            cut, expected = drawn(replace(spec, cap=cap), response), whole.under_cap(cap)
            assert (cut.outcome, cut.sequences, cut.milestones) == (
                expected.outcome,
                expected.sequences,
                expected.milestones,
            )


# What a result says


def test_every_stop_rule_has_its_milestone_and_its_test() -> None:
    result = drawn(trials(1, replace(CELL, stop=STAGES))[0], Response(1, 9000, 0))
    assert [(reached.name, reached.sequences) for reached in result.milestones] == [
        ("early", 3000),
        ("middle", 6000),
        ("late", 9000),
    ]
    assert [reached.test_sequences for reached in result.milestones] == [2560, 0, 2560]
    assert (result.milestones[1].test_wrong, result.milestones[1].test_error) == (0, 0.0)
    assert all(reached.test_error < 0.01 for reached in result.milestones[:2])
    assert (result.steps, result.sequences) == (round(9000 * CELL.task.length), 9000)


def test_nothing_in_a_result_looks_trained() -> None:
    for result in run(mixed()).values():
        assert (result.host, result.weights_sha256, result.weights) == (SIMULATED_HOST, SIMULATED_HOST, b"")


# Virtual time


def test_time_is_virtual_and_workers_share_it() -> None:
    """100 trials of equal length on 10 workers take ten times as long as one; on 100 workers as long as one."""
    alone = drawn(trials(1)[0], Response(1, 10**6, 0)).seconds
    assert alone == pytest.approx(10**6 * CELL.task.length * 1e-7)
    for workers, rounds in ((10, 10), (100, 1)):
        executor = Simulated(lambda _: Response(1, 10**6, 0), workers)
        executor.submit(trials(100))
        while executor.pending:
            executor.gather(0.5)
        assert executor.now == pytest.approx(rounds * alone)


def test_trials_end_in_order_of_their_length_and_those_that_end_together_come_together() -> None:
    executor = Simulated(lambda cell: Response(1, 1000 * cell.training.rate, 0), 10)
    specs = {rate: trials(1, replace(CELL, training=Training(rate)))[0] for rate in (300.0, 100.0, 101.0, 500.0)}
    executor.submit(list(specs.values()))
    assert (executor.pending, executor.room) == (4, 16)
    assert [trial.spec for trial in executor.gather(0.1)] == [specs[100.0], specs[101.0]]
    assert executor.progress() == {specs[rate].key: 101_000 for rate in (300.0, 500.0)}
    assert [trial.spec for trial in executor.gather(0.0)] == [specs[300.0]]
    assert [trial.spec for trial in executor.gather(10**6)] == [specs[500.0]]


def test_a_trial_submitted_later_begins_later() -> None:
    executor = Simulated(lambda _: Response(1, 1000, 0), 2)
    executor.submit(trials(2))
    executor.gather(0.0)
    before = executor.now
    executor.submit(trials(3)[2:])
    assert set(executor.progress().values()) == {0}
    executor.gather(0.0)
    assert executor.now == pytest.approx(2 * before)


# The surfaces


@cache
def every_cell() -> list[Cell]:
    """The cells of every table and of every task, and so of every network."""
    lines = [f"table={table} rows=all" for table in options("table")]
    lines += [f"task={task}" for task in options("task")]
    lines += [f"task=adding network={network}" for network in ("bptt", "carrousel", "lstm2000", "gru")]
    cells = [row.cell for line in lines for row in config.compose(line.split()).definition.rows]
    assert {type(cell.network) for cell in cells} == {*NETWORKS.values()}
    return cells


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_answers_for_every_task_and_network(name: str) -> None:
    for cell in every_cell():
        for changed in (cell, replace(cell, training=replace(cell.training, rate=1e-6))):
            assert drawn(TrialSpec(changed, 0, 1, 10**6), SURFACES[name](changed)).key


def tuned(**settings: Any) -> Cell:
    training = {name: settings.pop(name) for name in ("rate", "error_scale") if name in settings}
    return replace(CELL, training=Training(**training), network=Lstm1997(**settings))


def test_smooth_has_one_valley() -> None:
    smooth = SURFACES["smooth"]
    for values in (
        [tuned(rate=1.0 * 10**away) for away in (0.0, 0.2, 0.5, 1.0, 1.4)],
        [tuned(rate=1.0 / 10**away) for away in (0.0, 0.2, 0.5, 1.0, 1.4)],
        [tuned(blocks=blocks) for blocks in (4, 8, 16, 32)],
        [tuned(input_gate_bias=(bias, bias)) for bias in (-3.0, 0.0, 3.0, 9.0)],
        [tuned(init=0.2, rate=rate) for rate in (1.0, 3.0, 9.0)],
        [tuned(input_gate_bias=(bias, bias)) for bias in (-3.0, -5.0, -9.0, -14.0)],
        [tuned(), tuned(h="identity"), tuned(h="identity", output="linear")],
    ):
        found = [smooth(cell) for cell in values]
        assert sorted(found, key=lambda response: response.mean) == found
        assert sorted(found, key=lambda response: -response.solved) == found
    assert smooth(tuned()).solved == pytest.approx(0.88, abs=0.005)
    assert smooth(tuned(rate=1e6, init=1e6, input_gate_bias=(1e6, 1e6))).mean < 1e12


def test_smooth_knows_the_learner_only() -> None:
    cell = replace(CELL, stop=STAGES)
    assert SURFACES["smooth"](cell) == SURFACES["smooth"](CELL)
    longer = SURFACES["smooth"](replace(CELL, task=Adding(T=1000)))
    assert longer.mean == pytest.approx(10 * SURFACES["smooth"](CELL).mean)


def test_needle_is_one_cell_in_five_hundred() -> None:
    draw = random.Random(1997)
    cells, n = Counter[float](), 5_000
    for _ in range(n):
        rate, init, inputs, outputs = (10 ** draw.uniform(-1, 0) for _ in range(4))
        blocks, size = draw.randrange(1, 10), draw.randrange(1, 10)
        biases = {"input_gate_bias": (-inputs,) * blocks, "output_gate_bias": (-outputs,) * blocks}
        cells[SURFACES["needle"](tuned(rate=rate, init=init, blocks=blocks, size=size, **biases)).solved] += 1
    assert binom.ppf(SURE, n, 1 / 600) <= cells[0.9] <= binom.isf(SURE, n, 1 / 500)
    assert len(cells) == len(NEEDLE) + 1 == 7
    assert sorted(cells) == pytest.approx([0.9 * 0.4**wrong for wrong in range(6, -1, -1)])


def test_alike_is_the_same_for_all_cells_of_a_task() -> None:
    assert len({SURFACES["alike"](tuned(rate=rate, blocks=blocks)) for rate in (0.1, 10) for blocks in (1, 8)}) == 1


# Settings and the study


def test_the_executor_is_opened_by_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SURFACES, "mine", lambda _: Response(1, 77, 0))
    settings = ExecuteSettings("simulated", workers=100_000, surface="mine")
    with open_executor(settings, {}, lambda *_: None) as executor:
        assert (executor.workers, executor.room) == (100_000, 200_000)
        executor.submit(trials(3))
        assert {trial.result.sequences for trial in executor.gather(0.5)} == {77}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "simulated", "surface": "flat"}, "execute.surface=flat: takes one of smooth, needle, alike"),
        ({"kind": "simulated", "workers": 100_001}, "execute.workers=100001"),
        ({"kind": "local", "workers": 10_001}, "execute.workers=10001: takes 1 to 10000, or null for every core"),
        ({"kind": "simulated", "address": "auto"}, "only execute=ray takes an address"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExecuteSettings(**fields)


def definition(title: str = "adding") -> Definition:
    return Definition("tried", 1997, (Row("adding", CELL, replicates=5, cap=10**6),), title)


SIMULATED = ExecuteSettings("simulated", workers=3)
OTHERS = {
    "inline": ExecuteSettings("inline"),
    "local": ExecuteSettings("local"),
    "another surface": ExecuteSettings("simulated", workers=3, surface="alike"),
}


def test_a_study_is_recorded_as_simulated_and_goes_on_so(tmp_path: Path) -> None:
    assert study.run(definition(), tmp_path, SIMULATED).outcomes["adding"].total() == 5
    with Record.read(tmp_path, "tried") as record:
        recorded = record.definition()
        assert recorded.title == "Simulated by surface smooth, nothing was trained: adding"
        assert {trial.result.host for trial in record.trials()["adding"]} == {SIMULATED_HOST}
    more = replace(recorded, rows=(replace(recorded.rows[0], replicates=8),))
    for again in (more, replace(more, title="adding")):
        assert study.run(again, tmp_path, SIMULATED).outcomes["adding"].total() == 8


@pytest.mark.parametrize("settings", OTHERS.values(), ids=OTHERS)
def test_a_simulated_study_takes_no_other_trials(settings: ExecuteSettings, tmp_path: Path) -> None:
    study.run(definition(), tmp_path, SIMULATED)
    before = (tmp_path / "tried.sqlite").read_bytes()
    with pytest.raises(DefinitionChanged, match="subject was Simulated by surface smooth"):
        study.run(definition(), tmp_path, settings)
    with pytest.raises(ValueError, match=r"tried is simulated: go on with execute=simulated execute\.surface=smooth"):
        study.run(SIMULATED.recorded_as(definition()), tmp_path, settings)
    assert (tmp_path / "tried.sqlite").read_bytes() == before


def test_a_trained_study_takes_no_simulated_trials(tmp_path: Path) -> None:
    with Record.open(tmp_path, definition()):
        pass
    with pytest.raises(DefinitionChanged, match="subject was adding, is Simulated"):
        study.run(definition(), tmp_path, SIMULATED)
    assert not simulates(definition())


# The command line

SHORT = "task=temporal_order_6a task.T=10 training.rate=0.1,0.5 replicates=20 tracking=none"


def test_verbs_work_on_a_simulated_study_and_say_what_it_is(lstm: Lstm, tmp_path: Path) -> None:
    words, said = f"{SHORT} study=tried execute=simulated execute.workers=9", "study tried is simulated"
    assert "Simulated by surface smooth" in lstm(f"plan {words}", tmp_path).stdout
    done = lstm(f"run {words}", tmp_path)
    assert "Simulated by surface smooth, nothing was trained: temporal_order_6a" in done.stdout
    assert said in done.stderr
    assert "| tried (simulated) | rate=0.1 | 20 of 20 |" in lstm("status", tmp_path).stdout
    shown = lstm("table study=tried", tmp_path)
    assert shown.stdout == done.stdout
    for verb in (f"table {words}", "table study=tried format=csv", "plot study=tried"):
        assert said in lstm(verb, tmp_path).stderr
    exported = lstm("export study=tried", tmp_path)
    lines = exported.stdout.splitlines()[1:]
    assert len(lines) == 40
    assert all(",simulated," in line for line in lines)
    replayed = lstm(f"replay {lines[0][:20]}", tmp_path, code=2)
    assert "is simulated: it has no weights" in replayed.stderr


def test_the_program_refuses_to_mix(lstm: Lstm, tmp_path: Path) -> None:
    lstm(f"run {SHORT} execute=simulated", tmp_path)
    for words in ("execute=inline", "execute=simulated execute.surface=needle"):
        refused = lstm(f"run {SHORT} {words}", tmp_path, code=2)
        assert refused.stderr.count("\n") == 1 + refused.stderr.count("starting")
        assert "subject was Simulated by surface smooth" in refused.stderr
    lstm(f"run {SHORT} execute=inline study=real", tmp_path)
    refused = lstm(f"run {SHORT} execute=simulated study=real", tmp_path, code=2)
    assert "subject was temporal_order_6a, is Simulated by surface smooth" in refused.stderr


def test_keys_of_real_workers_are_none_of_simulated_ones(lstm: Lstm, tmp_path: Path) -> None:
    refused = lstm(f"run {SHORT} execute=simulated execute.device=gpu", tmp_path, code=2)
    assert "execute.device: no such key with this execute" in refused.stderr
    refused = lstm(f"run {SHORT} execute=simulated execute.surface=flat", tmp_path, code=2)
    assert "execute.surface=flat: takes one of smooth, needle, alike" in refused.stderr
    refused = lstm(f"run {SHORT} execute.surface=smooth", tmp_path, code=2)
    assert "execute=simulated" in refused.stderr
