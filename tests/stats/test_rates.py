"""Tests and intervals of success rates against scipy, and against enumeration of every case."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.stats

from lstm_search import stats
from lstm_search.stats.rates import _fisher_table


def binomial(k: int, n: int, rate: float) -> float:
    return math.comb(n, k) * rate**k * (1 - rate) ** (n - k)


def fisher_by_counting(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p-value from all tables with the same margins, in exact fractions."""
    total, all_n = k1 + k2, n1 + n2
    chance = {
        k: Fraction(math.comb(n1, k) * math.comb(n2, total - k), math.comb(all_n, total))
        for k in range(max(0, total - n2), min(n1, total) + 1)
    }
    return float(sum(p for p in chance.values() if p <= chance[k1]))


@pytest.mark.parametrize("n", [1, 2, 10, 20, 50])
def test_success_interval_is_scipys_exact_interval(n: int) -> None:
    for k in range(n + 1):
        expected = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        assert stats.success_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("rate", [0.03, 0.3, 0.5, 0.97])
def test_success_interval_covers_at_least_as_promised(rate: float) -> None:
    def covered(k: int) -> bool:
        low, high = stats.success_interval(k, 20)
        return low <= rate <= high

    assert sum(binomial(k, 20, rate) for k in range(21) if covered(k)) >= 0.95


def test_success_interval_of_nothing_says_nothing() -> None:
    assert stats.success_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 2)])
def test_success_interval_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="takes 0 <= k <= n"):
        stats.success_interval(k, n)


def test_fisher_p_by_counting_tables() -> None:
    for k1, k2 in product(range(6), range(9)):
        assert stats.fisher_p(k1, 5, k2, 8) == pytest.approx(fisher_by_counting(k1, 5, k2, 8), rel=1e-9)


@pytest.mark.parametrize(
    ("k1", "n1", "k2", "n2"), [(3, 400, 12, 700), (90_000, 100_000, 20, 20), (51_000, 100_000, 50_500, 100_000)]
)
def test_fisher_p_of_many_trials_is_scipys(k1: int, n1: int, k2: int, n2: int) -> None:
    expected = scipy.stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]]).pvalue
    assert stats.fisher_p(k1, n1, k2, n2) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n1", "k2", "n2"), [(20, 20, 20), (10, 10, 10), (20, 14, 18), (12, 0, 18), (5, 20, 20)])
def test_detectable_difference_by_enumeration(n1: int, k2: int, n2: int) -> None:
    def power(rate: float) -> float:
        return sum(binomial(k, n1, rate) for k in range(n1 + 1) if fisher_by_counting(k, n1, k2, n2) < 0.05)

    rate, found = k2 / n2, stats.detectable_difference(n1, k2, n2)
    sides = [side for side in (rate - found, rate + found) if 0 <= side <= 1]
    assert max(power(side) for side in sides) == pytest.approx(0.8, abs=1e-6)
    nearer = [near for near in (rate - 0.98 * found, rate + 0.98 * found) if 0 <= near <= 1]
    assert max(power(near) for near in nearer) < 0.8


def test_detectable_difference_of_very_many_trials_is_that_of_scipys_test() -> None:
    counts = np.arange(3001)
    rejected = [k for k in counts if stats.fisher_p(int(k), 3000, 14, 18) < 0.05]
    found = stats.detectable_difference(3000, 14, 18)
    powers = [scipy.stats.binom.pmf(rejected, 3000, 14 / 18 + side).sum() for side in (-found, found)]
    assert max(powers) == pytest.approx(0.8, abs=1e-6)


def test_detectable_difference_is_unknown_where_nothing_would_be_noticed() -> None:
    assert stats.detectable_difference(1, 10, 10) is None
    assert stats.detectable_difference(0, 10, 10) is None


@pytest.mark.parametrize("counts", [(0, 5, 5, 5), (3, 10, 9, 10), (7, 8, 2, 30), (0, 4, 0, 4), (4, 4, 4, 4)])
def test_fewer_p_is_one_side_of_fishers_test(counts: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = counts
    theirs = scipy.stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative="less").pvalue
    assert stats.fewer_p(*counts) == pytest.approx(theirs, rel=1e-9)


def test_fewer_p_without_trials() -> None:
    assert stats.fewer_p(0, 0, 3, 5) == stats.fewer_p(1, 3, 0, 0) == 1


def two_rates(n1: int, n2: int, rate1: float, rate2: float) -> np.ndarray:
    first, second = (scipy.stats.binom.pmf(np.arange(n + 1), n, rate) for n, rate in ((n1, rate1), (n2, rate2)))
    return np.outer(first, second)


@pytest.mark.parametrize(("n1", "n2"), [(8, 8), (5, 17), (12, 7)])
def test_boschloo_is_exact_and_more_powerful_than_fisher(n1: int, n2: int) -> None:
    p = {test: np.array([[test(a, n1, b, n2) for b in range(n2 + 1)] for a in range(n1 + 1)])
         for test in (stats.boschloo_p, stats.fisher_p)}  # fmt: skip
    assert (p[stats.boschloo_p] <= p[stats.fisher_p] + 1e-9).all()
    assert p[stats.boschloo_p].sum() < 0.95 * p[stats.fisher_p].sum()
    for rate in np.linspace(0.02, 0.98, 25):
        assert (two_rates(n1, n2, rate, rate)[p[stats.boschloo_p] <= 0.05]).sum() <= 0.05 + 1e-4


def test_boschloo_is_scipys_where_both_cells_have_as_many_trials() -> None:
    for k1, k2 in [(0, 5), (3, 8), (7, 9), (10, 10), (2, 0)]:
        theirs = scipy.stats.boschloo_exact([[k1, k2], [10 - k1, 10 - k2]], n=64).pvalue
        assert stats.boschloo_p(k1, 10, k2, 10) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize(("n1", "n2"), [(1, 1), (9, 14), (20, 20)])
def test_fishers_p_values_of_all_counts_are_scipys(n1: int, n2: int) -> None:
    theirs = np.array([[stats.fisher_p(a, n1, b, n2) for b in range(n2 + 1)] for a in range(n1 + 1)])
    assert _fisher_table(n1, n2) == pytest.approx(theirs, rel=1e-9)


def test_boschloo_of_many_trials_is_fishers_test() -> None:
    assert stats.boschloo_p(300, 501, 250, 501) == stats.fisher_p(300, 501, 250, 501)
    assert 0.8 < stats.boschloo_p(300, 500, 270, 500) / stats.fisher_p(300, 500, 270, 500) <= 1


def power(n: int, rate1: float, rate2: float) -> float:
    weights = two_rates(n, n, rate1, rate2)
    return sum(weights[a, b] for a in range(n + 1) for b in range(n + 1) if stats.boschloo_p(a, n, b, n) < 0.05)


@pytest.mark.parametrize("n", [10, 20])
def test_the_rate_that_is_told_apart_by_enumeration(n: int) -> None:
    rate = stats.rate_told_apart(n)
    assert rate is not None
    assert power(n, 0.5, rate) >= 0.8 > power(n, 0.5, rate - 0.001)
    assert power(n, 1 - rate, 0.5) == pytest.approx(power(n, 0.5, rate))


def test_few_trials_tell_no_rate_apart() -> None:
    assert stats.rate_told_apart(1) is stats.rate_told_apart(5) is None
    with pytest.raises(ValueError, match="n=501: takes 1 to 500"):
        stats.rate_told_apart(501)


@pytest.mark.parametrize(("only", "p"), [((0, 0), 1.0), ((1, 0), 1.0), ((5, 0), 0.0625), ((8, 1), 0.0390625)])
def test_mcnemars_exact_test_is_binomial(only: tuple[int, int], p: float) -> None:
    assert stats.mcnemar_p(*only) == pytest.approx(p)
