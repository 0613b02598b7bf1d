"""Searches among readings, and what drift does: the measurement is the paper's."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers import naive

from lstm_search.config.composition import compose
from lstm_search.networks import Lstm1997
from lstm_search.tasks import Adding, VeryLongLag

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT, DRIFT, THEORY = (runpy.run_path(str(DOCS / name)) for name in ("readings.py", "drift.py", "theory.py"))


def test_the_page_has_a_line_of_every_row_whose_drift_was_measured() -> None:
    text = (DOCS / "tables" / "drift.md").read_text(encoding="utf-8")
    block = text[text.index("<!-- drift: begin -->") : text.index("<!-- drift: end -->")]
    rows = [row.name for study in DRIFT["STUDIES"] for row in compose(DRIFT["words"](study)).rows_ahead()]
    assert [line.split(" | ")[0].removeprefix("| ") for line in block.splitlines()[3:] if line.startswith("| ")] == rows


def test_the_page_on_theory_shows_what_its_script_renews() -> None:
    text = (DOCS / "theory.md").read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- theory: (\w+) -->", text)) == {"bptt", "lstm", "gates", "drifted", *THEORY["WRONG"]}
    assert len(text.split()) <= 2000
    for study, words in THEORY["STUDIES"].items():
        assert compose(shlex.split(words)).rows_ahead()
        assert f"    lstm-search run {words} study={study}\n" in text


def test_the_page_on_theory_has_a_line_of_every_row_of_what_goes_wrong() -> None:
    text = (DOCS / "theory.md").read_text(encoding="utf-8")
    for study, words in [each for studies in THEORY["WRONG"].values() for each in studies.items()]:
        assert f"    lstm-search run {THEORY['named'](study, words)}\n" in text
        for row in compose(shlex.split(words)).rows_ahead():
            assert f"| {study} | {row.name} | " in text


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
        np.testing.assert_allclose(seen.s[:, 2, n], states, rtol=1e-12, atol=1e-15)  # 4 f - 2 rounds at 2
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
