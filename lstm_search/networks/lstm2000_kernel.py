"""Later forms of the net in lanes, with the truncated gradient: forget gates (Gers, Schmidhuber & Cummins 2000), one
minus the input gate in their place (coupled), and peepholes (Gers, Schraudolph & Schmidhuber 2002).

Lanes, letters and shapes are those of `lstm1997_kernel`; F is the number of the first forget gate, the last of the U
hidden units. With peepholes the last S columns of W are the weights from the cells of a block to its gates. What errors
flow through is as truncated as in 1997: net inputs are taken not to depend on what a net did before, nor those of gates
on the states that they see, so that no error enters a cell through a peephole.

A state is s_c(t) = y_f s_c(t-1) + y_in g(net_c), and each of its traces is dS(t) = y_f dS(t-1) + a z. Kept is dS / P,
where P is the product of y_f since a sequence began: it grows by (a / P) z, so that traces are brought up to date late
as in 1997. Before P is too small to divide by, the traces are multiplied by it, and it is 1 again. When a lane comes to
that depends on its own gates alone.
"""

from __future__ import annotations

import numpy as np

from lstm_search.networks import lstm1997_kernel as core_of
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
from lstm_search.networks.lstm1997_state import DEFER, RING, Event
from lstm_search.networks.lstm1997_symbols import clear_runs, forget_symbols, learn_runs
from lstm_search.networks.lstm1997_update import apply_sums
from lstm_search.networks.lstm2000_state import State2000, Variant2000
from lstm_search.simd import (
    ACTIVE,
    LEARNING,
    Block,
    Lanes,
    StopState,
    Value,
    end_sequence,
    fma,
    inlined,
    kernel,
    lanes_below,
    load,
    logistic_and_inverse,
    logistic_slope,
    part,
    scatter_add,
    select,
    splat,
    squash,
    store,
)

SMALL = 1e-200
"""Where P is below, traces are multiplied by it. A step takes off 35 digits at most, so that 1/P never overflows."""


@inlined
def _add_peepholes(
    lanes: Lanes, variant: Variant2000, state: State2000, y: np.ndarray, first: int, s: np.ndarray
) -> None:
    """net_u += sum_c w_uc s_c over the cells of its block, for the gates u of all blocks from the unit `first` on."""
    core, W = variant.core, state.core.W
    for j in range(core.blocks):
        net = load(lanes, y, first + j)
        for i in range(core.size):
            net = fma(load(lanes, W, (first + j, core.sources + i)), load(lanes, s, j * core.size + i), net)
        store(y, first + j, net)


@inlined
def _forget(lanes: Lanes, variant: Variant2000, state: State2000, y: np.ndarray) -> None:
    """y_f = f(net_f), or 1 - y_in = f(-net_in) where coupled, from net inputs in `y`; and P and Q with it."""
    C, F = variant.core.blocks * variant.core.size, state.core.W.shape[0] - variant.core.blocks
    for j in range(variant.core.blocks):
        net_f = load(lanes, y, F + j) if variant.forget_gates else -1.0 * load(lanes, y, C + j)
        y_f, inverse = logistic_and_inverse(net_f)
        store(state.y_f, j, y_f)
        store(state.P, j, load(lanes, state.P, j) * y_f)
        store(state.Q, j, load(lanes, state.Q, j) * inverse)
        if variant.forget_gates:
            store(y, F + j, y_f)


@inlined
def _gates(lanes: Lanes, variant: Variant2000, state: State2000, y: np.ndarray) -> None:
    """From net inputs in `y`: f(net_c), of which g is made, and all gates but output gates that wait for the states."""
    core, C, b = variant.core, variant.core.blocks * variant.core.size, variant.core.blocks
    rest, gated = state.core.W.shape[0] - variant.forget_gates * b, C + (1 + core.output_gates) * b
    if core.peepholes:
        _add_peepholes(lanes, variant, state, y, C, state.core.s)
        if variant.forget_gates:
            _add_peepholes(lanes, variant, state, y, rest, state.core.s)
    if variant.forget_gates | variant.coupled:
        _forget(lanes, variant, state, y)
    if core.peepholes:
        squash(lanes, y, 0, C + b)
        squash(lanes, y, gated, rest)
    else:
        squash(lanes, y, 0, rest)


@inlined
def _open_late(lanes: Lanes, variant: Variant2000, state: State2000, y: np.ndarray) -> None:
    """Output gates that see the states of this step."""
    first = variant.core.blocks * (variant.core.size + 1)
    _add_peepholes(lanes, variant, state, y, first, state.core.s)
    squash(lanes, y, first, first + variant.core.blocks)


@inlined
def _states(lanes: Lanes, variant: Variant2000, state: State2000, y: np.ndarray, t: int, j: int) -> None:
    """s_c(t) = y_f s_c(t-1) + y_in g(net_c(t)) in block j, as yet in `h`; and what multiplies sources in the traces."""
    core, net, k = variant.core, state.core, t & DEFER - 1
    y_in, y_f, Q = load(lanes, y, core.blocks * core.size + j), load(lanes, state.y_f, j), load(lanes, state.Q, j)
    slope, most = logistic_slope(y_in), core.g_range * y_in
    for c in range(j * core.size, (j + 1) * core.size):
        f, s = load(lanes, y, c), load(lanes, net.s, c)
        g = fma(core.g_range, f, core.g_low)
        kept = y_f * s if variant.forget_gates | variant.coupled else s
        store(net.h, c, fma(y_in, g, kept))
        by_in = g - s if variant.coupled else g  # ds_c/dy_in
        store(net.to_in, (k, c), by_in * slope * Q)
        store(net.to_c, (k, c), most * logistic_slope(f) * Q)
        if variant.forget_gates:
            store(state.to_f, (k, c), s * logistic_slope(y_f) * Q)


@inlined
def _step(lanes: Lanes, variant: Variant2000, state: State2000, block: Block, t: int) -> None:
    """The forward pass of step t: gates, cell states and cell outputs."""
    core, net, C = variant.core, state.core, variant.core.blocks * variant.core.size
    y = part(net.z, t + 1 & RING - 1, core.activations)
    for i in range(block.x.shape[1]):
        store(net.z, (t & RING - 1, i), load(lanes, block.x, (t, i)))
    add_up(lanes, core, net, block, t, y)
    _gates(lanes, variant, state, y)
    for j in range(core.blocks):
        _states(lanes, variant, state, y, t, j)
    if core.peepholes:
        _trace_peepholes(lanes, variant, state, t)
    for c in range(C):
        store(net.s, c, load(lanes, net.h, c))
    if core.peepholes * core.output_gates:
        _open_late(lanes, variant, state, y)
    if not core.identity:
        squash(lanes, net.h, 0, C)
    for j in range(core.blocks):
        y_out = core_of.openness(lanes, core, net, y, j)
        for c in range(j * core.size, (j + 1) * core.size):
            h = load(lanes, net.h, c)
            if not core.identity:
                h = fma(2.0 * core.h_most, h, -core.h_most)
                store(net.h, c, h)
            store(y, c, y_out * h)  # y_c(t) = y_out(t) h(s_c(t))


@inlined
def _trace_peepholes(lanes: Lanes, variant: Variant2000, state: State2000, t: int) -> None:
    """The traces of the peepholes, which see the states of the step before: dP[c, i] += (a / P) s_i(t-1)."""
    k = t & DEFER - 1
    for c in range(state.dP_in.shape[0]):
        _add_states(lanes, state, state.dP_in, c, load(lanes, state.core.to_in, (k, c)))
    for c in range(state.dP_f.shape[0]):
        _add_states(lanes, state, state.dP_f, c, load(lanes, state.to_f, (k, c)))


@inlined
def _add_states(lanes: Lanes, state: State2000, dP: np.ndarray, c: int, a: Value) -> None:
    first = c // dP.shape[1] * dP.shape[1]
    for i in range(dP.shape[1]):
        store(dP, (c, i), fma(a, load(lanes, state.core.s, first + i), load(lanes, dP, (c, i))))


@inlined
def _trace(lanes: Lanes, variant: Variant2000, state: State2000, first: int, last: int) -> None:
    """Traces for the steps first .. last: dS[c, m] += (a / P) z_m."""
    core_of.trace(lanes, variant.core, state.core, first, last)
    for t in range(first, last + 1):
        z, k = part(state.core.z, t & RING - 1, 0), t & DEFER - 1
        for c in range(state.dS_f.shape[0]):
            d = load(lanes, state.to_f, (k, c))
            for m in range(variant.core.sources):
                store(state.dS_f, (c, m), fma(d, load(lanes, z, m), load(lanes, state.dS_f, (c, m))))


@inlined
def _trace_four(lanes: Lanes, variant: Variant2000, state: State2000, t: int) -> None:
    """Do the same for the four steps from t on."""
    core_of.trace_four(lanes, variant.core, state.core, t)
    ring, to_f = state.core.z, state.to_f
    z0, z1 = part(ring, t & RING - 1, 0), part(ring, t + 1 & RING - 1, 0)
    z2, z3 = part(ring, t + 2 & RING - 1, 0), part(ring, t + 3 & RING - 1, 0)
    k0, k1, k2, k3 = t & DEFER - 1, t + 1 & DEFER - 1, t + 2 & DEFER - 1, t + 3 & DEFER - 1
    for c in range(state.dS_f.shape[0]):
        d0, d1 = load(lanes, to_f, (k0, c)), load(lanes, to_f, (k1, c))
        d2, d3 = load(lanes, to_f, (k2, c)), load(lanes, to_f, (k3, c))
        for m in range(variant.core.sources):
            p, q, r, s = load(lanes, z0, m), load(lanes, z1, m), load(lanes, z2, m), load(lanes, z3, m)
            d = load(lanes, state.dS_f, (c, m))
            store(state.dS_f, (c, m), fma(d3, s, fma(d2, r, fma(d1, q, fma(d0, p, d)))))


@inlined
def _trace_symbols(lanes: Lanes, state: State2000, block: Block, t: int) -> None:
    """Traces of the symbols of step t, whose source is 1."""
    core_of.trace_symbols(lanes, state.core, block, t)
    for c in range(state.dX_f.shape[0]):
        scatter_add(lanes, state.dX_f, c, block.symbol, t, load(lanes, state.to_f, (t & DEFER - 1, c)))


@inlined
def _small(lanes: Lanes, state: State2000) -> int:
    """The lanes where the P of some block is small."""
    found = 0
    for j in range(state.P.shape[0]):
        found |= lanes_below(load(lanes, state.P, j), SMALL)
    return found


@inlined
def _multiply(lanes: Lanes, variant: Variant2000, state: State2000, mask: int) -> None:
    """In the lanes of `mask` all traces, which are up to date, are multiplied by P, and P is 1 again."""
    one, net = splat(lanes, 1.0), state.core
    for c in range(net.s.shape[0]):
        factor = select(mask, load(lanes, state.P, c // variant.core.size), one)
        for traces in (net.dS_in, net.dS_c, state.dP_in):
            _multiply_row(lanes, traces, c, factor)
        if variant.forget_gates:
            for traces in (state.dS_f, state.dP_f):
                _multiply_row(lanes, traces, c, factor)
    if variant.core.symbols:
        for traces in (net.of.dS_in, net.of.dS_c, state.dX_f):
            _multiply_runs(variant, state, traces, mask)
    _unscale(lanes, state, mask)


@inlined
def _multiply_row(lanes: Lanes, traces: np.ndarray, c: int, factor: Value) -> None:
    for m in range(traces.shape[1]):
        store(traces, (c, m), factor * load(lanes, traces, (c, m)))


@inlined
def _multiply_runs(variant: Variant2000, state: State2000, traces: np.ndarray, mask: int) -> None:
    """Multiply traces of symbols by P in the lanes of `mask`, one after the other."""
    for l in range(traces.shape[1]):
        if mask >> l & 1:
            for c in range(traces.shape[0]):
                for x in range(traces.shape[2]):
                    traces[c, l, x] *= state.P[c // variant.core.size, l]


@inlined
def _unscale(lanes: Lanes, state: State2000, mask: int) -> None:
    """P is 1 in the lanes of `mask`."""
    for j in range(state.P.shape[0]):
        store(state.P, j, select(mask, splat(lanes, 1.0), load(lanes, state.P, j)))
        store(state.Q, j, select(mask, splat(lanes, 1.0), load(lanes, state.Q, j)))


@inlined
def _learn_block(
    lanes: Lanes, variant: Variant2000, state: State2000, block: Block, event: Event, W: np.ndarray, j: int
) -> None:
    """What block j learns: W[u, m] += e_s dS[c, m] for cells, input gates and forget gates; and its output gate."""
    core, net, K = variant.core, state.core, block.target.shape[1]
    y, a, e_out = part(net.z, event.t + 1 & RING - 1, core.activations), load(lanes, net.rate, 0), splat(lanes, 0.0)
    opened, scale = core_of.openness(lanes, core, net, y, j), a * load(lanes, state.P, j)
    for c in range(j * core.size, (j + 1) * core.size):
        h, back = load(lanes, net.h, c), load(lanes, net.e, K + c)
        e_out = fma(h, back, e_out)
        slope = splat(lanes, 1.0) if core.identity else h_slope(core, h)
        e_s = scale * (opened * slope * back)  # e_s = y_out h'(s_c) sum_k w_kc e_k, times a P
        core_of.learn_cell(lanes, core, net, event, W, c, e_s)
        _learn_gates(lanes, variant, state, event, W, c, e_s)
    if core.output_gates:
        u = core.blocks * (core.size + 1) + j
        e_out = a * (logistic_slope(load(lanes, y, u)) * e_out)  # e_out = f'(net_out) sum_c h(s_c) sum_k w_kc e_k
        learn_unit(lanes, core, net, block, event, W, u, e_out)
        for i in range(core.peepholes):
            add(lanes, W, (u, core.sources + i), event.learn, e_out, load(lanes, net.s, j * core.size + i))


@inlined
def _learn_gates(
    lanes: Lanes, variant: Variant2000, state: State2000, event: Event, W: np.ndarray, c: int, e_s: Value
) -> None:
    """What the forget gate learns from cell c, and the peepholes of the gates that see the states of the step before.
    On the way these traces, too, start anew in the lanes that end."""
    core, N, j = variant.core, variant.core.sources, c // variant.core.size
    u_in, u_f = core.blocks * core.size + j, W.shape[0] - core.blocks + j
    if variant.forget_gates:
        d = load(lanes, state.to_f, (event.t & DEFER - 1, c))
        for m in range(N):
            trace = fma(d, load(lanes, state.core.z, (event.t & RING - 1, m)), load(lanes, state.dS_f, (c, m)))
            core_of.learn_trace(lanes, event, W, (u_f, m), e_s, state.dS_f, (c, m), trace)
    for i in range(core.peepholes):
        trace = load(lanes, state.dP_in, (c, i))
        core_of.learn_trace(lanes, event, W, (u_in, N + i), e_s, state.dP_in, (c, i), trace)
        if variant.forget_gates:
            trace = load(lanes, state.dP_f, (c, i))
            core_of.learn_trace(lanes, event, W, (u_f, N + i), e_s, state.dP_f, (c, i), trace)


@inlined
def _learn(lanes: Lanes, variant: Variant2000, state: State2000, block: Block, event: Event) -> None:
    """Add rate x negative truncated gradient of this step to the weights, or to their sums, in the lanes that learn."""
    core, net = variant.core, state.core
    W, V = (net.dW, net.dV) if core.sums else (net.W, net.V)
    for j in range(core.blocks):
        _learn_block(lanes, variant, state, block, event, W, j)
    learn_rest(lanes, core, net, block, event, W, V)
    clear_absent(lanes, core, W, event.learn)
    if core.symbols:
        learn_of_symbols(core, net, block, event)
        if variant.forget_gates:
            Wx = net.of.dW if core.sums else net.of.W
            learn_runs(Wx, Wx.shape[0] - core.blocks, core.size, net.of.e_s, state.dX_f, event.learn)


@inlined
def _restart(lanes: Lanes, variant: Variant2000, state: State2000, t: int, mask: int) -> None:
    """A sequence starts at step t, in the lanes of `mask`: states and traces of symbols are 0, activations `reset`."""
    core_of.start(lanes, variant.core, state.core, t, mask)
    _unscale(lanes, state, mask)
    if variant.core.symbols:
        forget_symbols(state.core, mask)
        clear_runs(state.dX_f, mask)


@inlined
def _learn_and_end(
    lanes: Lanes, variant: Variant2000, state: State2000, block: Block, stop: StopState, event: Event
) -> None:
    """Do what targets and ends of sequences bring about. The traces are up to date with the step before."""
    outputs(lanes, variant.core, state.core, block, stop, event)
    _learn(lanes, variant, state, block, event)
    if event.ends:
        apply_sums(lanes, variant.core, state.core, event.ends & stop.masks[LEARNING])
        _restart(lanes, variant, state, event.t + 1, event.ends)
        for l in range(stop.at.shape[0]):
            if event.ends >> l & 1:
                end_sequence(stop, l, event.t)


@kernel
def advance(lanes: Lanes, variant: Variant2000, state: State2000, block: Block, stop: StopState) -> None:
    """Run all lanes through the block: train where `stop` says so, test elsewhere, stop each lane where it must."""
    first, steps = 0, block.due.shape[0]  # the traces are up to date with the step before `first`
    for t in range(steps):
        due, ends = block.due[t] & stop.masks[ACTIVE], block.ends[t] & stop.masks[ACTIVE]
        _step(lanes, variant, state, block, t)
        if variant.core.symbols:
            _trace_symbols(lanes, state, block, t)
        small, last = _small(lanes, state), t - 1 if due | ends else t
        if t - first == DEFER - 1 and last == t:
            _trace_four(lanes, variant, state, first)
            first = t + 1
        elif due | ends | small or t == steps - 1:
            _trace(lanes, variant, state, first, last)
            first = t + 1
        if due | ends:
            _learn_and_end(lanes, variant, state, block, stop, Event(t, due, due & stop.masks[LEARNING], ends))
        if small:
            _multiply(lanes, variant, state, small)
        if stop.masks[ACTIVE] == 0:
            break


@kernel
def restart(lanes: Lanes, variant: Variant2000, state: State2000, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence, at the start of a block."""
    zero = splat(lanes, 0.0)
    for traces in (state.core.dS_in, state.core.dS_c, state.dS_f, state.dP_in, state.dP_f):
        for c in range(traces.shape[0]):
            for m in range(traces.shape[1]):
                store(traces, (c, m), select(mask, zero, load(lanes, traces, (c, m))))
    _restart(lanes, variant, state, 0, mask)
