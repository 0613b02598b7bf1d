"""How long the trials of a study will still take, from how long those took that have ended.

A trial that may be solved long before its cap is not counted by its cap: the Kaplan-Meier estimate over the trials that
have ended, the running ones being censored where they are, says how long such a trial goes on. Beyond the last that
ended by itself nobody knows; there a trial is as likely as not to go on for as long again as it has gone on (a Pareto
tail with exponent 1), but not beyond its cap. So one that has outlived all others by far is expected to reach its cap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstm_search.stats.sample import Array
from lstm_search.stats.times import solved_curve

LEAST_ENDED = 3
"""Before so many trials have ended there is nothing to say; before so many of a kind, all say it."""

MOST_SEEN = 1000
"""So many of the trials that ended, and of those that wait, are looked at one by one; of more, some stand for all."""


class Load(NamedTuple):
    """Trials that are alike. `ended`: the share of its cap after which each trial ended, 1 where it was cut off there;
    `ages`: the share that each running one has seen; `waiting`: how many have not begun; `seconds`: how long one would
    take to its cap."""

    ended: Sequence[float]
    ages: Sequence[float]
    waiting: int
    seconds: float


def seconds_left(loads: Sequence[Load]) -> float | None:
    """The median of the time until the last trial has ended; None while too few have, or none runs.

    As many trials as run now are taken to run until none waits; those that wait begin one after another, as others end.
    """
    ended = [share for load in loads for share in load.ended]
    ages = [age for load in loads for age in load.ages]
    if len(ended) < LEAST_ENDED or not ages:
        return None
    of_all = _outlasting(ended, ages)
    pending = [load for load in loads if load.ages or load.waiting]
    curves = [_outlasting(load.ended, load.ages) if len(load.ended) >= LEAST_ENDED else of_all for load in pending]
    work = sum(load.waiting * load.seconds * curve.mean() for load, curve in zip(pending, curves, strict=True))
    queued = work / len(ages)
    low, high = 0.0, queued + max(load.seconds for load in pending)
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        parts = [_all_ended(curve, load, queued, middle) for curve, load in zip(curves, pending, strict=True)]
        low, high = (middle, high) if math.prod(parts) < 0.5 else (low, middle)
    return high


class _Outlasting(NamedTuple):
    """The fraction of the trials that goes on beyond a share of the cap: it falls to `left` at each of `times`."""

    times: Array
    left: Array

    def of(self, shares: Array) -> Array:
        """At these shares; 0 from the cap on."""
        fractions = np.concatenate([[1.0], self.left])[np.searchsorted(self.times, shares, side="right")]
        last = self.times[-1] if self.times.size else 1.0
        found: Array = np.where(shares < 1, fractions * last / np.maximum(shares, last), 0.0)
        return found

    def mean(self) -> float:
        """The share that a trial takes in the mean."""
        return float(self.of(np.linspace(0, 1, 500, endpoint=False)).mean())


def _outlasting(ended: Sequence[float], ages: Sequence[float]) -> _Outlasting:
    apart = max(1, len(ended) // MOST_SEEN)
    seen, going = sorted(ended)[::apart], sorted(ages)[::apart]
    times, solved = solved_curve([share for share in seen if share < 1], [*(s for s in seen if s >= 1), *going])
    return _Outlasting(times, 1 - solved)


def _all_ended(curve: _Outlasting, load: Load, queued: float, seconds: float) -> float:
    """The probability that all these trials have ended by then; the last that waits begins after `queued` seconds."""
    ages = np.array(load.ages, float)
    now, then = curve.of(ages), curve.of(ages + seconds / load.seconds)
    some = min(load.waiting, MOST_SEEN)
    begins = queued * np.arange(1, some + 1) / max(some, 1)
    waited = curve.of(np.maximum(seconds - begins, 0) / load.seconds)
    ran = np.prod(1 - then / np.maximum(now, 1e-12))
    return float(ran * np.prod((1 - waited) ** (load.waiting / max(some, 1))))
