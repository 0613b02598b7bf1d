"""Real-time recurrent learning (Robinson & Fallside 1987, Williams & Zipser 1989): the exact gradient, carried along.

The derivatives of all activations by all weights go on from step to step: dy_i/dw_um(t) = f'(net_i) (sum_j w_ij
dy_j/dw_um(t-1) + [i = u] z_m). That is n^2 (I + n) numbers and n times as many operations a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.learner import Facts, Learner
from lstm_search.networks.optimizers import RULES
from lstm_search.networks.recurrent import Net, Variant
from lstm_search.simd import Block, Layout, aligned_zeros, inlined

MOST = 4_000_000
"""How many derivatives a trial may carry. They take 32 MB, and there are two copies."""


class RtrlState(NamedTuple):
    """The nets of a pack, and the derivatives of their activations."""

    net: Net
    P: np.ndarray  # [L, n, n M] dy_i/dw_um
    Q: np.ndarray  # [L, n, n M] the same a step later


def _new_state(width: int, variant: Variant, n_outputs: int) -> RtrlState:
    net = recurrent.new_net(width, variant, n_outputs)
    _, n, M = net.W.shape
    return RtrlState(net, aligned_zeros(width, n, n * M), aligned_zeros(width, n, n * M))


@inlined
def _add_two(to: np.ndarray, a: float, first: np.ndarray, b: float, second: np.ndarray) -> None:
    """To += a x first + b x second."""
    for k in range(to.shape[0]):
        to[k] = (to[k] + a * first[k]) + b * second[k]


@inlined
def _carry(variant: Variant, state: RtrlState, l: int) -> None:
    """The derivatives of this step's activations, in P, from those of the step before, which are there first."""
    net, P, Q, n = state.net, state.P[l], state.Q[l], state.net.y.shape[1]
    W, fed, M = net.W[l], variant.inputs + variant.bias, net.W.shape[2]
    for i in range(n):
        slope = net.y[l, i] * (1.0 - net.y[l, i])
        Q[i] = 0.0
        for j in range(0, n - 1, 2):  # two at a time: a row of Q is read and written half as often
            _add_two(Q[i], slope * W[i, fed + j], P[j], slope * W[i, fed + j + 1], P[j + 1])
        if n % 2:
            recurrent.add_scaled(Q[i], slope * W[i, fed + n - 1], P[n - 1])
        recurrent.add_sources(variant, Q[i, i * M : (i + 1) * M], slope, net.now[l], net.before[l])
    for i in range(n):
        recurrent.copy(P[i], Q[i])


def _step(variant: Variant, state: RtrlState, block: Block, l: int, t: int, learning: int) -> None:
    recurrent.forward(variant, state.net, block, l, t)
    if learning:
        _carry(variant, state, l)


def _learn(variant: Variant, state: RtrlState, block: Block, l: int, t: int) -> None:
    """W += rate x sum_i back_i dy_i/dw."""
    net = state.net
    recurrent.error_signals(variant, net, block, l, t)
    W = net.dW[l] if variant.sums else net.W[l]
    n, M = W.shape
    for i in range(n):
        if net.back[l, i] != 0.0:
            for u in range(n):
                recurrent.add_scaled(W[u], net.rate[l] * net.back[l, i], state.P[l, i, u * M : (u + 1) * M])
    recurrent.learn_outputs(variant, net, l)


def _begin(variant: Variant, state: RtrlState, l: int) -> None:
    """The first activations do not depend on the weights."""
    state.net.y[l] = state.net.reset[l]
    for i in range(state.P.shape[1]):
        state.P[l, i] = 0.0


def _check(network: Any, layout: Layout, _rules: Sequence[Any]) -> None:
    """Refuse a net that would carry more derivatives than fit."""
    n = network.hidden + (layout.outputs if network.wiring == "full" else 0)
    carried = n * n * (layout.inputs + network.bias + n)
    if carried > MOST:
        raise ValueError(
            f"network.wiring={network.wiring}: RTRL would carry {carried:,} derivatives a trial with {n} recurrent "
            f"units and {layout.inputs} inputs; takes {MOST:,} at most: choose fewer symbols or units, "
            "network.wiring=layered or direct, or network=bptt"
        )


@dataclass(frozen=True)
class Rtrl(Learner):
    """`hidden` logistic units, recurrent among themselves, and outputs wired as `wiring` says (see `recurrent`)."""

    hidden: int = setting(3, "logistic hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["full", "layered", "direct"] = setting(
        "full", "outputs are among the recurrent units (full), see them (layered), or see the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)

    name = "rtrl"
    kernels = recurrent.kernels(RtrlState, _new_state, step=_step, learn=_learn, begin=_begin)
    variant = recurrent.variant_of
    initial = recurrent.initial
    n_weights = recurrent.n_weights

    @property
    def facts(self) -> Facts:
        """Outputs that are recurrent units have no f' of their own."""
        return Facts(optimizers=tuple(RULES), check=_check, slopeless=recurrent.slopeless(self))

    def __post_init__(self) -> None:
        settle(self, "network")
