"""The 1997 net with the full gradient: errors flow back through everything, gates and cell inputs too, step by step.

The paper truncates: net inputs are taken not to depend on the activations of the step before (appendix A.1). It says
that without truncation there was no significant difference in a few runs. Here a sequence is unrolled at its end, side
by side with others (`unrolled`); of one that is longer than `history` steps, each stretch of so many is unrolled by
itself.

Later forms of the net are unrolled here, too (`lstm2000`). There a block keeps y_f of its states, which in 1997 is 1,
and peepholes lead from the cells of a block to its gates. Products and sums are not fused: a lane has the bits of the
equations in plain numbers, term by term in the order in which they stand here.
"""

from __future__ import annotations

import numpy as np

from lstm_search.networks import unrolled
from lstm_search.networks.lstm1997_full_state import FullState, FullVariant, lanes_last, new_state, put, weights
from lstm_search.networks.lstm1997_outputs import clear_absent, conventional, h_slope
from lstm_search.networks.lstm1997_state import Variant
from lstm_search.networks.lstm1997_update import apply_sums
from lstm_search.networks.unrolled import fetch_targets, illegal, keep
from lstm_search.simd import (
    ABSOLUTE,
    EVERY,
    RANKED,
    SQUARED,
    STEPS,
    WORST,
    Block,
    Index,
    Lanes,
    StopState,
    Value,
    divide,
    exceeding,
    gather,
    inlined,
    larger,
    load,
    magnitude,
    scatter_add,
    select,
    splat,
    squash_unfused,
    store,
)


@inlined
def _add(lanes: Lanes, to: np.ndarray, index: Index, mask: int, term: Value) -> None:
    """Add the term to `to[index]`, in the lanes of `mask`."""
    before = load(lanes, to, index)
    store(to, index, select(mask, before + term, before))


@inlined
def _cells(core: Variant, j: int) -> range:
    """The cells of block j."""
    return range(j * core.size, (j + 1) * core.size)


@inlined
def _net(lanes: Lanes, core: Variant, state: FullState, k: int, u: int) -> Value:
    """A.1: net_u = sum_m w_um z_m, from what row k has seen and from the activations of the step before."""
    W, x, first = state.core.W, state.past.x, core.activations
    net = load(lanes, W, (u, core.bias)) if core.bias >= 0 else splat(lanes, 0.0)
    if core.symbols:
        net = net + gather(lanes, state.core.of.W, u, state.steps.symbol, k)
    for i in range(x.shape[1]):
        net = net + load(lanes, W, (u, i)) * load(lanes, x, (k, i))
    for m in range(core.sources - first):
        net = net + load(lanes, W, (u, first + m)) * load(lanes, state.y, m)
    return net


@inlined
def _add_peepholes(lanes: Lanes, core: Variant, state: FullState, first: int) -> None:
    """net_u += sum_c w_uc s_c over the cells of its block, for the gates u of all blocks from the unit `first` on."""
    W, s = state.core.W, state.core.s
    for j in range(core.blocks):
        seen = splat(lanes, 0.0)
        for i in range(core.size):
            seen = seen + load(lanes, W, (first + j, core.sources + i)) * load(lanes, s, j * core.size + i)
        store(state.f, first + j, load(lanes, state.f, first + j) + seen)


@inlined
def _gates(lanes: Lanes, variant: FullVariant, state: FullState, k: int) -> None:
    """A.1: f(net_u) of all units but output gates that are to see states of this step, of which it is net_u."""
    core, f, units = variant.core, state.f, state.f.shape[0]
    C, rest = core.blocks * core.size, units - variant.forget_gates * core.blocks
    for u in range(units):
        store(f, u, _net(lanes, core, state, k, u))
    if core.peepholes:
        _add_peepholes(lanes, core, state, C)
        if variant.forget_gates:
            _add_peepholes(lanes, core, state, rest)
    late = core.blocks if core.peepholes and core.output_gates else 0
    squash_unfused(lanes, f, 0, C + core.blocks)
    squash_unfused(lanes, f, C + core.blocks + late, units)


@inlined
def _kept(lanes: Lanes, variant: FullVariant, f: np.ndarray, j: int) -> Value:
    """y_f of block j, from f [U, L]."""
    core = variant.core
    if variant.forget_gates:
        return load(lanes, f, f.shape[0] - core.blocks + j)
    return 1.0 - load(lanes, f, core.blocks * core.size + j) if variant.coupled else splat(lanes, 1.0)


@inlined
def _open(lanes: Lanes, core: Variant, f: np.ndarray, j: int) -> Value:
    """What the cells of block j are multiplied by: y_out, or 1 where there are no output gates."""
    return load(lanes, f, core.blocks * (core.size + 1) + j) if core.output_gates else splat(lanes, 1.0)


@inlined
def _states(lanes: Lanes, variant: FullVariant, state: FullState, k: int, mask: int, learn: int) -> None:
    """A.1: s_c(t) = y_f s_c(t-1) + y_in g(net_c) in the lanes of `mask`; then h(s_c)."""
    core, f, s, h, past = variant.core, state.f, state.core.s, state.core.h, state.past
    C, late = core.blocks * core.size, core.blocks * (core.size + 1)
    for j in range(core.blocks):
        y_in, y_f = load(lanes, f, C + j), _kept(lanes, variant, f, j)
        for c in _cells(core, j):
            before = load(lanes, s, c)
            now = y_f * before + y_in * (core.g_range * load(lanes, f, c) + core.g_low)
            store(s, c, select(mask, now, before))
            store(h, c, now)
            if learn:
                keep(lanes, past.s, k, c, learn, before)
    if core.peepholes and core.output_gates:
        _add_peepholes(lanes, core, state, late)
        squash_unfused(lanes, f, late, late + core.blocks)
    if not core.identity:
        squash_unfused(lanes, h, 0, C)
        for c in range(C):
            store(h, c, core.h_most * (2.0 * load(lanes, h, c) - 1.0))


def _step(lanes: Lanes, variant: FullVariant, state: FullState, k: int, mask: int, learn: int) -> None:
    """A piece of the loop: the forward pass of the lanes of `mask`, which is kept of those of `learn`."""
    core, y, f, past = variant.core, state.y, state.f, state.past
    C = core.blocks * core.size
    _gates(lanes, variant, state, k)
    _states(lanes, variant, state, k, mask, learn)
    if learn:
        for m in range(past.y.shape[1]):
            keep(lanes, past.y, k, m, learn, load(lanes, y, m))
        for u in range(f.shape[0]):
            keep(lanes, past.f, k, u, learn, load(lanes, f, u))
        for c in range(C):
            keep(lanes, past.h, k, c, learn, load(lanes, state.core.h, c))
        for c in range(past.s_now.shape[1]):
            keep(lanes, past.s_now, k, c, learn, load(lanes, state.core.s, c))
        for c in range(past.blame.shape[1]):
            keep(lanes, past.blame, k, c, learn, splat(lanes, 0.0))
    for j in range(core.blocks):
        for c in _cells(core, j):  # A.1: y_c(t) = y_out(t) h(s_c(t))
            y_c = _open(lanes, core, f, j) * load(lanes, state.core.h, c)
            store(y, c, select(mask, y_c, load(lanes, y, c)))
    for u in range(C, y.shape[0]):
        store(y, u, select(mask, load(lanes, f, u), load(lanes, y, u)))


@inlined
def _output_nets(lanes: Lanes, core: Variant, state: FullState, k: int, due: int) -> None:
    """A.1: net_k of the outputs, from cells and conventional units of the same step, and where they see inputs from
    those of row k, into `e`."""
    e, V, of, D, C = state.core.e, state.core.V, state.core.of.V, core.rows, core.blocks * core.size
    if core.direct > D:
        for l in range(e.shape[1]):
            if due >> l & 1:
                for o in range(V.shape[0]):
                    e[o, l] = of[state.steps.symbol[k, l], l, o]
    for o in range(V.shape[0]):
        net = load(lanes, V, (o, D + C + core.hidden)) if core.output_bias else splat(lanes, 0.0)
        if core.direct > D:
            net = net + load(lanes, e, o)
        for i in range(D):
            net = net + load(lanes, state.past.x, (k, i)) * load(lanes, V, (o, i))
        for c in range(C):
            net = net + load(lanes, state.y, c) * load(lanes, V, (o, D + c))
        for i in range(core.hidden):
            net = net + load(lanes, state.y, conventional(core, i)) * load(lanes, V, (o, D + C + i))
        store(e, o, net)


@inlined
def _error_signal(lanes: Lanes, core: Variant, state: FullState, y: Value, error: Value) -> Value:
    """A.1: e_k = f'(net_k) (t_k - y_k), or as its `Signal` has it: 0 within the margin, another factor for f'."""
    signal = state.core.signal
    wanted = 1.0 - exceeding(load(lanes, signal, 0), magnitude(error))
    if core.linear:
        return wanted * error
    return wanted * (error * (load(lanes, signal, 1) * (y * (1.0 - y)) + load(lanes, signal, 2)))


def _observe(
    lanes: Lanes, variant: FullVariant, state: FullState, block: Block, stop: StopState, k: int, due: int, ends: int
) -> None:
    """A piece of the loop: outputs meet their targets. Error signals go into `e`."""
    core, e, K, tally = variant.core, state.core.e, block.target.shape[1], stop.tally
    absolute, squared, worst = splat(lanes, 0.0), splat(lanes, 0.0), splat(lanes, 0.0)
    _output_nets(lanes, core, state, k, due)
    fetch_targets(state.steps, block, due)
    if not core.linear:
        squash_unfused(lanes, e, 0, K)
    ranked = illegal(lanes, state.steps, block, e, due) if block.legal.shape[0] else worst
    for o in range(K):
        y = load(lanes, e, o)
        error = load(lanes, state.steps.target, o) - y
        absolute, squared = absolute + magnitude(error), squared + error * error
        worst = larger(worst, magnitude(error))
        store(e, o, _error_signal(lanes, core, state, y, error))
    _add(lanes, tally, ABSOLUTE, due, divide(absolute, splat(lanes, K)))
    _add(lanes, tally, SQUARED, due, divide(squared, splat(lanes, K)))
    _add(lanes, tally, STEPS, due, splat(lanes, 1.0))
    worst, before = select(stop.masks[RANKED], ranked, worst), load(lanes, tally, WORST)
    store(tally, WORST, select(due & (ends | stop.masks[EVERY]), larger(before, worst), before))


def _learn(lanes: Lanes, variant: FullVariant, state: FullState, k: int, mask: int) -> None:
    """A piece of the loop: what the targets of a step bring to output weights, and to whom errors flow back."""
    core, V, dV, a, D = variant.core, state.core.V, state.core.dV, load(lanes, state.core.rate, 0), variant.core.rows
    C = core.blocks * core.size
    for i in range(C + core.hidden):
        y, blame = load(lanes, state.y, i if i < C else conventional(core, i - C)), splat(lanes, 0.0)
        for o in range(V.shape[0]):
            e = load(lanes, state.core.e, o)
            blame = blame + load(lanes, V, (o, D + i)) * e
            _add(lanes, dV, (o, D + i), mask, a * y * e)
        keep(lanes, state.past.blame, k, i, mask, blame)
    for o in range(V.shape[0]):
        e = load(lanes, state.core.e, o)
        for i in range(D):
            _add(lanes, dV, (o, i), mask, a * load(lanes, state.past.x, (k, i)) * e)
        if core.output_bias:
            _add(lanes, dV, (o, D + C + core.hidden), mask, a * e)
    if core.direct > D:
        _learn_direct(state, k, mask)


@inlined
def _learn_direct(state: FullState, k: int, mask: int) -> None:
    """V[x, k] += rate e_k for the symbol x of row k, in the lanes of `mask`."""
    e, dV = state.core.e, state.core.of.dV
    for l in range(e.shape[1]):
        if mask >> l & 1:
            for o in range(state.core.V.shape[0]):
                dV[state.steps.symbol[k, l], l, o] += state.core.rate[0, l] * e[o, l]


@inlined
def _blamed(lanes: Lanes, state: FullState, k: int, u: int, i: int) -> Value:
    """-dE/dy of unit u, which outputs see at the place i: from all later steps, and from the targets of row k."""
    return load(lanes, state.back, u) + load(lanes, state.past.blame, (k, i))


@inlined
def _through_peepholes(lanes: Lanes, core: Variant, state: FullState, u: int, j: int) -> None:
    """-dE/ds of the states that gate u of block j sees, from its -dE/dnet."""
    U, delta = state.delta.shape[0], load(lanes, state.delta, u)
    for i in range(core.peepholes):
        c = U + j * core.size + i
        store(state.back, c, load(lanes, state.back, c) + delta * load(lanes, state.core.W, (u, core.sources + i)))


@inlined
def _through_output_gate(lanes: Lanes, core: Variant, state: FullState, k: int, j: int) -> None:
    """-dE/dnet of the output gate of block j."""
    u = core.blocks * (core.size + 1) + j
    y_out, e_out = load(lanes, state.past.f, (k, u)), load(lanes, state.back, u)
    for c in _cells(core, j):
        e_out = e_out + load(lanes, state.past.h, (k, c)) * _blamed(lanes, state, k, c, c)
    store(state.delta, u, e_out * y_out * (1.0 - y_out))
    _through_peepholes(lanes, core, state, u, j)


@inlined
def _through_block(lanes: Lanes, variant: FullVariant, state: FullState, k: int, j: int) -> None:
    """-dE/dnet of the cells and gates of block j at the step of row k; then -dE/ds of the step before."""
    core, past, f, back, delta = variant.core, state.past, state.past.f[k], state.back, state.delta
    U, u_in = delta.shape[0], core.blocks * core.size + j
    u_f = U - core.blocks + j
    if core.output_gates:
        _through_output_gate(lanes, core, state, k, j)
    opened, y_in, y_f = _open(lanes, core, f, j), load(lanes, f, u_in), _kept(lanes, variant, f, j)
    e_in, e_f = load(lanes, back, u_in), load(lanes, back, u_f)
    for c in _cells(core, j):
        f_c, h, s = load(lanes, f, c), load(lanes, past.h, (k, c)), load(lanes, past.s, (k, c))
        e_s = opened * _blamed(lanes, state, k, c, c)
        if not core.identity:
            e_s = e_s * h_slope(core, h)
        e_s = load(lanes, back, U + c) + e_s
        g = core.g_range * f_c + core.g_low
        e_in, e_f = e_in + e_s * (g - s if variant.coupled else g), e_f + e_s * s
        store(delta, c, e_s * y_in * core.g_range * f_c * (1.0 - f_c))
        store(back, U + c, e_s * y_f)
    store(delta, u_in, e_in * y_in * (1.0 - y_in))
    _through_peepholes(lanes, core, state, u_in, j)
    if variant.forget_gates:
        store(delta, u_f, e_f * y_f * (1.0 - y_f))
        _through_peepholes(lanes, core, state, u_f, j)


@inlined
def _to_the_step_before(lanes: Lanes, core: Variant, state: FullState, mask: int) -> None:
    """-dE/dy of the step before: what flows from net inputs, sum_u w_um delta_u. Nothing flows in the other lanes."""
    back, delta, zero = state.back, state.delta, splat(lanes, 0.0)
    for m in range(core.sources - core.activations):
        flow = zero
        for u in range(delta.shape[0]):
            flow = flow + load(lanes, delta, u) * load(lanes, state.core.W, (u, core.activations + m))
        store(back, m, select(mask, flow, zero))
    for i in range(delta.shape[0], back.shape[0]):
        store(back, i, select(mask, load(lanes, back, i), zero))


@inlined
def _contribute(lanes: Lanes, core: Variant, state: FullState, k: int, mask: int) -> None:
    """DW += rate x delta x source for all units and sources of the step of row k, in the lanes of `mask`."""
    of, dW, past, rate = state.core.of, state.core.dW, state.past, load(lanes, state.core.rate, 0)
    for u in range(dW.shape[0]):
        a = rate * load(lanes, state.delta, u)
        if core.symbols:  # adding -0.0 leaves the other lanes' bits as they are
            scatter_add(lanes, of.dW, u, state.steps.symbol, k, select(mask, a, splat(lanes, -0.0)))
        for i in range(past.x.shape[1]):
            _add(lanes, dW, (u, i), mask, a * load(lanes, past.x, (k, i)))
        if core.bias >= 0:
            _add(lanes, dW, (u, core.bias), mask, a)
        for m in range(past.y.shape[1]):
            _add(lanes, dW, (u, core.activations + m), mask, a * load(lanes, past.y, (k, m)))


@inlined
def _learn_peepholes(
    lanes: Lanes, core: Variant, state: FullState, k: int, mask: int, first: int, s: np.ndarray
) -> None:
    """What the step of row k brings to the peepholes of the gates of all blocks from the unit `first` on, which see the
    states s."""
    for j in range(core.blocks):
        a = load(lanes, state.core.rate, 0) * load(lanes, state.delta, first + j)
        for i in range(core.size):
            seen = load(lanes, s, (k, j * core.size + i))
            _add(lanes, state.core.dW, (first + j, core.sources + i), mask, a * seen)


def _flow_back(lanes: Lanes, variant: FullVariant, state: FullState, k: int, mask: int) -> None:
    """A piece of the loop: errors flow back through a step, and all weights learn what it contributes."""
    core, C, U = variant.core, variant.core.blocks * variant.core.size, state.delta.shape[0]
    for j in range(core.blocks):
        _through_block(lanes, variant, state, k, j)
    for i in range(core.hidden):
        u = conventional(core, i)
        y = load(lanes, state.past.f, (k, u))
        store(state.delta, u, _blamed(lanes, state, k, u, C + i) * y * (1.0 - y))
    _to_the_step_before(lanes, core, state, mask)
    _contribute(lanes, core, state, k, mask)
    if core.peepholes:
        _learn_peepholes(lanes, core, state, k, mask, C, state.past.s)
        if core.output_gates:
            _learn_peepholes(lanes, core, state, k, mask, C + core.blocks, state.past.s_now)
        if variant.forget_gates:
            _learn_peepholes(lanes, core, state, k, mask, U - core.blocks, state.past.s)


def _finish(lanes: Lanes, variant: FullVariant, state: FullState, mask: int) -> None:
    """A piece of the loop: the sums move into the weights. Those that do not exist stay 0."""
    clear_absent(lanes, variant.core, state.core.dW, mask)
    apply_sums(lanes, variant.core, state.core, mask)


def _begin(lanes: Lanes, variant: FullVariant, state: FullState, mask: int) -> None:
    """A piece of the loop: A.1, s_c(0) = 0; activations are `reset`."""
    y, s = state.y, state.core.s
    for u in range(y.shape[0]):
        store(y, u, select(mask, load(lanes, state.core.reset, 0), load(lanes, y, u)))
    for c in range(s.shape[0]):
        store(s, c, select(mask, splat(lanes, 0.0), load(lanes, s, c)))


KERNELS = unrolled.kernels(
    FullVariant,
    new_state,
    put,
    weights,
    lanes_last,
    step=_step,
    observe=_observe,
    learn=_learn,
    flow_back=_flow_back,
    finish=_finish,
    begin=_begin,
)
