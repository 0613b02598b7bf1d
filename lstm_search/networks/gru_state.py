"""What the nets of a pack of gated recurrent units hold. Letters are those of `gru_kernel`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import optimizers
from lstm_search.networks.learner import Signal, Weights
from lstm_search.networks.optimizers import Moments, new_moments
from lstm_search.networks.unrolled import Steps, kept_lanes_last, new_steps
from lstm_search.simd import aligned_zeros

RUN = 8
"""Weights from symbols are worked on so many at once."""


class GruVariant(NamedTuple):
    """What all nets of a pack have in common."""

    units: int  # n
    inputs: int  # I where inputs are rows, else 0
    symbols: int  # I where they are symbols, else 0
    linear: int  # 1 where outputs are linear instead of logistic
    sums: int  # how contributions are applied at a sequence's end (see `optimizers`)
    history: int  # H: steps that are kept


class Past(NamedTuple):
    """What the rows keep of the steps of sequences that are not over."""

    gates: np.ndarray  # [H, 3n, L] r, z and c
    y: np.ndarray  # [H, n, L] states of the step before
    x: np.ndarray  # [H, I, L] inputs, where these are rows
    blame: np.ndarray  # [H, n, L] -dE(t)/dy


class GruState(NamedTuple):
    """The nets of a pack. Sources are inputs (where these are rows), 1, states; P is I up to a multiple of RUN."""

    W: np.ndarray  # [3n, I + 1 + n, L] weights of reset gates, update gates, candidates
    V: np.ndarray  # [K, n + 1, L] output weights, from states and 1
    X: np.ndarray  # [3n, L, P] weights from symbols
    dW: np.ndarray  # [3n, I + 1 + n, L] rate x gradient, summed over the sequence
    dV: np.ndarray  # [K, n + 1, L]
    dX: np.ndarray  # [3n, L, P]
    y: np.ndarray  # [n, L] states
    now: np.ndarray  # [3n, L] net inputs of a step, then r, z and c; on the way back -dE/dnet
    held: np.ndarray  # [n, L] states times their reset gates
    back: np.ndarray  # [n, L] -dE/dy from all later steps
    e: np.ndarray  # [K, L] outputs, then their error signals
    rate: np.ndarray  # [1, L] learning rate
    signal: np.ndarray  # [3, L] margin, slope and constant of its `Signal`
    rule: np.ndarray  # [4, L] the optimizer's `Rule`
    of_W: Moments
    of_V: Moments
    of_X: Moments
    steps: Steps
    past: Past


def new_state(width: int, variant: GruVariant, outputs: int) -> GruState:
    """Nets with all weights zero, and nothing kept."""
    n, symbols = variant.units, -(-variant.symbols // RUN) * RUN
    W, V, X = (3 * n, variant.inputs + 1 + n, width), (outputs, n + 1, width), (3 * n, width, symbols)
    dW, dV, dX = aligned_zeros(*W), aligned_zeros(*V), aligned_zeros(*X)
    return GruState(
        W=aligned_zeros(*W),
        V=aligned_zeros(*V),
        X=aligned_zeros(*X),
        dW=dW,
        dV=dV,
        dX=dX,
        y=aligned_zeros(n, width),
        now=aligned_zeros(3 * n, width),
        held=aligned_zeros(n, width),
        back=aligned_zeros(n, width),
        e=aligned_zeros(outputs, width),
        rate=aligned_zeros(1, width),
        signal=aligned_zeros(3, width),
        rule=aligned_zeros(len(optimizers.Rule()), width),
        of_W=new_moments(variant.sums, dW, 0),
        of_V=new_moments(variant.sums, dV, 0),
        of_X=new_moments(variant.sums, dX, 0),
        steps=new_steps(width, variant.history, outputs),
        past=_new_past(width, variant),
    )


def _new_past(width: int, variant: GruVariant) -> Past:
    n, H = variant.units, variant.history
    return Past(
        gates=aligned_zeros(H, 3 * n, width),
        y=aligned_zeros(H, n, width),
        x=aligned_zeros(H, variant.inputs, width),
        blame=aligned_zeros(H, n, width),
    )


def put(state: GruState, variant: GruVariant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [3n, I + 1 + n] and output [K, n + 1]; nothing is summed up or kept yet."""
    hidden, output = weights
    i = variant.symbols
    state.W[..., l], state.V[..., l], state.X[:, l, :i] = hidden[:, i:], output, hidden[:, :i]
    state.rate[:, l], state.signal[:, l], state.rule[:, l] = signal.rate, signal[1:4], signal.rule
    state.steps.kept[l] = 0
    last = [state.dW, state.dV, *state.of_W, *state.of_V]
    optimizers.forget([array[..., l] for array in last] + [array[:, l] for array in (state.dX, *state.of_X)])


def weights(state: GruState, variant: GruVariant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [3n, I + 1 + n] and output [K, n + 1]."""
    return np.concatenate([state.X[:, l, : variant.symbols], state.W[..., l]], axis=1), state.V[..., l].copy()


def lanes_last(state: GruState) -> list[np.ndarray]:
    """All arrays of the state that have lanes, the lane as their last axis."""
    apart = {"X", "dX", "of_W", "of_V", "of_X", "steps", "past"}
    arrays = [array for name, array in state._asdict().items() if name not in apart]
    symbols = [np.moveaxis(array, 1, -1) for array in (state.X, state.dX, *state.of_X)]
    return [*arrays, *state.of_W, *state.of_V, *kept_lanes_last(state), *symbols]
