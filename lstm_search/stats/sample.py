"""What the statistics are computed from: the trials of a cell, and random resamples of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Times = tuple[Sequence[float], Sequence[float]]
"""Of one cell: the times of the trials that reached the milestone, and of the censored trials."""
Array = NDArray[np.float64]

RESAMPLES = 10_000
BLOCK = 500
SEED = 1997


def resample(rng: np.random.Generator, values: Sequence[float], size: int) -> tuple[Array, Array]:
    """Means and standard deviations (RESAMPLES,) of draws of `size` values; in blocks, to spare memory."""
    pool, ddof = np.asarray(values, float), min(1, size - 1)
    draws = (rng.choice(pool, (BLOCK, size)) for _ in range(RESAMPLES // BLOCK))
    moments = np.array([(draw.mean(axis=1), draw.std(axis=1, ddof=ddof)) for draw in draws])
    return moments[:, 0].ravel(), moments[:, 1].ravel()


def quantiles(sample: Array, level: float) -> Interval:
    """The quantiles between which the middle `level` of the sample lies."""
    low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
