"""The 1997 net in lanes: forward pass, traces and truncated gradient, in the letters of the paper's appendix A.1.

Every array's last axis is the lane: each lane is a net of its own, with its own weights, data, rate and sequence ends.
For b blocks of S cells: C = bS cells, U = C + 2b hidden units (cells, input gates, output gates, in this order), K
outputs, and M sources z = [I inputs; 1 if anything in the hidden layer is biased; R activations of step t-1]. Where
inputs are symbols their columns of the weights are looked up, and z holds the other N = M - I sources only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstm_search.jit import inlined, kernel
from lstm_search.judge import ABSOLUTE, SQUARED, STEPS, WORST, Watch, judge
from lstm_search.lanes import (
    Index,
    Lanes,
    Value,
    aligned_zeros,
    fma,
    gather,
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
from lstm_search.streams import Block

Four = tuple[Value, Value, Value, Value]
"""A value for each of four units in a row."""

RING = 8
"""Steps whose sources are kept. A block has a multiple of RING steps, so that each begins where the last one ended."""

DEFER = 4
"""Traces are brought up to date after DEFER steps, or when a lane has a target or ends: each is loaded and stored once
for several steps. The operations and their order are those of one step at a time."""


NOWHERE = -(1 << 20)
"""Before all sources, symbols included: the place of the 1 where nothing in the hidden layer is biased."""


class Form(NamedTuple):
    """What all nets of a pack have in common."""

    blocks: int  # b
    size: int  # S
    symbols: int  # I where inputs are symbols, else 0
    bias: int  # where the 1 stands among the sources in z, or NOWHERE
    sources: int  # N: sources in z
    activations: int  # where in z the U activations stand, the first R of them among the sources
    gate_bias: int  # 1 where gates are biased
    cell_bias: int  # 1 where cells are
    output_bias: int  # 1 where outputs are
    linear: int  # 1 where outputs are linear instead of logistic
    identity: int  # 1 where h is the identity instead of 2 f - 1
    g_range: float  # g = g_range f + g_low: 4 f - 2, or f
    g_low: float
    sums: int  # 1 where contributions are summed over a sequence and applied at its end


class Event(NamedTuple):
    """What happens at a step: sets of lanes, lane l in bit l."""

    t: int
    due: int  # these have a target
    learn: int  # those of them that learn from it
    ends: int  # the sequences of these end


class State(NamedTuple):
    """The nets of a pack."""

    W: np.ndarray  # [U, M, L] hidden weights
    V: np.ndarray  # [K, C + output_bias, L] output weights
    dW: np.ndarray  # [U, M, L] rate x gradient, summed over the sequence; no rows unless `sums`
    dV: np.ndarray  # [K, C + output_bias, L]
    dS_in: np.ndarray  # [C, M, L] traces: ds_c/dw of the block's input gate
    dS_c: np.ndarray  # [C, M, L] traces: ds_c/dw of the cell
    z: np.ndarray  # [RING, N + U - R, L] sources, then the activations that are none
    to_in: np.ndarray  # [DEFER, C, L] g(net_c) f'(net_in), what multiplies z in dS_in
    to_c: np.ndarray  # [DEFER, C, L] y_in g'(net_c), what multiplies z in dS_c
    s: np.ndarray  # [C, L] cell states
    h: np.ndarray  # [C, L] h(s)
    e: np.ndarray  # [K + C, L] error signals: e_k, then sum_k w_kc e_k
    rate: np.ndarray  # [1, L] learning rate a
    reset: np.ndarray  # [1, L] activations before a sequence's first step


def new_state(width: int, form: Form, outputs: int) -> State:
    """Nets with all weights zero."""
    cells = form.blocks * form.size
    units, sources = cells + 2 * form.blocks, form.symbols + form.sources
    rows, columns = (units if form.sums else 0), cells + form.output_bias
    state = State(
        W=aligned_zeros(units, sources, width),
        V=aligned_zeros(outputs, columns, width),
        dW=aligned_zeros(rows, sources, width),
        dV=aligned_zeros(outputs if form.sums else 0, columns, width),
        dS_in=aligned_zeros(cells, sources, width),
        dS_c=aligned_zeros(cells, sources, width),
        z=aligned_zeros(RING, form.activations + units, width),
        to_in=aligned_zeros(DEFER, cells, width),
        to_c=aligned_zeros(DEFER, cells, width),
        s=aligned_zeros(cells, width),
        h=aligned_zeros(cells, width),
        e=aligned_zeros(outputs + cells, width),
        rate=aligned_zeros(1, width),
        reset=aligned_zeros(1, width),
    )
    if form.bias >= 0:
        state.z[:, form.bias] = 1.0
    return state


@inlined
def _net(lanes: Lanes, form: Form, nets: np.ndarray, u: int) -> Value:
    """Where the sum of net_u starts: from what a symbol adds to it, if inputs are symbols."""
    return load(lanes, nets, u) if form.symbols else splat(lanes, 0.0)


@inlined
def _four(lanes: Lanes, form: Form, nets: np.ndarray, u: int) -> Four:
    """Where the sums of units u .. u + 3 start."""
    a, b = _net(lanes, form, nets, u), _net(lanes, form, nets, u + 1)
    return a, b, _net(lanes, form, nets, u + 2), _net(lanes, form, nets, u + 3)


@inlined
def _add_four(lanes: Lanes, W: np.ndarray, u: int, i: int, z_m: Value, nets: Four) -> Four:
    """The nets of units u .. u + 3 with what source i adds to them."""
    a, b = fma(load(lanes, W, (u, i)), z_m, nets[0]), fma(load(lanes, W, (u + 1, i)), z_m, nets[1])
    c, d = fma(load(lanes, W, (u + 2, i)), z_m, nets[2]), fma(load(lanes, W, (u + 3, i)), z_m, nets[3])
    return a, b, c, d


@inlined
def _store_four(nets: np.ndarray, u: int, four: Four) -> None:
    """nets[u .. u + 3] = four."""
    store(nets, u, four[0])
    store(nets, u + 1, four[1])
    store(nets, u + 2, four[2])
    store(nets, u + 3, four[3])


@inlined
def _nets(lanes: Lanes, form: Form, state: State, block: Block, t: int, nets: np.ndarray) -> None:
    """net_u = sum_m W[u, m] z_m. Eight units at a time share the loads of z; their sums do not wait for each other."""
    W, z, units = state.W, state.z[t & RING - 1], state.W.shape[0]
    if form.symbols:
        for u in range(units):
            store(nets, u, gather(lanes, W, u, block.symbol, t))
    for u in range(0, units // 8 * 8, 8):
        low, high = _four(lanes, form, nets, u), _four(lanes, form, nets, u + 4)
        for m in range(form.sources):
            z_m, i = load(lanes, z, m), form.symbols + m
            low, high = _add_four(lanes, W, u, i, z_m, low), _add_four(lanes, W, u + 4, i, z_m, high)
        _store_four(nets, u, low)
        _store_four(nets, u + 4, high)
    for u in range(units // 8 * 8, units // 4 * 4, 4):
        four = _four(lanes, form, nets, u)
        for m in range(form.sources):
            four = _add_four(lanes, W, u, form.symbols + m, load(lanes, z, m), four)
        _store_four(nets, u, four)
    for u in range(units // 4 * 4, units):
        net = _net(lanes, form, nets, u)
        for m in range(form.sources):
            net = fma(load(lanes, W, (u, form.symbols + m)), load(lanes, z, m), net)
        store(nets, u, net)


@inlined
def _step(lanes: Lanes, form: Form, state: State, block: Block, t: int) -> None:
    """Gates, cell states and cell outputs of step t, and what multiplies its sources in the traces."""
    C, to_in, to_c = form.blocks * form.size, state.to_in[t & DEFER - 1], state.to_c[t & DEFER - 1]
    y = state.z[t + 1 & RING - 1, form.activations :]
    for i in range(block.x.shape[1]):
        store(state.z, (t & RING - 1, i), load(lanes, block.x, (t, i)))
    _nets(lanes, form, state, block, t, y)
    squash(lanes, y, 0, C + 2 * form.blocks)
    for j in range(form.blocks):
        y_in = load(lanes, y, C + j)
        slope, most = logistic_slope(y_in), form.g_range * y_in
        for c in range(j * form.size, (j + 1) * form.size):
            f = load(lanes, y, c)
            g = fma(form.g_range, f, form.g_low)
            s = fma(y_in, g, load(lanes, state.s, c))
            store(state.s, c, s)
            store(state.h, c, s)
            store(to_in, c, g * slope)
            store(to_c, c, most * logistic_slope(f))
    if not form.identity:
        squash(lanes, state.h, 0, C)
    for j in range(form.blocks):
        y_out = load(lanes, y, C + form.blocks + j)
        for c in range(j * form.size, (j + 1) * form.size):
            h = load(lanes, state.h, c)
            if not form.identity:
                h = fma(2.0, h, -1.0)
                store(state.h, c, h)
            store(y, c, y_out * h)


@inlined
def _trace_symbols(lanes: Lanes, state: State, block: Block, t: int) -> None:
    """Symbols of step t: dS_in[c, symbol] += g(net_c) f'(net_in) and dS_c[c, symbol] += y_in g'(net_c)."""
    for c in range(state.s.shape[0]):
        scatter_add(lanes, state.dS_in, c, block.symbol, t, load(lanes, state.to_in, (t & DEFER - 1, c)))
        scatter_add(lanes, state.dS_c, c, block.symbol, t, load(lanes, state.to_c, (t & DEFER - 1, c)))


@inlined
def _trace(lanes: Lanes, form: Form, state: State, first: int, last: int) -> None:
    """For the steps first .. last: dS_in[c, m] += g(net_c) f'(net_in) z_m and dS_c[c, m] += y_in g'(net_c) z_m."""
    for t in range(first, last + 1):
        z, k = state.z[t & RING - 1], t & DEFER - 1
        for c in range(state.s.shape[0]):
            a, b = load(lanes, state.to_in, (k, c)), load(lanes, state.to_c, (k, c))
            for m in range(form.sources):
                i, z_m = form.symbols + m, load(lanes, z, m)
                store(state.dS_in, (c, i), fma(a, z_m, load(lanes, state.dS_in, (c, i))))
                store(state.dS_c, (c, i), fma(b, z_m, load(lanes, state.dS_c, (c, i))))


@inlined
def _trace_four(lanes: Lanes, form: Form, state: State, t: int) -> None:
    """The same for the four steps from t on: what multiplies z stays in registers."""
    z0, z1 = state.z[t & RING - 1], state.z[t + 1 & RING - 1]
    z2, z3 = state.z[t + 2 & RING - 1], state.z[t + 3 & RING - 1]
    k0, k1, k2, k3 = t & DEFER - 1, t + 1 & DEFER - 1, t + 2 & DEFER - 1, t + 3 & DEFER - 1
    for c in range(state.s.shape[0]):
        a0, a1 = load(lanes, state.to_in, (k0, c)), load(lanes, state.to_in, (k1, c))
        a2, a3 = load(lanes, state.to_in, (k2, c)), load(lanes, state.to_in, (k3, c))
        b0, b1 = load(lanes, state.to_c, (k0, c)), load(lanes, state.to_c, (k1, c))
        b2, b3 = load(lanes, state.to_c, (k2, c)), load(lanes, state.to_c, (k3, c))
        for m in range(form.sources):
            i = form.symbols + m
            p, q, r, s = load(lanes, z0, m), load(lanes, z1, m), load(lanes, z2, m), load(lanes, z3, m)
            a, b = load(lanes, state.dS_in, (c, i)), load(lanes, state.dS_c, (c, i))
            store(state.dS_in, (c, i), fma(a3, s, fma(a2, r, fma(a1, q, fma(a0, p, a)))))
            store(state.dS_c, (c, i), fma(b3, s, fma(b2, r, fma(b1, q, fma(b0, p, b)))))


@inlined
def _outputs(lanes: Lanes, form: Form, state: State, block: Block, watch: Watch, t: int, due: int) -> None:
    """Outputs and error signals of step t; the errors of the lanes in `due` go into the tally."""
    C, K = form.blocks * form.size, block.target.shape[1]
    y_c, V, e, tally = state.z[t + 1 & RING - 1, form.activations :], state.V, state.e, watch.tally
    absolute, squared, worst = splat(lanes, 0.0), splat(lanes, 0.0), load(lanes, tally, WORST)
    for c in range(C):
        store(e, K + c, splat(lanes, 0.0))
    for k in range(K):
        net = load(lanes, V, (k, C)) if form.output_bias else splat(lanes, 0.0)
        for c in range(C):
            net = fma(load(lanes, V, (k, c)), load(lanes, y_c, c), net)
        store(e, k, net)
    if not form.linear:
        squash(lanes, e, 0, K)
    for k in range(K):
        y = load(lanes, e, k)
        error = load(lanes, block.target, (t, k)) - y
        absolute, squared = absolute + magnitude(error), fma(error, error, squared)
        worst = larger(worst, magnitude(error))
        e_k = error if form.linear else error * logistic_slope(y)
        store(e, k, e_k)
        for c in range(C):
            store(e, K + c, fma(load(lanes, V, (k, c)), e_k, load(lanes, e, K + c)))
    _add(lanes, tally, ABSOLUTE, due, splat(lanes, 1.0 / K), absolute)
    _add(lanes, tally, SQUARED, due, splat(lanes, 1.0 / K), squared)
    _add(lanes, tally, STEPS, due, splat(lanes, 1.0), splat(lanes, 1.0))
    store(tally, WORST, select(due, worst, load(lanes, tally, WORST)))


@inlined
def _add(lanes: Lanes, to: np.ndarray, index: Index, mask: int, factor: Value, term: Value) -> None:
    """Add factor x term to `to[index]`, in the lanes of `mask`."""
    before = load(lanes, to, index)
    store(to, index, select(mask, fma(factor, term, before), before))


@inlined
def _learn_cell(lanes: Lanes, form: Form, state: State, event: Event, W: np.ndarray, c: int, e_s: Value) -> None:
    """W[c, m] += e_s dS_c[c, m] and W[in, m] += e_s dS_in[c, m], in the lanes that learn.

    On the way the traces are brought up to date with this step, which symbols have done already, and start anew in the
    lanes that end: so each is loaded and stored once.
    """
    z, k, u_in = state.z[event.t & RING - 1], event.t & DEFER - 1, state.s.shape[0] + c // form.size
    a, b = load(lanes, state.to_in, (k, c)), load(lanes, state.to_c, (k, c))
    for i in range(form.symbols):
        _learn_trace(lanes, event, W, (u_in, i), e_s, state.dS_in, (c, i), load(lanes, state.dS_in, (c, i)))
        _learn_trace(lanes, event, W, (c, i), e_s, state.dS_c, (c, i), load(lanes, state.dS_c, (c, i)))
    for m in range(form.sources):
        i, z_m = form.symbols + m, load(lanes, z, m)
        dS_in = fma(a, z_m, load(lanes, state.dS_in, (c, i)))
        dS_c = fma(b, z_m, load(lanes, state.dS_c, (c, i)))
        _learn_trace(lanes, event, W, (u_in, i), e_s, state.dS_in, (c, i), dS_in)
        _learn_trace(lanes, event, W, (c, i), e_s, state.dS_c, (c, i), dS_c)


@inlined
def _learn_trace(
    lanes: Lanes, event: Event, W: np.ndarray, to: Index, e_s: Value, dS: np.ndarray, index: Index, trace: Value
) -> None:
    """W[to] += e_s trace in the lanes that learn; dS[index] is the trace, or 0 in the lanes that end."""
    _add(lanes, W, to, event.learn, e_s, trace)
    store(dS, index, select(event.ends, splat(lanes, 0.0), trace))


@inlined
def _learn_output_gate(
    lanes: Lanes, form: Form, state: State, block: Block, event: Event, W: np.ndarray, u: int, e_out: Value
) -> None:
    """W[u, m] += e_out z_m, in the lanes that learn."""
    if form.symbols:  # adding -0.0 leaves the other lanes' bits as they are
        scatter_add(lanes, W, u, block.symbol, event.t, select(event.learn, e_out, splat(lanes, -0.0)))
    for m in range(form.sources):
        _add(lanes, W, (u, form.symbols + m), event.learn, e_out, load(lanes, state.z, (event.t & RING - 1, m)))


@inlined
def _learn(lanes: Lanes, form: Form, state: State, block: Block, event: Event, W: np.ndarray, V: np.ndarray) -> None:
    """Add rate x negative gradient of this step to W and V, in the lanes that learn."""
    C, K, a = form.blocks * form.size, block.target.shape[1], load(lanes, state.rate, 0)
    y = state.z[event.t + 1 & RING - 1, form.activations :]
    for j in range(form.blocks):
        y_out, e_out = load(lanes, y, C + form.blocks + j), splat(lanes, 0.0)
        for c in range(j * form.size, (j + 1) * form.size):
            h, back = load(lanes, state.h, c), load(lanes, state.e, K + c)
            e_out = fma(h, back, e_out)
            slope = splat(lanes, 1.0) if form.identity else 0.5 * ((1.0 + h) * (1.0 - h))
            _learn_cell(lanes, form, state, event, W, c, a * (y_out * slope * back))
        e_out = a * (logistic_slope(y_out) * e_out)
        _learn_output_gate(lanes, form, state, block, event, W, C + form.blocks + j, e_out)
    for k in range(K):
        e_k = a * load(lanes, state.e, k)
        for c in range(C):
            _add(lanes, V, (k, c), event.learn, e_k, load(lanes, y, c))
        if form.output_bias:
            _add(lanes, V, (k, C), event.learn, e_k, splat(lanes, 1.0))


@inlined
def _clear_absent(lanes: Lanes, form: Form, W: np.ndarray, mask: int) -> None:
    """Biases that do not exist, where others do, stay 0, in the lanes of `mask`."""
    if form.bias >= 0:
        C = form.blocks * form.size
        for u in range(C if form.cell_bias else 0, C if form.gate_bias else W.shape[0]):
            index = (u, form.symbols + form.bias)
            store(W, index, select(mask, splat(lanes, 0.0), load(lanes, W, index)))


@inlined
def _apply(lanes: Lanes, to: np.ndarray, sums: np.ndarray, mask: int) -> None:
    """Move `sums` into `to`, in the lanes of `mask`."""
    for u in range(sums.shape[0]):
        for m in range(sums.shape[1]):
            before, term = load(lanes, to, (u, m)), load(lanes, sums, (u, m))
            store(to, (u, m), select(mask, before + term, before))
            store(sums, (u, m), select(mask, splat(lanes, 0.0), term))


@inlined
def _restart(lanes: Lanes, form: Form, state: State, t: int, mask: int) -> None:
    """A sequence starts at step t: states 0, activations `reset`, in the lanes of `mask`."""
    zero, reset, y = splat(lanes, 0.0), load(lanes, state.reset, 0), state.z[t & RING - 1, form.activations :]
    for u in range(y.shape[0]):
        store(y, u, select(mask, reset, load(lanes, y, u)))
    for c in range(state.s.shape[0]):
        store(state.s, c, select(mask, zero, load(lanes, state.s, c)))


@inlined
def _learn_and_judge(lanes: Lanes, form: Form, state: State, block: Block, watch: Watch, event: Event) -> None:
    """What targets and ends of sequences bring about; the traces are up to date with the step before."""
    ends, learning = event.ends, watch.masks[1]
    _outputs(lanes, form, state, block, watch, event.t, event.due)
    W, V = (state.dW, state.dV) if form.sums else (state.W, state.V)
    _learn(lanes, form, state, block, event, W, V)
    _clear_absent(lanes, form, W, event.learn)
    if ends:
        _apply(lanes, state.W, state.dW, ends & learning)
        _apply(lanes, state.V, state.dV, ends & learning)
        _restart(lanes, form, state, event.t + 1, ends)
        for l in range(watch.at.shape[0]):
            if ends >> l & 1:
                judge(watch, l, event.t)


@kernel
def advance(lanes: Lanes, form: Form, state: State, block: Block, watch: Watch) -> None:
    """Run all lanes through the block: train where `watch` says so, test elsewhere, stop each lane where it must."""
    first, steps = 0, block.due.shape[0]  # the traces are up to date with the step before `first`
    for t in range(steps):
        _step(lanes, form, state, block, t)
        if form.symbols:
            _trace_symbols(lanes, state, block, t)
        due, ends = block.due[t] & watch.masks[0], block.ends[t] & watch.masks[0]
        last = t - 1 if due | ends else t
        if t - first == DEFER - 1 and last == t:
            _trace_four(lanes, form, state, first)
            first = t + 1
        elif due | ends or t == steps - 1:
            _trace(lanes, form, state, first, last)
            first = t + 1
        if due | ends:
            _learn_and_judge(lanes, form, state, block, watch, Event(t, due, due & watch.masks[1], ends))
            if watch.masks[0] == 0:
                break


@kernel
def restart(lanes: Lanes, form: Form, state: State, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence, at the start of a block."""
    _restart(lanes, form, state, 0, mask)
    for c in range(state.s.shape[0]):
        for m in range(state.W.shape[1]):
            store(state.dS_in, (c, m), select(mask, splat(lanes, 0.0), load(lanes, state.dS_in, (c, m))))
            store(state.dS_c, (c, m), select(mask, splat(lanes, 0.0), load(lanes, state.dS_c, (c, m))))
