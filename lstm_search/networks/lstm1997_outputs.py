"""What the 1997 net and its later forms do alike in lanes: outputs, error signals, and learning but for the traces.

Letters and shapes are those of `lstm1997_kernel`.
"""

from __future__ import annotations

import numpy as np

from lstm_search.networks.in_lanes import add, error_signal, tally_up
from lstm_search.networks.lstm1997_state import RING, Event, State, Variant
from lstm_search.networks.lstm1997_symbols import direct_nets, learn_direct, learn_symbols
from lstm_search.simd import (
    RANKED,
    Block,
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
    part,
    scatter_add,
    select,
    splat,
    squash,
    store,
)


@inlined
def conventional(variant: Variant, i: int) -> int:
    """The number of conventional unit i among the hidden units."""
    return variant.blocks * (variant.size + 1 + variant.output_gates) + i


@inlined
def _output_nets(lanes: Lanes, variant: Variant, state: State, block: Block, t: int) -> None:
    """A.1: net_k(t) = sum_c w_kc y_c(t) + sum_i w_ki y_i(t), from cells and conventional units of the same step; and
    its inputs where outputs see them."""
    D, C, H, V, e = variant.rows, variant.blocks * variant.size, variant.hidden, state.V, state.e
    y = part(state.z, t + 1 & RING - 1, variant.activations)
    if variant.direct > D:
        direct_nets(state, block, t)
    for k in range(block.target.shape[1]):
        net = load(lanes, e, k) if variant.direct > D else splat(lanes, 0.0)
        if variant.output_bias:
            net = net + load(lanes, V, (k, D + C + H))
        for i in range(D):
            net = fma(load(lanes, V, (k, i)), load(lanes, block.x, (t, i)), net)
        for c in range(C):
            net = fma(load(lanes, V, (k, D + c)), load(lanes, y, c), net)
        for i in range(H):
            net = fma(load(lanes, V, (k, D + C + i)), load(lanes, y, conventional(variant, i)), net)
        store(e, k, net)


@inlined
def _illegal(lanes: Lanes, state: State, block: Block, t: int) -> Value:
    """1 where some output of an illegal symbol is not below all those of legal ones, else 0."""
    low, high = splat(lanes, np.inf), splat(lanes, -np.inf)
    for k in range(block.legal.shape[1]):
        y, legal = load(lanes, state.e, k), block.legal[t, k]
        low = select(legal, -1.0 * larger(-1.0 * low, -1.0 * y), low)
        high = select(legal, high, larger(high, y))
    return 1.0 - exceeding(low, high)


@inlined
def outputs(lanes: Lanes, variant: Variant, state: State, block: Block, stop: StopState, event: Event) -> None:
    """Outputs and error signals of a step; the errors of the lanes with a target go into the tally."""
    D, K, below, t = variant.rows, block.target.shape[1], variant.blocks * variant.size + variant.hidden, event.t
    V, e, due = state.V, state.e, event.due
    absolute, squared, worst = splat(lanes, 0.0), splat(lanes, 0.0), splat(lanes, 0.0)
    _output_nets(lanes, variant, state, block, t)
    if not variant.linear:
        squash(lanes, e, 0, K)
    ranked = _illegal(lanes, state, block, t) if block.legal.shape[0] else worst
    for c in range(below):
        store(e, K + c, splat(lanes, 0.0))
    for k in range(K):
        y = load(lanes, e, k)
        error = load(lanes, block.target, (t, k)) - y
        absolute, squared = absolute + magnitude(error), fma(error, error, squared)
        worst = larger(worst, magnitude(error))
        e_k = error_signal(lanes, variant.linear, state.signal, y, error)
        store(e, k, e_k)
        for c in range(below):
            store(e, K + c, fma(load(lanes, V, (k, D + c)), e_k, load(lanes, e, K + c)))
    worst = select(stop.masks[RANKED], ranked, worst)
    tally_up(lanes, stop, due, event.ends, splat(lanes, 1.0 / K), absolute, squared, worst)


@inlined
def learn_unit(
    lanes: Lanes, variant: Variant, state: State, block: Block, event: Event, W: np.ndarray, u: int, e_u: Value
) -> None:
    """A.1, output gates and conventional units: W[u, m] += e_u z_m, in the lanes that learn."""
    if variant.symbols:  # adding -0.0 leaves the other lanes' bits as they are
        Wx = state.of.dW if variant.sums else state.of.W
        scatter_add(lanes, Wx, u, block.symbol, event.t, select(event.learn, e_u, splat(lanes, -0.0)))
    for m in range(variant.sources):
        add(lanes, W, (u, m), event.learn, e_u, load(lanes, state.z, (event.t & RING - 1, m)))


@inlined
def _learn_output(
    lanes: Lanes, variant: Variant, state: State, block: Block, event: Event, V: np.ndarray, k: int, e_k: Value
) -> None:
    """A.1, outputs: V[k] += e_k [x; y_c; y_i; 1], in the lanes that learn. For symbols, e_k is kept for
    `learn_direct`."""
    D, C, H = variant.rows, variant.blocks * variant.size, variant.hidden
    y = part(state.z, event.t + 1 & RING - 1, variant.activations)
    for i in range(D):
        add(lanes, V, (k, i), event.learn, e_k, load(lanes, block.x, (event.t, i)))
    for c in range(C):
        add(lanes, V, (k, D + c), event.learn, e_k, load(lanes, y, c))
    for i in range(H):
        add(lanes, V, (k, D + C + i), event.learn, e_k, load(lanes, y, conventional(variant, i)))
    if variant.output_bias:
        add(lanes, V, (k, D + C + H), event.learn, e_k, splat(lanes, 1.0))
    if variant.direct > D:
        store(state.e, k, e_k)


@inlined
def learn_rest(
    lanes: Lanes, variant: Variant, state: State, block: Block, event: Event, W: np.ndarray, V: np.ndarray
) -> None:
    """What conventional units and outputs learn at a step, in the lanes that learn."""
    C, K, a = variant.blocks * variant.size, block.target.shape[1], load(lanes, state.rate, 0)
    y = part(state.z, event.t + 1 & RING - 1, variant.activations)
    for i in range(variant.hidden):
        u = conventional(variant, i)
        # A.1: e_i = f'(net_i) sum_k w_ki e_k
        e_i = a * (logistic_slope(load(lanes, y, u)) * load(lanes, state.e, K + C + i))
        learn_unit(lanes, variant, state, block, event, W, u, e_i)
    for k in range(K):
        _learn_output(lanes, variant, state, block, event, V, k, a * load(lanes, state.e, k))


@inlined
def h_slope(variant: Variant, h: Value) -> Value:
    """h'(s) = (a + h) (a - h) / 2 a, where h is 2 a f - a."""
    return 0.5 / variant.h_most * ((variant.h_most + h) * (variant.h_most - h))


@inlined
def clear_absent(lanes: Lanes, variant: Variant, W: np.ndarray, mask: int) -> None:
    """Weights that do not exist stay 0, in the lanes of `mask`: biases where only some hidden units are biased, and
    those from the step before to cells where it feeds gates only."""
    C = variant.blocks * variant.size
    if not variant.cells_fed:
        for c in range(C):
            for m in range(variant.activations, variant.sources):
                store(W, (c, m), select(mask, splat(lanes, 0.0), load(lanes, W, (c, m))))
    if variant.bias >= 0:
        for u in range(C if variant.cell_bias else 0, C if variant.gate_bias else W.shape[0]):
            index = (u, variant.bias)
            store(W, index, select(mask, splat(lanes, 0.0), load(lanes, W, index)))


@inlined
def learn_of_symbols(variant: Variant, state: State, block: Block, event: Event) -> None:
    """Do what `_learn` leaves to be done for one lane after the other."""
    if event.learn:
        learn_symbols(variant, state, event, state.of.dW if variant.sums else state.of.W)
        if variant.direct:
            learn_direct(state, block, event, state.of.dV if variant.sums else state.of.V)
