"""Elman nets (Elman 1990, Cleeremans et al. 1989): hidden units, and context units that hold a copy of them.

The copy counts as an input: the gradient is that of the current step only, and no error flows back in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.learner import Facts, Learner
from lstm_search.networks.optimizers import RULES
from lstm_search.networks.recurrent import Net, Variant
from lstm_search.simd import Block


class ElmanState(NamedTuple):
    """The nets of a pack."""

    net: Net


def _new_state(width: int, variant: Variant, n_outputs: int) -> ElmanState:
    return ElmanState(recurrent.new_net(width, variant, n_outputs))


def _learn(variant: Variant, state: ElmanState, block: Block, l: int, t: int) -> None:
    """W += rate x back_i f'(net_i) x source, the context being a source like any other."""
    net = state.net
    recurrent.error_signals(variant, net, block, l, t)
    W = net.dW[l] if variant.sums else net.W[l]
    for i in range(W.shape[0]):
        slope = net.y[l, i] * (1.0 - net.y[l, i])
        recurrent.add_sources(variant, W[i], net.rate[l] * net.back[l, i] * slope, net.now[l], net.before[l])
    recurrent.learn_outputs(variant, net, l)


@dataclass(frozen=True)
class Elman(Learner):
    """`hidden` logistic units, their context, and outputs wired as `wiring` says (see `recurrent`)."""

    hidden: int = setting(15, "logistic hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["layered", "direct"] = setting(
        "layered", "outputs see the hidden units (layered), or the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)

    name = "elman"
    facts = Facts(optimizers=tuple(RULES))
    kernels = recurrent.kernels(ElmanState, _new_state, learn=_learn)
    variant = recurrent.variant_of
    initial = recurrent.initial
    n_weights = recurrent.n_weights

    def __post_init__(self) -> None:
        settle(self, "network")
