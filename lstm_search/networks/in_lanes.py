"""What nets do alike in lanes, whatever they are: errors into the tally, error signals, and sums that are added up and
moved into the weights."""

from __future__ import annotations

import numpy as np

from lstm_search.simd import (
    ABSOLUTE,
    EVERY,
    SQUARED,
    STEPS,
    WORST,
    Index,
    Lanes,
    StopState,
    Value,
    exceeding,
    fma,
    inlined,
    larger,
    load,
    logistic_slope,
    magnitude,
    select,
    splat,
    store,
)


@inlined
def tally_up(
    lanes: Lanes, stop: StopState, due: int, ends: int, share: Value, absolute: Value, squared: Value, worst: Value
) -> None:
    """The errors of a step go into the tally, in the lanes of `due`; those of `ends` are at their sequence's last step.
    `share`: 1 over the number of outputs."""
    tally = stop.tally
    add(lanes, tally, ABSOLUTE, due, share, absolute)
    add(lanes, tally, SQUARED, due, share, squared)
    add(lanes, tally, STEPS, due, splat(lanes, 1.0), splat(lanes, 1.0))
    before = load(lanes, tally, WORST)
    store(tally, WORST, select(due & (ends | stop.masks[EVERY]), larger(before, worst), before))


@inlined
def error_signal(lanes: Lanes, linear: int, signal: np.ndarray, y: Value, error: Value) -> Value:
    """A.1: e_k = f'(net_k) (t_k - y_k), or as its `Signal` has it: 0 within the margin, another factor for f'."""
    wanted = 1.0 - exceeding(load(lanes, signal, 0), magnitude(error))
    if linear:
        return wanted * error
    return wanted * (error * fma(load(lanes, signal, 1), logistic_slope(y), load(lanes, signal, 2)))


@inlined
def add(lanes: Lanes, to: np.ndarray, index: Index, mask: int, factor: Value, term: Value) -> None:
    """Add factor x term to `to[index]`, in the lanes of `mask`."""
    before = load(lanes, to, index)
    store(to, index, select(mask, fma(factor, term, before), before))


@inlined
def apply(lanes: Lanes, to: np.ndarray, sums: np.ndarray, mask: int) -> None:
    """Move `sums` into `to`, in the lanes of `mask`."""
    for u in range(sums.shape[0]):
        for m in range(sums.shape[1]):
            before, term = load(lanes, to, (u, m)), load(lanes, sums, (u, m))
            store(to, (u, m), select(mask, before + term, before))
            store(sums, (u, m), select(mask, splat(lanes, 0.0), term))


@inlined
def apply_runs(to: np.ndarray, sums: np.ndarray, lanes: int) -> None:
    """Move `sums` into `to`, in the set `lanes`."""
    for u in range(sums.shape[0]):
        for l in range(sums.shape[1]):
            if lanes >> l & 1:
                for x in range(sums.shape[2]):
                    to[u, l, x] += sums[u, l, x]
                    sums[u, l, x] = 0.0
