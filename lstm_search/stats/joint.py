"""Two sets of settings over several rows: exact tests that take each row for itself and add up what the rows say.

Both tests are about rows in which both sets have trials; other rows are left out. They say nothing of the rows that are
left out: a set is worse over all rows only by a test on all rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations

import numpy as np

from lstm_search.stats.sample import BLOCK, Array, Times, drawn_p, generator

_FEWEST_SPLITS = 1000
"""Splits of a row at first: enough to see in some 20 ms of 12 rows that a p-value is above 0.01."""

_HALF_A_TRIAL = 0.5

Splits = tuple[Array, Array]
"""Of one row, for some splits of its trials in two sets, the observed split first: the logarithm of the ratio of the
expected running times, and its variance, (n_splits,) each."""


def fewer_over_rows_p(worse: Sequence[tuple[int, int]], better: Sequence[tuple[int, int]]) -> float:
    """One-sided p-value of an exact test that the first set solves no fewer trials than the second; each set is given
    as (successes, trials) row by row.

    The statistic is the number of successes of the first set in all rows together. Given each row's margins (Fisher),
    its distribution is the convolution of one hypergeometric distribution a row. The test is exact where in every row
    both sets have one success rate, which may differ between rows. Where every row has as many trials of both sets, the
    p-value is also right, for many trials, for sets of one mean success rate that are each better in some rows (the
    spread of the sum is then overestimated); for unequal numbers it may be too small.
    Raises ValueError for sets of unlike numbers of rows.
    """
    chances, reach = np.ones(1), 0
    for (k1, n1), (k2, n2) in sorted(zip(worse, better, strict=True)):
        if n1 and n2:
            chances = np.convolve(chances, _hypergeometric(n1, n2, k1 + k2))
            reach += k1 - max(0, k1 + k2 - n2)
    return min(1.0, max(float(chances[: reach + 1].sum()), math.ulp(0.0)))


@cache
def _hypergeometric(n1: int, n2: int, successes: int) -> Array:
    """The probabilities of each possible number of successes of the first set, the smallest number first."""
    from scipy import stats

    possible = np.arange(max(0, successes - n2), min(n1, successes) + 1)
    chances: Array = stats.hypergeom.pmf(possible, n1 + n2, successes, n1)
    return chances


def ert_over_rows_p(worse: Sequence[Times], better: Sequence[Times], smallest: float = 1e-4) -> float:
    """One-sided p-value of a permutation test that the expected running time (ERT) of the first set is not above that
    of the second, on the mean of the logarithm over the rows; each set is given as its times row by row.

    The statistic is the sum over rows of ln(ERT1 / ERT2), divided by the root of the sum of its variances. Every row so
    counts by its ratio, as in the mean that a search minimises. The division by the error (Janssen 1997) keeps the
    p-values near what they should be where the sets are alike only in the mean over rows. In simulations of 12 rows,
    half of them three times slower and half three times faster, at 5 against 30 trials, 1 % of the p-values were below
    0.01; with mean scores (`ert_p`) 40 %. Adding up a z-value a row has more power where rows are of unlike spread, but
    found in one case of five the truly best set worse at that level, one that wins in a noisy row what it loses in
    precise ones. Where all rows differ alike, at 20 trials, the three have the same power. Half a trial with the pooled
    success rate is added, so that a set without success in a row has a finite logarithm: a whole trial hides more of
    the difference, and with a tenth too many p-values of sets of 5 trials were small.

    Where in every row all trials are alike, every split of each row's trials is as probable, and the p-value is right
    at any size. For sets that are alike only in the mean, small p-values are too frequent while trials are few: in the
    worst of these simulations 4 % below 0.01 with 5 trials of each set a row, 2.5 % with 10. Rows without a success are
    left out. P-values below `smallest` are not told apart. The same trials give the same p-value in any order of the
    rows and of the trials.
    Raises ValueError for sets of unlike numbers of rows.
    """
    rows = [
        (_features(row), len(row[0]) + len(row[1]))
        for row in sorted(tuple(tuple(sorted(part)) for part in (*a, *b)) for a, b in zip(worse, better, strict=True))
        if (row[0] or row[1]) and (row[2] or row[3]) and (row[0] or row[2])
    ]
    if not rows:
        return 1.0
    rng, most = generator(*(features for features, _ in rows)), math.ceil(2 / smallest)
    size, bound = min(_FEWEST_SPLITS, most), 1.0
    while (
        True
    ):  # p-values between two bounds come from one stage, or from none: each q is kept by the test of one stage
        p = min(bound, _product_p(rng, [_splits(rng, *row, size) for row in rows], 3 * size))
        bound = 10 / size
        if p > bound or size == most:
            return p
        size = min(10 * size, most)


def _product_p(rng: np.random.Generator, rows: Sequence[Splits], most: int) -> float:
    """The share of all combinations of one split a row whose statistic is at least the observed one's; of `most` random
    combinations or fewer where there are more.

    The observed split of a row is as probable as any of its splits here, in every row independently. Given the splits,
    all their combinations are therefore as probable as the observed one, and the share is an exact p-value however few
    splits of a row there are.
    """
    firsts = np.array([(logs[0], variances[0]) for logs, variances in rows]).sum(axis=0, keepdims=True)
    observed = float(_statistic(firsts[:, 0], firsts[:, 1])[0])
    reach = observed - 1e-9 * (1 + abs(observed))
    if math.prod(len(logs) for logs, _ in rows) <= most:
        sums = [np.zeros(1), np.zeros(1)]
        for row in rows:
            sums = [np.add.outer(total, values).ravel() for total, values in zip(sums, row, strict=True)]
        return float(np.mean(_statistic(*sums) >= reach))

    def draw(count: int) -> Array:
        logs, variances = np.zeros(count), np.zeros(count)
        for row in rows:
            chosen = rng.integers(len(row[0]), size=count)
            logs += row[0][chosen]
            variances += row[1][chosen]
        return _statistic(logs, variances)

    return drawn_p(draw, reach, most)


def _features(row: tuple[Sequence[float], ...]) -> Array:
    """Of every trial of a row (n_trials, 5): what it spent and whether it solved, t and s, each divided by its mean
    over the row, and t^2, t s, s^2. The trials of the first set stand first."""
    spent = np.array([value for part in row for value in part], float)
    solved = np.repeat([1.0, 0.0, 1.0, 0.0], [len(part) for part in row])
    t, s = spent / spent.mean(), solved / solved.mean()
    return np.stack([t, s, t**2, t * s, s**2], axis=1)


def _splits(rng: np.random.Generator, features: Array, size: int, most: int) -> Splits:
    """The observed split of the trials of a row, the first `size` against the rest, then all others, or `most` random
    ones where there are more."""
    n, total = len(features), features.sum(axis=0)
    if math.comb(n, size) <= most:
        sums = features[np.array(list(combinations(range(n), size)))].sum(axis=1)
    else:
        blocks = [features[:size].sum(axis=0, keepdims=True)]
        for _ in range(0, most, BLOCK):
            keys = rng.random((BLOCK, n))
            chosen = keys <= np.partition(keys, size - 1, axis=1)[:, size - 1 : size]
            blocks.append(chosen.astype(float) @ features)
        sums = np.concatenate(blocks)
    pooled = float((total[2] - 2 * total[3] + total[4]) / n)
    first, second = (_log_time(part, count, pooled) for part, count in ((sums, size), (total - sums, n - size)))
    return first[0] - second[0], first[1] + second[1]


def _log_time(sums: Array, n: int, pooled: float) -> Splits:
    """The logarithm of the expected running time of `n` trials with the `sums` (n_splits, 5) of their features, in
    units of the row's, and its variance by the delta method. One more trial with the `pooled` variance is counted, so
    that a set of few trials, or of equal ones, is not thought to be certain."""
    time, rate = sums[:, 0] / n, (sums[:, 1] + _HALF_A_TRIAL) / (n + _HALF_A_TRIAL)
    squares = sums[:, 2] / time**2 - 2 * sums[:, 3] / (time * rate) + sums[:, 4] / rate**2
    spread = np.maximum(squares - n * (1 - sums[:, 1] / (n * rate)) ** 2, 0)
    return np.log(time / rate), (spread + pooled) / n**2


def _statistic(logs: Array, variances: Array) -> Array:
    """The logarithms in units of their error; of equal trials only rounding is left, which counts as nothing."""
    t: Array = logs / np.sqrt(variances + 1e-12)
    return t
