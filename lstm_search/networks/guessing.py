"""Random weight guessing (Hochreiter & Schmidhuber 1997, section 5.3): nothing is learned, weights are drawn anew.

Where a learner learns from a training sequence, weights are drawn: a trial counts draws. Each draw is checked on the
trial's training set, the same sequences for every draw, and the search ends where all of them are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.learner import Facts, Learner, Signal, Weights, uniform_weights
from lstm_search.networks.recurrent import Net, Variant
from lstm_search.simd import Block, Layout, draw, uniform


class GuessingState(NamedTuple):
    """The nets of a pack, and where each lane's draws come from."""

    net: Net
    range: np.ndarray  # [L, 1] weights are uniform in [-range, range]
    key: np.ndarray  # uint64 [L, 1] what the lane's weights are drawn from


def _new_state(width: int, variant: Variant, n_outputs: int) -> GuessingState:
    return GuessingState(
        recurrent.new_net(width, variant, n_outputs), np.zeros((width, 1)), np.zeros((width, 1), np.uint64)
    )


def _put(state: GuessingState, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these connections: those weights [n, M] that are not 0. Its draws come from the bits of the first; the
    range is the other array, [1, 1]."""
    hidden, most = weights
    state.net.W[l] = hidden
    state.range[l] = most[0, 0]
    state.key[l] = hidden[0, :1].view(np.uint64)


def _weights(state: GuessingState, variant: Variant, l: int) -> Weights:
    """Copies of the weights [n, M] of lane l, and of their range [1, 1]."""
    return state.net.W[l].copy(), state.range[l : l + 1].copy()


def _learn(variant: Variant, state: GuessingState, block: Block, l: int, t: int) -> None:
    """Nothing is learned."""


def _finish(variant: Variant, state: GuessingState, l: int, number: int) -> None:
    """Draw all weights of lane l anew. A weight of 0 stands for a connection that is not there."""
    W, key = state.net.W[l], draw(state.key[l, 0], number)
    for i in range(W.shape[0]):
        for m in range(W.shape[1]):
            if W[i, m] != 0.0:
                W[i, m] = state.range[l, 0] * (2.0 * uniform(key, i * W.shape[1] + m) - 1.0)


def _check(_network: Any, _layout: Layout, rules: Sequence[Any]) -> None:
    """Refuse stop rules that do not check every draw."""
    for rule in rules:
        if rule.check_every != 1 or rule.learn_while_tested:
            raise ValueError(
                f"stop.check_every={rule.check_every or 'null'}: network guessing checks every draw; takes "
                "stop.check_every=1 stop.learn_while_tested=false"
            )


@dataclass(frozen=True)
class Guessing(Learner):
    """`hidden` logistic units and the outputs, weights uniform in [-range, range].

    A1: every unit sees inputs and all units; hidden units are biased. A2: a hidden unit sees inputs, outputs and
    itself, an output inputs and all other units; all units are biased (Hochreiter & Schmidhuber 1996).
    """

    architecture: Literal["A1", "A2"] = setting(
        "A2", "A1: every unit sees all units; A2: a hidden unit sees outputs and itself, an output all other units"
    )
    hidden: int = setting(10, "logistic hidden units, 1 to 64", low=1, high=64)
    range: float = setting(100.0, "weights are uniform in [-range, range]", above=0, example="100")

    name = "guessing"
    facts = Facts(
        updates=("sequence",),
        signals=False,
        slopeless="learns by no error signals",
        unit="draws",
        check=_check,
    )
    kernels = recurrent.kernels(GuessingState, _new_state, put=_put, weights=_weights, learn=_learn, finish=_finish)

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
        """What nets of this kind have in common on a task."""
        return Variant(self.hidden, n_inputs, symbols=int(symbols), bias=1, full=1, direct=0, sums=sums)

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

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """The weights [n, M] before the first draw that counts, and their range [1, 1]."""
        there = self.connections(n_inputs, n_outputs)
        drawn, _ = uniform_weights(key, self.range, there.shape, (0,))
        return np.where(there, drawn, 0.0), np.array([[self.range]])

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return int(np.count_nonzero(self.connections(n_inputs, n_outputs)))
