"""Spaces: what is drawn from them, and which are refused."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.stats

from lstm_search import config
from lstm_search.config.composition import ConfigError
from lstm_search.search import PROPOSERS, Numbers, SearchSettings, Span

RATE = Numbers(Span("training.rate", 0.01, 2, log=True), whole=False)
BLOCKS = Numbers(Span("network.blocks", 1, 4), whole=True)
WHICH = ["all", "cells", "none"]


def drawn(count: int, how: Any = "random", seed: int = 1, space: Any = (RATE, BLOCKS, WHICH)) -> list[tuple[Any, ...]]:
    axes = {f"axis {number}": values for number, values in enumerate(space)}
    proposer = PROPOSERS[how](axes, SearchSettings("random", cells=count), seed)
    return [point for _ in range(count) if (point := proposer.propose()) is not None]


@pytest.mark.parametrize("how", ["random", "sobol"])
def test_draws_are_uniform(how: str) -> None:
    """Logarithms of rates, whole numbers and names alike."""
    rates, blocks, which = zip(*drawn(900, how), strict=True)
    logs = (np.log(rates) - math.log(0.01)) / (math.log(2) - math.log(0.01))
    assert scipy.stats.kstest(logs, "uniform").pvalue > 0.01
    for values, options in ((blocks, [1, 2, 3, 4]), (which, WHICH)):
        counts = [values.count(option) for option in options]
        assert sum(counts) == 900
        assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_a_sobol_sequence_leaves_smaller_gaps() -> None:
    space = [Numbers(Span("training.rate", 0.1, 1), whole=False)]

    def gap(how: str, seed: int) -> float:
        return max(b - a for a, b in pairwise(sorted(x for (x,) in drawn(64, how, seed, space))))

    gaps = {how: [gap(how, seed) for seed in range(9)] for how in ("random", "sobol")}
    assert max(gaps["sobol"]) < min(gaps["random"])


@pytest.mark.parametrize("how", ["random", "sobol"])
def test_more_points_begin_with_the_same(how: str) -> None:
    assert drawn(60, how)[:20] == drawn(20, how)
    assert drawn(20, how, seed=2) != drawn(20, how)
    assert len(set(drawn(60, how))) == 60


def test_all_points_of_a_finite_space_can_be_drawn() -> None:
    assert sorted(drawn(6, space=(["a", "b"], [1, 2, 3]))) == [(a, b) for a in "ab" for b in (1, 2, 3)]
    with pytest.raises(ValueError, match=r"search\.cells=7: the space has 6 cells"):
        drawn(7, space=(["a", "b"], [1, 2, 3]))


def test_without_draws_every_combination_in_order() -> None:
    grid = PROPOSERS["grid"]({"x": ["a", "b"], "y": [1, 2]}, SearchSettings(), 1)
    assert [grid.propose() for _ in range(5)] == [("a", 1), ("a", 2), ("b", 1), ("b", 2), None]


def test_numbers_are_short_and_in_bounds() -> None:
    for (rate,) in drawn(200, space=[RATE]):
        assert 0.01 <= rate <= 2
        assert float(f"{rate:.4g}") == rate
    assert Span("x", 0.123456, 0.123457).at(0.0, whole=False) >= 0.123456


def rows(*words: str) -> tuple[Any, ...]:
    return tuple(config.compose(list(words)).rows_ahead())


def test_a_drawn_study_has_cells_that_can_be_asked_for_by_name() -> None:
    """What a row is called is what it is: the same numbers, typed by hand, give the same cell."""
    found = rows("task=adding", "search=random", "search.cells=3", "training.rate=tag(log,interval(0.01,2))")
    for row in found:
        again = rows("task=adding", f"training.{row.name}")
        assert again[0].cell == row.cell
    assert {row.purpose for row in found} == {"tune"}


def test_a_race_has_as_many_replicates_as_its_last_block() -> None:
    race = ("task=adding", "search=race", "training.rate=0.1,0.5")
    assert [(row.replicates, row.purpose) for row in rows(*race)] == [(30, "race")] * 2
    assert {row.replicates for row in rows(*race, "replicates=12")} == {12}
    assert config.compose([*race, "replicates=12"]).search.blocks == (5, 10, 12)


def test_a_race_draws_when_it_is_told_how_many() -> None:
    assert len(rows("task=adding", "search=race", "search.cells=7", "training.rate=interval(0.1,1)")) == 7


def test_a_grid_that_is_confirmed_is_for_choosing() -> None:
    axes = ("task=adding", "training.rate=0.1,0.5")
    assert {row.purpose for row in rows(*axes)} == {"report"}
    assert {row.purpose for row in rows(*axes, "search.confirm=5")} == {"tune"}


RANDOM = ("task=adding", "search=random")
BAD = {
    "an interval for a grid": (("task=adding", "training.rate=interval(0.1,1)"), "search=grid needs a finite list"),
    "an interval for a race of all": (
        ("task=adding", "search=race", "training.rate=interval(0.1,1)"),
        r"search=race needs a finite list.*search\.cells=N",
    ),
    "inverted": ((*RANDOM, "training.rate=interval(2,1)"), r"training\.rate=interval\(2,1\): is empty"),
    "a point": ((*RANDOM, "training.rate=interval(1,1)"), "is empty"),
    "endless": ((*RANDOM, "training.rate=interval(1,inf)"), "takes finite bounds"),
    "logarithm of nothing": ((*RANDOM, "training.rate=tag(log,interval(0,1))"), "a lower bound above 0"),
    "unknown tag": ((*RANDOM, "training.rate=tag(exp,interval(0.1,1))"), "takes no tag but log"),
    "a tag on values": ((*RANDOM, "training.rate=tag(log,choice(0.1,0.5))"), "tags mean nothing here"),
    "an interval of names": ((*RANDOM, "network.recurrent=interval(0,1)"), "takes values: all,cells,none"),
    "an interval of truths": ((*RANDOM, "network.output_bias=interval(0,1)"), "no interval"),
    "no whole number": ((*RANDOM, "network.blocks=interval(1.2,1.8)"), "holds no whole number"),
    "out of range": ((*RANDOM, "network.blocks=interval(-99,-1)"), r"network\.blocks=-\d"),
    "nothing to draw": (RANDOM, "nothing to draw from"),
    "more than there are": ((*RANDOM, "training.rate=0.1,0.5"), r"search\.cells=20: the space has 2 cells"),
    "too many trials": (
        (*RANDOM, "search.max_trials=50", "training.rate=interval(0.1,1)"),
        r"search\.max_trials=50: the study would have 200 trials",
    ),
    "overlapping ranges": (
        ("task=adding", "search=race", "search.fresh_from=20", "training.rate=0.1,0.5"),
        r"search\.fresh_from=20.* 0 to 29",
    ),
    "nothing printed": (
        ("task=adding", "search.objective=published", "search=race", "training.rate=0.1,0.5"),
        "nothing is printed",
    ),
    "unknown milestone": (
        ("task=adding", "search.milestone=st1", "search=race", "training.rate=0.1,0.5"),
        "valid: solved",
    ),
    "unknown objective": (("task=adding", "search.objective=loss"), "ert, success, published"),
    "falling blocks": (("task=adding", "search=race", "search.blocks=[10,5]", "training.rate=0.1,0.5"), "that rise"),
    "cells of a grid": (
        ("task=adding", "search.cells=5"),
        "search=grid takes every combination; search=random, search=race or",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_space_that_cannot_be_searched_is_refused(case: str) -> None:
    words, says = BAD[case]
    with pytest.raises((ConfigError, ValueError), match=says):
        config.compose(list(words))
