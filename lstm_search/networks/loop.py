"""The loop that all nets share that run lane by lane, in plain numbers: through a block of time steps, learning or not.

What differs from net to net is five pieces: `step`, `observe`, `learn`, `finish` and `begin`. Here they have no body:
the compiler takes the one that was given to `kernels` for the type of the net's state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_search import simd
from lstm_search.networks.learner import Kernels
from lstm_search.simd import Block, Lanes, StopState

Body = Callable[..., Any]


def step(variant: Any, state: Any, block: Block, l: int, t: int, learning: int) -> None:
    """Lane l makes step t of the block. Where it is `learning`, what learning needs to know of this step is kept."""


def observe(variant: Any, state: Any, block: Block, stop: StopState, l: int, t: int) -> None:
    """Lane l has a target at step t, which it has made: its outputs are computed and given to `compare`."""


def learn(variant: Any, state: Any, block: Block, l: int, t: int) -> None:
    """Lane l learns from the target of step t. Called after `observe`."""


def finish(variant: Any, state: Any, l: int, number: int) -> None:
    """A training sequence of lane l is over, that with the number `number` (0, 1, ...)."""


def begin(variant: Any, state: Any, l: int) -> None:
    """Lane l is before the first step of a sequence."""


_BODIES = tuple(simd.generic(piece) for piece in (step, observe, learn, finish, begin))


@simd.inlined
def _illegal(block: Block, y: np.ndarray, l: int, t: int) -> float:
    """1 where some output of an illegal symbol is not below all those of legal ones, else 0."""
    low, high = np.inf, -np.inf
    for k in range(block.legal.shape[1]):
        if block.legal[t, k] >> l & 1:
            low = min(low, y[k])
        else:
            high = max(high, y[k])
    return 0.0 if high < low else 1.0


@simd.inlined
def compare(block: Block, stop: StopState, l: int, t: int, y: np.ndarray) -> None:
    """Errors of the outputs y [K] of lane l at step t go into the tally. An error that is no number counts as wrong."""
    tally, worst, absolute, squared = stop.tally, 0.0, 0.0, 0.0
    for k in range(y.shape[0]):
        error = abs(block.target[t, k, l] - y[k])
        absolute += error
        squared += error * error
        worst = max(worst, error if error >= 0.0 else np.inf)
    tally[simd.ABSOLUTE, l] += absolute / y.shape[0]
    tally[simd.SQUARED, l] += squared / y.shape[0]
    tally[simd.STEPS, l] += 1.0
    if stop.masks[simd.RANKED] >> l & 1:
        worst = _illegal(block, y, l, t)
    if (block.ends[t] | stop.masks[simd.EVERY]) >> l & 1:
        tally[simd.WORST, l] = max(tally[simd.WORST, l], worst)


@simd.kernel
def _advance(variant: Any, state: Any, block: Block, stop: StopState) -> None:
    for l in range(stop.at.shape[0]):
        for t in range(block.due.shape[0]):
            if not stop.masks[simd.ACTIVE] >> l & 1:
                break
            learning = stop.masks[simd.LEARNING] >> l & 1
            step(variant, state, block, l, t, learning)
            if block.due[t] >> l & 1:
                observe(variant, state, block, stop, l, t)
                if learning:
                    learn(variant, state, block, l, t)
            if block.ends[t] >> l & 1:
                if learning:
                    finish(variant, state, l, stop.done[l])
                begin(variant, state, l)
                simd.end_sequence(stop, l, t)


@simd.kernel
def _restart(variant: Any, state: Any, mask: int) -> None:
    for l in range(simd.MOST_LANES):
        if mask >> l & 1:
            begin(variant, state, l)


def _run(_lanes: Lanes, variant: Any, state: Any, block: Block, stop: StopState) -> None:
    """The kernel does not know how many lanes there are, so it is compiled once for all widths."""
    _advance(variant, state, block, stop)


def _start(_lanes: Lanes, variant: Any, state: Any, mask: int) -> None:
    _restart(variant, state, mask)


def lanes_last(state: Any) -> list[np.ndarray]:
    """Views [..., width] of all arrays [width, ...] of a state, records in it included: the lane comes last."""
    found: list[np.ndarray] = []
    for part in state:
        found += lanes_last(part) if isinstance(part, tuple) else [np.moveaxis(part, 0, -1)]
    return found


def kernels(
    state: type,
    new_state: Body,
    put: Body,
    weights: Body,
    *,
    step: Body,
    observe: Body,
    learn: Body,
    finish: Body,
    begin: Body,
) -> Kernels:
    """The kernels of a net whose states are of the type `state`, and whose pieces are these plain functions.

    A state is a NamedTuple of arrays whose first axis is the lane, or of such records. The signatures of the pieces are
    those above; of the others, those in `Kernels`. Raises TypeError where another network's state has the same name,
    for machine code is found by the names of types.
    """
    if any(other.__name__ == state.__name__ for other in _BODIES[0]):
        raise TypeError(f"{state.__module__}.{state.__name__}: another network's state has that name; choose another")
    for bodies, body in zip(_BODIES, (step, observe, learn, finish, begin), strict=True):
        bodies[state] = body
    return Kernels(new_state, put, weights, lanes_last, _run, _start)
