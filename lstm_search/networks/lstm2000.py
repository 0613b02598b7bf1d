"""Long short-term memory as it came to be after 1997: with forget gates (Gers, Schmidhuber & Cummins 2000, "Learning to
Forget"), with the forget gate coupled to the input gate, and with peepholes (Gers, Schraudolph & Schmidhuber 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import lstm1997_full, lstm1997_full_state, memory_blocks
from lstm_search.networks.learner import Facts, Kernels, Weights
from lstm_search.networks.lstm1997_state import Variant
from lstm_search.networks.lstm2000_kernel import advance, restart
from lstm_search.networks.lstm2000_state import Variant2000, lanes_last, new_state, put, touched, weights
from lstm_search.networks.memory_blocks import MemoryBlocks

_TRUNCATED = Kernels(new_state, put, weights, lanes_last, advance, restart, touched=touched)


@dataclass(frozen=True)
class Lstm2000(MemoryBlocks):
    """Blocks of memory cells whose states can be forgotten: s_c(t) = y_f s_c(t-1) + y_in g(net_c).

    With `forget` none y_f is 1, and without peepholes too this is the 1997 net. Coupled, y_f is 1 - y_in, and the block
    has no forget gate of its own. Peepholes are weights from the cells of a block to its gates: input and forget gates
    see s(t-1), output gates s(t). With the truncated gradient no error flows back through them into states.
    """

    forget: Literal["gates", "coupled", "none"] = setting(
        "gates", "what is kept of a cell's state: by a forget gate a block, as 1 - input gate (coupled), or all (none)"
    )
    forget_gate_bias: tuple[float, ...] = setting((), "one start value a block; [] draws them like other weights")
    peepholes: bool = setting(False, "whether gates see the states of their block")

    name = "lstm2000"

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
        absent = "" if self.forget_gates else f"network.forget={self.forget}"
        memory_blocks.check_biases(self, "forget_gate_bias", absent)

    @property
    def forget_gates(self) -> int:
        """Number of forget gates."""
        return self.blocks if self.forget == "gates" else 0

    @property
    def cells(self) -> int:
        """Number of memory cells, C."""
        return self.blocks * self.size

    @property
    def units(self) -> int:
        """Number of hidden units, U: cells, input gates, output gates, conventional units and forget gates."""
        return self.blocks * (self.size + 1 + self.output_gates) + self.hidden + self.forget_gates

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Any:
        """What nets of this kind have in common on a task; nets of one variant can share a pack."""
        core = self._core(n_inputs, symbols=symbols, sums=sums)
        gates, coupled = int(self.forget == "gates"), int(self.forget == "coupled")
        if self.gradient == "truncated":
            return Variant2000(core, gates, coupled)
        return lstm1997_full_state.variant_of(core, self.history, forget_gates=gates, coupled=coupled)

    def _core(self, n_inputs: int, *, symbols: bool = False, sums: int = 0) -> Variant:
        """What they have in common with the 1997 net."""
        seen = self.size if self.peepholes else 0
        return memory_blocks.variant_of(self, n_inputs, self.units, symbols=symbols, sums=sums, peepholes=seen)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights, drawn from `key` (see `memory_blocks.initial`)."""
        core, first = self._core(n_inputs), self.units - self.forget_gates
        hidden, output = memory_blocks.initial(self, key, core, n_outputs)
        if self.forget_gate_bias:
            memory_blocks.set_gate_biases(self, hidden[first:, core.bias], self.forget_gate_bias)
        hidden[: self.cells, core.sources :] = 0.0
        hidden[first - self.hidden : first, core.sources :] = 0.0
        return hidden, output

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        core = self._core(n_inputs)
        gates = self.units - self.cells - self.hidden
        return memory_blocks.n_weights(self, core, n_outputs) + gates * core.peepholes
