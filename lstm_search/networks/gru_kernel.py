"""Gated recurrent units in lanes: sequences of several trials side by side, each unrolled at its end.

n units, 3n gates (r, z and c), I inputs, K outputs, L lanes. Sequences of the lanes start together and go on side by
side until each is over; then errors flow back through all that are. So a lane may stand at another step of the block
than its neighbour (`at`), and waits while a neighbour's sequence is longer. A sequence that the block cuts stays in its
rows of `past`, and goes on with the next block. Whatever its neighbours do, a lane does the same operations.
"""

from __future__ import annotations

import numpy as np

from lstm_search.networks.gru_state import GruState, GruVariant
from lstm_search.networks.in_lanes import add, apply, apply_runs, error_signal, tally_up
from lstm_search.networks.optimizers import DESCENT, count, follow
from lstm_search.simd import (
    ACTIVE,
    LEARNING,
    RANKED,
    Block,
    Lanes,
    StopState,
    Value,
    end_sequence,
    exceeding,
    fma,
    gather,
    inlined,
    kernel,
    larger,
    load,
    logistic_slope,
    magnitude,
    scatter_add,
    select,
    splat,
    squash,
    store,
)


@inlined
def _look(state: GruState, block: Block, k: int, lanes: int) -> None:
    """What the set `lanes` sees at its steps, into row k of the past."""
    for l in range(state.at.shape[0]):
        if lanes >> l & 1:
            t = state.at[l]
            for i in range(block.x.shape[1]):
                state.past.x[k, i, l] = block.x[t, i, l]
            if block.symbol.shape[0]:
                state.past.symbol[k, l] = block.symbol[t, l]


@inlined
def _net(lanes: Lanes, variant: GruVariant, state: GruState, k: int, u: int, states: np.ndarray) -> Value:
    """The net input of gate u from what row k has seen, and from `states`."""
    I, W = variant.inputs, state.W
    net = load(lanes, W, (u, I))
    if variant.symbols:
        net = net + gather(lanes, state.X, u, state.past.symbol, k)
    for i in range(I):
        net = fma(load(lanes, W, (u, i)), load(lanes, state.past.x, (k, i)), net)
    for j in range(variant.units):
        net = fma(load(lanes, W, (u, I + 1 + j)), load(lanes, states, j), net)
    return net


@inlined
def _keep(lanes: Lanes, to: np.ndarray, k: int, i: int, mask: int, value: Value) -> None:
    """Put a value into row k, in the lanes of `mask`: in others a step of theirs may stand there."""
    store(to, (k, i), select(mask, value, load(lanes, to, (k, i))))


@inlined
def _step(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int, learn: int) -> None:
    """The lanes of `mask` make a step: y = z y + (1 - z) c. In those of `learn` row k holds it."""
    n, now, past, y = variant.units, state.now, state.past, state.y
    for u in range(2 * n):
        store(now, u, _net(lanes, variant, state, k, u, y))
    squash(lanes, now, 0, 2 * n)
    for j in range(n):
        store(state.held, j, load(lanes, now, j) * load(lanes, y, j))
    for u in range(2 * n, 3 * n):
        store(now, u, 2.0 * _net(lanes, variant, state, k, u, state.held))
    squash(lanes, now, 2 * n, 3 * n)
    for i in range(n):
        z, before, c = load(lanes, now, n + i), load(lanes, y, i), fma(2.0, load(lanes, now, 2 * n + i), -1.0)
        store(now, 2 * n + i, c)
        store(y, i, select(mask, fma(z, before - c, c), before))
        if learn:
            _keep(lanes, past.y, k, i, learn, before)
            _keep(lanes, past.blame, k, i, learn, splat(lanes, 0.0))
    if learn:
        for u in range(3 * n):
            _keep(lanes, past.gates, k, u, learn, load(lanes, now, u))


@inlined
def _illegal(lanes: Lanes, state: GruState, block: Block, due: int) -> Value:
    """1 where some output of an illegal symbol is not below all those of legal ones, else 0."""
    low, high = splat(lanes, np.inf), splat(lanes, -np.inf)
    for k in range(block.legal.shape[1]):
        legal = 0
        for l in range(state.at.shape[0]):
            if due >> l & 1:
                legal |= block.legal[state.at[l], k] & (1 << l)
        y = load(lanes, state.e, k)
        low = select(legal, -1.0 * larger(-1.0 * low, -1.0 * y), low)
        high = select(legal, high, larger(high, y))
    return 1.0 - exceeding(low, high)


@inlined
def _outputs(
    lanes: Lanes, variant: GruVariant, state: GruState, block: Block, stop: StopState, due: int, ends: int
) -> None:
    """The outputs of the lanes of `due` meet their targets: errors go into the tally, error signals into `e`."""
    n, K = variant.units, state.e.shape[0]
    absolute, squared, worst = splat(lanes, 0.0), splat(lanes, 0.0), splat(lanes, 0.0)
    for k in range(K):
        net = load(lanes, state.V, (k, n))
        for i in range(n):
            net = fma(load(lanes, state.V, (k, i)), load(lanes, state.y, i), net)
        store(state.e, k, net)
        for l in range(state.at.shape[0]):
            if due >> l & 1:
                state.target[k, l] = block.target[state.at[l], k, l]
    if not variant.linear:
        squash(lanes, state.e, 0, K)
    ranked = _illegal(lanes, state, block, due) if block.legal.shape[0] else worst
    for k in range(K):
        y = load(lanes, state.e, k)
        error = load(lanes, state.target, k) - y
        absolute, squared = absolute + magnitude(error), fma(error, error, squared)
        worst = larger(worst, magnitude(error))
        store(state.e, k, error_signal(lanes, variant.linear, state.signal, y, error))
    worst = select(stop.masks[RANKED], ranked, worst)
    tally_up(lanes, stop, due, ends, splat(lanes, 1.0 / K), absolute, squared, worst)


@inlined
def _learn_outputs(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """What the targets of a step bring to output weights, and to the states of row k, in the lanes of `mask`."""
    n, K, a = variant.units, state.e.shape[0], load(lanes, state.rate, 0)
    for i in range(n):
        blame = splat(lanes, 0.0)
        for o in range(K):
            blame = fma(load(lanes, state.V, (o, i)), load(lanes, state.e, o), blame)
        _keep(lanes, state.past.blame, k, i, mask, blame)
    for o in range(K):
        e = a * load(lanes, state.e, o)
        for i in range(n):
            add(lanes, state.dV, (o, i), mask, e, load(lanes, state.y, i))
        add(lanes, state.dV, (o, n), mask, e, splat(lanes, 1.0))


@inlined
def _through_gates(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """-dE/dnet of all gates at the step of row k into `now`; `back` becomes what flows to the step before."""
    n, first, delta, back, past, W = variant.units, variant.inputs + 1, state.now, state.back, state.past, state.W
    for i in range(n):
        z, c = load(lanes, past.gates, (k, n + i)), load(lanes, past.gates, (k, 2 * n + i))
        flow, before = load(lanes, back, i), load(lanes, past.y, (k, i))
        blamed = flow + load(lanes, past.blame, (k, i))
        store(delta, n + i, blamed * (before - c) * logistic_slope(z))
        store(delta, 2 * n + i, blamed * (1.0 - z) * fma(-1.0 * c, c, 1.0))
        store(back, i, select(mask, blamed * z, flow))
    for j in range(n):
        r, before = load(lanes, past.gates, (k, j)), load(lanes, past.y, (k, j))
        flow, through = load(lanes, back, j), splat(lanes, 0.0)
        for u in range(2 * n, 3 * n):
            through = fma(load(lanes, W, (u, first + j)), load(lanes, delta, u), through)
        store(back, j, select(mask, fma(through, r, flow), flow))
        store(delta, j, through * before * logistic_slope(r))
        store(state.held, j, r * before)
    for j in range(n):
        flow = load(lanes, back, j)
        more = flow
        for u in range(2 * n):
            more = fma(load(lanes, W, (u, first + j)), load(lanes, delta, u), more)
        store(back, j, select(mask, more, flow))


@inlined
def _contribute(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """DW += rate x delta x source for all gates and sources of the step of row k, in the lanes of `mask`."""
    n, I, past, a = variant.units, variant.inputs, state.past, load(lanes, state.rate, 0)
    for u in range(3 * n):
        delta = a * load(lanes, state.now, u)
        if variant.symbols:  # adding -0.0 leaves the other lanes' bits as they are
            scatter_add(lanes, state.dX, u, past.symbol, k, select(mask, delta, splat(lanes, -0.0)))
        for i in range(I):
            add(lanes, state.dW, (u, i), mask, delta, load(lanes, past.x, (k, i)))
        add(lanes, state.dW, (u, I), mask, delta, splat(lanes, 1.0))
        for j in range(n):
            source = load(lanes, past.y, (k, j)) if u < 2 * n else load(lanes, state.held, j)
            add(lanes, state.dW, (u, I + 1 + j), mask, delta, source)


@inlined
def _unroll(lanes: Lanes, variant: GruVariant, state: GruState, rows: int, mask: int) -> None:
    """Errors flow back through all that the first `rows` rows hold of the lanes of `mask`, which then hold nothing."""
    for i in range(variant.units):
        store(state.back, i, splat(lanes, 0.0))
    for k in range(rows - 1, -1, -1):
        there = state.past.stepped[k] & mask
        if there:
            state.past.stepped[k] &= ~mask
            _through_gates(lanes, variant, state, k, there)
            _contribute(lanes, variant, state, k, there)
    for l in range(state.at.shape[0]):
        if mask >> l & 1:
            state.past.kept[l] = 0


@inlined
def _move_row(state: GruState, l: int, source: int, to: int) -> None:
    """What row `source` holds of lane l moves to the row `to`."""
    past = state.past
    for u in range(past.gates.shape[1]):
        past.gates[to, u, l] = past.gates[source, u, l]
    for i in range(past.y.shape[1]):
        past.y[to, i, l] = past.y[source, i, l]
        past.blame[to, i, l] = past.blame[source, i, l]
    for i in range(past.x.shape[1]):
        past.x[to, i, l] = past.x[source, i, l]
    past.symbol[to, l] = past.symbol[source, l]


@inlined
def _align(state: GruState, mask: int) -> int:
    """The steps of the lanes of `mask` move to rows that end together, as near to row 0 as they can. Returns the row
    behind them."""
    past, rows = state.past, 0
    for l in range(state.at.shape[0]):
        if mask >> l & 1:
            rows = max(rows, past.kept[l])
    for k in range(past.stepped.shape[0]):
        past.stepped[k] &= ~mask
    for l in range(state.at.shape[0]):
        if mask >> l & 1:
            first, to = past.first[l], rows - past.kept[l]
            for step in range(past.kept[l]):
                k = past.kept[l] - 1 - step if to > first else step  # no row is overwritten before it has moved
                _move_row(state, l, first + k, to + k)
            for k in range(to, rows):
                past.stepped[k] |= 1 << l
            past.first[l] = to
    return rows


@inlined
def _make_room(lanes: Lanes, variant: GruVariant, state: GruState, mask: int) -> int:
    """All rows are used: those of `mask` that use all of them are unrolled, the others move down. Returns the next
    row."""
    full = 0
    for l in range(state.at.shape[0]):
        if mask >> l & 1 and state.past.kept[l] == variant.history:
            full |= 1 << l
    if full:
        _unroll(lanes, variant, state, variant.history, full)
    return _align(state, mask)


@inlined
def _there(state: GruState, steps: int, active: int) -> int:
    """The active lanes that have a step left in the block."""
    found = 0
    for l in range(state.at.shape[0]):
        if state.at[l] < steps:
            found |= active & (1 << l)
    return found


@inlined
def _at(state: GruState, sets: np.ndarray, lanes: int) -> int:
    """Those of `lanes` that are in the set of their step."""
    found = 0
    for l in range(state.at.shape[0]):
        if lanes >> l & 1:
            found |= sets[state.at[l]] & (1 << l)
    return found


@inlined
def _go_on(state: GruState, mask: int, learn: int) -> None:
    """The lanes of `mask` have made a step."""
    for l in range(state.at.shape[0]):
        state.at[l] += mask >> l & 1
        state.past.kept[l] += learn >> l & 1


@inlined
def _side_by_side(
    lanes: Lanes, variant: GruVariant, state: GruState, block: Block, stop: StopState, k: int, running: int
) -> tuple[int, int]:
    """The lanes of `running` go on, from row k, until their sequences or the block is over. Returns the row behind the
    last, and the lanes whose sequences are over."""
    over, rows, steps = 0, k, block.due.shape[0]
    while running:
        learn = running & stop.masks[LEARNING]
        if k == variant.history:
            k = _make_room(lanes, variant, state, learn)
        _look(state, block, k, running)
        _step(lanes, variant, state, k, running, learn)
        state.past.stepped[k] |= learn
        due, ends = _at(state, block.due, running), _at(state, block.ends, running)
        if due:
            _outputs(lanes, variant, state, block, stop, due, ends)
            if due & learn:
                _learn_outputs(lanes, variant, state, k, due & learn)
        _go_on(state, running, learn)
        over |= ends
        running = _there(state, steps, running & ~ends)
        k += 1
        rows = max(rows, k)
    return rows, over


@inlined
def _apply(lanes: Lanes, variant: GruVariant, state: GruState, mask: int) -> None:
    """The sums move into the weights, in the lanes of `mask`, and are 0 again."""
    if variant.sums == DESCENT:
        apply(lanes, state.W, state.dW, mask)
        apply(lanes, state.V, state.dV, mask)
        apply_runs(state.X, state.dX, mask)
        return
    for l in range(state.at.shape[0]):
        if mask >> l & 1:
            rule, W, V, X = state.rule[:, l], state.of_W, state.of_V, state.of_X
            count(rule)
            follow(variant.sums, rule, state.W[..., l], state.dW[..., l], W.first[..., l], W.second[..., l])
            follow(variant.sums, rule, state.V[..., l], state.dV[..., l], V.first[..., l], V.second[..., l])
            follow(variant.sums, rule, state.X[:, l], state.dX[:, l], X.first[:, l], X.second[:, l])


@inlined
def _begin(lanes: Lanes, state: GruState, mask: int) -> None:
    """The lanes of `mask` are before the first step of a sequence: all states are 0, and nothing is kept."""
    for i in range(state.y.shape[0]):
        store(state.y, i, select(mask, splat(lanes, 0.0), load(lanes, state.y, i)))
    for l in range(state.at.shape[0]):
        if mask >> l & 1:
            state.past.kept[l] = 0


@kernel
def advance(lanes: Lanes, variant: GruVariant, state: GruState, block: Block, stop: StopState) -> None:
    """Run all lanes through the block: train where `stop` says so, test elsewhere, stop each lane where it must."""
    continued = 0
    for l in range(state.at.shape[0]):
        state.at[l] = 0
        if state.past.kept[l]:
            continued |= 1 << l
    k, steps = _align(state, continued), block.due.shape[0]
    running = _there(state, steps, stop.masks[ACTIVE])
    while running:
        for l in range(state.at.shape[0]):
            if running >> l & 1 and state.past.kept[l] == 0:
                state.past.first[l] = k
        rows, over = _side_by_side(lanes, variant, state, block, stop, k, running)
        learned = over & stop.masks[LEARNING]
        if learned:
            _unroll(lanes, variant, state, rows, learned)
            _apply(lanes, variant, state, learned)
        _begin(lanes, state, over)
        for l in range(state.at.shape[0]):
            if over >> l & 1:
                end_sequence(stop, l, state.at[l] - 1)
        k, running = 0, _there(state, steps, stop.masks[ACTIVE])


@kernel
def restart(lanes: Lanes, variant: GruVariant, state: GruState, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence, at the start of a block."""
    for k in range(state.past.stepped.shape[0]):
        state.past.stepped[k] &= ~mask
    _begin(lanes, state, mask)
