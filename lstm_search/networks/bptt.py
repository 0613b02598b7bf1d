"""Back-propagation through time (Werbos 1988, Williams & Zipser 1992): the exact gradient, by unrolling a sequence.

All activations of a sequence are kept; at its end errors flow back to its first step. Of a sequence that is longer than
`history` steps, each stretch of so many is unrolled by itself: no error flows from one into the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.learner import Facts, Learner
from lstm_search.networks.optimizers import DESCENT, RULES
from lstm_search.networks.recurrent import Net, Variant
from lstm_search.simd import Block, aligned_zeros, inlined


class BpttState(NamedTuple):
    """The nets of a pack, and what is kept of their last steps, H at most."""

    net: Net
    past: np.ndarray  # [L, H + 1, n] activations, from those before the first step kept
    blame: np.ndarray  # [L, H, n] -dE(t)/dy_i of each step
    seen: np.ndarray  # [L, H, I or 1] `now` of each step
    kept: np.ndarray  # int64 [L, 1] how many steps are kept


def new_state(width: int, variant: Variant, n_outputs: int) -> BpttState:
    """Nets with all weights zero, and nothing kept."""
    net, H = recurrent.new_net(width, variant, n_outputs), variant.history
    return BpttState(
        net,
        past=aligned_zeros(width, H + 1, net.y.shape[1]),
        blame=aligned_zeros(width, H, net.y.shape[1]),
        seen=aligned_zeros(width, H, net.now.shape[1]),
        kept=aligned_zeros(width, 1, dtype=np.int64),
    )


@inlined
def keep(state: BpttState, l: int) -> None:
    """Keep what this step brought."""
    step = state.kept[l, 0]
    recurrent.copy(state.past[l, step + 1], state.net.y[l])
    recurrent.copy(state.seen[l, step], state.net.now[l])
    state.kept[l, 0] = step + 1


@inlined
def rewind(state: BpttState, l: int) -> None:
    """Lane l is before the first step of a sequence. Only its activations there are kept."""
    state.net.y[l] = state.net.reset[l]
    state.past[l, 0] = state.net.reset[l]
    state.kept[l, 0] = 0


@inlined
def _unroll(variant: Variant, state: BpttState, l: int) -> None:
    """Errors flow back through all steps that are kept. Afterwards only the last activations are kept."""
    net, past, n = state.net, state.past[l], state.net.y.shape[1]
    W, dW, flow, delta = net.W[l], net.dW[l], net.before[l], net.back[l]
    flow[:] = 0.0
    for step in range(state.kept[l, 0] - 1, -1, -1):
        for i in range(n):
            y = past[step + 1, i]
            delta[i] = y * (1.0 - y) * (state.blame[l, step, i] + flow[i])
            recurrent.add_sources(variant, dW[i], net.rate[l] * delta[i], state.seen[l, step], past[step])
        flow[:] = 0.0
        for i in range(n):
            recurrent.add_scaled(flow, delta[i], W[i, variant.inputs + variant.bias :])
    recurrent.copy(past[0], net.y[l])
    state.kept[l, 0] = 0


def _step(variant: Variant, state: BpttState, block: Block, l: int, t: int, learning: int) -> None:
    if state.kept[l, 0] == variant.history:  # no room for one more
        _unroll(variant, state, l)
    recurrent.forward(variant, state.net, block, l, t)
    if learning:
        state.blame[l, state.kept[l, 0]] = 0.0
        keep(state, l)


def _learn(variant: Variant, state: BpttState, block: Block, l: int, t: int) -> None:
    recurrent.error_signals(variant, state.net, block, l, t)
    recurrent.copy(state.blame[l, state.kept[l, 0] - 1], state.net.back[l])
    recurrent.learn_outputs(variant, state.net, l)


def _finish(variant: Variant, state: BpttState, l: int, number: int) -> None:
    _unroll(variant, state, l)
    recurrent.apply(variant, state.net, l)


def _begin(variant: Variant, state: BpttState, l: int) -> None:
    rewind(state, l)


@dataclass(frozen=True)
class Bptt(Learner):
    """`hidden` logistic units, recurrent among themselves, and outputs wired as `wiring` says (see `recurrent`).

    `history`: steps that are unrolled at most, for they must be kept.
    """

    hidden: int = setting(3, "logistic hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["full", "layered", "direct"] = setting(
        "full", "outputs are among the recurrent units (full), see them (layered), or see the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)
    history: int = setting(
        512,
        "steps that are unrolled at most; longer sequences are unrolled in stretches of so many",
        low=1,
        high=100_000,
    )

    name = "bptt"
    kernels = recurrent.kernels(BpttState, new_state, step=_step, learn=_learn, finish=_finish, begin=_begin)
    initial = recurrent.initial
    n_weights = recurrent.n_weights

    @property
    def facts(self) -> Facts:
        """Outputs that are recurrent units have no f' of their own."""
        return Facts(updates=("sequence",), optimizers=tuple(RULES), slopeless=recurrent.slopeless(self))

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
        """What nets of this kind have in common on a task. Contributions are summed up in any case."""
        net = recurrent.variant_of(self, n_inputs, symbols=symbols, sums=max(sums, DESCENT))
        return net._replace(history=self.history)
