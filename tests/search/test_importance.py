"""Importance of axes: what decides is told from what does not, and nothing is said where nothing is known."""

from __future__ import annotations

import math
from itertools import product

import pytest

from lstm_search.search import importances

POINTS = [
    {"rate": rate, "recurrent": name, "blocks": blocks}
    for rate, name, blocks in product((0.1, 0.3, 1.0), ("all", "none"), (1, 2))
]


def test_the_axis_that_decides_is_the_important_one() -> None:
    found = importances(POINTS, [math.log(point["rate"]) + 0.01 * point["blocks"] for point in POINTS])  # type: ignore[arg-type, operator]
    assert next(iter(found)) == "rate"
    assert found["rate"] > 0.9
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == {"rate", "recurrent", "blocks"}


def test_an_axis_of_words_may_decide() -> None:
    found = importances(POINTS, [float(point["recurrent"] == "all") for point in POINTS])
    assert found["recurrent"] > 0.9


def test_the_same_cells_give_the_same_numbers() -> None:
    losses = [float(i * i % 7) for i in range(len(POINTS))]
    assert importances(POINTS, losses) == importances(POINTS, losses)


@pytest.mark.parametrize(
    ("points", "losses"),
    [
        ([], []),
        (POINTS[:7], [float(i) for i in range(7)]),
        (POINTS, [1.0] * len(POINTS)),
        (POINTS, [math.nan] * len(POINTS)),
        ([{"rate": float(i), "blocks": 1} for i in range(12)], [float(i) for i in range(12)]),
    ],
    ids=["none", "few cells", "all alike", "no trials", "one axis"],
)
def test_nothing_is_said_where_nothing_is_known(points: list[dict[str, object]], losses: list[float]) -> None:
    assert importances(points, losses) == {}
