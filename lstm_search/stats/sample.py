"""What the statistics are computed from: the trials of a cell, and what is drawn at random from them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Times = tuple[Sequence[float], Sequence[float]]
"""Of one cell: the times of the trials that reached the milestone, and of the censored trials. Their unit is the
caller's (training sequences, nearly always), and that of the answers; ratios and p-values have none."""
Array = NDArray[np.float64]

MANY = 2000
"""Of exponentially distributed values, so many, the ends of two intervals of the mean, one of resamples and one of the
normal distribution, differ by 3 % of their width."""

RESAMPLES = 10_000
BLOCK = 500
SEED = 1997


def resample(rng: np.random.Generator, values: Sequence[float], size: int) -> tuple[Array, Array]:
    """Means and standard deviations (RESAMPLES,) of draws of `size` values; in blocks, to spare memory.

    Of MANY values or more no draws are made: their means are as good as normally distributed, and their deviations as
    good as equal, unless a few values make up most of the sum.
    """
    pool, ddof = np.asarray(values, float), min(1, size - 1)
    if size >= MANY:
        spread = float(pool.std())
        return rng.normal(pool.mean(), spread / math.sqrt(size), RESAMPLES), np.full(RESAMPLES, spread)
    draws = (rng.choice(pool, (BLOCK, size)) for _ in range(RESAMPLES // BLOCK))
    moments = np.array([(draw.mean(axis=1), draw.std(axis=1, ddof=ddof)) for draw in draws])
    return moments[:, 0].ravel(), moments[:, 1].ravel()


def quantiles(sample: Array, level: float) -> Interval:
    """The quantiles between which the middle `level` of the sample (n,) lies, in its unit."""
    low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def generator(*values: Array) -> np.random.Generator:
    """Random draws that are the same for the same values, arrays of any shapes, and others for others."""
    return np.random.default_rng(list(hashlib.sha256(b"".join(array.tobytes() for array in values)).digest()))


def drawn_p(draw: Callable[[int], Array], reach: float, most: int, enough: int = 10) -> float:
    """The share of random statistics, of which `draw` returns so many, that are at least `reach`, the observed one
    counted. They are drawn until `enough` are, `most` or a block more at the most (Besag & Clifford 1991)."""
    drawn, hits = 0, 0
    while drawn < most:
        statistics = draw(BLOCK * 4)
        hit = np.flatnonzero(statistics >= reach)
        if hits + len(hit) >= enough:
            return enough / (drawn + int(hit[enough - hits - 1]) + 1)
        drawn, hits = drawn + len(statistics), hits + len(hit)
    return (hits + 1) / (drawn + 1)
