"""Recurrent cascade-correlation (Fahlman 1991): a net that grows, one frozen unit a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks.cascade_kernel import KERNELS, Variant
from lstm_search.networks.learner import Facts, Learner, Weights, uniform_weights


@dataclass(frozen=True)
class Cascade(Learner):
    """Up to `hidden` units, each the best of a `pool`. Weights change after every `epoch` training sequences; where a
    task has a fixed set of strings, they come in turn.

    Output weights start at zero and learn with `training.rate`; candidates start uniform in [-init, init], and learn
    with `pool_rate`. `mu`: a step of quickprop is at most so many times the last one.
    """

    hidden: int = setting(16, "units that may join at most, 1 to 64", low=1, high=64)
    pool: int = setting(8, "candidates for each unit, 1 to 64", low=1, high=64)
    epoch: int = setting(256, "training sequences after which weights change", low=1, high=1_000_000)
    init: float = setting(1.0, "weights of candidates start uniform in [-init, init]", above=0, example="1")
    pool_rate: float = setting(
        0.1, "learning rate of the candidates; that of the outputs is training.rate", above=0, example="0.1"
    )
    mu: float = setting(2.0, "a step of quickprop is at most so many times the last one", above=1, example="2")
    patience: int = setting(12, "epochs without change after which a phase ends", low=1, high=1_000_000)
    longest: int = setting(100, "epochs after which a phase ends in any case", low=1, high=1_000_000)
    output_change: float = setting(
        0.01, "what counts as a change of the squared error, a fraction of it", above=0, below=1, example="0.1"
    )
    pool_change: float = setting(
        0.03, "what counts as a change of the best candidate's score, a fraction of it", above=0, below=1, example="0.1"
    )

    name = "cascade"
    facts = Facts(updates=("sequence",), in_turn=True)
    kernels = KERNELS

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
        """What nets of this kind have in common on a task."""
        return Variant(
            inputs=n_inputs,
            symbols=int(symbols),
            most=self.hidden,
            pool=self.pool,
            epoch=self.epoch,
            patience=self.patience,
            longest=self.longest,
            output_change=self.output_change,
            pool_change=self.pool_change,
            pool_rate=self.pool_rate,
            mu=self.mu,
        )

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights: of all candidates for every unit [H P, C], uniform in [-init, init] where they have a source,
        and of the outputs [K, I + 1], zero."""
        shape = (self.hidden, self.pool, n_inputs + 1 + self.hidden)
        drawn, _ = uniform_weights(key, self.init, shape, (0,))
        for unit, candidates in enumerate(drawn):
            candidates[:, n_inputs + 1 + unit + 1 :] = 0.0
        return drawn.reshape(-1, drawn.shape[2]), np.zeros((n_outputs, n_inputs + 1))

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases of a net that has grown to all its units."""
        first, H = n_inputs + 1, self.hidden
        return sum(first + i + 1 for i in range(H)) + n_outputs * (first + H)
