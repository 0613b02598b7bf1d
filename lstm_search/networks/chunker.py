"""The 2-net neural sequence chunker (Schmidhuber 1992, "Learning complex, extended sequences using the principle of
history compression").

The automatizer sees every input. At each step it predicts the next one and, on outputs of its own, the activations of
the chunker's hidden units (`imitates`: units), or of its outputs too (all). The chunker sees only inputs that the
automatizer failed to predict, the first of a sequence among them, and predicts the next such input; in between it
stands still. So it learns across stretches that the automatizer knows, and what it keeps in mind, the automatizer
learns to keep in mind at every step. What the net predicts is what the automatizer does.

Both are nets of logistic units whose outputs see the inputs too (`recurrent`, direct). Errors flow back through the
last `history` steps: the chunker's steps are the inputs it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import bptt, loop, recurrent
from lstm_search.networks.bptt import keep, rewind
from lstm_search.networks.learner import Facts, Learner, Signal, Weights, uniform_weights
from lstm_search.simd import Block, Layout, StopState, aligned_zeros, inlined


class Variant(NamedTuple):
    """What all nets of a pack have in common."""

    net: recurrent.Variant  # of either net
    surprise: float
    outputs: int  # 1 where the chunker's outputs are imitated too


class ChunkerState(NamedTuple):
    """The nets of a pack. Both have n units; the chunker has K outputs, and the automatizer K + n, or K + n + K."""

    automatizer: bptt.BpttState
    chunker: bptt.BpttState
    surprised: np.ndarray  # int64 [L, 1] 1 where the coming input was not predicted


def _new_state(width: int, variant: Variant, n_outputs: int) -> ChunkerState:
    more = n_outputs * variant.outputs + variant.net.hidden
    return ChunkerState(
        automatizer=bptt.new_state(width, variant.net, n_outputs + more),
        chunker=bptt.new_state(width, variant.net, n_outputs),
        surprised=aligned_zeros(width, 1, dtype=np.int64),
    )


def _put(state: ChunkerState, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [2 n, M] and output [O, C]: the automatizer's, then the chunker's."""
    hidden, output = weights
    n, first = variant.net.hidden, state.automatizer.net.e.shape[1]
    recurrent.put_net(state.automatizer.net, l, (hidden[:n], output[:first]), signal, network.reset)
    recurrent.put_net(state.chunker.net, l, (hidden[n:], output[first:]), signal, network.reset)


def _weights(state: ChunkerState, variant: Variant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [2 n, M] and output [O, C], the automatizer's, then the chunker's."""
    nets = state.automatizer.net, state.chunker.net
    hidden, output = zip(*(recurrent.weights_of(net, l) for net in nets), strict=True)
    return np.concatenate(hidden), np.concatenate(output)


@inlined
def _remember(state: bptt.BpttState, l: int) -> None:
    """Keep what this step brought; the oldest step is let go where there is no room."""
    past, seen, kept = state.past[l], state.seen[l], state.kept[l]
    if kept[0] == seen.shape[0]:
        kept[0] -= 1
        for step in range(kept[0] + 1):
            recurrent.copy(past[step], past[step + 1])
        for step in range(kept[0]):
            recurrent.copy(seen[step], seen[step + 1])
    keep(state, l)


@inlined
def _flow_back(variant: recurrent.Variant, state: bptt.BpttState, l: int) -> None:
    """-dE/dnet of the units at every step kept, into `blame`, from the error signals of the last one in `e`."""
    net, n = state.net, state.net.y.shape[1]
    W, V, e, flow = net.W[l], net.V[l], net.e[l], net.back[l]
    for i in range(n):
        flow[i] = 0.0
        for k in range(e.shape[0]):
            flow[i] += V[variant.direct + i, k] * e[k]
    for step in range(state.kept[l, 0] - 1, -1, -1):
        delta = state.blame[l, step]
        for i in range(n):
            y = state.past[l, step + 1, i]
            delta[i] = y * (1.0 - y) * flow[i]
        flow[:] = 0.0
        for i in range(n):
            recurrent.add_scaled(flow, delta[i], W[i, variant.inputs + variant.bias :])


@inlined
def _learn_from(variant: recurrent.Variant, state: bptt.BpttState, l: int) -> None:
    """The weights, or what is summed up for them, change by rate x gradient. The error signals are in `e`."""
    net, past, blame, seen = state.net, state.past[l], state.blame[l], state.seen[l]
    _flow_back(variant, state, l)
    recurrent.learn_outputs(variant, net, l)
    W = net.dW[l] if variant.sums else net.W[l]
    for step in range(state.kept[l, 0]):
        for i in range(W.shape[0]):
            recurrent.add_sources(variant, W[i], net.rate[l] * blame[step, i], seen[step], past[step])


@inlined
def _aim(net: recurrent.Net, l: int, k: int, target: float) -> None:
    """Output k becomes its error signal."""
    y = net.e[l, k]
    net.e[l, k] = recurrent.error_signal(net.signal[l], y, target - y)


@inlined
def _is_surprised(variant: Variant, state: ChunkerState, block: Block, l: int, t: int) -> bool:
    """Whether the automatizer's outputs fail to predict the next input."""
    for k in range(block.target.shape[1]):
        if not abs(block.target[t, k, l] - state.automatizer.net.e[l, k]) < variant.surprise:
            return True
    return False


def _step(variant: Variant, state: ChunkerState, block: Block, l: int, t: int, learning: int) -> None:
    recurrent.forward(variant.net, state.automatizer.net, block, l, t)
    if learning:
        _remember(state.automatizer, l)
        if state.surprised[l, 0]:
            recurrent.forward(variant.net, state.chunker.net, block, l, t)
            _remember(state.chunker, l)


def _observe(variant: Variant, state: ChunkerState, block: Block, stop: StopState, l: int, t: int) -> None:
    """What the pair predicts is the first K outputs of the automatizer."""
    recurrent.respond(variant.net, state.automatizer.net, l)
    loop.compare(block, stop, l, t, state.automatizer.net.e[l, : block.target.shape[1]])


def _learn(variant: Variant, state: ChunkerState, block: Block, l: int, t: int) -> None:
    """The automatizer learns; so does the chunker, where the automatizer failed. `automatizer.net.e` holds outputs."""
    automatizer, chunker = state.automatizer.net, state.chunker.net
    n, K = variant.net.hidden, block.target.shape[1]
    recurrent.respond(variant.net, chunker, l)
    state.surprised[l, 0] = _is_surprised(variant, state, block, l, t)
    for k in range(K):
        _aim(automatizer, l, k, block.target[t, k, l])
    for i in range(n):
        _aim(automatizer, l, K + i, chunker.y[l, i])
    for k in range(K * variant.outputs):
        _aim(automatizer, l, K + n + k, chunker.e[l, k])
    _learn_from(variant.net, state.automatizer, l)
    if state.surprised[l, 0]:
        for k in range(K):
            _aim(chunker, l, k, block.target[t, k, l])
        _learn_from(variant.net, state.chunker, l)


def _finish(variant: Variant, state: ChunkerState, l: int, number: int) -> None:
    recurrent.apply(variant.net, state.automatizer.net, l)
    recurrent.apply(variant.net, state.chunker.net, l)


def _begin(variant: Variant, state: ChunkerState, l: int) -> None:
    """The first input of a sequence is predicted by nothing, so it counts as a surprise."""
    rewind(state.automatizer, l)
    rewind(state.chunker, l)
    state.surprised[l, 0] = 1


def _check(_network: Any, layout: Layout, _rules: Sequence[Any]) -> None:
    """Refuse a task that does not ask for every next symbol."""
    if layout.targets != "all":
        raise ValueError("task.at_end=true: network chunker predicts the next symbol at every step; takes false")


@dataclass(frozen=True)
class Chunker(Learner):
    """Two nets of `hidden` logistic units each. An input counts as not predicted where some output of the automatizer
    errs by `surprise` or more: the work of 1992 leaves that open. What it learns must be to predict the next input.
    """

    hidden: int = setting(1, "logistic hidden units of each net, 1 to 64", low=1, high=64)
    surprise: float = setting(
        0.2,
        "an input was not predicted where an output erred by this much, between 0 and 1",
        above=0,
        below=1,
        example="0.1",
        reading=True,
    )
    imitates: Literal["units", "all"] = setting(
        "units",
        "what of the chunker the automatizer learns to imitate: its hidden units, or its outputs too (all)",
        reading=True,
    )
    history: int = setting(3, "steps that errors flow back; the chunker's are the inputs it saw", low=1, high=1000)
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.2, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)

    name = "chunker"
    facts = Facts(tasks=("embedded_reber", "long_lag"), check=_check)
    kernels = loop.kernels(
        ChunkerState,
        _new_state,
        _put,
        _weights,
        step=_step,
        observe=_observe,
        learn=_learn,
        finish=_finish,
        begin=_begin,
    )

    @property
    def wiring(self) -> str:
        """Outputs see the inputs too."""
        return "direct"

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
        """What nets of this kind have in common on a task."""
        net = recurrent.variant_of(self, n_inputs, symbols=symbols, sums=sums)
        return Variant(net._replace(history=self.history), self.surprise, int(self.imitates == "all"))

    def _rows(self, n_outputs: int) -> int:
        """Output units of both nets."""
        return self.hidden + n_outputs * (3 if self.imitates == "all" else 2)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights, hidden [2 n, M] and output [O, C]: the automatizer's, then the chunker's; uniform in
        [-init, init]."""
        columns = n_inputs + self.bias + self.hidden
        return uniform_weights(key, self.init, (2 * self.hidden, columns), (self._rows(n_outputs), columns))

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases of both nets."""
        return (2 * self.hidden + self._rows(n_outputs)) * (n_inputs + self.bias + self.hidden)
