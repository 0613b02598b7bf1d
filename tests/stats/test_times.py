"""Statistics of times against scipy, enumeration of every split, and simulation with a known answer."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from lstm_search import stats


def kaplan_meier(reached: list[float], censored: list[float]) -> dict[float, float]:
    """Solved fraction from each time on, by the product over times: one minus solved there over still running."""
    left, curve = 1.0, {}
    for time in sorted(set(reached)):
        at_risk = sum(t >= time for t in [*reached, *censored])
        left *= 1 - reached.count(time) / at_risk
        curve[time] = 1 - left
    return curve


def test_expected_running_time_is_what_restarts_cost() -> None:
    """Restarting until success costs ERT on average: simulated with runs drawn from the trials themselves."""
    reached, censored = [100.0, 300.0, 200.0], [500.0, 500.0]
    runs = [(time, True) for time in reached] + [(time, False) for time in censored]
    rng, costs = np.random.default_rng(3), []
    for _ in range(20_000):
        cost, solved = 0.0, False
        while not solved:
            time, solved = runs[rng.integers(len(runs))]
            cost += time
        costs.append(cost)
    assert stats.expected_running_time(reached, censored) == pytest.approx(np.mean(costs), rel=0.02)


def test_expected_running_time_without_success_is_infinite_and_without_trials_unknown() -> None:
    assert stats.expected_running_time([], [500.0]) == math.inf
    assert stats.expected_running_time([], []) is None


@pytest.mark.parametrize("seed", range(20))
def test_solved_curve_and_median_by_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reached = rng.integers(
        1, 12, rng.integers(1, 12)
    ).tolist()  # few distinct values: ties with each other and with caps
    censored = rng.integers(1, 15, rng.integers(0, 9)).tolist()
    times, fractions = stats.solved_curve(reached, censored)
    expected = kaplan_meier(reached, censored)
    assert times.tolist() == list(expected)
    assert fractions.tolist() == pytest.approx(list(expected.values()), abs=1e-12)
    half = [time for time, solved in expected.items() if solved >= 0.5 - 1e-12]
    assert stats.median_time(reached, censored) == (half[0] if half else math.inf)


def test_solved_curve_is_the_plain_fraction_when_all_are_given_up_at_the_cap() -> None:
    times, fractions = stats.solved_curve([10, 30, 20], [100, 100])
    assert times.tolist() == [10, 20, 30]
    assert fractions.tolist() == pytest.approx([0.2, 0.4, 0.6])


@pytest.mark.parametrize(("reached", "censored", "median"), [([], [], None), ([], [9], math.inf), ([4], [], 4)])
def test_median_of_degenerate_samples(reached: list[float], censored: list[float], median: float | None) -> None:
    assert stats.median_time(reached, censored) == median
    assert len(stats.solved_curve(reached, censored)[0]) == len(reached)


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


def test_without_any_success_the_times_say_nothing() -> None:
    assert stats.logrank_p(([], [5, 5]), ([], [5, 5])) == 1.0


def test_the_interval_of_a_ratio_holds_what_it_should() -> None:
    """Two cells of exponential times, the first twice as slow: the truth is inside in about 95 of 100 studies."""
    rng, inside = np.random.default_rng(3), 0
    for _ in range(100):
        first, second = rng.exponential(2000, 30), rng.exponential(1000, 30)
        low, high = stats.ratio_interval((first.tolist(), []), (second.tolist(), []))
        inside += low <= 2 <= high
    assert inside >= 88


def test_an_unreliable_cell_has_an_open_ratio() -> None:
    low, high = stats.ratio_interval(([100.0] * 2, [1000.0] * 8), ([100.0] * 10, []))
    assert 10 < low < high
    assert stats.ratio_interval(([], [5.0]), ([], [5.0])) == (0.0, float("inf"))
