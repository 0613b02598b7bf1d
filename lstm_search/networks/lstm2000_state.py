"""What the nets of a pack with forget gates or peepholes hold beside what the 1997 net holds. Letters are those of
`lstm2000_kernel`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import lstm1997_state
from lstm_search.networks.learner import Signal, Weights
from lstm_search.networks.lstm1997_state import DEFER, State, Variant
from lstm_search.simd import aligned_zeros


class Variant2000(NamedTuple):
    """What all nets of a pack have in common."""

    core: Variant  # what they have in common with the 1997 net
    forget_gates: int  # 1 where blocks have a forget gate
    coupled: int  # 1 where y_f = 1 - y_in


class State2000(NamedTuple):
    """The nets of a pack. All traces, those of the core included, are divided by the P of their block."""

    core: State  # what the 1997 net has; its last units are the forget gates, its last columns of W the peepholes
    P: np.ndarray  # [b, L] product of y_f over the steps since the traces were last multiplied by it
    Q: np.ndarray  # [b, L] 1/P
    y_f: np.ndarray  # [b, L] how much of the states is kept
    to_f: np.ndarray  # [DEFER, C, L] s_c(t-1) f'(net_f) / P, what multiplies z in dS_f
    dS_f: np.ndarray  # [C, N, L] traces: ds_c/dw of the block's forget gate
    dP_in: np.ndarray  # [C, S, L] traces: ds_c/dw of the peepholes of the block's input gate
    dP_f: np.ndarray  # [C, S, L] traces: ds_c/dw of the peepholes of its forget gate
    dX_f: np.ndarray  # [C, L, I up to a multiple of RUN] dS_f of input symbols


def new_state(width: int, variant: Variant2000, outputs: int) -> State2000:
    """Nets with all weights zero."""
    core, b, S = variant.core, variant.core.blocks, variant.core.peepholes
    net, C = lstm1997_state.new_state(width, core, outputs), b * core.size
    forgets, seen_by_f = (C, S) if variant.forget_gates else (0, 0)
    state = State2000(
        core=net,
        P=aligned_zeros(b, width),
        Q=aligned_zeros(b, width),
        y_f=aligned_zeros(b, width),
        to_f=aligned_zeros(DEFER, forgets, width),
        dS_f=aligned_zeros(forgets, core.sources, width),
        dP_in=aligned_zeros(C, S, width),
        dP_f=aligned_zeros(C, seen_by_f, width),
        dX_f=aligned_zeros(forgets, width, net.of.dS_in.shape[2]),
    )
    for kept in (state.P, state.Q, state.y_f):
        kept[:] = 1.0
    return state


def put(state: State2000, variant: Variant2000, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [U, M + S] and output [K, direct + C + H + output_bias]; nothing is summed up
    yet."""
    lstm1997_state.put(state.core, variant.core, l, network, weights, signal)


def weights(state: State2000, variant: Variant2000, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [U, M + S] and output [K, direct + C + H + output_bias]."""
    return lstm1997_state.weights(state.core, variant.core, l)


def touched(state: State2000) -> int:
    """Bytes that every step goes through (see `lstm1997_state`)."""
    return lstm1997_state.touched(state.core) + sum(array.nbytes for array in state[1:-1])


def lanes_last(state: State2000) -> list[np.ndarray]:
    """All arrays of the state, the lane as their last axis."""
    return [*lstm1997_state.lanes_last(state.core), *state[1:-1], np.moveaxis(state.dX_f, 1, -1)]
