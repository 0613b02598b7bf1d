"""How long learning takes, censored trials counted: expected running times, solved fractions, and their tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lstm_search.stats import splits
from lstm_search.stats.sample import BLOCK, RESAMPLES, SEED, Array, Interval, Times, generator

_FEW = 10
"""So many random splits that reach the observed one tell a p-value well enough."""


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
    times, solved = np.unique(np.array(reached, float), return_counts=True)
    ended = np.sort(np.array([*reached, *censored], float))
    training = len(ended) - np.searchsorted(ended, times)  # until just before each time
    missed: Array = np.cumprod(1 - solved / training, dtype=np.float64)
    return times, 1 - missed


def median_time(reached: Sequence[float], censored: Sequence[float]) -> float | None:
    """Kaplan-Meier median: the first time by which half are solved; infinite when fewer are, None without trials."""
    if not reached and not censored:
        return None
    times, fractions = solved_curve(reached, censored)
    half = np.flatnonzero(fractions >= 0.5 - 1e-12)  # fractions are products of rounded factors
    return float(times[half[0]]) if half.size else math.inf


def logrank_p(first: Times, second: Times) -> float:
    """Two-sided p-value of the log-rank test that two cells learn equally fast.

    The times of each cell are those of the trials that reached the milestone, and of the censored ones. 1 where no
    trial reached it, or none while trials of the other cell were still training.
    """
    if not first[0] and not second[0]:
        return 1.0
    from scipy import stats

    x, y = (stats.CensoredData(uncensored=np.array(a, float), right=np.array(b, float)) for a, b in (first, second))
    with np.errstate(invalid="ignore"):
        p = float(stats.logrank(x, y).pvalue)
    return 1.0 if math.isnan(p) else p


def ert_p(first: Times, second: Times, smallest: float = 1e-4) -> float:
    """One-sided p-value of a permutation test that the first expected running time is not above the second.

    With theta the ERT of both cells together, a trial that spent T and solved (S = 1) or not (S = 0) has the score
    T - theta S: the mean score of a cell is positive where its ERT is above theta. The statistic is Welch's t of the
    scores, so that cells of unlike spread and unlike numbers of trials may be compared (Janssen 1997). Where both cells
    are alike every split of all trials is as probable, and the test is exact at any size. All splits are counted where
    there are few, else random ones. Where next to none of these reaches the observed one, and a p-value below
    `smallest` is possible, tilted ones are drawn (`_tilted_p`). Their p-value is used only where it is below those that
    the random ones tell: so each q is kept by the test of one stage.
    """
    parts = (*first, *second)
    spent = np.array([value for part in parts for value in sorted(part)], float)
    solved = np.repeat([1.0, 0.0, 1.0, 0.0], [len(part) for part in parts])
    size, n = len(first[0]) + len(first[1]), len(spent)
    if not 0 < size < n or not solved.any():
        return 1.0
    scores = spent - spent.sum() / solved.sum() * solved
    own = splits.sums_of(scores, np.arange(size)[np.newaxis])
    observed = float(_welch(scores, size, own)[0])
    reach = observed - 1e-9 * (1 + abs(observed))
    number = math.comb(n, size)
    few = number <= splits.RANDOM
    chosen = splits.every(n, size) if few else splits.random(n, size)
    hits = int(np.count_nonzero(_welch(scores, size, splits.sums_of(scores, chosen)) >= reach))
    if few:
        return hits / number
    p = (hits + 1) / (splits.RANDOM + 1)
    bound = _FEW / splits.RANDOM
    return p if p > bound or 1 / number > smallest else min(bound, _tilted_p(scores, own, reach, size, smallest))


def _tilted_p(scores: Array, own: splits.Sums, reach: float, size: int, smallest: float) -> float:
    """The p-value by splits that were drawn with unlike probabilities, and are weighted accordingly. The observed split
    counts with its own weight, which makes the p-value valid whatever the number of splits and their weights (Harrison
    2012, "Conservative hypothesis tests and confidence intervals using importance sampling")."""
    sums, weights = splits.tilted(generator(scores), scores, own, size, smallest)
    hit = _welch(scores, size, sums) >= reach
    return min(1.0, float(weights[hit].sum() / len(hit)))


def _welch(scores: Array, size: int, sums: splits.Sums) -> Array:
    """Welch's t (n_splits,) of first parts of `size` scores, of which the sums are given, against the rest."""
    n, total, squares = len(scores), scores.sum(), (scores**2).sum()
    sizes, both = (size, n - size), ((sums[0], sums[1]), (total - sums[0], squares - sums[1]))
    means = [part[0] / count for part, count in zip(both, sizes, strict=True)]
    errors = [
        np.maximum(part[1] / count - mean**2, 0) / max(count - 1, 1)
        for part, mean, count in zip(both, means, sizes, strict=True)
    ]
    least = 1e-12 * squares / n  # equal values on both sides: what is left of the variance is rounding
    t: Array = (means[0] - means[1]) / np.sqrt(np.maximum(errors[0] + errors[1], least) + 1e-300)
    return t


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
    """Expected running times (RESAMPLES,) of draws of as many trials; in blocks, to spare memory."""
    spent, solved = np.array([*reached, *censored], float), np.arange(len(reached) + len(censored)) < len(reached)
    blocks = (rng.integers(0, len(spent), (BLOCK, len(spent))) for _ in range(RESAMPLES // BLOCK))
    with np.errstate(divide="ignore"):
        return np.concatenate([spent[draws].sum(axis=1) / solved[draws].sum(axis=1) for draws in blocks])
