"""Nets whose sequences are unrolled at their end, in lanes: sequences of several trials side by side.

Sequences of the lanes start together and go on side by side until each is over; then errors flow back through all that
are. So a lane may stand at another step of the block than its neighbour (`at`), and waits while a neighbour's sequence
is longer. A sequence that the block cuts stays in its rows of the past, and goes on with the next block. Whatever its
neighbours do, a lane does the same operations.

What differs from net to net is six pieces: `step`, `observe`, `learn`, `flow_back`, `finish` and `begin`. Here they
have no body: the compiler takes the one that was given to `kernels` for the type of the variant. A variant has
`history`, the number of rows H. A state has `steps`; a NamedTuple `past` of arrays [H, n, L], of which `x` holds the
inputs that are rows; and `back` [n, L], what flows back to the step before. L lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lstm_search import simd
from lstm_search.networks.learner import Kernels
from lstm_search.simd import (
    ACTIVE,
    LEARNING,
    Block,
    Lanes,
    StopState,
    Value,
    aligned_zeros,
    end_sequence,
    exceeding,
    inlined,
    kernel,
    larger,
    load,
    select,
    splat,
    store,
)

Body = Callable[..., Any]


class Steps(NamedTuple):
    """Where the lanes stand, and which steps are kept. A lane's steps stand in `kept` rows from `first` on."""

    at: np.ndarray  # int64 [L] the step of the block that is next
    kept: np.ndarray  # int64 [L]
    first: np.ndarray  # int64 [L]
    stepped: np.ndarray  # int64 [H] lanes of which the row holds a step
    symbol: np.ndarray  # int64 [H, L] the input that is 1, where they are symbols
    target: np.ndarray  # [K, L] targets of a step


def new_steps(width: int, history: int, outputs: int) -> Steps:
    """Nothing is kept yet."""
    return Steps(
        at=aligned_zeros(width, dtype=np.int64),
        kept=aligned_zeros(width, dtype=np.int64),
        first=aligned_zeros(width, dtype=np.int64),
        stepped=aligned_zeros(history, dtype=np.int64),
        symbol=aligned_zeros(history, width, dtype=np.int64),
        target=aligned_zeros(outputs, width),
    )


def kept_lanes_last(state: Any) -> list[np.ndarray]:
    """The arrays of what is kept that have lanes, the lane as their last axis."""
    return [*(array for name, array in state.steps._asdict().items() if name != "stepped"), *state.past]


def step(lanes: Lanes, variant: Any, state: Any, k: int, mask: int, learn: int) -> None:
    """The lanes of `mask` make the step whose inputs row k holds. In those of `learn` the row then holds all of it."""


def observe(lanes: Lanes, variant: Any, state: Any, block: Block, stop: StopState, k: int, due: int, ends: int) -> None:
    """The outputs of the lanes of `due` meet their targets, after the step of row k: errors go into the tally. Of
    `ends` that step is the last."""


def learn(lanes: Lanes, variant: Any, state: Any, k: int, mask: int) -> None:
    """The lanes of `mask` learn from the targets of the step of row k. Called after `observe`."""


def flow_back(lanes: Lanes, variant: Any, state: Any, k: int, mask: int) -> None:
    """Errors flow back through the step of row k, in the lanes of `mask`. Nothing flows to the row before from lanes
    whose last step is in a row still before it: there `back` is 0, as it is at first."""


def finish(lanes: Lanes, variant: Any, state: Any, mask: int) -> None:
    """Training sequences of the lanes of `mask` are over and unrolled: their weights change."""


def begin(lanes: Lanes, variant: Any, state: Any, mask: int) -> None:
    """The lanes of `mask` are before the first step of a sequence: states and activations are what they start from."""


_BODIES = tuple(simd.generic(piece) for piece in (step, observe, learn, flow_back, finish, begin))


@inlined
def fetch_targets(steps: Steps, block: Block, due: int) -> None:
    """The targets of the lanes of `due` at their steps, into `target`."""
    for k in range(block.target.shape[1]):
        for l in range(steps.at.shape[0]):
            if due >> l & 1:
                steps.target[k, l] = block.target[steps.at[l], k, l]


@inlined
def illegal(lanes: Lanes, steps: Steps, block: Block, outputs: np.ndarray, due: int) -> Value:
    """1 where some output of an illegal symbol is not below all those of legal ones, else 0."""
    low, high = splat(lanes, np.inf), splat(lanes, -np.inf)
    for k in range(block.legal.shape[1]):
        legal = 0
        for l in range(steps.at.shape[0]):
            if due >> l & 1:
                legal |= block.legal[steps.at[l], k] & (1 << l)
        y = load(lanes, outputs, k)
        low = select(legal, -1.0 * larger(-1.0 * low, -1.0 * y), low)
        high = select(legal, high, larger(high, y))
    return 1.0 - exceeding(low, high)


@inlined
def keep(lanes: Lanes, to: np.ndarray, k: int, i: int, mask: int, value: Value) -> None:
    """Put a value into row k, in the lanes of `mask`: in others a step of theirs may stand there."""
    store(to, (k, i), select(mask, value, load(lanes, to, (k, i))))


@inlined
def _look(state: Any, block: Block, k: int, mask: int) -> None:
    """What the lanes of `mask` see at their steps, into row k of the past."""
    at, x, symbol = state.steps.at, state.past.x, state.steps.symbol
    for l in range(at.shape[0]):
        if mask >> l & 1:
            for i in range(block.x.shape[1]):
                x[k, i, l] = block.x[at[l], i, l]
            if block.symbol.shape[0]:
                symbol[k, l] = block.symbol[at[l], l]


@inlined
def _unroll(lanes: Lanes, variant: Any, state: Any, rows: int, mask: int) -> None:
    """Errors flow back through all that the first `rows` rows hold of the lanes of `mask`, which then hold nothing."""
    steps = state.steps
    for i in range(state.back.shape[0]):
        store(state.back, i, splat(lanes, 0.0))
    for k in range(rows - 1, -1, -1):
        there = steps.stepped[k] & mask
        if there:
            steps.stepped[k] &= ~mask
            flow_back(lanes, variant, state, k, there)
    for l in range(steps.kept.shape[0]):
        if mask >> l & 1:
            steps.kept[l] = 0


@inlined
def _move_row(state: Any, l: int, source: int, to: int) -> None:
    """What row `source` holds of lane l moves to the row `to`."""
    for rows in state.past:
        for i in range(rows.shape[1]):
            rows[to, i, l] = rows[source, i, l]
    state.steps.symbol[to, l] = state.steps.symbol[source, l]


@inlined
def _align(state: Any, mask: int) -> int:
    """The steps of the lanes of `mask` move to rows that end together, as near to row 0 as they can. Returns the row
    behind them."""
    steps, rows = state.steps, 0
    for l in range(steps.at.shape[0]):
        if mask >> l & 1:
            rows = max(rows, steps.kept[l])
    for k in range(steps.stepped.shape[0]):
        steps.stepped[k] &= ~mask
    for l in range(steps.at.shape[0]):
        if mask >> l & 1:
            first, to = steps.first[l], rows - steps.kept[l]
            for step in range(steps.kept[l] if to != first else 0):
                k = steps.kept[l] - 1 - step if to > first else step  # no row is overwritten before it has moved
                _move_row(state, l, first + k, to + k)
            for k in range(to, rows):
                steps.stepped[k] |= 1 << l
            steps.first[l] = to
    return rows


@inlined
def _make_room(lanes: Lanes, variant: Any, state: Any, mask: int) -> int:
    """All rows are used: those of `mask` that use all of them are unrolled, the others move down. Returns the next
    row."""
    full = 0
    for l in range(state.steps.at.shape[0]):
        if mask >> l & 1 and state.steps.kept[l] == variant.history:
            full |= 1 << l
    if full:
        _unroll(lanes, variant, state, variant.history, full)
    return _align(state, mask)


@inlined
def _there(steps: Steps, end: int, active: int) -> int:
    """The active lanes that have a step left before the end of the block."""
    found = 0
    for l in range(steps.at.shape[0]):
        if steps.at[l] < end:
            found |= active & (1 << l)
    return found


@inlined
def _at(steps: Steps, sets: np.ndarray, mask: int) -> int:
    """Those lanes of `mask` that are in the set of their step."""
    found = 0
    for l in range(steps.at.shape[0]):
        if mask >> l & 1:
            found |= sets[steps.at[l]] & (1 << l)
    return found


@inlined
def _go_on(steps: Steps, mask: int, learning: int) -> None:
    """The lanes of `mask` have made a step."""
    for l in range(steps.at.shape[0]):
        steps.at[l] += mask >> l & 1
        steps.kept[l] += learning >> l & 1


@inlined
def _side_by_side(
    lanes: Lanes, variant: Any, state: Any, block: Block, stop: StopState, k: int, running: int
) -> tuple[int, int]:
    """The lanes of `running` go on, from row k, until their sequences or the block is over. Returns the row behind the
    last, and the lanes whose sequences are over."""
    over, rows, end, steps = 0, k, block.due.shape[0], state.steps
    while running:
        learning = running & stop.masks[LEARNING]
        if k == variant.history:
            k = _make_room(lanes, variant, state, learning)
        _look(state, block, k, running)
        step(lanes, variant, state, k, running, learning)
        steps.stepped[k] |= learning
        due, ends = _at(steps, block.due, running), _at(steps, block.ends, running)
        if due:
            observe(lanes, variant, state, block, stop, k, due, ends)
            if due & learning:
                learn(lanes, variant, state, k, due & learning)
        _go_on(steps, running, learning)
        over |= ends
        running = _there(steps, end, running & ~ends)
        k += 1
        rows = max(rows, k)
    return rows, over


@inlined
def _begin(lanes: Lanes, variant: Any, state: Any, mask: int) -> None:
    """The lanes of `mask` are before the first step of a sequence, and nothing is kept of them."""
    begin(lanes, variant, state, mask)
    for l in range(state.steps.kept.shape[0]):
        if mask >> l & 1:
            state.steps.kept[l] = 0


@kernel
def advance(lanes: Lanes, variant: Any, state: Any, block: Block, stop: StopState) -> None:
    """Run all lanes through the block: train where `stop` says so, test elsewhere, stop each lane where it must."""
    continued, steps, end = 0, state.steps, block.due.shape[0]
    for l in range(steps.at.shape[0]):
        steps.at[l] = 0
        if steps.kept[l]:
            continued |= 1 << l
    k, running = _align(state, continued), _there(steps, end, stop.masks[ACTIVE])
    while running:
        for l in range(steps.at.shape[0]):
            if running >> l & 1 and steps.kept[l] == 0:
                steps.first[l] = k
        rows, over = _side_by_side(lanes, variant, state, block, stop, k, running)
        learned = over & stop.masks[LEARNING]
        if learned:
            _unroll(lanes, variant, state, rows, learned)
            finish(lanes, variant, state, learned)
        _begin(lanes, variant, state, over)
        for l in range(steps.at.shape[0]):
            if over >> l & 1:
                end_sequence(stop, l, steps.at[l] - 1)
        k, running = 0, _there(steps, end, stop.masks[ACTIVE])


@kernel
def restart(lanes: Lanes, variant: Any, state: Any, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence, at the start of a block."""
    for k in range(state.steps.stepped.shape[0]):
        state.steps.stepped[k] &= ~mask
    _begin(lanes, variant, state, mask)


def kernels(
    variant: type,
    new_state: Body,
    put: Body,
    weights: Body,
    lanes_last: Body,
    *,
    step: Body,
    observe: Body,
    learn: Body,
    flow_back: Body,
    finish: Body,
    begin: Body,
) -> Kernels:
    """The kernels of a net whose variants are of the type `variant`, and whose pieces are these plain functions. Raises
    TypeError where another network's variant has the same name, for machine code is found by the names of types."""
    if any(other.__name__ == variant.__name__ for other in _BODIES[0]):
        raise TypeError(
            f"{variant.__module__}.{variant.__name__}: another network's variant has that name; choose another"
        )
    for bodies, body in zip(_BODIES, (step, observe, learn, flow_back, finish, begin), strict=True):
        bodies[variant] = body
    return Kernels(new_state, put, weights, lanes_last, advance, restart)
