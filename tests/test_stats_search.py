"""The statistics that a search decides by, against scipy, enumeration and simulation."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from lstm_search import stats


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
    assert stats._fisher_table(n1, n2) == pytest.approx(theirs, rel=1e-9)


def test_boschloo_of_many_trials_is_fishers_test() -> None:
    assert stats.boschloo_p(300, 501, 250, 501) == stats.fisher_p(300, 501, 250, 501)
    assert 0.8 < stats.boschloo_p(300, 500, 270, 500) / stats.fisher_p(300, 500, 270, 500) <= 1


def welch(scores: np.ndarray, part: tuple[int, ...]) -> float:
    a, b = scores[list(part)], np.delete(scores, list(part))
    error = a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
    return (a.mean() - b.mean()) / math.sqrt(error)


def by_enumeration(first: stats.Times, second: stats.Times) -> float:
    """The slow twin of `ert_p`: every split of the trials, one at a time."""
    spent = np.array([*first[0], *first[1], *second[0], *second[1]], float)
    solved = np.array([1] * len(first[0]) + [0] * len(first[1]) + [1] * len(second[0]) + [0] * len(second[1]))
    scores = spent - spent.sum() / solved.sum() * solved
    n = len(first[0]) + len(first[1])
    observed = welch(scores, tuple(range(n)))
    splits = list(combinations(range(len(spent)), n))
    return sum(welch(scores, part) >= observed - 1e-9 * (1 + abs(observed)) for part in splits) / len(splits)


def cell(rng: np.random.Generator, n: int, scale: float, rate: float = 0.7) -> stats.Times:
    reached = rng.random(n) < rate
    times = rng.gamma(4, scale, n)
    return times[reached].tolist(), [100.0 * scale] * int((~reached).sum())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n1", "n2"), [(5, 5), (3, 8), (6, 4)])
def test_ert_p_is_the_share_of_all_splits(seed: int, n1: int, n2: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = cell(rng, n1, 3.0), cell(rng, n2, 2.0)
    assert stats.ert_p(first, second) == pytest.approx(by_enumeration(first, second), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_ert_p_of_drawn_splits_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = cell(rng, 14, 1.2, 0.9), cell(rng, 20, 1.0, 0.9)
    spent = np.array([*first[0], *first[1], *second[0], *second[1]])
    solved = np.repeat([1.0, 0, 1, 0], [len(part) for part in (*first, *second)])
    scores = spent - spent.sum() / solved.sum() * solved
    theirs = scipy.stats.permutation_test(
        (scores[:14], scores[14:]),
        lambda a, b, axis: scipy.stats.ttest_ind(a, b, equal_var=False, axis=axis).statistic,
        alternative="greater",
        n_resamples=4000,
        vectorized=True,
        rng=rng,
    ).pvalue
    ours = stats.ert_p(first, second)
    assert abs(ours - theirs) < 4 * math.sqrt(theirs * (1 - theirs) / 10 * theirs) + 0.02  # ten hits: a rough estimate


def test_ert_p_of_clear_cases() -> None:
    slow, fast, never = ([900.0 + i for i in range(12)], []), ([10.0 + i for i in range(12)], []), ([], [1000.0] * 12)
    assert stats.ert_p(slow, fast) < 1e-3
    assert stats.ert_p(never, fast, 1e-4) < 1e-3
    assert stats.ert_p(fast, slow) > 0.5
    assert stats.ert_p(never, never) == stats.ert_p(fast, ([], [])) == stats.ert_p(([], []), fast) == 1
    assert stats.ert_p(fast, fast) > 0.3


def test_ert_p_of_equal_times_is_one() -> None:
    assert stats.ert_p(([7.0] * 4, []), ([7.0] * 6, [])) == 1


@pytest.mark.parametrize("sizes", [(5, 5), (5, 30), (30, 5)])
def test_ert_p_is_right_for_cells_that_are_alike(sizes: tuple[int, int]) -> None:
    """Of cells that are alike a share q at most has p <= q."""
    rng = np.random.default_rng(5)
    found = np.array([stats.ert_p(cell(rng, sizes[0], 1.0), cell(rng, sizes[1], 1.0), 1e-2) for _ in range(600)])
    for q in (0.02, 0.05, 0.1, 0.3):
        assert (found <= q).mean() <= q + 3 * math.sqrt(q * (1 - q) / 600)


def test_prediction_p_agrees_with_the_prediction() -> None:
    values = np.random.default_rng(4).gamma(4, 100, 15).tolist()
    low, high = stats.mean_prediction(values, 10)
    assert stats.prediction_p(values, 10, low) == pytest.approx(0.05, abs=0.002)
    assert stats.prediction_p(values, 10, high) == pytest.approx(0.05, abs=0.002)
    assert stats.prediction_p(values, 10, float(np.mean(values))) > 0.8
    assert stats.prediction_p(values, 10, 1e9) < 1e-3
    assert stats.prediction_p([1.0, 2.0], 10, 1.0) is None


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
