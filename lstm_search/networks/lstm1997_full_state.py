"""What the nets of a pack hold that learn by the full gradient. Letters are those of `lstm1997_full`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import lstm1997_state
from lstm_search.networks.learner import Signal, Weights
from lstm_search.networks.lstm1997_state import State, Variant
from lstm_search.networks.optimizers import DESCENT
from lstm_search.networks.unrolled import Steps, kept_lanes_last, new_steps
from lstm_search.simd import aligned_zeros


class FullVariant(NamedTuple):
    """What all nets of a pack have in common."""

    core: Variant  # as with the truncated gradient; contributions are summed up in any case
    history: int  # H: steps that are kept
    forget_gates: int  # 1 where blocks have one; they are the last units
    coupled: int  # 1 where y_f = 1 - y_in


def variant_of(core: Variant, history: int, *, forget_gates: int = 0, coupled: int = 0) -> FullVariant:
    """The variant of nets that have `core` in common with the truncated gradient."""
    return FullVariant(core._replace(sums=max(core.sums, DESCENT)), history, forget_gates, coupled)


class FullPast(NamedTuple):
    """What the rows keep of the steps of sequences that are not over."""

    x: np.ndarray  # [H, I, L] inputs, where these are rows
    y: np.ndarray  # [H, R, L] activations of the step before, those that are fed back
    f: np.ndarray  # [H, U, L] f(net_u): gates, conventional units, and of cells what g is made of
    h: np.ndarray  # [H, C, L] h(s_c)
    s: np.ndarray  # [H, C, L] cell states of the step before
    s_now: np.ndarray  # [H, C, L] those of the step, where output gates see them; else [H, 0, L]
    blame: np.ndarray  # [H, C + conventional units, L] -dE(t)/dy


class FullState(NamedTuple):
    """The nets of a pack."""

    core: State  # weights, their sums, s, h and e as with the truncated gradient; its traces and sources are not used
    y: np.ndarray  # [U, L] activations
    f: np.ndarray  # [U, L] net inputs of a step, then f(net_u)
    delta: np.ndarray  # [U, L] -dE/dnet_u of the step that is unrolled
    back: np.ndarray  # [U + C, L] -dE/dy_u from all later steps, then -dE/ds_c
    steps: Steps
    past: FullPast


def new_state(width: int, variant: FullVariant, outputs: int) -> FullState:
    """Nets with all weights zero, and nothing kept."""
    core, U, C = variant.core, variant.core.units, variant.core.blocks * variant.core.size
    return FullState(
        core=lstm1997_state.new_state(width, core, outputs),
        y=aligned_zeros(U, width),
        f=aligned_zeros(U, width),
        delta=aligned_zeros(U, width),
        back=aligned_zeros(U + C, width),
        steps=new_steps(width, variant.history, outputs),
        past=_new_past(width, variant),
    )


def _new_past(width: int, variant: FullVariant) -> FullPast:
    core, H, C = variant.core, variant.history, variant.core.blocks * variant.core.size
    return FullPast(
        x=aligned_zeros(H, core.activations - (core.bias >= 0), width),
        y=aligned_zeros(H, core.sources - core.activations, width),
        f=aligned_zeros(H, core.units, width),
        h=aligned_zeros(H, C, width),
        s=aligned_zeros(H, C, width),
        s_now=aligned_zeros(H, C if core.peepholes and core.output_gates else 0, width),
        blame=aligned_zeros(H, C + core.hidden, width),
    )


def put(state: FullState, variant: FullVariant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [U, M + S] and output [K, direct + C + H + output_bias]; nothing is summed up or
    kept yet."""
    lstm1997_state.put(state.core, variant.core, l, network, weights, signal)
    state.steps.kept[l] = 0


def weights(state: FullState, variant: FullVariant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [U, M + S] and output [K, direct + C + H + output_bias]."""
    return lstm1997_state.weights(state.core, variant.core, l)


def lanes_last(state: FullState) -> list[np.ndarray]:
    """All arrays of the state that have lanes, the lane as their last axis."""
    working = [state.y, state.f, state.delta, state.back]
    return [*lstm1997_state.lanes_last(state.core), *working, *kept_lanes_last(state)]
