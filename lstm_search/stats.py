"""Statistics as pure functions on plain sequences of numbers; every estimate has its interval.

Where a figure is not defined (too few values, no spread) the answer is None; an infinite one is `math.inf`. Random
resampling starts from a fixed seed, so the same record always gives the same table. scipy is imported where it is first
needed: it takes half a second, and most commands compute nothing.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Times = tuple[Sequence[float], Sequence[float]]
"""Of one cell: the times of the trials that reached the milestone, and of the censored trials."""
Array = NDArray[np.float64]

RESAMPLES = 10_000
BLOCK = 500
SEED = 1997
MOST_COUNTED = 500
"""Trials of a cell up to which Boschloo's test counts all outcomes: a tenth of a second for two cells of so many."""

FEWEST_FOR_PREDICTION = 5
"""With fewer values a bootstrap knows too little of their spread (coverage falls below 90 %)."""

_RATES = np.linspace(0, 1, 1001)
"""Common success rates among which the least favourable is looked for."""

_ROUNDING = 1e-7
"""Relative difference of two probabilities that are equal but for rounding."""


@cache
def success_interval(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact interval of a success rate from `k` successes in `n` trials (Clopper & Pearson 1934); (0, 1) for n = 0.

    Raises ValueError for counts that cannot be.
    """
    if not 0 <= k <= n:
        raise ValueError(f"k={k}, n={n}: takes 0 <= k <= n")
    if n == 0:
        return 0.0, 1.0
    from scipy import stats

    interval = stats.binomtest(k, n).proportion_ci(level)
    return float(interval.low), float(interval.high)


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None for no values."""
    return math.fsum(values) / len(values) if values else None


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Percentile bootstrap interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    means, _ = _resample(np.random.default_rng(SEED), values, len(values))
    return _quantiles(means, level)


def expected_running_time(reached: Sequence[float], censored: Sequence[float]) -> float | None:
    """All that was spent divided by the successes (ERT): infinite where nothing succeeded, None without trials."""
    if not reached:
        return math.inf if censored else None
    return (math.fsum(reached) + math.fsum(censored)) / len(reached)


def solved_curve(reached: Sequence[float], censored: Sequence[float]) -> tuple[Array, Array]:
    """Kaplan-Meier estimate of the solved fraction: times (n_steps,) ascending, and the fraction from each on.

    A trial that was not solved is censored where its training ended. While no trial is censored before the last success
    this is the plain fraction of the trials.
    """
    if not reached:
        return np.empty(0), np.empty(0)
    from scipy import stats

    sample = stats.CensoredData(uncensored=np.array(reached, float), right=np.array(censored, float))
    curve = stats.ecdf(sample).cdf
    steps = np.isin(curve.quantiles, reached)
    return curve.quantiles[steps], curve.probabilities[steps]


def median_time(reached: Sequence[float], censored: Sequence[float]) -> float | None:
    """Kaplan-Meier median: the first time by which half are solved; infinite when fewer are, None without trials."""
    if not reached and not censored:
        return None
    times, fractions = solved_curve(reached, censored)
    half = np.flatnonzero(fractions >= 0.5 - 1e-12)  # fractions are products of rounded factors
    return float(times[half[0]]) if half.size else math.inf


@cache
def fisher_p(k1: int, n1: int, k2: int, n2: int) -> float:
    """Two-sided p-value of Fisher's exact test that k1 of n1 and k2 of n2 come from one success rate."""
    from scipy import stats

    return float(stats.fisher_exact(np.array([[k1, n1 - k1], [k2, n2 - k2]])).pvalue)


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


def ert_p(first: Times, second: Times, smallest: float = 1e-4) -> float:
    """One-sided p-value of a permutation test that the first expected running time is not above the second.

    With theta the ERT of both cells together, a trial that spent T and solved (S = 1) or not (S = 0) has the score
    T - theta S: the mean score of a cell is positive where its ERT is above theta. The statistic is Welch's t of the
    scores, so that cells of unlike spread and unlike numbers of trials may be compared (Janssen 1997). Where both cells
    are alike every split of all trials is as probable, and the test is exact at any size: all splits are counted where
    there are few, else they are drawn until ten reach the observed one, or far enough to tell p-values above `smallest`
    (Besag & Clifford 1991).
    """
    parts = (*first, *second)
    spent = np.array([value for part in parts for value in sorted(part)], float)
    solved = np.repeat([1.0, 0.0, 1.0, 0.0], [len(part) for part in parts])
    size = len(first[0]) + len(first[1])
    if not 0 < size < len(spent) or not solved.any():
        return 1.0
    scores = spent - spent.sum() / solved.sum() * solved
    observed = _welch(scores[np.newaxis], np.arange(size)[np.newaxis])[0]
    reach = observed - 1e-9 * (1 + abs(observed))
    splits = math.comb(len(scores), size)
    if splits <= RESAMPLES:
        every = np.array(list(combinations(range(len(scores)), size)))
        return float(np.mean(_welch(scores[np.newaxis].repeat(splits, 0), every) >= reach))
    return _drawn_p(scores, size, reach, math.ceil(5 / smallest))


def _drawn_p(scores: Array, size: int, reach: float, most: int, enough: int = 10) -> float:
    """The share of random splits of `scores` whose statistic is at least `reach`, the observed split counted."""
    seed = list(hashlib.sha256(scores.tobytes()).digest())  # other draws for other scores
    rng, drawn, hits = np.random.default_rng(seed), 0, 0
    while drawn < most:
        shuffled = rng.random((BLOCK * 4, len(scores))).argpartition(size, axis=1)[:, :size]
        hit = np.flatnonzero(_welch(scores[np.newaxis].repeat(len(shuffled), 0), shuffled) >= reach)
        if hits + len(hit) >= enough:
            return enough / (drawn + int(hit[enough - hits - 1]) + 1)
        drawn, hits = drawn + len(shuffled), hits + len(hit)
    return (hits + 1) / (drawn + 1)


def _welch(scores: Array, chosen: NDArray[np.intp]) -> Array:
    """Welch's t (n_splits,) of the `chosen` columns of each row of scores against the rest."""
    n, size = scores.shape[1], chosen.shape[1]
    part = np.take_along_axis(scores, chosen, axis=1)
    total, squares = scores.sum(axis=1), (scores**2).sum(axis=1)
    sums, own = part.sum(axis=1), (part**2).sum(axis=1)
    means = sums / size, (total - sums) / (n - size)
    errors = [
        np.maximum(square / count - mean**2, 0) / max(count - 1, 1)
        for square, mean, count in zip((own, squares - own), means, (size, n - size), strict=True)
    ]
    least = 1e-12 * squares / n  # equal values on both sides: what is left of the variance is rounding
    t: Array = (means[0] - means[1]) / np.sqrt(np.maximum(errors[0] + errors[1], least) + 1e-300)
    return t


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test: of trials paired by seed, so many succeeded in one cell only."""
    from scipy import stats

    both = only_first + only_second
    return float(stats.binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def logrank_p(first: Times, second: Times) -> float:
    """Two-sided p-value of the log-rank test that two cells learn equally fast.

    The times of each cell are those of the trials that reached the milestone, and of the censored ones. 1 where no
    trial reached it.
    """
    if not first[0] and not second[0]:
        return 1.0
    from scipy import stats

    x, y = (stats.CensoredData(uncensored=np.array(a, float), right=np.array(b, float)) for a, b in (first, second))
    return float(stats.logrank(x, y).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for how many tests were made (Holm 1979), in the order given."""
    order, adjusted, largest = np.argsort(p_values, kind="stable"), [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def ratio_interval(first: Times, second: Times, level: float = 0.95) -> Interval:
    """Percentile bootstrap interval of the ratio of two expected running times, first over second; trials are drawn.

    A resample without a success has an infinite running time; one in which neither cell has a success is left out.
    """
    rng = np.random.default_rng(SEED)
    times = [_running_times(rng, *cell) for cell in (first, second)]
    with np.errstate(invalid="ignore"):
        ratios = times[0] / times[1]
    defined = ratios[~np.isnan(ratios)]
    if not defined.size:
        return 0.0, math.inf
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def _running_times(rng: np.random.Generator, reached: Sequence[float], censored: Sequence[float]) -> Array:
    """Expected running times (RESAMPLES,) of draws of as many trials."""
    spent, solved = np.array([*reached, *censored], float), np.arange(len(reached) + len(censored)) < len(reached)
    draws = rng.integers(0, len(spent), (RESAMPLES, len(spent)))
    with np.errstate(divide="ignore"):
        times: Array = spent[draws].sum(axis=1) / solved[draws].sum(axis=1)
    return times


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
    estimate, y* that of theirs, and the division keeps the coverage for skewed values and small samples. None for fewer
    than FEWEST_FOR_PREDICTION values, for equal ones, and for n < 1.
    """
    sample = _predicted(values, n)
    return None if sample is None else _quantiles(sample, level)


def _predicted(values: Sequence[float], n: int) -> Array | None:
    """The studentised bootstrap's draws of the mean of `n` further values."""
    if len(values) < FEWEST_FOR_PREDICTION or n < 1 or min(values) == max(values):
        return None
    rng = np.random.default_rng(SEED)
    ours, spread = _resample(rng, values, len(values))
    theirs, _ = _resample(rng, values, n)
    varied = spread > 1e-9 * spread.max()  # a resample that repeats one value has no spread to divide by
    drawn: Array = float(np.mean(values)) + float(np.std(values, ddof=1)) * (theirs - ours)[varied] / spread[varied]
    return drawn


@cache
def detectable_difference(n1: int, k2: int, n2: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest distance from the rate k2/n2 at which a true success rate would be noticed.

    Noticed: with `n1` trials, Fisher's exact test against k2 of n2 gives p < alpha with probability `power` or more.
    Exact, by enumeration of our n1 + 1 possible counts; the smaller of the distances downward and upward. None where no
    rate at all would be noticed.
    """
    from scipy import stats

    rejected = np.array([k for k in range(n1 + 1) if fisher_p(k, n1, k2, n2) < alpha])

    def excess(rate: float) -> float:
        return float(stats.binom.pmf(rejected, n1, rate).sum()) - power

    rate = k2 / n2
    distances = [abs(_root(excess, rate, end) - rate) for end in (0.0, 1.0) if end != rate and excess(end) >= 0]
    return min(distances, default=None)


def _root(excess: Callable[[float], float], inside: float, end: float) -> float:
    from scipy import optimize

    return float(optimize.brentq(excess, inside, end, xtol=1e-9))


def _resample(rng: np.random.Generator, values: Sequence[float], size: int) -> tuple[Array, Array]:
    """Means and standard deviations (RESAMPLES,) of draws of `size` values; in blocks, to spare memory."""
    pool, ddof = np.asarray(values, float), min(1, size - 1)
    draws = (rng.choice(pool, (BLOCK, size)) for _ in range(RESAMPLES // BLOCK))
    moments = np.array([(draw.mean(axis=1), draw.std(axis=1, ddof=ddof)) for draw in draws])
    return moments[:, 0].ravel(), moments[:, 1].ravel()


def _quantiles(sample: Array, level: float) -> Interval:
    low, high = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
