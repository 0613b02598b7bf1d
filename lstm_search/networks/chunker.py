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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.recurrent import (
    add_scaled,
    add_sources,
    apply,
    begin,
    compare,
    copy,
    forward,
    learn_outputs,
    outputs,
)
from lstm_search.simd import ACTIVE, LEARNING, Block, Lanes, Watch, aligned_zeros, inlined, judge, kernel, uniforms


class Form(NamedTuple):
    """What all nets of a pack have in common."""

    net: recurrent.Form  # of either net
    surprise: float
    outputs: int  # 1 where the chunker's outputs are imitated too


class State(NamedTuple):
    """The nets of a pack. Both have n units; the chunker has K outputs, and the automatizer K + n, or K + n + K."""

    automatizer: recurrent.State
    chunker: recurrent.State
    surprised: np.ndarray  # [L, 1] 1 where the coming input was not predicted
    rate: np.ndarray  # [1, L] learning rate, of both nets
    reset: np.ndarray  # [1, L] activations before a sequence's first step, of both nets
    alive: np.ndarray  # [1, L] not used: nothing grows


def new_state(width: int, form: Form, outputs: int) -> State:
    """Nets with all weights zero."""
    shared = {name: aligned_zeros(1, width) for name in ("rate", "reset", "alive")}
    return State(
        automatizer=recurrent.new_state(width, form.net, outputs * (1 + form.outputs) + form.net.hidden)._replace(
            **shared
        ),
        chunker=recurrent.new_state(width, form.net, outputs)._replace(**shared),
        surprised=aligned_zeros(width, 1, dtype=np.int64),
        **shared,
    )


def put(state: State, form: Form, l: int, hidden: np.ndarray, output: np.ndarray) -> None:
    """Give lane l its weights, hidden [2 n, M] and output [O, C]: the automatizer's, then the chunker's."""
    n, first = form.net.hidden, state.automatizer.e.shape[1]
    recurrent.put(state.automatizer, form.net, l, hidden[:n], output[:first])
    recurrent.put(state.chunker, form.net, l, hidden[n:], output[first:])


def weights(state: State, form: Form, l: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the weights of lane l: hidden [2 n, M] and output [O, C], as `put` takes them."""
    parts = [recurrent.weights(net, form.net, l) for net in (state.automatizer, state.chunker)]
    return np.concatenate([hidden for hidden, _ in parts]), np.concatenate([output for _, output in parts])


def lanes_last(state: State) -> list[np.ndarray]:
    """All arrays of the state, the lane as their last axis."""
    nets = [*recurrent.lanes_last(state.automatizer), *recurrent.lanes_last(state.chunker)]
    return [*nets, state.surprised.T]


@inlined
def _keep(net: recurrent.State, l: int) -> None:
    """Keep what this step brought; the oldest step is let go where there is no room."""
    past, seen, kept = net.past[l], net.seen[l], net.kept[l]
    if kept[0] == seen.shape[0]:
        kept[0] -= 1
        for step in range(kept[0] + 1):
            copy(past[step], past[step + 1])
        for step in range(kept[0]):
            copy(seen[step], seen[step + 1])
    copy(past[kept[0] + 1], net.y[l])
    copy(seen[kept[0]], net.now[l])
    kept[0] += 1


@inlined
def _flow_back(form: recurrent.Form, net: recurrent.State, l: int) -> None:
    """-dE/dnet of the units at every step kept, into `blame`, from the error signals of the last one in `e`."""
    W, V, e, flow, n = net.W[l], net.V[l], net.e[l], net.back[l], net.y.shape[1]
    for i in range(n):
        flow[i] = 0.0
        for k in range(e.shape[0]):
            flow[i] += V[form.direct + i, k] * e[k]
    for step in range(net.kept[l, 0] - 1, -1, -1):
        delta = net.blame[l, step]
        for i in range(n):
            y = net.past[l, step + 1, i]
            delta[i] = y * (1.0 - y) * flow[i]
        flow[:] = 0.0
        for i in range(n):
            add_scaled(flow, delta[i], W[i, form.inputs + form.bias :])


@inlined
def _learn(form: recurrent.Form, net: recurrent.State, l: int) -> None:
    """Weights change by rate x gradient, or what is summed for them, by the error signals in `e`."""
    _flow_back(form, net, l)
    learn_outputs(form, net, l, net.dV[l] if form.sums else net.V[l])
    W = net.dW[l] if form.sums else net.W[l]
    for step in range(net.kept[l, 0]):
        for i in range(W.shape[0]):
            add_sources(form, W[i], net.rate[0, l] * net.blame[l, step, i], net.seen[l, step], net.past[l, step])


@inlined
def _aim(net: recurrent.State, l: int, k: int, target: float) -> None:
    """Output k becomes its error signal."""
    y = net.e[l, k]
    net.e[l, k] = (target - y) * (y * (1.0 - y))


@inlined
def _is_surprised(form: Form, state: State, block: Block, l: int, t: int) -> bool:
    """Whether the automatizer's outputs fail to predict the next input."""
    for k in range(block.target.shape[1]):
        if not abs(block.target[t, k, l] - state.automatizer.e[l, k]) < form.surprise:
            return True
    return False


@inlined
def _learn_both(form: Form, state: State, block: Block, l: int, t: int) -> None:
    """The automatizer learns; so does the chunker, where the automatizer failed. `automatizer.e` holds outputs."""
    automatizer, chunker, n, K = state.automatizer, state.chunker, form.net.hidden, block.target.shape[1]
    outputs(form.net, chunker, l)
    state.surprised[l, 0] = _is_surprised(form, state, block, l, t)
    for k in range(K):
        _aim(automatizer, l, k, block.target[t, k, l])
    for i in range(n):
        _aim(automatizer, l, K + i, chunker.y[l, i])
    for k in range(K * form.outputs):
        _aim(automatizer, l, K + n + k, chunker.e[l, k])
    _learn(form.net, automatizer, l)
    if state.surprised[l, 0]:
        for k in range(K):
            _aim(chunker, l, k, block.target[t, k, l])
        _learn(form.net, chunker, l)


@inlined
def _begin(state: State, l: int) -> None:
    """Lane l is before the first step of a sequence, which nothing predicts."""
    begin(state.automatizer, l)
    begin(state.chunker, l)
    state.surprised[l, 0] = 1


@inlined
def _apply(net: recurrent.State, l: int) -> None:
    """Move what is summed into the weights of a net."""
    apply(net.W[l], net.dW[l])
    apply(net.V[l], net.dV[l])


@kernel
def _advance(form: Form, state: State, block: Block, watch: Watch) -> None:
    for l in range(watch.at.shape[0]):
        for t in range(block.due.shape[0]):
            if not watch.masks[ACTIVE] >> l & 1:
                break
            learning = watch.masks[LEARNING] >> l & 1
            forward(form.net, state.automatizer, block, l, t)
            if learning:
                _keep(state.automatizer, l)
                if state.surprised[l, 0]:
                    forward(form.net, state.chunker, block, l, t)
                    _keep(state.chunker, l)
            if block.due[t] >> l & 1:
                outputs(form.net, state.automatizer, l)
                compare(block, watch, l, t, state.automatizer.e[l, : block.target.shape[1]])
                if learning:
                    _learn_both(form, state, block, l, t)
            if block.ends[t] >> l & 1:
                if learning and form.net.sums:
                    _apply(state.automatizer, l)
                    _apply(state.chunker, l)
                _begin(state, l)
                judge(watch, l, t)


def advance(lanes: Lanes, form: Form, state: State, block: Block, watch: Watch) -> None:
    """Run all lanes through the block: train where `watch` says so, test elsewhere, stop each lane where it must. The
    kernel does not know how many lanes there are, so it is compiled once."""
    _advance(form, state, block, watch)


@kernel
def restart(lanes: Lanes, form: Form, state: State, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence."""
    for l in range(state.surprised.shape[0]):
        if mask >> l & 1:
            _begin(state, l)


@dataclass(frozen=True)
class Chunker:
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

    name: ClassVar[str] = "chunker"
    growth_rule: ClassVar[None] = None
    in_turn: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ("embedded_reber", "long_lag")
    updates: ClassVar[tuple[str, ...]] = ("sequence", "step")
    new_state: ClassVar[Callable[..., State]] = staticmethod(new_state)
    put: ClassVar[Callable[..., None]] = staticmethod(put)
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]] = staticmethod(weights)
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]] = staticmethod(lanes_last)
    advance: ClassVar[Callable[..., Any]] = staticmethod(advance)
    restart: ClassVar[Callable[..., Any]] = staticmethod(restart)

    @property
    def wiring(self) -> str:
        """Outputs see the inputs too."""
        return "direct"

    def __post_init__(self) -> None:
        settle(self, "network")

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task."""
        net = recurrent.form_of(self, n_inputs, symbols=symbols, sums=sums)
        return Form(net._replace(history=self.history), self.surprise, int(self.imitates == "all"))

    def _rows(self, n_outputs: int) -> int:
        """Output units of both nets."""
        return self.hidden + n_outputs * (3 if self.imitates == "all" else 2)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights, uniform in [-init, init], as `put` takes them."""
        columns = n_inputs + self.bias + self.hidden
        both = np.empty((2 * self.hidden + self._rows(n_outputs), columns))
        uniforms(key, both.reshape(-1))
        both = self.init * (2.0 * both - 1.0)
        return both[: 2 * self.hidden], both[2 * self.hidden :]

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases of both nets."""
        return (2 * self.hidden + self._rows(n_outputs)) * (n_inputs + self.bias + self.hidden)
