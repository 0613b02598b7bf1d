"""Random weight guessing (Hochreiter & Schmidhuber 1997, section 5.3): nothing is learned, weights are drawn anew.

Where a learner learns from a training sequence, weights are drawn: a trial counts draws. Each draw is checked on the
trial's training set, the same sequences for every draw, and the search ends where all of them are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.recurrent import Form, State, begin, forward, observe
from lstm_search.simd import ACTIVE, LEARNING, Block, Lanes, Watch, draw, inlined, judge, kernel, uniform, uniforms


class Guesses(NamedTuple):
    """The nets of a pack, and where each lane's draws come from."""

    net: State
    range: np.ndarray  # [L, 1] weights are uniform in [-range, range]
    key: np.ndarray  # uint64 [L, 1] what the lane's weights are drawn from
    rate: np.ndarray  # [1, L] not used: nothing is learned
    reset: np.ndarray  # [1, L] activations before a sequence's first step
    alive: np.ndarray  # [1, L] not used: nothing grows


@inlined
def _guess(state: Guesses, l: int, number: int) -> None:
    """Draw all weights of lane l anew. A weight of 0 stands for a connection that is not there."""
    W, key = state.net.W[l], draw(state.key[l, 0], number)
    for i in range(W.shape[0]):
        for m in range(W.shape[1]):
            if W[i, m] != 0.0:
                W[i, m] = state.range[l, 0] * (2.0 * uniform(key, i * W.shape[1] + m) - 1.0)


@kernel
def advance(lanes: Lanes, form: Form, state: Guesses, block: Block, watch: Watch) -> None:
    """Run all lanes through the block: draw weights at the ends of sequences where `watch` says so, test elsewhere."""
    for l in range(watch.at.shape[0]):
        for t in range(block.due.shape[0]):
            if not watch.masks[ACTIVE] >> l & 1:
                break
            forward(form, state.net, block, l, t)
            if block.due[t] >> l & 1:
                observe(form, state.net, block, watch, l, t)
            if block.ends[t] >> l & 1:
                if watch.masks[LEARNING] >> l & 1:
                    _guess(state, l, watch.done[l])
                begin(state.net, l)
                judge(watch, l, t)


@kernel
def restart(lanes: Lanes, form: Form, state: Guesses, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence."""
    for l in range(state.key.shape[0]):
        if mask >> l & 1:
            begin(state.net, l)


def new_state(width: int, form: Form, outputs: int) -> Guesses:
    """Nets with all weights zero."""
    net = recurrent.new_state(width, form, outputs)
    return Guesses(net, np.zeros((width, 1)), np.zeros((width, 1), np.uint64), net.rate, net.reset, net.alive)


def put(state: Guesses, form: Form, l: int, hidden: np.ndarray, output: np.ndarray) -> None:
    """Give lane l its connections: those weights [n, M] that are not 0. Its draws come from the bits of the first; the
    range is `output` [1, 1]."""
    recurrent.put(state.net, form, l, hidden, output[:, :0])
    state.range[l] = output[0, 0]
    state.key[l] = hidden[0, :1].view(np.uint64)


def weights(state: Guesses, form: Form, l: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the weights [n, M] of lane l, and their range."""
    return state.net.W[l].copy(), state.range[l : l + 1].copy()


def lanes_last(state: Guesses) -> list[np.ndarray]:
    """All arrays of the state, the lane as their last axis."""
    return [*recurrent.lanes_last(state.net), state.range.T, state.key.T]


@dataclass(frozen=True)
class Guessing:
    """`hidden` logistic units and the outputs, weights uniform in [-range, range].

    A1: every unit sees inputs and all units; hidden units are biased. A2: a hidden unit sees inputs, outputs and
    itself, an output inputs and all other units; all units are biased (Hochreiter & Schmidhuber 1996).
    """

    architecture: Literal["A1", "A2"] = setting(
        "A2",
        "A1: every unit sees all units; A2: a hidden unit sees outputs and itself, an output all other units",
    )
    hidden: int = setting(10, "logistic hidden units, 1 to 64", low=1, high=64)
    range: float = setting(100.0, "weights are uniform in [-range, range]", above=0, example="100")

    name: ClassVar[str] = "guessing"
    unit: ClassVar[str] = "draws"
    growth_rule: ClassVar[None] = None
    in_turn: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ()
    reset: ClassVar[float] = 0.0
    updates: ClassVar[tuple[str, ...]] = ("sequence",)
    new_state: ClassVar[Callable[..., Guesses]] = staticmethod(new_state)
    put: ClassVar[Callable[..., None]] = staticmethod(put)
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]] = staticmethod(weights)
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]] = staticmethod(lanes_last)
    advance: ClassVar[Callable[..., Any]] = staticmethod(advance)
    restart: ClassVar[Callable[..., Any]] = staticmethod(restart)

    def __post_init__(self) -> None:
        settle(self, "network")

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task."""
        return Form(
            hidden=self.hidden,
            inputs=n_inputs,
            symbols=int(symbols),
            bias=1,
            full=1,
            direct=0,
            sums=int(sums),
            history=0,
            traces=0,
        )

    def connections(self, n_inputs: int, n_outputs: int) -> np.ndarray:
        """Which weights there are [n, M]: from inputs, 1, hidden units, outputs."""
        n, h, first = self.hidden + n_outputs, self.hidden, n_inputs + 1
        there = np.ones((n, first + n), bool)
        if self.architecture == "A1":
            there[h:, n_inputs] = False
            return there
        there[:h, first : first + h] = np.eye(h, dtype=bool)
        there[h:, first + h :] = ~np.eye(n_outputs, dtype=bool)
        return there

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """The weights [n, M] before the first draw that counts, and their range [1, 1]."""
        there = self.connections(n_inputs, n_outputs)
        drawn = np.empty(there.size)
        uniforms(key, drawn)
        return np.where(there, self.range * (2.0 * drawn.reshape(there.shape) - 1.0), 0.0), np.array([[self.range]])

    def check_cell(self, _layout: Any, stops: Sequence[Any]) -> None:
        """Refuse stop rules that do not check every draw."""
        for stop in stops:
            if stop.check_every != 1 or stop.learn_while_tested:
                raise ValueError(
                    f"stop.check_every={stop.check_every or 'null'}: network guessing checks every draw; takes "
                    "stop.check_every=1 stop.learn_while_tested=false"
                )

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return int(np.count_nonzero(self.connections(n_inputs, n_outputs)))
