"""Gated recurrent units (Cho et al. 2014), with the exact gradient, by unrolling a sequence.

A unit holds its state by a gate of its own instead of by a self-weight of 1, and has no output gate:

    r = f(net_r),  z = f(net_z),  c = tanh(net_c),  y(t) = z y(t-1) + (1 - z) c

Its net inputs see the inputs, 1 and the states of the step before; those of the candidate c see each state times its
reset gate r. Outputs see the states and 1. A sequence is unrolled at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks.gru_kernel import KERNELS
from lstm_search.networks.gru_state import GruVariant
from lstm_search.networks.learner import Facts, Learner, Weights, uniform_weights
from lstm_search.networks.optimizers import DESCENT, RULES


@dataclass(frozen=True)
class Gru(Learner):
    """`hidden` gated recurrent units, and outputs that see them.

    `history`: steps that are unrolled at most, for they must be kept.
    """

    hidden: int = setting(4, "gated recurrent units, 1 to 64", low=1, high=64)
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    update_gate_bias: float = setting(
        0.0, "added to the first biases of update gates: the higher, the longer units hold their state", example="3"
    )
    output: Literal["logistic", "linear"] = setting("logistic", "output units: logistic or linear")
    history: int = setting(
        1024,
        "steps that are unrolled at most; longer sequences are unrolled in stretches of so many",
        low=1,
        high=100_000,
    )

    name = "gru"
    kernels = KERNELS

    @property
    def facts(self) -> Facts:
        """The gradient is known at the end of a sequence."""
        return Facts(updates=("sequence",), optimizers=tuple(RULES), linear=self.output == "linear")

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> GruVariant:
        """What nets of this kind have in common on a task. Contributions are summed up in any case."""
        return GruVariant(
            units=self.hidden,
            inputs=0 if symbols else n_inputs,
            symbols=n_inputs if symbols else 0,
            linear=int(self.output == "linear"),
            sums=max(sums, DESCENT),
            history=self.history,
        )

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights: hidden [3n, I + 1 + n], of reset gates, update gates, candidates; output [K, n + 1]."""
        n = self.hidden
        first = uniform_weights(key, self.init, (3 * n, n_inputs + 1 + n), (n_outputs, n + 1))
        first[0][n : 2 * n, n_inputs] += self.update_gate_bias
        return first

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return 3 * self.hidden * (n_inputs + 1 + self.hidden) + n_outputs * (self.hidden + 1)
