"""Cells that solve, miss or diverge on the adding problem, in one shape, and what others are made of."""

from dataclasses import replace
from typing import Any

from lstm_search.networks import Learner, Lstm1997
from lstm_search.spec import Cell, Stop, Training
from lstm_search.tasks import Adding

SEED = 7
WILD = 1e5  # a rate at which linear outputs run away
CLASSIFIER = Lstm1997(input_gate_bias=(-2.0, -4.0))
ADDER = replace(CLASSIFIER, output="linear")


def stops(tolerance: float, mean_error: float, *max_wrong: int) -> tuple[Stop, ...]:
    """One milestone for each number of wrong sequences that it allows among the last 200."""
    return tuple(
        Stop(f"n{n}", tolerance, window=200, max_wrong=n, mean_error=mean_error, test_sequences=300) for n in max_wrong
    )


def cell(task: Any, network: Learner, rate: float, stop: tuple[Stop, ...], **training: Any) -> Cell:
    return Cell(task, network, Training(rate, **training), stop)


ADDERS = [  # cell, cap
    (cell(Adding(20), ADDER, 0.1, stops(0.25, 0.08, 40, 5)), 20_000),  # the mean error decides: both milestones at once
    (cell(Adding(40), ADDER, 0.2, stops(0.2, 0.08, 20)), 20_000),
    (cell(Adding(30), ADDER, 0.3, stops(0.2, 0.08, 20, 2)), 3_000),
    (cell(Adding(20), ADDER, WILD, stops(0.2, 0.08, 0)), 20_000),
]
