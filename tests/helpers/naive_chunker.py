"""The 2-net chunker by definition: each error is derived by complex steps, the net run again from the oldest step that
counts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from helpers.naive_rivals import Weights, derivative, f, felt, row_of, step
from numpy.typing import NDArray

from lstm_search.networks import Signal


@dataclass
class Net:
    """One of the two: its weights, and what it has seen of this sequence. `states[i]` is before `seen[i]`."""

    network: Any
    weights: Weights
    n_inputs: int
    seen: list[list] = field(default_factory=list)
    states: list[list] = field(default_factory=list)

    def begin(self) -> None:
        self.seen, self.states = [], [[self.network.reset] * self.network.hidden]

    def look(self, x_t: Any) -> None:
        self.seen.append(row_of(x_t, self.n_inputs))
        y, _ = step(self.network, self.weights, self.seen[-1], self.states[-1])
        self.states.append([float(np.real(unit)) for unit in y])

    def outputs(self) -> NDArray:
        """What it says to the last thing it saw."""
        return np.real(step(self.network, self.weights, self.seen[-1], self.states[-2])[1])

    def gradient(self, target: NDArray, signal: Signal) -> Weights:
        """Of what the outputs are told to lower, as a function of the weights at the last `history` steps. What was
        seen and felt there stays as it was, though on line the weights have changed since."""
        rows, one = self.seen[-self.network.history :], [1.0] * self.network.bias
        kept = np.array(self.states[-len(rows) - 1 :])

        def loss(weights: Weights) -> complex:
            y = kept[0]
            for row, before, after in zip(rows, kept, kept[1:], strict=False):
                moved = weights[0] @ [*row, *one, *y] - self.weights[0] @ [*row, *one, *before]
                y = after + after * (1 - after) * moved
            return felt([f(net) for net in weights[1] @ [*rows[-1], *y, *one]], target, signal)

        return derivative(self.weights, loss)

    def move(self, gradient: Weights, rate: float) -> None:
        hidden, output = (w - rate * g for w, g in zip(self.weights, gradient, strict=True))
        self.weights = hidden, output


@dataclass
class Pair:
    """The two nets. `surprises`: how many inputs of each sequence reached the chunker."""

    network: Any
    automatizer: Net
    chunker: Net
    signal: Signal
    surprises: list[int] = field(default_factory=list)

    def learn(self, x: NDArray, targets: NDArray, *, by_step: bool) -> None:
        """`targets[t]` is what should follow step t. Weights change after each step, or at the end."""
        self.automatizer.begin()
        self.chunker.begin()
        surprised, late = True, []
        for x_t, target in zip(x, targets, strict=True):
            self.automatizer.look(x_t)
            if surprised:
                self.chunker.look(x_t)
            predicted = self.automatizer.outputs()[: len(target)]
            surprised = bool(np.abs(target - predicted).max() >= self.network.surprise)
            imitated = [*self.chunker.states[-1], *(self.chunker.outputs() if self.network.imitates == "all" else ())]
            both = np.array([*target, *imitated])
            found = [(self.automatizer, self.automatizer.gradient(both, self.signal))]
            if surprised:
                found.append((self.chunker, self.chunker.gradient(target, self.signal)))
            late += [] if by_step else found
            for net, gradient in found * by_step:
                net.move(gradient, self.signal.rate)
        for net, gradient in late:
            net.move(gradient, self.signal.rate)
        self.surprises.append(len(self.chunker.seen))
