"""Tests of two sets of settings over several rows, against enumeration, scipy, and simulation with a known answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm_search import stats
from lstm_search.stats import Times, joint, sample

Counts = Sequence[tuple[int, int]]


def by_all_splits(worse: Counts, better: Counts) -> float:
    """The slow twin of `fewer_over_rows_p`: every split of the trials of every row, one at a time."""
    observed, rows = sum(k for k, _ in worse), []
    for (k1, n1), (k2, n2) in zip(worse, better, strict=True):
        solved = [1] * (k1 + k2) + [0] * (n1 + n2 - k1 - k2)
        rows.append([sum(part) for part in combinations(solved, n1)])
    found = [sum(sums) <= observed for sums in product(*rows)]
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ([(1, 4)], [(3, 4)]),
        ([(0, 3), (2, 3)], [(2, 3), (3, 3)]),
        ([(0, 2), (1, 4), (2, 3)], [(3, 3), (2, 2), (1, 2)]),
        ([(2, 2), (3, 3)], [(0, 3), (1, 4)]),
    ],
)
def test_fewer_over_rows_is_the_share_of_all_splits(worse: Counts, better: Counts) -> None:
    assert stats.fewer_over_rows_p(worse, better) == pytest.approx(by_all_splits(worse, better), rel=1e-9)


@pytest.mark.parametrize("counts", [(0, 5, 5, 5), (3, 10, 9, 10), (7, 8, 2, 30), (0, 4, 0, 4), (4, 4, 4, 4)])
def test_fewer_over_one_row_is_fishers_test(counts: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = counts
    theirs = scipy.stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative="less").pvalue
    assert stats.fewer_over_rows_p([(k1, n1)], [(k2, n2)]) == pytest.approx(theirs, rel=1e-9)


def test_rows_without_trials_of_one_set_are_left_out() -> None:
    one = stats.fewer_over_rows_p([(1, 5)], [(4, 5)])
    assert stats.fewer_over_rows_p([(1, 5), (0, 0), (0, 9)], [(4, 5), (7, 7), (0, 0)]) == one
    assert stats.fewer_over_rows_p([], []) == stats.fewer_over_rows_p([(0, 0)], [(3, 3)]) == 1
    for test in (stats.fewer_over_rows_p, stats.ert_over_rows_p):
        with pytest.raises(ValueError, match="zip"):
            test([], [((), ())])  # type: ignore[operator]


@pytest.mark.parametrize("n", [(3, 3), (2, 5)])
@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.3, 0.9), (0.1, 0.2)])
def test_fewer_over_rows_is_exact_where_both_sets_are_alike(n: tuple[int, int], rates: tuple[float, float]) -> None:
    """Every outcome of two rows of different rates, with its probability."""
    chances, found = [], []
    for k in product(*[range(count + 1) for count in n * 2]):
        pairs = [(k[0], n[0]), (k[2], n[0])], [(k[1], n[1]), (k[3], n[1])]
        row_rates = (rates[0], rates[0], rates[1], rates[1])
        chances.append(math.prod(scipy.stats.binom.pmf(a, b, r) for a, b, r in zip(k, n * 2, row_rates, strict=True)))
        found.append(stats.fewer_over_rows_p(*pairs))
    for q in sorted(set(found)):
        assert sum(c for c, p in zip(chances, found, strict=True) if p <= q) <= q + 1e-9


def test_fewer_over_rows_is_right_for_sets_that_are_alike_in_the_mean() -> None:
    """The first set solves 9 of 10 in three rows and 3 of 10 in three others, and the second the other way round."""
    rng, rates = np.random.default_rng(2), np.array([0.9] * 3 + [0.3] * 3)
    found = []
    for _ in range(1000):
        first, second = rng.binomial(20, rates).tolist(), rng.binomial(20, rates[::-1]).tolist()
        found.append(stats.fewer_over_rows_p([(k, 20) for k in first], [(k, 20) for k in second]))
    for q in (0.01, 0.05, 0.1):
        assert (np.array(found) <= q).mean() <= q + 3 * math.sqrt(q * (1 - q) / 1000)


def test_many_rows_show_what_one_does_not() -> None:
    assert stats.fewer_over_rows_p([(20, 30)], [(26, 30)]) > 0.05
    assert stats.fewer_over_rows_p([(20, 30)] * 12, [(26, 30)] * 12) < 1e-8
    assert stats.fewer_over_rows_p([(20, 30), (26, 30)] * 6, [(26, 30), (20, 30)] * 6) > 0.4
    assert 0 < stats.fewer_over_rows_p([(0, 400)] * 12, [(400, 400)] * 12) < 1e-300


def log_ratio(first: Times, second: Times, pooled: Times) -> tuple[float, float]:
    """The logarithm of the ratio of two running times, and its variance, trial by trial."""
    n = len(pooled[0]) + len(pooled[1])
    mean, share = sum(pooled[0] + pooled[1]) / n, len(pooled[0]) / n

    def every(row: Times) -> list[tuple[float, float]]:
        return [(t / mean, 1 / share) for t in row[0]] + [(t / mean, 0.0) for t in row[1]]

    spread = sum((t - s) ** 2 for t, s in every(pooled)) / n

    def log_time(row: Times) -> tuple[float, float]:
        trials = every(row)
        time = sum(t for t, _ in trials) / len(trials)
        rate = (sum(s for _, s in trials) + 0.5) / (len(trials) + 0.5)
        left = [t / time - s / rate for t, s in trials]
        squares = sum((value - sum(left) / len(left)) ** 2 for value in left)
        return math.log(time / rate), (squares + spread) / len(trials) ** 2

    a, b = log_time(first), log_time(second)
    return a[0] - b[0], a[1] + b[1]


def splits_of(first: Times, second: Times) -> list[tuple[float, float]]:
    trials = [
        (t, solved) for row in (first, second) for solved, part in ((True, row[0]), (False, row[1])) for t in part
    ]

    def times(chosen: Sequence[int]) -> Times:
        return [trials[i][0] for i in chosen if trials[i][1]], [trials[i][0] for i in chosen if not trials[i][1]]

    everyone, size = range(len(trials)), len(first[0]) + len(first[1])
    return [
        log_ratio(times(part), times([i for i in everyone if i not in part]), times(everyone))
        for part in combinations(everyone, size)
    ]


def by_enumeration(worse: Sequence[Times], better: Sequence[Times]) -> float:
    """The slow twin of `ert_over_rows_p`: every combination of one split a row, the observed one first."""
    rows = [splits_of(a, b) for a, b in zip(worse, better, strict=True)]
    found = [sum(d for d, _ in parts) / math.sqrt(sum(v for _, v in parts) + 1e-12) for parts in product(*rows)]
    return sum(t >= found[0] - 1e-9 * (1 + abs(found[0])) for t in found) / len(found)


def cell(rng: np.random.Generator, n: int, scale: float = 1.0, rate: float = 0.7) -> Times:
    reached = rng.random(n) < rate
    times: NDArray[np.float64] = rng.gamma(4, scale, n)
    return times[reached].tolist(), [20.0 * scale] * int((~reached).sum())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [[(4, 4)], [(3, 3), (2, 4)], [(2, 2), (3, 2), (2, 3)]])
def test_ert_over_rows_is_the_share_of_all_combinations(seed: int, sizes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(seed)
    worse, better = ([cell(rng, n[side], 1.3 - 0.3 * side, 0.8) for n in sizes] for side in (0, 1))
    for side in (worse, better):
        side[0] = ([1.0, *side[0][0]], side[0][1])  # a row without a success would be left out
    assert stats.ert_over_rows_p(worse, better) == pytest.approx(by_enumeration(worse, better), abs=1e-12)


def test_ert_over_one_row_is_scipys_permutation_test() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.gamma(4, 1.5, 5), rng.gamma(4, 1.0, 6)

    def statistic(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        d, v = log_ratio((a.tolist(), []), (b.tolist(), []), (first.tolist() + second.tolist(), []))
        return d / math.sqrt(v)

    theirs = scipy.stats.permutation_test((first, second), statistic, alternative="greater", n_resamples=1000)
    ours = stats.ert_over_rows_p([(first.tolist(), [])], [(second.tolist(), [])])
    assert ours == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize(("sizes", "fewest"), [((5, 5), 1000), ((5, 5), 20), ((4, 15), 20), ((15, 4), 20)])
def test_ert_over_rows_is_right_for_sets_that_are_alike(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int], fewest: int
) -> None:
    """A share q at most has p <= q, also where only a few splits of each row are drawn, and in several stages."""
    monkeypatch.setattr(joint, "_FEWEST_SPLITS", fewest)
    monkeypatch.setattr(joint, "BLOCK", 20)
    rng, found = np.random.default_rng(5), []
    for _ in range(400):
        rows = [(cell(rng, sizes[0], scale, rate), cell(rng, sizes[1], scale, rate)) for scale, rate in SHAPES]
        found.append(stats.ert_over_rows_p([a for a, _ in rows], [b for _, b in rows], 5e-3))
    for q in (0.01, 0.02, 0.05, 0.1, 0.3, 0.6):
        assert (np.array(found) <= q).mean() <= q + 3 * math.sqrt(q * (1 - q) / 400)
    assert (np.array(found) <= 0.5).mean() > 0.4


SHAPES = [(1.0, 0.7), (100.0, 0.9), (10.0, 0.3), (5.0, 1.0)]


@pytest.mark.parametrize("sizes", [(5, 5), (5, 30), (30, 5)])
def test_ert_over_rows_is_right_for_sets_that_are_alike_in_the_mean(sizes: tuple[int, int]) -> None:
    """The first set is three times slower in half of the rows and three times faster in the others."""
    rng, found = np.random.default_rng(6), []
    for _ in range(200):
        first, second = ([cell(rng, n, scale, 0.9) for scale in order] for n, order in zip(sizes, ORDERS, strict=True))
        found.append(stats.ert_over_rows_p(first, second, 1e-2))
    for q in (0.01, 0.05, 0.1):
        assert (np.array(found) <= q).mean() <= q + 3 * math.sqrt(q * (1 - q) / 200)


ORDERS = [3.0] * 6 + [1.0] * 6, [1.0] * 6 + [3.0] * 6


def test_a_row_that_one_set_never_solves_is_enough() -> None:
    rng = np.random.default_rng(7)
    worse, better = ([cell(rng, 12, 1.0, 0.95) for _ in range(6)] for _ in range(2))
    worse[2] = ([], [20.0] * 12)
    assert stats.ert_over_rows_p(worse, better, 1e-3) < 1e-3
    assert stats.ert_over_rows_p(better, worse, 1e-3) > 0.5


def test_ert_over_rows_of_clear_cases() -> None:
    slow, fast, never = ([90.0 + i for i in range(8)], []), ([10.0 + i for i in range(8)], []), ([], [100.0] * 8)
    assert stats.ert_over_rows_p([slow] * 3, [fast] * 3, 1e-4) < 1e-4
    assert stats.ert_over_rows_p([never] * 3, [fast] * 3, 1e-4) < 1e-4
    assert stats.ert_over_rows_p([slow, fast] * 3, [fast, slow] * 3) > 0.3
    assert stats.ert_over_rows_p([fast] * 3, [slow] * 3) > 0.9
    assert stats.ert_over_rows_p([never], [never]) == stats.ert_over_rows_p([fast], [((), ())]) == 1
    assert stats.ert_over_rows_p([], []) == 1
    equal = ([7.0] * 4, [])
    assert stats.ert_over_rows_p([equal] * 2, [equal] * 2) == 1
    with_more = stats.ert_over_rows_p([slow, never, fast], [fast, never, ((), ())])
    assert with_more == stats.ert_over_rows_p([slow], [fast])


COUNT = st.integers(0, 12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TIMES = st.tuples(*[st.lists(st.integers(1, 10**6).map(float), max_size=6)] * 2)


@given(st.lists(st.tuples(COUNT, COUNT), max_size=6), st.randoms(use_true_random=False))
def test_counts_of_rows_in_any_order(rows: list[tuple[tuple[int, int], tuple[int, int]]], random: object) -> None:
    p = stats.fewer_over_rows_p([a for a, _ in rows], [b for _, b in rows])
    assert 0 < p <= 1
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert stats.fewer_over_rows_p([a for a, _ in rows], [b for _, b in rows]) == p
    fewer = stats.fewer_over_rows_p([(max(k - 1, 0), n) for (k, n), _ in rows], [b for _, b in rows])
    assert fewer <= p + 1e-12


@settings(max_examples=40)
@given(st.lists(st.tuples(TIMES, TIMES), max_size=4), st.randoms(use_true_random=False))
def test_times_of_rows_in_any_order(rows: list[tuple[Times, Times]], random: object) -> None:
    p = stats.ert_over_rows_p([a for a, _ in rows], [b for _, b in rows], 1e-2)
    assert 0 < p <= 1
    random.shuffle(rows)  # type: ignore[attr-defined]
    for pair in rows:
        for times in (part for side in pair for part in side):
            random.shuffle(times)  # type: ignore[attr-defined]
    assert stats.ert_over_rows_p([a for a, _ in rows], [b for _, b in rows], 1e-2) == p
    mirrored = stats.ert_over_rows_p(
        [side for pair in rows for side in pair], [s for a, b in rows for s in (b, a)], 1e-2
    )
    assert mirrored > 0.2


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(1, 2), min_size=6, max_size=9), min_size=4, max_size=6), st.floats(3, 100))
def test_a_set_that_is_faster_in_every_row_gets_a_small_p(rows: list[list[float]], ratio: float) -> None:
    slower = [([ratio * value for value in reversed(row)], []) for row in rows]
    assert stats.ert_over_rows_p(slower, [(row, []) for row in rows], 1e-3) < 2e-3


def printed_p(reached: list[float], n: int, printed: list[float], printed_n: int) -> float:
    """That a row serves the printed figures: the test of the rates and that of the means together (Bonferroni)."""
    found = [stats.fisher_p(len(reached), n, len(printed), printed_n)]
    mean = stats.prediction_p(reached, len(printed), float(np.mean(printed))) if printed else None
    found += [] if mean is None else [mean]
    return min(1.0, len(found) * min(found))


@pytest.mark.parametrize("rate", [1.0, 0.7])
def test_a_set_that_serves_all_printed_rows_is_lost_within_the_error(
    monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    """It is lost if one of 6 rows is rejected at one of 4 looks; each test has the level error / (rows looks)."""
    monkeypatch.setattr(sample, "RESAMPLES", 500)
    rng, error, looks, rows = np.random.default_rng(8), 0.2, (5, 10, 20, 30), 6

    def row_lost() -> bool:
        printed = rng.gamma(4, 1000, rng.binomial(20, rate)).tolist()
        solved, times = rng.random(looks[-1]) < rate, rng.gamma(4, 1000, looks[-1])
        p = [printed_p(times[:n][solved[:n]].tolist(), n, printed, 20) for n in looks]
        return min(p) < error / (rows * len(looks))

    lost = [any(row_lost() for _ in range(rows)) for _ in range(100)]
    assert np.mean(lost) <= error + 2 * math.sqrt(error * (1 - error) / 100)
