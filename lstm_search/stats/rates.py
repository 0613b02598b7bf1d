"""Success rates: exact intervals, exact tests, and the differences that they notice."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lstm_search.stats.sample import Array, Interval

MOST_COUNTED = 500
"""Trials of a cell up to which Boschloo's test counts all outcomes: a tenth of a second for two cells of so many."""

_RATES = np.linspace(0, 1, 1001)
"""Common success rates among which the least favourable is looked for."""

_ROUNDING = 1e-7
"""Relative difference of two probabilities that are equal but for rounding."""

_AT_ONCE = 1_000_000
"""So many probabilities are computed at once: tens of megabytes."""


@cache
def success_interval(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact interval of a success rate from `k` successes in `n` trials (Clopper & Pearson 1934); (0, 1) for n = 0.

    Raises ValueError for counts that cannot be.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k={k}, n={n}: takes 0 <= k <= n")
    if n == 0:
        return 0.0, 1.0
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(k, n - k + 1, tail) if k else 0.0
    high = betaincinv(k + 1, n - k, 1 - tail) if k < n else 1.0
    return float(low), float(high)


@cache
def fisher_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p-value of Fisher's exact test that k1 of n1 and k2 of n2 come from one success rate."""
    fewest, successes = max(0, k1 + k2 - n2), k1 + k2
    possible = np.arange(fewest, min(n1, successes) + 1)
    return float(_two_sided(_log_ways(n1, possible) + _log_ways(n2, successes - possible), k1 - fewest))


@cache
def fewer_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """One-sided p-value of Fisher's exact test that the first success rate is at least the second."""
    from scipy import stats

    return float(stats.hypergeom.cdf(k1, n1 + n2, k1 + k2, n1)) if n1 and n2 else 1.0


def boschloo_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p-value of Boschloo's exact test that k1 of n1 and k2 of n2 come from one success rate.

    The statistic is Fisher's two-sided p-value, and the p-value is the largest probability, over the common success
    rate, of one as small (Boschloo 1970). It is therefore never above Fisher's, which scipy's two-sided version can be
    where n1 and n2 differ. Beyond MOST_COUNTED trials of a cell, where the two are near each other, it is Fisher's.
    """
    if max(n1, n2) > MOST_COUNTED:
        return fisher_p(k1, n1, k2, n2)
    p = _fisher_table(n1, n2)
    return _size(p <= p[k1, k2] * (1 + _ROUNDING))


@cache
def rate_told_apart(n: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The lowest success rate above one half that Boschloo's test on `n` trials of each of two cells tells from one
    half: with probability `power` or more its p-value is below `alpha`. None where no rate is told apart.

    Raises ValueError for n above MOST_COUNTED.
    """
    if not 1 <= n <= MOST_COUNTED:
        raise ValueError(f"n={n}: takes 1 to {MOST_COUNTED}")
    p = _fisher_table(n, n)
    levels = np.unique(p)
    too_large = bisect_left(range(len(levels)), alpha, key=lambda i: _size(p <= levels[i] * (1 + _ROUNDING)))
    rejected = p < levels[min(too_large, len(levels) - 1)] * (1 - _ROUNDING)
    half = len(_RATES) // 2
    noticed = _chances(n)[:, half] @ rejected @ _chances(n)[:, half:]
    enough = np.flatnonzero(noticed >= power)
    return float(_RATES[half + enough[0]]) if enough.size else None


@cache
def _fisher_table(n1: int, n2: int) -> Array:
    """The p-values of Fisher's two-sided test, (n1 + 1, n2 + 1), by how many trials of each cell succeeded."""
    ways = np.outer(_ways(n1), _ways(n2))
    p = np.empty_like(ways)
    for successes in range(n1 + n2 + 1):
        k1 = np.arange(max(0, successes - n2), min(n1, successes) + 1)
        these = ways[k1, successes - k1]
        order = np.sort(these)
        as_rare = np.searchsorted(order, these * (1 + _ROUNDING), side="right")
        p[k1, successes - k1] = np.cumsum(order)[as_rare - 1] / order.sum()
    return p


def _size(rejected: NDArray[np.bool_]) -> float:
    """The largest probability of the `rejected` pairs of counts, (n1 + 1, n2 + 1), over the common success rates."""
    n1, n2 = (count - 1 for count in rejected.shape)
    return min(1.0, float((_chances(n1) * (rejected.astype(float) @ _chances(n2))).sum(axis=0).max()))


@cache
def _chances(n: int) -> Array:
    """The probability of each number of successes in `n` trials, (n + 1, n_rates), for each success rate."""
    counts = np.arange(n + 1)[:, np.newaxis]
    chances: Array = _ways(n)[:, np.newaxis] * _RATES**counts * (1 - _RATES) ** (n - counts)
    return chances


def _ways(n: int) -> Array:
    """The binomial coefficients of `n`, (n + 1,)."""
    return np.array([math.comb(n, k) for k in range(n + 1)], float)


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test: of trials paired by seed, so many succeeded in one cell only."""
    from scipy import stats

    both = only_first + only_second
    return float(stats.binomtest(only_first, both, 0.5).pvalue) if both else 1.0


@cache
def detectable_difference(n1: int, k2: int, n2: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest distance from the rate k2/n2 at which a true success rate would be noticed.

    Noticed: with `n1` trials, Fisher's exact test against k2 of n2 gives p < alpha with probability `power` or more.
    Exact, by enumeration of our n1 + 1 possible counts; the smaller of the distances downward and upward. None where no
    rate at all would be noticed.
    """
    from scipy.special import xlog1py, xlogy

    rejected = np.flatnonzero(_fisher_column(n1, k2, n2) < alpha)
    ways = _log_ways(n1, rejected)

    def excess(rate: float) -> float:
        return float(np.exp(ways + xlogy(rejected, rate) + xlog1py(n1 - rejected, -rate)).sum()) - power

    rate = k2 / n2
    distances = [abs(_root(excess, rate, end) - rate) for end in (0.0, 1.0) if end != rate and excess(end) >= 0]
    return min(distances, default=None)


def _fisher_column(n1: int, k2: int, n2: int) -> Array:
    """The p-values of Fisher's two-sided test of each count of ours, (n1 + 1,), against k2 of n2.

    They are sums over the n2 + 1 counts that the other side may have, by logarithms: ours may be a hundred thousand.
    """
    others = np.arange(n2 + 1)
    of_others = _log_ways(n2, others)
    p, size = np.empty(n1 + 1), max(1, _AT_ONCE // (n2 + 1))
    for first in range(0, n1 + 1, size):
        ours = np.arange(first, min(first + size, n1 + 1))[:, np.newaxis] + (k2 - others)
        logs = np.where((ours >= 0) & (ours <= n1), of_others + _log_ways(n1, np.clip(ours, 0, n1)), -np.inf)
        p[first : first + len(ours)] = _two_sided(logs, k2)
    return p


def _two_sided(logs: Array, place: int) -> Array:
    """The probability of what is as rare as what is at `place`, or rarer, where `logs` (..., n) are the logarithms of
    the probabilities, but for a constant."""
    chances = np.exp(logs - logs.max(axis=-1, keepdims=True))
    as_rare = chances <= chances[..., [place]] * (1 + _ROUNDING)
    p: Array = (chances * as_rare).sum(axis=-1) / chances.sum(axis=-1)
    return p


def _log_ways(n: int, k: NDArray[np.int64]) -> Array:
    """The logarithms of the binomial coefficients of `n`."""
    from scipy.special import gammaln

    logs: Array = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return logs


def _root(excess: Callable[[float], float], inside: float, end: float) -> float:
    """Where an excess that is negative at `inside` is none any more, on the way to `end`; to 1e-12."""
    while abs(end - inside) > 1e-12:
        middle = (inside + end) / 2
        inside, end = (middle, end) if excess(middle) < 0 else (inside, middle)
    return end
