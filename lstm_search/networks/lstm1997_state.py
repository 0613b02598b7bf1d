"""What the nets of a pack hold, and the variant that they share. Letters are those of `lstm1997_kernel`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import optimizers
from lstm_search.networks.learner import Signal, Weights
from lstm_search.networks.optimizers import Moments, new_moments
from lstm_search.simd import aligned_zeros

RING = 8
"""Steps whose sources are kept. A block has a multiple of RING steps, so that each begins where the last one ended."""

DEFER = 4
"""Traces are brought up to date after DEFER steps, or when a lane has a target or ends: each is loaded and stored once
for several steps. The operations and their order are those of one step at a time."""

RUN = 8
"""How many numbers of one lane are worked on at once, where one lane does the same to many."""

NOWHERE = -(1 << 20)
"""The place of the 1 among the sources where nothing in the hidden layer is biased: a number below all places."""


class Variant(NamedTuple):
    """What all nets of a pack have in common."""

    blocks: int  # b
    size: int  # S
    units: int  # U
    symbols: int  # I where inputs are symbols, else 0
    bias: int  # where the 1 stands among the sources in z, or NOWHERE
    sources: int  # N: sources in z
    peepholes: int  # S where gates see the cells of their block, as in later forms of the net, else 0
    activations: int  # where in z the U activations stand, the first R of them among the sources
    gate_bias: int  # 1 where gates are biased
    cell_bias: int  # 1 where cells are
    output_bias: int  # 1 where outputs are
    output_gates: int  # 1 where blocks have one
    hidden: int  # H: conventional units
    cells_fed: int  # 1 where activations of the step before feed cells too, not gates and conventional units alone
    direct: int  # I where outputs see the inputs, else 0
    rows: int  # D: `direct` where inputs are rows, 0 where they are symbols
    grows: int  # 1 where the hidden units may join in later
    linear: int  # 1 where outputs are linear instead of logistic
    identity: int  # 1 where h is the identity instead of 2 a f - a
    h_most: float  # a
    g_range: float  # g = g_range f + g_low: 4 f - 2, 2 f - 1, or f
    g_low: float
    sums: int  # 0 where contributions are applied at once, else how they are at a sequence's end (see `optimizers`)


class Event(NamedTuple):
    """What happens at a step: sets of lanes, lane l in bit l."""

    t: int
    due: int  # these have a target
    learn: int  # those of them that learn from it
    ends: int  # the sequences of these end


class Columns(NamedTuple):
    """What belongs to input symbols, of which each lane has another one at a time. There the lane is not the last axis,
    so that what one lane does with all its symbols is done in one run. P and Q are I and K, up to a multiple of RUN.
    """

    W: np.ndarray  # [U, L, P] hidden weights
    dW: np.ndarray  # [U, L, P] rate x gradient, summed over the sequence; empty unless `sums`
    dS_in: np.ndarray  # [C, L, P] traces: ds_c/dw of the block's input gate
    dS_c: np.ndarray  # [C, L, P] traces: ds_c/dw of the cell
    V: np.ndarray  # [I, L, Q] weights from symbols to outputs; empty unless `direct`
    dV: np.ndarray  # [I, L, Q]
    e_s: np.ndarray  # [C, L] what multiplies the traces


class Memory(NamedTuple):
    """What optimizers other than descent remember, in the shapes of the sums in `State` and `Columns`."""

    rule: np.ndarray  # [4, L] the optimizer's `Rule`
    W: Moments
    V: Moments
    of_W: Moments
    of_V: Moments


class State(NamedTuple):
    """The nets of a pack: first what steps need most often, which a GPU may keep close. Where inputs are symbols, what
    belongs to them is in `Columns` instead."""

    W: np.ndarray  # [U, N, L] hidden weights; where gates see cells, these weights are S columns more
    to_in: np.ndarray  # [DEFER, C, L] g(net_c) f'(net_in), what multiplies z in dS_in
    to_c: np.ndarray  # [DEFER, C, L] y_in g'(net_c), what multiplies z in dS_c
    s: np.ndarray  # [C, L] cell states
    h: np.ndarray  # [C, L] h(s)
    e: np.ndarray  # [K + C + H, L] error signals: e_k, then sum_k w_kc e_k, then sum_k w_ki e_k
    z: np.ndarray  # [RING, N + U - R, L] sources, then the activations that are none
    dS_in: np.ndarray  # [C, N, L] traces: ds_c/dw of the block's input gate
    dS_c: np.ndarray  # [C, N, L] traces: ds_c/dw of the cell
    rate: np.ndarray  # [1, L] learning rate a
    signal: np.ndarray  # [3, L] margin, slope and constant of its `Signal`
    reset: np.ndarray  # [1, L] activations before a sequence's first step
    alive: np.ndarray  # [1, L] 1 where the hidden units have joined in, else 0
    V: np.ndarray  # [K, D + C + H + output_bias, L] output weights
    dW: np.ndarray  # as W: rate x gradient, summed over the sequence; no rows unless `sums`
    dV: np.ndarray  # [K, D + C + H + output_bias, L]
    memory: Memory
    of: Columns


def new_state(width: int, variant: Variant, outputs: int) -> State:
    """Nets with all weights zero."""
    cells, units = variant.blocks * variant.size, variant.units
    columns = variant.rows + cells + variant.hidden + variant.output_bias
    of, wide = _new_columns(width, variant, outputs), variant.sources + variant.peepholes
    dW = aligned_zeros(units if variant.sums else 0, wide, width)
    dV = aligned_zeros(outputs if variant.sums else 0, columns, width)
    state = State(
        W=aligned_zeros(units, wide, width),
        V=aligned_zeros(outputs, columns, width),
        dW=dW,
        dV=dV,
        dS_in=aligned_zeros(cells, variant.sources, width),
        dS_c=aligned_zeros(cells, variant.sources, width),
        z=aligned_zeros(RING, variant.activations + units, width),
        to_in=aligned_zeros(DEFER, cells, width),
        to_c=aligned_zeros(DEFER, cells, width),
        s=aligned_zeros(cells, width),
        h=aligned_zeros(cells, width),
        e=aligned_zeros(outputs + cells + variant.hidden, width),
        rate=aligned_zeros(1, width),
        signal=aligned_zeros(3, width),
        reset=aligned_zeros(1, width),
        alive=aligned_zeros(1, width),
        memory=_new_memory(variant.sums, dW, dV, of),
        of=of,
    )
    if variant.bias >= 0:
        state.z[:, variant.bias] = 1.0
    return state


def _new_columns(width: int, variant: Variant, outputs: int) -> Columns:
    symbols, cells = -(-variant.symbols // RUN) * RUN, variant.blocks * variant.size
    direct = (variant.symbols if variant.direct else 0, width, -(-outputs // RUN) * RUN)
    return Columns(
        W=aligned_zeros(variant.units, width, symbols),
        dW=aligned_zeros(variant.units if variant.sums else 0, width, symbols),
        dS_in=aligned_zeros(cells, width, symbols),
        dS_c=aligned_zeros(cells, width, symbols),
        V=aligned_zeros(*direct),
        dV=aligned_zeros(*(direct if variant.sums else (0, width, RUN))),
        e_s=aligned_zeros(cells, width),
    )


def _new_memory(sums: int, dW: np.ndarray, dV: np.ndarray, of: Columns) -> Memory:
    arrays = (new_moments(sums, array, 0) for array in (dW, dV, of.dW, of.dV))
    return Memory(aligned_zeros(len(optimizers.Rule()), dW.shape[-1]), *arrays)


def put(state: State, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [U, M] and output [K, direct + C + H + output_bias]; nothing is summed up yet,
    and hidden units that are to join in later are not there."""
    hidden, output = weights
    i, d = variant.symbols, variant.direct if variant.symbols else 0
    state.W[..., l], state.V[..., l] = hidden[:, i:], output[:, d:]
    state.of.W[:, l, :i], state.of.V[:, l, : len(output)] = hidden[:, :i], output[:, :d].T
    for sums in (state.dW[..., l], state.dV[..., l], state.of.dW[:, l], state.of.dV[:, l]):
        sums[:] = 0.0
    state.rate[:, l], state.signal[:, l] = signal.rate, signal[1:4]
    state.reset[:, l], state.alive[:, l] = network.reset, 1 - variant.grows
    memory = state.memory
    memory.rule[:, l] = signal.rule
    optimizers.forget([array[..., l] for array in (*memory.W, *memory.V)])
    optimizers.forget([array[:, l] for array in (*memory.of_W, *memory.of_V)])


def join(state: State, l: int) -> None:
    """From now on the hidden units of lane l are there."""
    state.alive[:, l] = 1.0


def weights(state: State, variant: Variant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [U, M] and output [K, direct + C + H + output_bias]."""
    hidden = np.concatenate([state.of.W[:, l, : variant.symbols], state.W[..., l]], axis=1)
    direct = state.of.V[:, l, : state.V.shape[0]].T
    return hidden, np.concatenate([direct, state.V[..., l]], axis=1)


def touched(state: State) -> int:
    """Bytes that every step goes through: all but what belongs to input symbols, of which it needs one, and to
    optimizers."""
    *arrays, _, _ = state
    return sum(array.nbytes for array in arrays)


def lanes_last(state: State) -> list[np.ndarray]:
    """All arrays of the state, the lane as their last axis."""
    *columns, e_s = state.of
    *arrays, memory, _ = state
    rule, W, V, *of = memory
    columns += [array for moments in of for array in moments]
    return [*arrays, rule, *W, *V, *(np.moveaxis(array, 1, -1) for array in columns), e_s]
