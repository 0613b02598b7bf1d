"""The mean of the successes, and where the mean of further values is expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from lstm_search.stats.sample import MANY, SEED, Array, Interval, quantiles, resample

FEWEST_FOR_PREDICTION = 5
"""With fewer values a bootstrap knows too little of their spread (coverage falls below 90 %)."""


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None for no values."""
    return math.fsum(values) / len(values) if values else None


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Percentile bootstrap interval of the mean; of MANY values that of the normal distribution, which it comes to;
    None for fewer than two values."""
    if len(values) < 2:
        return None
    if len(values) >= MANY:
        half = NormalDist().inv_cdf((1 + level) / 2) * float(np.std(values)) / math.sqrt(len(values))
        return float(np.mean(values)) - half, float(np.mean(values)) + half
    means, _ = resample(np.random.default_rng(SEED), values, len(values))
    return quantiles(means, level)


def prediction_p(values: Sequence[float], n: int, printed: float) -> float | None:
    """Two-sided p-value of the mean `printed` of `n` values, were they of the kind of `values` (`mean_prediction`);
    None where no prediction is made."""
    sample = _predicted(values, n)
    if sample is None:
        return None
    below = float(np.mean(sample <= printed))
    return min(1.0, 2 * max(min(below, 1 - below), 1 / len(sample)))


def mean_prediction(values: Sequence[float], n: int, level: float = 0.95) -> Interval | None:
    """Where the mean of `n` further values is expected, given the mean and spread of `values`.

    Studentised bootstrap: resamples x* (of our size) and y* (of size n) give the quantiles of
    (mean y* - mean x*) / sd x*, which are applied to our mean and standard deviation. x* carries the uncertainty of our
    estimate, y* that of theirs, and the division keeps the coverage for skewed values and small samples. Of MANY values
    x* is drawn from the normal distribution. None for fewer than FEWEST_FOR_PREDICTION values, for equal ones, and for
    n < 1.
    """
    sample = _predicted(values, n)
    return None if sample is None else quantiles(sample, level)


def _predicted(values: Sequence[float], n: int) -> Array | None:
    """The studentised bootstrap's draws of the mean of `n` further values."""
    if len(values) < FEWEST_FOR_PREDICTION or n < 1 or min(values) == max(values):
        return None
    rng = np.random.default_rng(SEED)
    ours, spread = resample(rng, values, len(values))
    theirs, _ = resample(rng, values, n)
    varied = spread > 1e-9 * spread.max()  # a resample that repeats one value has no spread to divide by
    drawn: Array = float(np.mean(values)) + float(np.std(values, ddof=1)) * (theirs - ours)[varied] / spread[varied]
    return drawn
