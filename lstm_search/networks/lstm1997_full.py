"""The 1997 net with the full gradient: errors flow back through everything, gates and cell inputs too, step by step.

The paper truncates: net inputs are taken not to depend on the activations of the step before (appendix A.1). It says
that without truncation there was no significant difference in a few runs. Here a sequence is unrolled at its end, as in
`bptt`; of one that is longer than `history` steps, each stretch of so many is unrolled by itself.

Later forms of the net are unrolled here, too (`lstm2000`). There a block keeps y_f of its states, which in 1997 is 1,
and peepholes lead from the cells of a block to its gates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import loop, optimizers, recurrent
from lstm_search.networks.learner import Signal, Weights
from lstm_search.networks.lstm1997_state import Variant
from lstm_search.networks.optimizers import DESCENT, Moments, count, follow, new_moments
from lstm_search.networks.recurrent import add_scaled, add_sources, copy, logistic
from lstm_search.simd import Block, StopState, aligned_zeros, inlined


class FullVariant(NamedTuple):
    """What all nets of a pack have in common."""

    net: Variant  # as with the truncated gradient
    inputs: int  # I
    symbols: int  # 1 where inputs are symbols
    bias: int  # 1 where anything hidden is biased
    recurrent: int  # R: how many activations of the step before are sources
    history: int  # T: steps that are kept
    forget_gates: int  # 1 where blocks have one; they are the last units
    coupled: int  # 1 where y_f = 1 - y_in


def variant_of(net: Variant, n_inputs: int, history: int, *, forget_gates: int = 0, coupled: int = 0) -> FullVariant:
    """The variant of nets that have `net` in common with the truncated gradient."""
    symbols, bias, recurrent = int(net.symbols > 0), int(net.bias >= 0), net.sources - net.activations
    return FullVariant(net, n_inputs, symbols, bias, recurrent, history, forget_gates, coupled)


class FullState(NamedTuple):
    """The nets of a pack, lane by lane, and what is kept of their last steps, T at most. M = I + bias + R sources."""

    W: np.ndarray  # [L, U, M] hidden weights, from inputs, 1, activations of the step before
    V: np.ndarray  # [L, C, K] output weights, from inputs (where `direct`), cells, conventional units, 1
    P: np.ndarray  # [L, U, S] weights of peepholes, of gates from the cells of their block; [L, U, 0] without them
    dW: np.ndarray  # [L, U, M] rate x gradient, summed over the sequence
    dV: np.ndarray  # [L, C, K]
    dP: np.ndarray  # [L, U, S]
    y: np.ndarray  # [L, U] activations
    s: np.ndarray  # [L, C] cell states
    e: np.ndarray  # [L, K] outputs, then their error signals
    kept: np.ndarray  # int64 [L, 1] how many steps are kept
    seen: np.ndarray  # [L, T, I] inputs of each; [L, T, 1] the number of the one that is 1, where they are symbols
    past: np.ndarray  # [L, T + 1, U] activations, from those before the first step kept
    f: np.ndarray  # [L, T, C] f(net_c), of which g is made
    h: np.ndarray  # [L, T, C] h(s_c)
    states: np.ndarray  # [L, T + 1, C] cell states, from those before the first step kept
    blame: np.ndarray  # [L, T, U] -dE(t)/dy_u
    flow: np.ndarray  # [L, U] -dE/dy_u of the step that is unrolled, from all later ones
    delta: np.ndarray  # [L, U] -dE/dnet_u of that step
    delta_s: np.ndarray  # [L, C] -dE/ds_c
    rate: np.ndarray  # [L] learning rate
    signal: np.ndarray  # [L, 3] margin, slope and constant of its `Signal`
    reset: np.ndarray  # [L] activations before a sequence's first step
    rule: np.ndarray  # [L, 4] the optimizer's `Rule`
    of_W: Moments
    of_P: Moments
    of_V: Moments


def _new_state(width: int, variant: FullVariant, outputs: int) -> FullState:
    """Nets with all weights zero, and nothing kept."""
    net, T, C = variant.net, variant.history, variant.net.blocks * variant.net.size
    U = net.units
    W = (width, U, variant.inputs + variant.bias + variant.recurrent)
    V = (width, net.direct + C + net.hidden + net.output_bias, outputs)
    dW, dV, dP = aligned_zeros(*W), aligned_zeros(*V), aligned_zeros(width, U, net.peepholes)
    return FullState(
        W=aligned_zeros(*W),
        V=aligned_zeros(*V),
        P=aligned_zeros(width, U, net.peepholes),
        dW=dW,
        dV=dV,
        dP=dP,
        y=aligned_zeros(width, U),
        s=aligned_zeros(width, C),
        e=aligned_zeros(width, outputs),
        kept=aligned_zeros(width, 1, dtype=np.int64),
        seen=aligned_zeros(width, T, 1 if variant.symbols else variant.inputs),
        past=aligned_zeros(width, T + 1, U),
        f=aligned_zeros(width, T, C),
        h=aligned_zeros(width, T, C),
        states=aligned_zeros(width, T + 1, C),
        blame=aligned_zeros(width, T, U),
        flow=aligned_zeros(width, U),
        delta=aligned_zeros(width, U),
        delta_s=aligned_zeros(width, C),
        rate=aligned_zeros(width),
        signal=aligned_zeros(width, 3),
        reset=aligned_zeros(width),
        rule=aligned_zeros(width, len(optimizers.Rule())),
        of_W=new_moments(net.sums, dW, 1),
        of_P=new_moments(net.sums, dP, 1),
        of_V=new_moments(net.sums, dV, 1),
    )


def _put(state: FullState, variant: FullVariant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [U, M + S] and output [K, C]; nothing is summed up yet."""
    (hidden, output), M = weights, state.W.shape[2]
    state.W[l], state.P[l], state.V[l] = hidden[:, :M], hidden[:, M:], output.T
    state.dW[l], state.dP[l], state.dV[l] = 0.0, 0.0, 0.0
    state.rate[l], state.signal[l], state.reset[l] = signal.rate, signal[1:4], network.reset
    state.rule[l] = signal.rule
    optimizers.forget([array[l] for array in (*state.of_W, *state.of_P, *state.of_V)])


def _weights(state: FullState, variant: FullVariant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [U, M + S] and output [K, C]."""
    return np.concatenate([state.W[l], state.P[l]], axis=1), state.V[l].T.copy()


@inlined
def _conventional(net: Variant, i: int) -> int:
    """The number of conventional unit i among the hidden units."""
    return net.blocks * (net.size + 1 + net.output_gates) + i


@inlined
def _look(variant: FullVariant, state: FullState, block: Block, l: int, t: int, k: int) -> None:
    """The inputs of lane l at step t of the block, into place k of what is seen."""
    if variant.symbols:
        state.seen[l, k, 0] = block.symbol[t, l]
    else:
        copy(state.seen[l, k], block.x[t, :, l])


@inlined
def _net_input(variant: FullVariant, w: np.ndarray, seen: np.ndarray, before: np.ndarray) -> float:
    """A.1: net_u = sum_m w_um z_m, of a unit with weights w [M]."""
    net, first = recurrent.from_inputs(variant, w, seen), variant.inputs + variant.bias
    for m in range(variant.recurrent):
        net += w[first + m] * before[m]
    return float(net)


@inlined
def _open(net: Variant, y: np.ndarray, j: int) -> float:
    """What the cells of block j are multiplied by: y_out, or 1 where there are no output gates."""
    return y[net.blocks * net.size + net.blocks + j] if net.output_gates else 1.0


@inlined
def _from_cells(p: np.ndarray, s: np.ndarray, j: int) -> float:
    """What a gate of block j with peepholes p [S] receives from the states s [C]."""
    net = 0.0
    for i in range(p.shape[0]):
        net += p[i] * s[j * p.shape[0] + i]
    return net


@inlined
def _kept(variant: FullVariant, y: np.ndarray, j: int) -> float:
    """y_f of block j, from the activations y [U]."""
    if variant.forget_gates:
        return float(y[y.shape[0] - variant.net.blocks + j])
    return 1.0 - y[variant.net.blocks * variant.net.size + j] if variant.coupled else 1.0


@inlined
def _squashed_nets(variant: FullVariant, state: FullState, l: int, k: int) -> None:
    """A.1: f(net_u) of all units into `y`. Of output gates that are to see states of this step, net_u is in `delta`."""
    y, W, P, s, b = state.y[l], state.W[l], state.P[l], state.s[l], variant.net.blocks
    for u in range(y.shape[0]):
        y[u] = _net_input(variant, W[u], state.seen[l, k], state.past[l, k])
    if variant.net.peepholes:
        copy(state.delta[l], y)
        for j in range(b):
            y[s.shape[0] + j] += _from_cells(P[s.shape[0] + j], s, j)
            if variant.forget_gates:
                u = y.shape[0] - b + j
                y[u] += _from_cells(P[u], s, j)
    for u in range(y.shape[0]):
        y[u] = logistic(y[u])


@inlined
def _block(variant: FullVariant, state: FullState, l: int, k: int, j: int) -> None:
    """A.1: s_c = y_f s_c + y_in g(net_c) and y_c = y_out h(s_c) in block j, from the squashed net inputs in `y`."""
    net, y, s, C = variant.net, state.y[l], state.s[l], variant.net.blocks * variant.net.size
    y_f = _kept(variant, y, j)
    for c in range(j * net.size, (j + 1) * net.size):
        state.f[l, k, c] = y[c]
        s[c] = y_f * s[c] + y[C + j] * (net.g_range * y[c] + net.g_low)
    if net.peepholes * net.output_gates:
        u = C + net.blocks + j
        y[u] = logistic(state.delta[l, u] + _from_cells(state.P[l, u], s, j))
    for c in range(j * net.size, (j + 1) * net.size):
        h = s[c] if net.identity else net.h_most * (2.0 * logistic(s[c]) - 1.0)
        state.h[l, k, c] = h
        y[c] = _open(net, y, j) * h


def _step(variant: FullVariant, state: FullState, block: Block, l: int, t: int, learning: int) -> None:
    """A piece of the loop: the forward pass, which is kept for learning."""
    kept, y, past = state.kept[l], state.y[l], state.past[l]
    if kept[0] == variant.history:  # no room for one more
        _unroll(variant, state, l)
    k = kept[0]
    copy(past[k], y)
    copy(state.states[l, k], state.s[l])
    _look(variant, state, block, l, t, k)
    _squashed_nets(variant, state, l, k)
    for j in range(variant.net.blocks):
        _block(variant, state, l, k, j)
    if learning:
        copy(past[k + 1], y)
        copy(state.states[l, k + 1], state.s[l])
        state.blame[l, k] = 0.0
        kept[0] = k + 1


def _observe(variant: FullVariant, state: FullState, block: Block, stop: StopState, l: int, t: int) -> None:
    """A piece of the loop: the outputs meet their target."""
    net, V, e, y = variant.net, state.V[l], state.e[l], state.y[l]
    D, C = net.direct, net.blocks * net.size
    e[:] = 0.0
    if net.output_bias:
        copy(e, V[D + C + net.hidden])
    if D and net.symbols:
        add_scaled(e, 1.0, V[block.symbol[t, l]])
    elif D:
        for m in range(D):
            add_scaled(e, block.x[t, m, l], V[m])
    for c in range(C):
        add_scaled(e, y[c], V[D + c])
    for i in range(net.hidden):
        add_scaled(e, y[_conventional(net, i)], V[D + C + i])
    if not net.linear:
        for k in range(e.shape[0]):
            e[k] = logistic(e[k])
    loop.compare(block, stop, l, t, e)


@inlined
def _blame(V: np.ndarray, e: np.ndarray) -> float:
    """-dE/dy of a unit with the weights V [K] to outputs whose error signals are e [K]."""
    blame = 0.0
    for k in range(e.shape[0]):
        blame += V[k] * e[k]
    return blame


def _learn(variant: FullVariant, state: FullState, block: Block, l: int, t: int) -> None:
    """A piece of the loop: what the targets of this step bring to output weights, and to whom errors flow back."""
    net, V, dV, e, y, a = variant.net, state.V[l], state.dV[l], state.e[l], state.y[l], state.rate[l]
    D, C, blame = net.direct, net.blocks * net.size, state.blame[l, state.kept[l, 0] - 1]
    for k in range(e.shape[0]):
        error = block.target[t, k, l] - e[k]
        if net.linear:
            e[k] = 0.0 if abs(error) < state.signal[l, 0] else error
        else:
            e[k] = recurrent.error_signal(state.signal[l], e[k], error)
    for c in range(C + net.hidden):
        u = c if c < C else _conventional(net, c - C)
        blame[u] = _blame(V[D + c], e)
        add_scaled(dV[D + c], a * y[u], e)
    if D and net.symbols:
        add_scaled(dV[block.symbol[t, l]], a, e)
    elif D:
        for m in range(D):
            add_scaled(dV[m], a * block.x[t, m, l], e)
    if net.output_bias:
        add_scaled(dV[D + C + net.hidden], a, e)


@inlined
def _through_block(variant: FullVariant, state: FullState, l: int, k: int, j: int) -> None:
    """-dE/dnet of the cells and gates of block j at the step kept at k, from -dE/dy in `flow` and -dE/ds of later; then
    -dE/ds of the step before."""
    net, y, flow, delta, ds = variant.net, state.past[l, k + 1], state.flow[l], state.delta[l], state.delta_s[l]
    C, opened, U = net.blocks * net.size, _open(net, state.past[l, k + 1], j), delta.shape[0]
    u_in, u_out, u_f = C + j, C + net.blocks + j, U - net.blocks + j
    if net.output_gates:
        e_out = flow[u_out]
        for c in range(j * net.size, (j + 1) * net.size):
            e_out += state.h[l, k, c] * flow[c]
        delta[u_out] = e_out * y[u_out] * (1.0 - y[u_out])
        _through_peepholes(variant, state, l, u_out, j)
    e_in, e_f, y_f = flow[u_in], flow[u_f] if variant.forget_gates else 0.0, _kept(variant, y, j)
    for c in range(j * net.size, (j + 1) * net.size):
        f, h, a, s = state.f[l, k, c], state.h[l, k, c], net.h_most, state.states[l, k, c]
        ds[c] += opened * flow[c] * (1.0 if net.identity else (a + h) * (a - h) / (2.0 * a))
        g = net.g_range * f + net.g_low
        e_in += ds[c] * (g - s if variant.coupled else g)
        e_f += ds[c] * s
        delta[c] = ds[c] * y[u_in] * net.g_range * f * (1.0 - f)
        ds[c] *= y_f
    delta[u_in] = e_in * y[u_in] * (1.0 - y[u_in])
    _through_peepholes(variant, state, l, u_in, j)
    if variant.forget_gates:
        delta[u_f] = e_f * y_f * (1.0 - y_f)
        _through_peepholes(variant, state, l, u_f, j)


@inlined
def _through_peepholes(variant: FullVariant, state: FullState, l: int, u: int, j: int) -> None:
    """-dE/ds of the states that gate u of block j sees, from its -dE/dnet."""
    S = variant.net.peepholes
    for i in range(S):
        state.delta_s[l, j * S + i] += state.delta[l, u] * state.P[l, u, i]


@inlined
def _learn_peepholes(variant: FullVariant, state: FullState, l: int, k: int) -> None:
    """What the step kept at k brings to the peepholes: output gates see its states, the others those before."""
    net, dP, a, delta, C = variant.net, state.dP[l], state.rate[l], state.delta[l], state.s.shape[1]
    for j in range(net.blocks):
        before = state.states[l, k, j * net.size : (j + 1) * net.size]
        add_scaled(dP[C + j], a * delta[C + j], before)
        if net.output_gates:
            u = C + net.blocks + j
            add_scaled(dP[u], a * delta[u], state.states[l, k + 1, j * net.size : (j + 1) * net.size])
        if variant.forget_gates:
            u = delta.shape[0] - net.blocks + j
            add_scaled(dP[u], a * delta[u], before)


@inlined
def _unroll(variant: FullVariant, state: FullState, l: int) -> None:
    """Errors flow back through all steps that are kept; `kept` is 0 again."""
    net, flow, delta, W, dW = variant.net, state.flow[l], state.delta[l], state.W[l], state.dW[l]
    first = variant.inputs + variant.bias
    flow[:] = 0.0
    state.delta_s[l] = 0.0
    for k in range(state.kept[l, 0] - 1, -1, -1):
        add_scaled(flow, 1.0, state.blame[l, k])
        for j in range(net.blocks):
            _through_block(variant, state, l, k, j)
        for i in range(net.hidden):
            u = _conventional(net, i)
            delta[u] = flow[u] * state.past[l, k + 1, u] * (1.0 - state.past[l, k + 1, u])
        flow[:] = 0.0
        for u in range(delta.shape[0]):
            add_sources(variant, dW[u], state.rate[l] * delta[u], state.seen[l, k], state.past[l, k])
            add_scaled(flow[: variant.recurrent], delta[u], W[u, first:])
        if net.peepholes:
            _learn_peepholes(variant, state, l, k)
    state.kept[l, 0] = 0


def _finish(variant: FullVariant, state: FullState, l: int, number: int) -> None:
    """A piece of the loop: the sequence is unrolled, and the weights change. Those that do not exist stay 0."""
    net, dW, C = variant.net, state.dW[l], variant.net.blocks * variant.net.size
    _unroll(variant, state, l)
    for u in range(dW.shape[0]):
        if variant.bias and not (net.cell_bias if u < C else net.gate_bias):
            dW[u, variant.inputs] = 0.0
        if u < C and not net.cells_fed:
            dW[u, variant.inputs + variant.bias :] = 0.0
    if net.sums <= DESCENT:
        recurrent.move(state.W[l], dW)
        recurrent.move(state.P[l], state.dP[l])
        recurrent.move(state.V[l], state.dV[l])
    else:
        count(state.rule[l])
        follow(net.sums, state.rule[l], state.W[l], dW, state.of_W.first[l], state.of_W.second[l])
        follow(net.sums, state.rule[l], state.P[l], state.dP[l], state.of_P.first[l], state.of_P.second[l])
        follow(net.sums, state.rule[l], state.V[l], state.dV[l], state.of_V.first[l], state.of_V.second[l])


def _begin(variant: FullVariant, state: FullState, l: int) -> None:
    """A piece of the loop: A.1, s_c(0) = 0; activations are `reset`."""
    state.y[l] = state.reset[l]
    state.s[l] = 0.0
    state.kept[l, 0] = 0


KERNELS = loop.kernels(
    FullState, _new_state, _put, _weights, step=_step, observe=_observe, learn=_learn, finish=_finish, begin=_begin
)
