"""Ways to split n scores in two parts, for permutation tests: all, random ones, and random ones among which those are
frequent that a small p-value is about."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lstm_search.stats.sample import SEED, Array

RANDOM = 5000
"""Random splits, and the most of which all are counted."""

_TILTED = 2000
"""Tilted splits: enough for an error of some hundredths of a small p-value."""

_MOST = 600.0
"""The largest exponent, lest the weights of thousands of scores overflow."""

Sums = tuple[Array, Array]
"""Of every split, (n_splits,) each: the sum of the scores of the first part, and that of their squares."""


def sums_of(scores: Array, chosen: NDArray[np.intp]) -> Sums:
    """Of the splits whose first parts are `chosen` (n_splits, size)."""
    part = scores[chosen]
    return part.sum(axis=1), (part**2).sum(axis=1)


@lru_cache(16)
def every(n: int, size: int) -> NDArray[np.intp]:
    """The first parts of all splits, (n_splits, size)."""
    return np.array(list(combinations(range(n), size)))


@lru_cache(16)
def random(n: int, size: int) -> NDArray[np.intp]:
    """The first parts of RANDOM splits, (n_splits, size). They depend on nothing else, so all tests may share them."""
    keys = np.random.default_rng([SEED, n, size]).random((RANDOM, n))
    return keys.argpartition(size, axis=1)[:, :size].copy()


def tilted(rng: np.random.Generator, scores: Array, own: Sums, size: int, level: float) -> tuple[Sums, Array]:
    """Random splits after the observed one, whose sums are `own`: each is drawn with a probability in proportion to
    exp(theta * sum of the first part). With them their weights: the probability that they should have over the one
    that they have.

    theta moves the mean sum to about where p-values of `level` are; it depends on the scores, not on their split.
    means[i, j] is the mean of exp(theta * sum) over all j of the first i scores. From the last score to the first, each
    is taken with the probability that it has among what is still to be taken.
    """
    n, centred = len(scores), scores - scores.mean()
    theta = NormalDist().inv_cdf(1 - level) / (centred.std() * math.sqrt(size * (n - size) / (n - 1)))
    theta = min(theta, _MOST / float(np.abs(centred).sum()))
    tilt = np.exp(theta * centred)
    share = np.arange(size + 1) / np.arange(1, n + 1)[:, np.newaxis]  # j of the first i
    means, taking = np.zeros((n + 1, size + 1)), np.zeros((n, size + 1))
    means[:, 0] = 1.0
    for i in range(n):
        taking[i, 1:] = share[i, 1:] * tilt[i] * means[i, :-1]
        means[i + 1, 1:] = np.maximum(1 - share[i, 1:], 0) * means[i, 1:] + taking[i, 1:]
    left, sums, squares = np.full(_TILTED, size), np.zeros(_TILTED), np.zeros(_TILTED)
    for i in reversed(range(n)):
        taken = rng.random(_TILTED) * means[i + 1, left] < taking[i, left]
        left = left - taken
        sums += taken * scores[i]
        squares += taken * scores[i] ** 2
    found = np.append(own[0], sums), np.append(own[1], squares)
    return found, means[n, size] * np.exp(-theta * (found[0] - size * scores.mean()))
