"""The 1997 net in lanes: forward pass, traces and truncated gradient, in the letters of the paper's appendix A.1.

"A.1" stands at the line that computes one of its equations. Truncated means that the net inputs of cells and gates are
taken not to depend on the activations of step t-1, so that error flows back through the cell states alone.

Every array's last axis is the lane: each lane is a net of its own, with its own weights, data, rate and sequence ends.
For b blocks of S cells: C = bS cells, U = C + 2b + H hidden units (cells, input gates, output gates, conventional
units, in this order; b fewer without output gates), K outputs, and M sources z = [I inputs; 1 if anything in the hidden
layer is biased; R activations of step t-1]. Where inputs are symbols their columns of the weights are looked up
(`lstm1997_symbols`), and z holds the other N = M - I sources only.
"""

from __future__ import annotations

import numpy as np

from lstm_search.networks.in_lanes import add
from lstm_search.networks.lstm1997_nets import add_up
from lstm_search.networks.lstm1997_outputs import (
    clear_absent,
    h_slope,
    learn_of_symbols,
    learn_rest,
    learn_unit,
    outputs,
)
from lstm_search.networks.lstm1997_state import DEFER, RING, Event, State, Variant
from lstm_search.networks.lstm1997_symbols import forget_symbols
from lstm_search.networks.lstm1997_update import apply_sums
from lstm_search.simd import (
    ACTIVE,
    LEARNING,
    Block,
    Index,
    Lanes,
    StopState,
    Value,
    end_sequence,
    fma,
    inlined,
    kernel,
    load,
    logistic_slope,
    part,
    scatter_add,
    select,
    splat,
    squash,
    store,
)


@inlined
def _step(lanes: Lanes, variant: Variant, state: State, block: Block, t: int) -> None:
    """The forward pass of step t (A.1): gates, cell states and cell outputs; and what its sources have to be multiplied
    by in the traces."""
    C, to_in, to_c = variant.blocks * variant.size, state.to_in[t & DEFER - 1], state.to_c[t & DEFER - 1]
    y = part(state.z, t + 1 & RING - 1, variant.activations)
    for i in range(block.x.shape[1]):
        store(state.z, (t & RING - 1, i), load(lanes, block.x, (t, i)))
    add_up(lanes, variant, state, block, t, y)
    squash(lanes, y, 0, state.W.shape[0])  # A.1: y_in = f(net_in), y_out = f(net_out); and f(net_c), of which g is made
    for j in range(variant.blocks):
        y_in = load(lanes, y, C + j)
        slope, most = logistic_slope(y_in), variant.g_range * y_in
        for c in range(j * variant.size, (j + 1) * variant.size):
            f = load(lanes, y, c)
            g = fma(variant.g_range, f, variant.g_low)
            s = fma(y_in, g, load(lanes, state.s, c))  # A.1: s_c(t) = s_c(t-1) + y_in(t) g(net_c(t))
            store(state.s, c, s)
            store(state.h, c, s)
            store(to_in, c, g * slope)
            store(to_c, c, most * logistic_slope(f))
    if not variant.identity:
        squash(lanes, state.h, 0, C)
    for j in range(variant.blocks):
        y_out = openness(lanes, variant, state, y, j)
        for c in range(j * variant.size, (j + 1) * variant.size):
            h = load(lanes, state.h, c)
            if not variant.identity:
                h = fma(2.0 * variant.h_most, h, -variant.h_most)
                store(state.h, c, h)
            store(y, c, y_out * h)  # A.1: y_c(t) = y_out(t) h(s_c(t))


@inlined
def openness(lanes: Lanes, variant: Variant, state: State, y: np.ndarray, j: int) -> Value:
    """What the cells of block j are multiplied by: y_out, or 1 where there are no output gates. Before the hidden units
    join in it is 0."""
    if not variant.output_gates:
        return load(lanes, state.alive, 0)
    y_out = load(lanes, y, variant.blocks * variant.size + variant.blocks + j)
    return load(lanes, state.alive, 0) * y_out if variant.grows else y_out


@inlined
def trace_symbols(lanes: Lanes, state: State, block: Block, t: int) -> None:
    """Symbols of step t: dS_in[c, symbol] += g(net_c) f'(net_in) and dS_c[c, symbol] += y_in g'(net_c)."""
    for c in range(state.s.shape[0]):
        scatter_add(lanes, state.of.dS_in, c, block.symbol, t, load(lanes, state.to_in, (t & DEFER - 1, c)))
        scatter_add(lanes, state.of.dS_c, c, block.symbol, t, load(lanes, state.to_c, (t & DEFER - 1, c)))


@inlined
def trace(lanes: Lanes, variant: Variant, state: State, first: int, last: int) -> None:
    """A.1, the truncated derivatives of s_c, for the steps first .. last: by the weights of the input gate
    dS_in[c, m] += g(net_c) f'(net_in) z_m, and by those of the cell dS_c[c, m] += y_in g'(net_c) z_m."""
    for t in range(first, last + 1):
        z, k = part(state.z, t & RING - 1, 0), t & DEFER - 1
        for c in range(state.s.shape[0]):
            a, b = load(lanes, state.to_in, (k, c)), load(lanes, state.to_c, (k, c))
            for m in range(variant.sources):
                z_m = load(lanes, z, m)
                store(state.dS_in, (c, m), fma(a, z_m, load(lanes, state.dS_in, (c, m))))
                store(state.dS_c, (c, m), fma(b, z_m, load(lanes, state.dS_c, (c, m))))


@inlined
def trace_four(lanes: Lanes, variant: Variant, state: State, t: int) -> None:
    """Do the same for the four steps from t on. What multiplies z stays in registers."""
    z0, z1 = part(state.z, t & RING - 1, 0), part(state.z, t + 1 & RING - 1, 0)
    z2, z3 = part(state.z, t + 2 & RING - 1, 0), part(state.z, t + 3 & RING - 1, 0)
    k0, k1, k2, k3 = t & DEFER - 1, t + 1 & DEFER - 1, t + 2 & DEFER - 1, t + 3 & DEFER - 1
    for c in range(state.s.shape[0]):
        a0, a1 = load(lanes, state.to_in, (k0, c)), load(lanes, state.to_in, (k1, c))
        a2, a3 = load(lanes, state.to_in, (k2, c)), load(lanes, state.to_in, (k3, c))
        b0, b1 = load(lanes, state.to_c, (k0, c)), load(lanes, state.to_c, (k1, c))
        b2, b3 = load(lanes, state.to_c, (k2, c)), load(lanes, state.to_c, (k3, c))
        for m in range(variant.sources):
            p, q, r, s = load(lanes, z0, m), load(lanes, z1, m), load(lanes, z2, m), load(lanes, z3, m)
            a, b = load(lanes, state.dS_in, (c, m)), load(lanes, state.dS_c, (c, m))
            store(state.dS_in, (c, m), fma(a3, s, fma(a2, r, fma(a1, q, fma(a0, p, a)))))
            store(state.dS_c, (c, m), fma(b3, s, fma(b2, r, fma(b1, q, fma(b0, p, b)))))


@inlined
def learn_cell(lanes: Lanes, variant: Variant, state: State, event: Event, W: np.ndarray, c: int, e_s: Value) -> None:
    """A.1, cells and input gates: W[c, m] += e_s dS_c[c, m] and W[in, m] += e_s dS_in[c, m], in the lanes that learn.

    On the way the traces are brought up to date with this step, and start anew in the lanes that end: so each is loaded
    and stored once. Those of symbols are up to date; what multiplies them is kept for `learn_symbols`.
    """
    z, k, u_in = part(state.z, event.t & RING - 1, 0), event.t & DEFER - 1, state.s.shape[0] + c // variant.size
    a, b = load(lanes, state.to_in, (k, c)), load(lanes, state.to_c, (k, c))
    for m in range(variant.sources):
        z_m = load(lanes, z, m)
        dS_in = fma(a, z_m, load(lanes, state.dS_in, (c, m)))
        dS_c = fma(b, z_m, load(lanes, state.dS_c, (c, m)))
        learn_trace(lanes, event, W, (u_in, m), e_s, state.dS_in, (c, m), dS_in)
        learn_trace(lanes, event, W, (c, m), e_s, state.dS_c, (c, m), dS_c)
    if variant.symbols:
        store(state.of.e_s, c, e_s)


@inlined
def learn_trace(
    lanes: Lanes, event: Event, W: np.ndarray, to: Index, e_s: Value, dS: np.ndarray, index: Index, trace: Value
) -> None:
    """W[to] += e_s trace in the lanes that learn; dS[index] is the trace, or 0 in the lanes that end."""
    add(lanes, W, to, event.learn, e_s, trace)
    store(dS, index, select(event.ends, splat(lanes, 0.0), trace))


@inlined
def _learn(
    lanes: Lanes, variant: Variant, state: State, block: Block, event: Event, W: np.ndarray, V: np.ndarray
) -> None:
    """Add rate x negative truncated gradient of this step to W and V, in the lanes that learn."""
    C, K, a = variant.blocks * variant.size, block.target.shape[1], load(lanes, state.rate, 0)
    y = part(state.z, event.t + 1 & RING - 1, variant.activations)
    for j in range(variant.blocks):
        opened, e_out = openness(lanes, variant, state, y, j), splat(lanes, 0.0)
        for c in range(j * variant.size, (j + 1) * variant.size):
            h, back = load(lanes, state.h, c), load(lanes, state.e, K + c)
            e_out = fma(h, back, e_out)
            slope = splat(lanes, 1.0) if variant.identity else h_slope(variant, h)
            e_s = opened * slope * back  # A.1: e_s = y_out h'(s_c) sum_k w_kc e_k
            learn_cell(lanes, variant, state, event, W, c, a * e_s)
        if variant.output_gates:
            # A.1: e_out = f'(net_out) sum_c h(s_c) sum_k w_kc e_k
            e_out = a * (_open_slope(lanes, variant, state, y, j) * e_out)
            learn_unit(lanes, variant, state, block, event, W, C + variant.blocks + j, e_out)
    learn_rest(lanes, variant, state, block, event, W, V)


@inlined
def _open_slope(lanes: Lanes, variant: Variant, state: State, y: np.ndarray, j: int) -> Value:
    """f'(net_out) of block j. Before the hidden units join in it is 0."""
    slope = logistic_slope(load(lanes, y, variant.blocks * variant.size + variant.blocks + j))
    return load(lanes, state.alive, 0) * slope if variant.grows else slope


@inlined
def start(lanes: Lanes, variant: Variant, state: State, t: int, mask: int) -> None:
    """A sequence starts at step t, in the lanes of `mask`: A.1, s_c(0) = 0; activations are `reset`."""
    zero, reset, y = splat(lanes, 0.0), load(lanes, state.reset, 0), part(state.z, t & RING - 1, variant.activations)
    for u in range(y.shape[0]):
        store(y, u, select(mask, reset, load(lanes, y, u)))
    for c in range(state.s.shape[0]):
        store(state.s, c, select(mask, zero, load(lanes, state.s, c)))


@inlined
def _learn_and_end(lanes: Lanes, variant: Variant, state: State, block: Block, stop: StopState, event: Event) -> None:
    """Do what targets and ends of sequences bring about. The traces are up to date with the step before."""
    ends, learning = event.ends, stop.masks[LEARNING]
    outputs(lanes, variant, state, block, stop, event)
    W, V = (state.dW, state.dV) if variant.sums else (state.W, state.V)
    _learn(lanes, variant, state, block, event, W, V)
    clear_absent(lanes, variant, W, event.learn)
    if variant.symbols:
        learn_of_symbols(variant, state, block, event)
    if ends:
        apply_sums(lanes, variant, state, ends & learning)
        forget_symbols(state, ends)
        start(lanes, variant, state, event.t + 1, ends)
        for l in range(stop.at.shape[0]):
            if ends >> l & 1:
                end_sequence(stop, l, event.t)


@kernel
def advance(lanes: Lanes, variant: Variant, state: State, block: Block, stop: StopState) -> None:
    """Run all lanes through the block: train where `stop` says so, test elsewhere, stop each lane where it must.

    A lane alone brings its traces up to date at the same steps as its neighbours on a GPU, wherever its sequences end.
    """
    first, steps = 0, block.due.shape[0]  # the traces are up to date with the step before `first`
    for t in range(steps):
        due, ends = block.due[t] & stop.masks[ACTIVE], block.ends[t] & stop.masks[ACTIVE]
        _step(lanes, variant, state, block, t)
        if variant.symbols:
            trace_symbols(lanes, state, block, t)
        last = t - 1 if due | ends else t
        if t - first == DEFER - 1 and last == t:
            trace_four(lanes, variant, state, first)
            first = t + 1
        elif due | ends or t == steps - 1 or (len(lanes) == 1 and t & DEFER - 1 == DEFER - 1):
            trace(lanes, variant, state, first, last)
            first = t + 1
        if due | ends:
            _learn_and_end(lanes, variant, state, block, stop, Event(t, due, due & stop.masks[LEARNING], ends))
            if stop.masks[ACTIVE] == 0:
                break


@kernel
def restart(lanes: Lanes, variant: Variant, state: State, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence, at the start of a block."""
    start(lanes, variant, state, 0, mask)
    for c in range(state.s.shape[0]):
        for m in range(state.W.shape[1]):
            store(state.dS_in, (c, m), select(mask, splat(lanes, 0.0), load(lanes, state.dS_in, (c, m))))
            store(state.dS_c, (c, m), select(mask, splat(lanes, 0.0), load(lanes, state.dS_c, (c, m))))
    forget_symbols(state, mask)
