"""Intervals of means against scipy, enumeration of every resample, and simulation with a known answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from lstm_search import stats


def test_mean_interval_against_every_resample() -> None:
    values = [3.0, 5.0, 11.0, 12.0, 20.0]
    means = [sum(draw) / 5 for draw in product(values, repeat=5)]
    assert stats.mean_interval(values) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.35)


def test_mean_interval_against_scipys_bootstrap() -> None:
    values = np.random.default_rng(5).gamma(4, 8000, 20)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(6))
    low, high = expected.confidence_interval
    assert stats.mean_interval(values.tolist()) == pytest.approx((low, high), rel=0.02)


def test_mean_interval_of_many_values_is_that_of_scipys_bootstrap() -> None:
    values = np.random.default_rng(5).exponential(8000, 2000)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", batch=500, rng=np.random.default_rng(6)
    ).confidence_interval
    width = expected.high - expected.low
    assert stats.mean_interval(values.tolist()) == pytest.approx(tuple(expected), abs=0.03 * width)


def test_mean_interval_is_the_same_every_time_and_needs_two_values() -> None:
    assert stats.mean_interval([1.0, 2.0, 4.0]) == stats.mean_interval([1.0, 2.0, 4.0])
    assert stats.mean_interval([7.0]) is None
    assert stats.mean_interval([7.0, 7.0]) == (7.0, 7.0)
    assert stats.mean([]) is None


Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


GAMMA = (lambda rng, n: rng.gamma(4, 8000, n), "gamma")


SHIFTED = (lambda rng, n: 5000 + rng.exponential(5000, n), "shifted exponential")


NORMAL = (lambda rng, n: rng.normal(31390, 6000, n), "normal")


@pytest.mark.parametrize(("ours", "theirs"), [(10, 10), (20, 20)])
@pytest.mark.parametrize("draw", [pytest.param(draw, id=name) for draw, name in (GAMMA, SHIFTED, NORMAL)])
def test_mean_prediction_covers_a_mean_from_the_same_population(
    monkeypatch: pytest.MonkeyPatch, draw: Draw, ours: int, theirs: int
) -> None:
    monkeypatch.setattr("lstm_search.stats.sample.RESAMPLES", 1000)
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


@pytest.mark.parametrize("theirs", [10, 30])
def test_mean_prediction_from_many_values_is_that_of_resamples(monkeypatch: pytest.MonkeyPatch, theirs: int) -> None:
    values = np.random.default_rng(3).exponential(8000, 2000).tolist()
    found = stats.mean_prediction(values, theirs)
    monkeypatch.setattr("lstm_search.stats.sample.MANY", 2001)
    drawn = stats.mean_prediction(values, theirs)
    assert found == pytest.approx(drawn, abs=0.03 * (drawn[1] - drawn[0]))


def test_mean_prediction_narrows_with_the_papers_number_of_trials() -> None:
    values = np.random.default_rng(2).gamma(4, 1, 20).tolist()
    widths = [high - low for low, high in (stats.mean_prediction(values, n) for n in (1, 5, 20, 100))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("values", "n"), [([1.0, 2.0, 3.0, 4.0], 20), ([5.0] * 8, 20), ([1.0, 2, 3, 4, 5], 0)])
def test_mean_prediction_is_undefined_without_spread_or_values(values: list[float], n: int) -> None:
    assert stats.mean_prediction(values, n) is None


def test_prediction_p_agrees_with_the_prediction() -> None:
    values = np.random.default_rng(4).gamma(4, 100, 15).tolist()
    low, high = stats.mean_prediction(values, 10)
    assert stats.prediction_p(values, 10, low) == pytest.approx(0.05, abs=0.002)
    assert stats.prediction_p(values, 10, high) == pytest.approx(0.05, abs=0.002)
    assert stats.prediction_p(values, 10, float(np.mean(values))) > 0.8
    assert stats.prediction_p(values, 10, 1e9) < 1e-3
    assert stats.prediction_p([1.0, 2.0], 10, 1.0) is None
