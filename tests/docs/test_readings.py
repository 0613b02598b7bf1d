"""Searches among readings and what drift does: the page holds what is computed, and the measurement is the paper's."""

from __future__ import annotations

import runpy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import naive

from lstm_search.config.composition import compose
from lstm_search.networks import Lstm1997
from lstm_search.report import summary
from lstm_search.spec import Outcome, Reached, Row, Trial, TrialResult
from lstm_search.tasks import Adding, VeryLongLag

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT, DRIFT = (runpy.run_path(str(DOCS / name)) for name in ("readings.py", "drift.py"))


def test_the_page_holds_what_is_computed_from_the_trials_of_the_searches() -> None:
    text = (DOCS / "readings.md").read_text(encoding="utf-8")
    lines = [line for words in SCRIPT["SEARCHES"] for line in SCRIPT["found"](words)]
    assert SCRIPT["sets"](lines) in text
    assert SCRIPT["finalists"](lines) in text


def test_the_page_has_a_line_of_every_row_whose_drift_was_measured() -> None:
    text = (DOCS / "readings.md").read_text(encoding="utf-8")
    block = text[text.index("<!-- drift: begin -->") : text.index("<!-- drift: end -->")]
    rows = [row.name for study in DRIFT["STUDIES"] for row in compose(DRIFT["words"](study)).rows_ahead()]
    assert [line.split(" | ")[0].removeprefix("| ") for line in block.splitlines()[3:] if line.startswith("| ")] == rows


def line_of(words: str, numbers: list[int], fresh: list[int] | None = None) -> Any:
    """A line of a search in table 9, row 6a: training sequences of each trial, 0 for one that was censored."""
    settings = compose(shlex.split(f"table=9 rows=6a replicates={len(numbers)} {words}"))
    (row,) = settings.definition.rows
    summaries = [summary.summarise(row, trials_of(row, some))[0] if some else None for some in (numbers, fresh)]
    return SCRIPT["Found"](row.table, "6a", SCRIPT["_readings"](row), *summaries)


def trials_of(row: Row, numbers: list[int]) -> list[Trial]:
    trials = []
    for spec, number in zip(row.trials(1998), numbers, strict=False):
        reached = (Reached("solved", number, 2560, 0, 0.01),) if number else ()
        outcome = Outcome.SOLVED if number else Outcome.CAPPED
        trials.append(Trial(spec, TrialResult(spec.key, outcome, number or row.cap, 0, reached)))
    return trials


PRINTED = [31_390 + 2_000 * step for step in range(-4, 6)]
"""Ten trials about the mean that is printed for row 6a."""


def test_a_set_serves_the_rows_that_come_out_under_it_and_nothing_else() -> None:
    lines = [
        line_of("", [0] * 10),
        line_of("network.recurrent=cells", PRINTED),
        line_of("network.recurrent=cells training.error_scale=2", [number // 8 for number in PRINTED]),
        line_of("network.recurrent=none network.reset=0.5", PRINTED),  # more than the set says was changed
    ]
    served = SCRIPT["_served"]
    assert served(("all", "1", "random", "logistic"), lines) == (0, 1)
    assert served(("cells", "1", "random", "linear"), lines) == (1, 1)  # the output is no open point of this table
    assert served(("cells", "2", "random", "logistic"), lines) == (0, 1)
    assert served(("none", "1", "random", "logistic"), lines) == (0, 0)
    assert served(("cells", "1", "none", "logistic"), lines) == (0, 0)
    first, *rest = SCRIPT["sets"](lines).splitlines()[2:]
    assert first.startswith("| cells | 1 | random | logistic | 1/1 | 1/1 | recurrent |")
    assert any(line.startswith("| all | 1 | random | logistic | 0/1 | 0/1 | nothing |") for line in rest)


def test_the_finalist_is_shown_by_what_it_did_on_fresh_replicates() -> None:
    lines = [line_of("", [0] * 10), line_of("training.error_scale=0.5", PRINTED, [number * 3 for number in PRINTED])]
    (found,) = SCRIPT["finalists"](lines).splitlines()[2:]
    assert found == ("| 9 | 6a | 2 | error_scale=0.5 | 10/10, 32,390 | 10/10, 97,170 | 20/20, 31,390 | differs |")


@pytest.mark.parametrize("words", SCRIPT["SEARCHES"])
def test_searches_are_for_the_printed_rows_on_a_seed_of_their_own(words: str) -> None:
    settings = compose(shlex.split(words))
    assert settings.definition.seed == 1998
    assert settings.search.objective == "published"
    assert {row.altered for row in settings.rows_ahead()} == {()}


@pytest.mark.parametrize("recurrent", ["all", "cells", "none"])
@pytest.mark.parametrize("task", [VeryLongLag(p=5, q=6), Adding(T=20)], ids=lambda task: task.name)
def test_states_and_what_scales_errors_are_those_of_the_equations(recurrent: str, task: VeryLongLag | Adding) -> None:
    biased = isinstance(task, Adding)
    network = Lstm1997(recurrent=recurrent, gates_biased=biased, cell_bias="random" if biased else "none")
    rows = DRIFT["sequences"](task, np.random.default_rng(1))
    nets = [network.initial(np.uint64(key), rows.shape[2], task.layout.outputs) for key in range(3)]
    hidden, output = (np.array(each) * 3 for each in zip(*nets, strict=True))
    seen = DRIFT["watch"](network, hidden, output, rows)
    for n in range(3):
        states, entering = _by_definition(network, hidden[n], output[n], rows[:, 2])
        np.testing.assert_allclose(seen.s[:, 2, n], states, rtol=1e-12)
        np.testing.assert_allclose(seen.entering[:, 2, n], entering, rtol=1e-9)


def _by_definition(
    network: Lstm1997, hidden: np.ndarray, output: np.ndarray, rows: np.ndarray
) -> tuple[list[list[float]], list[list[float]]]:
    """States, and y_out h'(s), step by step; the slow twin has the biases in the last column."""
    bias = network.variant(rows.shape[1], symbols=False, sums=False).bias
    if bias >= 0:
        hidden = np.concatenate([np.delete(hidden, bias, axis=1), hidden[:, [bias]]], axis=1)
    steps = naive.forward(network, hidden, output, rows)
    slopes = [
        [step.y_out[c // network.size] * naive.h_prime(network, step.h[c]) for c in range(network.cells)]
        for step in steps
    ]
    return [step.s for step in steps], slopes
