"""Each statistic against scipy, enumeration of every case, or simulation with a known answer."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from lstm_search import stats


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


def kaplan_meier(reached: list[float], censored: list[float]) -> dict[float, float]:
    """Solved fraction from each time on, by the product over times: one minus solved there over still running."""
    left, curve = 1.0, {}
    for time in sorted(set(reached)):
        at_risk = sum(t >= time for t in [*reached, *censored])
        left *= 1 - reached.count(time) / at_risk
        curve[time] = 1 - left
    return curve


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


def test_mean_interval_against_every_resample() -> None:
    values = [3.0, 5.0, 11.0, 12.0, 20.0]
    means = [sum(draw) / 5 for draw in product(values, repeat=5)]
    assert stats.mean_interval(values) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.35)


def test_mean_interval_against_scipys_bootstrap() -> None:
    values = np.random.default_rng(5).gamma(4, 8000, 20)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(6))
    low, high = expected.confidence_interval
    assert stats.mean_interval(values.tolist()) == pytest.approx((low, high), rel=0.02)


def test_mean_interval_is_the_same_every_time_and_needs_two_values() -> None:
    assert stats.mean_interval([1.0, 2.0, 4.0]) == stats.mean_interval([1.0, 2.0, 4.0])
    assert stats.mean_interval([7.0]) is None
    assert stats.mean_interval([7.0, 7.0]) == (7.0, 7.0)
    assert stats.mean([]) is None


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


def test_fisher_p_by_counting_tables() -> None:
    for k1, k2 in product(range(6), range(9)):
        assert stats.fisher_p(k1, 5, k2, 8) == pytest.approx(fisher_by_counting(k1, 5, k2, 8), rel=1e-9)


Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
GAMMA = (lambda rng, n: rng.gamma(4, 8000, n), "gamma")
SHIFTED = (lambda rng, n: 5000 + rng.exponential(5000, n), "shifted exponential")
NORMAL = (lambda rng, n: rng.normal(31390, 6000, n), "normal")


@pytest.mark.parametrize(("ours", "theirs"), [(10, 10), (20, 20)])
@pytest.mark.parametrize("draw", [pytest.param(draw, id=name) for draw, name in (GAMMA, SHIFTED, NORMAL)])
def test_mean_prediction_covers_a_mean_from_the_same_population(
    monkeypatch: pytest.MonkeyPatch, draw: Draw, ours: int, theirs: int
) -> None:
    monkeypatch.setattr(stats, "RESAMPLES", 1000)
    rng, hits = np.random.default_rng(11), 0
    for _ in range(400):
        low, high = stats.mean_prediction(draw(rng, ours).tolist(), theirs)
        hits += low <= draw(rng, theirs).mean() <= high
    assert 0.91 <= hits / 400 <= 0.98


def test_mean_prediction_agrees_with_student_t_for_many_normal_values() -> None:
    values = np.random.default_rng(1).normal(100, 10, 300)
    reach = scipy.stats.t.ppf(0.975, 299) * values.std(ddof=1) * math.sqrt(1 / 300 + 1 / 20)
    expected = (values.mean() - reach, values.mean() + reach)
    assert stats.mean_prediction(values.tolist(), 20) == pytest.approx(expected, rel=0.01)


def test_mean_prediction_narrows_with_the_papers_number_of_trials() -> None:
    values = np.random.default_rng(2).gamma(4, 1, 20).tolist()
    widths = [high - low for low, high in (stats.mean_prediction(values, n) for n in (1, 5, 20, 100))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("values", "n"), [([1.0, 2.0, 3.0, 4.0], 20), ([5.0] * 8, 20), ([1.0, 2, 3, 4, 5], 0)])
def test_mean_prediction_is_undefined_without_spread_or_values(values: list[float], n: int) -> None:
    assert stats.mean_prediction(values, n) is None


@pytest.mark.parametrize(("n1", "k2", "n2"), [(20, 20, 20), (10, 10, 10), (20, 14, 18), (12, 0, 18), (5, 20, 20)])
def test_detectable_difference_by_enumeration(n1: int, k2: int, n2: int) -> None:
    def power(rate: float) -> float:
        return sum(binomial(k, n1, rate) for k in range(n1 + 1) if fisher_by_counting(k, n1, k2, n2) < 0.05)

    rate, found = k2 / n2, stats.detectable_difference(n1, k2, n2)
    sides = [side for side in (rate - found, rate + found) if 0 <= side <= 1]
    assert max(power(side) for side in sides) == pytest.approx(0.8, abs=1e-6)
    nearer = [near for near in (rate - 0.98 * found, rate + 0.98 * found) if 0 <= near <= 1]
    assert max(power(near) for near in nearer) < 0.8


def test_detectable_difference_is_unknown_where_nothing_would_be_noticed() -> None:
    assert stats.detectable_difference(1, 10, 10) is None
    assert stats.detectable_difference(0, 10, 10) is None
