"""Stop rules in lanes: every sequence is judged at its end, and a lane that has reached something stops at once.

A stopped lane is frozen: its weights no longer change, so the rest of the block cannot touch the result. An active lane
that does not learn is being tested.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lstm_search.simd.jit import inlined
from lstm_search.simd.lanes import aligned_zeros

RUNNING, REACHED, PAUSED, DIVERGED, TESTED = range(5)
"""Why a lane stopped: the criterion of its milestone, its limit on training sequences (the cap, or something to be done
before), an error that is no number, the end of a test."""

ACTIVE, LEARNING, EVERY, RANKED = range(4)
"""Sets of lanes (`Watch.masks`): those that run; that learn; where every target of a sequence can make it wrong, not
just the last; where an illegal output not below all legal ones makes it wrong, instead of an error of the tolerance."""

NEVER = -1
"""As `max_wrong`: no number of wrong sequences will do, the criterion is met in a check or not at all."""

ABSOLUTE, SQUARED, WORST, STEPS = range(4)
"""Rows of `Watch.tally`: summed |error|, summed squared error (each a mean over outputs), largest |error|, steps."""

CHECKPOINTS = np.unique(np.round(10 ** np.arange(1.0, 8.01, 0.1)).astype(np.int64))
"""Sequence counts at which the learning curve has a point: ten a decade, from 10 to 100,000,000."""


class Watch(NamedTuple):
    """What is known of each lane's sequences (L lanes, rings of R sequences, P checkpoints)."""

    masks: np.ndarray  # int64 [4]: bit l: lane l is in the set ACTIVE, LEARNING, EVERY, RANKED
    reason: np.ndarray  # int64 [L]: why the lane stopped
    at: np.ndarray  # int64 [L]: step of the block at which it stopped
    limit: np.ndarray  # int64 [L]: training sequences after which to pause, or the length of the test
    window: np.ndarray  # int64 [L]: training sequences that the criterion looks back on
    every: np.ndarray  # int64 [L]: the window starts after a multiple of so many sequences
    max_wrong: np.ndarray  # int64 [L]: how many of them may be wrong, or NEVER; of a test, before it is broken off
    below: np.ndarray  # float64 [L]: what their mean error must be below
    tolerance: np.ndarray  # float64 [L]: a sequence is wrong when an output errs by this much
    measure: np.ndarray  # int64 [L]: ABSOLUTE or SQUARED
    done: np.ndarray  # int64 [L]: sequences so far
    wrong: np.ndarray  # int64 [L]: wrong ones among the last `window`, or of the test so far
    total: np.ndarray  # float64 [L]: summed error, likewise
    lost: np.ndarray  # float64 [L]: what rounding took from `total`
    ring: np.ndarray  # float64 [R, 3, L]: ABSOLUTE, SQUARED and WORST of each of the last R training sequences
    tally: np.ndarray  # float64 [4, L]: the current sequence so far
    point: np.ndarray  # int64 [L]: next checkpoint of the learning curve
    curve: np.ndarray  # float64 [P, 2, L]: error and fraction wrong since the checkpoint before
    since: np.ndarray  # float64 [2, L]: summed error and wrong sequences since the last checkpoint


def new_watch(width: int, ring: int) -> Watch:
    """A watch over `width` idle lanes whose windows are at most `ring` sequences long."""

    def whole(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.int64)

    return Watch(
        masks=whole(4),
        reason=whole(width),
        at=whole(width),
        limit=whole(width),
        window=np.ones(width, np.int64),
        every=np.ones(width, np.int64),
        max_wrong=whole(width),
        below=np.zeros(width),
        tolerance=np.zeros(width),
        measure=whole(width),
        done=whole(width),
        wrong=whole(width),
        total=np.zeros(width),
        lost=np.zeros(width),
        ring=np.zeros((ring, 3, width)),
        tally=aligned_zeros(4, width),
        point=whole(width),
        curve=np.zeros((len(CHECKPOINTS), 2, width)),
        since=np.zeros((2, width)),
    )


def look_back(watch: Watch, l: int) -> None:
    """Sum up the window of lane l anew: after a test, or for a criterion with another window, tolerance or measure."""
    done, window = watch.done[l], watch.window[l]
    last = watch.ring[np.arange(max(done - window, 0), done) % len(watch.ring), :, l]
    watch.total[l], watch.lost[l] = math.fsum(last[:, watch.measure[l]]), 0.0
    watch.wrong[l] = np.count_nonzero(~(last[:, WORST] < watch.tolerance[l]))


def mean_error(watch: Watch, l: int, first: int, end: int) -> float:
    """Mean absolute error of the training sequences number `first` to `end` - 1, which the ring must still hold."""
    last = watch.ring[np.arange(first, end) % len(watch.ring), ABSOLUTE, l]
    return math.fsum(last) / (end - first)


def reached(watch: Watch, l: int) -> bool:
    """Whether lane l meets the criterion that it trains for."""
    n = watch.window[l]
    few = watch.done[l] >= n and watch.wrong[l] <= watch.max_wrong[l]
    due = (watch.done[l] - n) % watch.every[l] == 0
    return few and due and watch.total[l] + watch.lost[l] < watch.below[l] * n


_reached = inlined(reached)


@inlined
def _add_up(watch: Watch, l: int, error: float) -> None:
    """Add to the summed error. What rounding loses is kept (Knuth's two-sum), so that an error 10^16 times the others
    leaves no trace in the sum once the window has passed it."""
    before = watch.total[l]
    after = before + error
    added = after - before
    watch.total[l] = after
    watch.lost[l] += (before - (after - added)) + (error - added)


@inlined
def _slide(watch: Watch, l: int) -> None:
    """Slide the window of the last training sequences on by one: the oldest leaves, the current one is stored."""
    n, ring = watch.window[l], watch.ring.shape[0]
    if watch.done[l] > n:
        oldest = (watch.done[l] - 1 - n) % ring
        _add_up(watch, l, -watch.ring[oldest, watch.measure[l], l])
        watch.wrong[l] -= not watch.ring[oldest, WORST, l] < watch.tolerance[l]
    for row in range(watch.ring.shape[1]):
        watch.ring[(watch.done[l] - 1) % ring, row, l] = watch.tally[row, l]


@inlined
def _draw_curve(watch: Watch, l: int, error: float, wrong: bool) -> None:
    """Put a point on the learning curve at every checkpoint."""
    watch.since[0, l] += error
    watch.since[1, l] += wrong
    point = watch.point[l]
    if point < CHECKPOINTS.shape[0] and watch.done[l] == CHECKPOINTS[point]:
        n = CHECKPOINTS[point] - (CHECKPOINTS[point - 1] if point > 0 else 0)
        watch.curve[point, 0, l] = watch.since[0, l] / n
        watch.curve[point, 1, l] = watch.since[1, l] / n
        watch.since[0, l] = watch.since[1, l] = 0.0
        watch.point[l] += 1


@inlined
def _verdict(watch: Watch, l: int, error: float, learning: int) -> int:
    """Whether the sequence just judged ends this phase of the lane, and why."""
    if learning:
        if not np.isfinite(error):
            return DIVERGED
        if _reached(watch, l):
            return REACHED
        return PAUSED if watch.done[l] >= watch.limit[l] else RUNNING
    hopeless = watch.wrong[l] > watch.max_wrong[l] or watch.total[l] + watch.lost[l] > watch.below[l] * watch.limit[l]
    return TESTED if hopeless or watch.done[l] >= watch.limit[l] else RUNNING


@inlined
def judge(watch: Watch, l: int, t: int) -> None:
    """Lane l ended a sequence at step t of the block: count it, and stop the lane where it has reached something."""
    for row in (ABSOLUTE, SQUARED):
        watch.tally[row, l] /= watch.tally[STEPS, l]
    error = watch.tally[watch.measure[l], l]
    wrong = not watch.tally[WORST, l] < watch.tolerance[l]
    learning = watch.masks[LEARNING] >> l & 1
    watch.done[l] += 1
    if learning and np.isfinite(error):
        _slide(watch, l)
        _draw_curve(watch, l, error, wrong)
    _add_up(watch, l, error)
    watch.wrong[l] += wrong
    for row in range(watch.tally.shape[0]):
        watch.tally[row, l] = 0.0
    watch.reason[l] = _verdict(watch, l, error, learning)
    if watch.reason[l] != RUNNING:
        watch.at[l] = t
        watch.masks[ACTIVE] &= ~(1 << l)
        watch.masks[LEARNING] &= ~(1 << l)
