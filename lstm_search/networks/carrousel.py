"""The naive constant error carrousel (section 3.2): linear units with a fixed self-weight of 1, and no gates.

s_j(t) = s_j(t-1) + sum_m w_jm z_m(t), so that error flows back unscaled, and ds_j/dw_jm is the sum of all z_m so far:
one number a source, the same for all units. The one input weight must store and ignore, the one output weight retrieve
and protect: what gates are there to resolve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.learner import Facts, Learner, Signal, Weights
from lstm_search.networks.recurrent import Net, Variant
from lstm_search.simd import Block, aligned_zeros


class CarrouselState(NamedTuple):
    """The nets of a pack; their states are `net.y`. Self-weights are 1, and no other weights feed units back."""

    net: Net
    seen: np.ndarray  # [L, I + bias] sum of each source since the sequence began


def _new_state(width: int, variant: Variant, n_outputs: int) -> CarrouselState:
    return CarrouselState(
        recurrent.new_net(width, variant, n_outputs), aligned_zeros(width, variant.inputs + variant.bias)
    )


def _put(state: CarrouselState, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [n, I + bias] and output [K, C]; nothing is summed up yet."""
    recurrent.put_net(state.net, l, weights, signal)


def _step(variant: Variant, state: CarrouselState, block: Block, l: int, t: int, learning: int) -> None:
    """States of lane l at step t, s_j += net_j, and the sums that they depend on."""
    net, now, s, seen = state.net, state.net.now[l], state.net.y[l], state.seen[l]
    recurrent.look(variant, net, block, l, t)
    if variant.symbols:
        seen[int(now[0])] += 1.0
    else:
        recurrent.add_scaled(seen[: variant.inputs], 1.0, now)
    if variant.bias:
        seen[variant.inputs] += 1.0
    for j in range(s.shape[0]):
        s[j] += recurrent.from_inputs(variant, net.W[l, j], now)


def _learn(variant: Variant, state: CarrouselState, block: Block, l: int, t: int) -> None:
    """W += rate x back_j ds_j/dw_jm."""
    net = state.net
    recurrent.error_signals(variant, net, block, l, t)
    W = net.dW[l] if variant.sums else net.W[l]
    for j in range(W.shape[0]):
        recurrent.add_scaled(W[j], net.rate[l] * net.back[l, j], state.seen[l])
    recurrent.learn_outputs(variant, net, l)


def _begin(variant: Variant, state: CarrouselState, l: int) -> None:
    state.net.y[l] = 0.0
    state.seen[l] = 0.0


@dataclass(frozen=True)
class Carrousel(Learner):
    """`hidden` linear units that see the inputs and themselves; logistic outputs that see them, and the inputs too
    where `wiring` is direct."""

    hidden: int = setting(3, "linear hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["layered", "direct"] = setting(
        "layered", "outputs see the hidden units (layered), or the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")

    name = "carrousel"
    facts = Facts()
    kernels = recurrent.kernels(CarrouselState, _new_state, put=_put, step=_step, learn=_learn, begin=_begin)
    initial = recurrent.initial
    n_weights = recurrent.n_weights  # self-weights are fixed and do not count

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
        """What nets of this kind have in common on a task."""
        return recurrent.variant_of(self, n_inputs, symbols=symbols, sums=sums)._replace(fed_back=0)
