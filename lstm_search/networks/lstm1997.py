"""Long short-term memory as published in 1997: memory cell blocks, no forget gate, truncated gradient on line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import lstm1997_full, lstm1997_full_state, memory_blocks
from lstm_search.networks.learner import Facts, Growth, Kernels, Weights
from lstm_search.networks.lstm1997_kernel import advance, restart
from lstm_search.networks.lstm1997_state import Variant, join, lanes_last, new_state, put, touched, weights
from lstm_search.networks.memory_blocks import MemoryBlocks


def _growth_rule(network: Any) -> tuple[int, float] | None:
    """Window and drop after which the hidden units join in; None where they are there from the start."""
    return None if network.growth == "none" else (network.growth_window, network.growth_drop)


_TRUNCATED = Kernels(new_state, put, weights, lanes_last, advance, restart, Growth(_growth_rule, join), touched)


@dataclass(frozen=True)
class Lstm1997(MemoryBlocks):
    """`blocks` memory cell blocks of `size` cells each (section 4, appendix A.1); the paper's open points are named.

    The net of experiments 2a and 2b has weights from inputs to outputs (`direct`) and no output gates; its hidden units
    join in when the error has stopped falling (`growth`: plateau): when the mean error of `growth_window` training
    sequences is not lower, by the fraction `growth_drop`, than that of as many before. Until then their output is 0.

    The appendix has `hidden` units of the conventional kind beside the blocks, and no experiment says how many. The
    ranges of `g` and `h` are those of the text; the caption of table 10 prints half and double.
    """

    growth: Literal["none", "plateau"] = setting(
        "none",
        "hidden units are there from the start, or join in when the error has stopped falling (plateau)",
        reading=True,
    )
    growth_window: int = setting(
        100,
        "with growth: mean errors of so many training sequences are compared with those of as many before",
        low=1,
        high=1_000_000,
        reading=True,
    )
    growth_drop: float = setting(
        0.01,
        "with growth: the error has stopped falling when it is not lower by this fraction",
        low=0,
        high=1,
        example="0.01",
        reading=True,
    )

    name = "lstm1997"

    @property
    def facts(self) -> Facts:
        """The full gradient is known at the end of a sequence."""
        return memory_blocks.facts(self)

    @property
    def kernels(self) -> Kernels:
        """Those of its gradient."""
        return lstm1997_full.KERNELS if self.gradient == "full" else _TRUNCATED

    def __post_init__(self) -> None:
        settle(self, "network")
        memory_blocks.check(self, self.units)
        if self.hidden and self.growth != "none":
            raise ValueError(
                f"network.hidden={self.hidden} network.growth={self.growth}: takes network.hidden=0 where units join "
                "in later, or network.growth=none"
            )
        if self.gradient == "full" and self.growth != "none":
            raise ValueError(
                f"network.gradient=full network.growth={self.growth}: takes network.growth=none, or "
                "network.gradient=truncated"
            )

    @property
    def cells(self) -> int:
        """Number of memory cells, C."""
        return self.blocks * self.size

    @property
    def units(self) -> int:
        """Number of hidden units, U: cells, input gates, output gates and conventional units."""
        return self.blocks * (self.size + 1 + self.output_gates) + self.hidden

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Any:
        """What nets of this kind have in common on a task; nets of one variant can share a pack.

        `sums`: whether contributions are summed over a sequence, and how they are applied then (see `optimizers`).
        """
        net = self._variant(n_inputs, symbols=symbols, sums=sums)
        return net if self.gradient == "truncated" else lstm1997_full_state.variant_of(net, self.history)

    def _variant(self, n_inputs: int, *, symbols: bool = False, sums: int = 0) -> Variant:
        """The same for the truncated gradient."""
        grows = self.growth != "none"
        return memory_blocks.variant_of(self, n_inputs, self.units, symbols=symbols, sums=sums, grows=grows)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights, drawn from `key` (see `memory_blocks.initial`)."""
        return memory_blocks.initial(self, key, self._variant(n_inputs), n_outputs)

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases (section 4 of the paper counts them so)."""
        return memory_blocks.n_weights(self, self._variant(n_inputs), n_outputs)
