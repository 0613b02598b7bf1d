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
"""Sets of lanes (`StopState.masks`): those that run; that learn; where every target of a sequence can make it wrong,
not just the last; where an illegal output that is not below all legal ones makes it wrong, instead of an error of the
tolerance."""

NEVER = -1
"""As `max_wrong`: no number of wrong sequences will do, the criterion is met in a check or not at all."""

ABSOLUTE, SQUARED, WORST, STEPS = range(4)
"""Rows of `StopState.tally`: summed |error| and summed squared error (means over outputs), largest |error|, steps."""

CHECKPOINTS = np.unique(np.round(10 ** np.arange(1.0, 8.01, 0.1)).astype(np.int64))
"""Sequence counts at which the learning curve has a point: ten a decade, from 10 to 100,000,000."""


class StopState(NamedTuple):
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


def new_stop_state(width: int, ring: int) -> StopState:
    """The state of the stop rules of `width` idle lanes whose windows are at most `ring` sequences long."""

    def whole(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.int64)

    return StopState(
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


def look_back(stop: StopState, l: int) -> None:
    """Sum up the window of lane l anew: after a test, or for a criterion with another window, tolerance or measure."""
    done, window = stop.done[l], stop.window[l]
    last = stop.ring[np.arange(max(done - window, 0), done) % len(stop.ring), :, l]
    stop.total[l], stop.lost[l] = math.fsum(last[:, stop.measure[l]]), 0.0
    stop.wrong[l] = np.count_nonzero(~(last[:, WORST] < stop.tolerance[l]))


def mean_error(stop: StopState, l: int, first: int, end: int) -> float:
    """Mean absolute error of the training sequences number `first` to `end` - 1, which the ring must still hold."""
    last = stop.ring[np.arange(first, end) % len(stop.ring), ABSOLUTE, l]
    return math.fsum(last) / (end - first)


def reached(stop: StopState, l: int) -> bool:
    """Whether lane l meets the criterion that it trains for."""
    n = stop.window[l]
    few = stop.done[l] >= n and stop.wrong[l] <= stop.max_wrong[l]
    due = (stop.done[l] - n) % stop.every[l] == 0
    return few and due and stop.total[l] + stop.lost[l] < stop.below[l] * n


_reached = inlined(reached)


@inlined
def _add_up(stop: StopState, l: int, error: float) -> None:
    """Add to the summed error. What rounding loses is kept (Knuth's two-sum), so that an error 10^16 times the others
    leaves no trace in the sum once the window has passed it."""
    before = stop.total[l]
    after = before + error
    added = after - before
    stop.total[l] = after
    stop.lost[l] += (before - (after - added)) + (error - added)


@inlined
def _slide(stop: StopState, l: int) -> None:
    """Slide the window of the last training sequences on by one: the oldest leaves, the current one is stored."""
    n, ring = stop.window[l], stop.ring.shape[0]
    if stop.done[l] > n:
        oldest = (stop.done[l] - 1 - n) % ring
        _add_up(stop, l, -stop.ring[oldest, stop.measure[l], l])
        stop.wrong[l] -= not stop.ring[oldest, WORST, l] < stop.tolerance[l]
    for row in range(stop.ring.shape[1]):
        stop.ring[(stop.done[l] - 1) % ring, row, l] = stop.tally[row, l]


@inlined
def _draw_curve(stop: StopState, l: int, error: float, wrong: bool) -> None:
    """Put a point on the learning curve at every checkpoint."""
    stop.since[0, l] += error
    stop.since[1, l] += wrong
    point = stop.point[l]
    if point < CHECKPOINTS.shape[0] and stop.done[l] == CHECKPOINTS[point]:
        n = CHECKPOINTS[point] - (CHECKPOINTS[point - 1] if point > 0 else 0)
        stop.curve[point, 0, l] = stop.since[0, l] / n
        stop.curve[point, 1, l] = stop.since[1, l] / n
        stop.since[0, l] = stop.since[1, l] = 0.0
        stop.point[l] += 1


@inlined
def _verdict(stop: StopState, l: int, error: float, learning: int) -> int:
    """Whether the sequence just judged ends this phase of the lane, and why."""
    if learning:
        if not math.isfinite(error):
            return DIVERGED
        if _reached(stop, l):
            return REACHED
        return PAUSED if stop.done[l] >= stop.limit[l] else RUNNING
    hopeless = stop.wrong[l] > stop.max_wrong[l] or stop.total[l] + stop.lost[l] > stop.below[l] * stop.limit[l]
    return TESTED if hopeless or stop.done[l] >= stop.limit[l] else RUNNING


@inlined
def end_sequence(stop: StopState, l: int, t: int) -> None:
    """Lane l ended a sequence at step t of the block: count it, and stop the lane where it has reached something."""
    for row in (ABSOLUTE, SQUARED):
        stop.tally[row, l] /= stop.tally[STEPS, l]
    error = stop.tally[stop.measure[l], l]
    wrong = not stop.tally[WORST, l] < stop.tolerance[l]
    learning = stop.masks[LEARNING] >> l & 1
    stop.done[l] += 1
    if learning and math.isfinite(error):
        _slide(stop, l)
        _draw_curve(stop, l, error, wrong)
    _add_up(stop, l, error)
    stop.wrong[l] += wrong
    for row in range(stop.tally.shape[0]):
        stop.tally[row, l] = 0.0
    stop.reason[l] = _verdict(stop, l, error, learning)
    if stop.reason[l] != RUNNING:
        stop.at[l] = t
        stop.masks[ACTIVE] &= ~(1 << l)
        stop.masks[LEARNING] &= ~(1 << l)
