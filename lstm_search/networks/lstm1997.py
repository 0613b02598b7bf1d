"""Long short-term memory as published in 1997: memory cell blocks, no forget gate, truncated gradient on line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import lstm1997_full
from lstm_search.networks.learner import Facts, Growth, Kernels, Learner, Weights, uniform_weights
from lstm_search.networks.lstm1997_full import FullVariant
from lstm_search.networks.lstm1997_kernel import advance, restart
from lstm_search.networks.lstm1997_state import NOWHERE, Variant, join, lanes_last, new_state, put, weights


def _growth_rule(network: Any) -> tuple[int, float] | None:
    """Window and drop after which the hidden units join in; None where they are there from the start."""
    return None if network.growth == "none" else (network.growth_window, network.growth_drop)


_TRUNCATED = Kernels(new_state, put, weights, lanes_last, advance, restart, Growth(_growth_rule, join))


@dataclass(frozen=True)
class Lstm1997(Learner):
    """`blocks` memory cell blocks of `size` cells each (section 4, appendix A.1); the paper's open points are named.

    The net of experiments 2a and 2b has weights from inputs to outputs (`direct`) and no output gates; its hidden units
    join in when the error has stopped falling (`growth`: plateau): when the mean error of `growth_window` training
    sequences is not lower, by the fraction `growth_drop`, than that of as many before. Until then their output is 0.

    The appendix has `hidden` units of the conventional kind beside the blocks, and no experiment says how many. The
    ranges of `g` and `h` are those of the text; the caption of table 10 prints half and double.
    """

    blocks: int = setting(2, "memory cell blocks, 1 to 64", low=1, high=64)
    size: int = setting(2, "cells a block, 1 to 64", low=1, high=64)
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.1")
    input_gate_bias: tuple[float, ...] = setting((), "one start value a block; [] draws them like other weights")
    output_gate_bias: tuple[float, ...] = setting((), "one start value a block; [] draws them like other weights")
    gates_biased: bool = setting(True, "whether gates have a bias at all")
    g: Literal["bipolar", "logistic", "half"] = setting(
        "bipolar", "squashes the cell input: bipolar is [-2, 2], logistic is [0, 1], half is [-1, 1]", reading=True
    )
    h: Literal["bipolar", "identity", "double"] = setting(
        "bipolar", "squashes the cell state: bipolar is [-1, 1], double is [-2, 2], or identity", reading=True
    )
    hidden: int = setting(
        0,
        "conventional hidden units: fed by what gates see, they feed gates, cells and outputs",
        low=0,
        high=64,
        reading=True,
    )
    recurrent: Literal["all", "cells", "none"] = setting(
        "all", "activations of the step before that feed gates and cells: all, cells or none", reading=True
    )
    recurrent_to: Literal["all", "gates"] = setting(
        "all", "what these activations feed: all hidden units, or all but the cells (gates)", reading=True
    )
    recurrent_init: Literal["range", "zero"] = setting(
        "range", "recurrent weights start like the others (range) or at zero", reading=True
    )
    cell_bias: Literal["random", "zero", "none"] = setting(
        "random", "bias of the cell inputs: random, zero (trained from 0) or none", reading=True
    )
    gate_bias: Literal["replaces", "adds"] = setting(
        "replaces", "a stated gate bias replaces the random one, or adds to it (adds)", reading=True
    )
    output: Literal["logistic", "linear"] = setting("logistic", "output units: logistic or linear", reading=True)
    output_bias: bool = setting(True, "whether output units have a bias", reading=True)
    output_gates: bool = setting(True, "whether blocks have output gates")
    direct: bool = setting(False, "whether inputs are connected to outputs", reading=True)
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
    gradient: Literal["truncated", "full"] = setting(
        "truncated",
        "no error flows back into gates and cell inputs of the step before, or it does (full)",
        reading=True,
    )
    history: int = setting(
        2048,
        "with the full gradient: steps that are unrolled at most; longer sequences in stretches of so many",
        low=1,
        high=100_000,
    )
    reset: float = setting(
        0.0, "hidden activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True
    )

    name = "lstm1997"

    @property
    def facts(self) -> Facts:
        """The full gradient is known at the end of a sequence."""
        return Facts(
            updates=("sequence",) if self.gradient == "full" else ("sequence", "step"), linear=self.output == "linear"
        )

    @property
    def kernels(self) -> Kernels:
        """Those of its gradient."""
        return lstm1997_full.KERNELS if self.gradient == "full" else _TRUNCATED

    def __post_init__(self) -> None:
        settle(self, "network")
        self._check_shape()

    def _check_shape(self) -> None:
        if self.units > 512:
            given, which = f"network.blocks={self.blocks} network.size={self.size}", "gates and cells"
            if self.hidden:
                given, which = f"{given} network.hidden={self.hidden}", "hidden units"
            raise ValueError(f"{given}: takes up to 512 {which}, not {self.units}")
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
        if self.output_gate_bias and not self.output_gates:
            biases = list(self.output_gate_bias)
            raise ValueError(f"network.output_gate_bias={biases}: takes [] where network.output_gates=false")
        for key in ("input_gate_bias", "output_gate_bias"):
            biases = list(getattr(self, key))
            if biases and not self.gates_biased:
                raise ValueError(f"network.{key}={biases}: takes [] where network.gates_biased=false")
            if len(biases) not in (0, self.blocks):
                raise ValueError(f"network.{key}={biases}: takes one number a block ({self.blocks}), or [] for random")

    @property
    def cells(self) -> int:
        """Number of memory cells, C."""
        return self.blocks * self.size

    @property
    def units(self) -> int:
        """Number of hidden units, U: cells, input gates, output gates and conventional units."""
        return self.blocks * (self.size + 1 + self.output_gates) + self.hidden

    def variant(self, n_inputs: int, *, symbols: bool, sums: bool) -> Any:
        """What nets of this kind have in common on a task; nets of one variant can share a pack.

        `sums`: whether contributions are summed over a sequence (see `Training.update`).
        """
        net = self._variant(n_inputs, symbols=symbols, sums=sums)
        if self.gradient == "truncated":
            return net
        return FullVariant(net, n_inputs, int(symbols), int(net.bias >= 0), net.sources - net.activations, self.history)

    def _variant(self, n_inputs: int, *, symbols: bool, sums: bool) -> Variant:
        """The same for the truncated gradient."""
        dense = 0 if symbols else n_inputs
        biased = self.gates_biased or self.cell_bias != "none"
        recurrent = {"all": self.units, "cells": self.cells, "none": 0}[self.recurrent]
        return Variant(
            blocks=self.blocks,
            size=self.size,
            symbols=n_inputs - dense,
            bias=dense if biased else NOWHERE,
            sources=dense + biased + recurrent,
            activations=dense + biased,
            gate_bias=int(self.gates_biased),
            cell_bias=int(self.cell_bias != "none"),
            output_bias=int(self.output_bias),
            output_gates=int(self.output_gates),
            hidden=self.hidden,
            cells_fed=int(self.recurrent_to == "all"),
            direct=n_inputs if self.direct else 0,
            rows=dense if self.direct else 0,
            grows=int(self.growth != "none"),
            linear=int(self.output == "linear"),
            identity=int(self.h == "identity"),
            h_most=2.0 if self.h == "double" else 1.0,
            g_range={"bipolar": 4.0, "half": 2.0, "logistic": 1.0}[self.g],
            g_low={"bipolar": -2.0, "half": -1.0, "logistic": 0.0}[self.g],
            sums=int(sums),
        )

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights: hidden [U, M] and output [K, I + C + H + 1], uniform in [-init, init], but biases as
        configured.

        Units are cells, input gates, output gates, conventional units. Sources are inputs, 1 (where anything hidden is
        biased), recurrent activations; those of outputs are inputs (where `direct`), cells, conventional units, 1
        (where outputs are biased). A connection that does not exist has weight 0.
        """
        variant = self._variant(n_inputs, symbols=False, sums=False)
        output_shape = (n_outputs, variant.direct + self.cells + self.hidden + variant.output_bias)
        hidden, output = uniform_weights(key, self.init, (self.units, variant.sources), output_shape)
        if self.recurrent_init == "zero":
            hidden[:, variant.activations :] = 0.0
        if self.recurrent_to == "gates":
            hidden[: self.cells, variant.activations :] = 0.0
        if variant.bias >= 0:
            self._set_biases(hidden[:, variant.bias])
        return hidden, output

    def _set_biases(self, bias: np.ndarray) -> None:
        """Put the configured biases of the hidden units in place of, or on top of, the random ones."""
        cells, gates = bias[: self.cells], bias[self.cells :]
        if self.cell_bias != "random":
            cells[:] = 0.0
        if not self.gates_biased:
            gates[:] = 0.0
        for given, random in (
            (self.input_gate_bias, gates[: self.blocks]),
            (self.output_gate_bias, gates[self.blocks : 2 * self.blocks]),
        ):
            if given:
                random[:] = np.array(given) + (random if self.gate_bias == "adds" else 0.0)

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases (section 4 of the paper counts them so)."""
        variant = self._variant(n_inputs, symbols=False, sums=False)
        gates = self.units - self.cells
        absent = self.cells * (1 - variant.cell_bias) + gates * (1 - variant.gate_bias) if variant.bias >= 0 else 0
        if self.recurrent_to == "gates":
            absent += self.cells * (variant.sources - variant.activations)
        seen = variant.direct + self.cells + self.hidden + variant.output_bias
        return self.units * variant.sources - absent + n_outputs * seen
