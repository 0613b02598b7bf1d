"""Long short-term memory as published in 1997: memory cell blocks, no forget gate, truncated gradient on line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from lstm_search import checks
from lstm_search.networks.lstm1997_kernel import advance, restart
from lstm_search.networks.lstm1997_state import NOWHERE, Form, State, lanes_last, new_state, put, weights
from lstm_search.simd import uniforms

CHOICES = {
    "g": ("bipolar", "logistic"),
    "h": ("bipolar", "identity"),
    "recurrent": ("all", "cells", "none"),
    "recurrent_init": ("range", "zero"),
    "cell_bias": ("random", "zero", "none"),
    "gate_bias": ("replaces", "adds"),
    "output": ("logistic", "linear"),
    "growth": ("none", "plateau"),
    "reset": (0.0, 0.5),
}


@dataclass(frozen=True)
class Lstm1997:
    """`blocks` memory cell blocks of `size` cells each (section 4, appendix A.1); the paper's open points are named.

    The net of experiments 2a and 2b has weights from inputs to outputs (`direct`) and no output gates; its hidden units
    join in when the error has stopped falling (`growth`: plateau): when the mean error of `growth_window` training
    sequences is not lower, by the fraction `growth_drop`, than that of as many before. Until then their output is 0.
    """

    blocks: int = 2
    size: int = 2
    init: float = 0.1
    input_gate_bias: tuple[float, ...] = ()
    output_gate_bias: tuple[float, ...] = ()
    gates_biased: bool = True
    g: Literal["bipolar", "logistic"] = "bipolar"
    h: Literal["bipolar", "identity"] = "bipolar"
    recurrent: Literal["all", "cells", "none"] = "all"
    recurrent_init: Literal["range", "zero"] = "range"
    cell_bias: Literal["random", "zero", "none"] = "random"
    gate_bias: Literal["replaces", "adds"] = "replaces"
    output: Literal["logistic", "linear"] = "logistic"
    output_bias: bool = True
    output_gates: bool = True
    direct: bool = False
    growth: Literal["none", "plateau"] = "none"
    growth_window: int = 100
    growth_drop: float = 0.01
    reset: float = 0.0

    name: ClassVar[str] = "lstm1997"
    in_turn: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ()
    updates: ClassVar[tuple[str, ...]] = ("sequence", "step")
    new_state: ClassVar[Callable[..., State]] = staticmethod(new_state)
    put: ClassVar[Callable[..., None]] = staticmethod(put)
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]] = staticmethod(weights)
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]] = staticmethod(lanes_last)
    advance: ClassVar[Callable[..., Any]] = staticmethod(advance)
    restart: ClassVar[Callable[..., Any]] = staticmethod(restart)

    def __post_init__(self) -> None:
        coerced = {
            "blocks": checks.whole("network.blocks", self.blocks, 1, 64),
            "size": checks.whole("network.size", self.size, 1, 64),
            "init": checks.real("network.init", self.init, 0, example="0.1"),
            "reset": checks.real("network.reset", self.reset),
            "growth_window": checks.whole("network.growth_window", self.growth_window, 1, 1_000_000),
            "growth_drop": checks.real("network.growth_drop", self.growth_drop, 0, high=1, example="0.01"),
            "input_gate_bias": checks.reals("network.input_gate_bias", self.input_gate_bias),
            "output_gate_bias": checks.reals("network.output_gate_bias", self.output_gate_bias),
        }
        for key, value in coerced.items():
            object.__setattr__(self, key, value)
        for key, options in CHOICES.items():
            checks.choice(f"network.{key}", getattr(self, key), options)
        for key in ("gates_biased", "output_bias", "output_gates", "direct"):
            checks.truth(f"network.{key}", getattr(self, key))
        self._check_shape()

    def _check_shape(self) -> None:
        if self.units > 512:
            raise ValueError(
                f"network.blocks={self.blocks} network.size={self.size}: takes up to 512 gates and cells, "
                f"not {self.units}"
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
    def growth_rule(self) -> tuple[int, float] | None:
        """Window and drop after which the hidden units join in; None where they are there from the start."""
        return None if self.growth == "none" else (self.growth_window, self.growth_drop)

    @property
    def cells(self) -> int:
        """Number of memory cells, C."""
        return self.blocks * self.size

    @property
    def units(self) -> int:
        """Number of hidden units, U: cells, input gates and output gates."""
        return self.blocks * (self.size + 1 + self.output_gates)

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task; nets of one form can share a pack.

        `sums`: whether contributions are summed over a sequence (see `Training.update`).
        """
        dense = 0 if symbols else n_inputs
        biased = self.gates_biased or self.cell_bias != "none"
        recurrent = {"all": self.units, "cells": self.cells, "none": 0}[self.recurrent]
        return Form(
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
            direct=n_inputs if self.direct else 0,
            rows=dense if self.direct else 0,
            grows=int(self.growth != "none"),
            linear=int(self.output == "linear"),
            identity=int(self.h == "identity"),
            g_range=4.0 if self.g == "bipolar" else 1.0,
            g_low=-2.0 if self.g == "bipolar" else 0.0,
            sums=int(sums),
        )

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights: hidden [U, M] and output [K, I + C + 1], uniform in [-init, init], but biases as configured.

        Units are cells, input gates, output gates; sources are inputs, 1 (where anything hidden is biased), recurrent
        activations; of outputs: inputs (where `direct`), cells, 1 (where they are biased). A connection that does not
        exist has weight 0.
        """
        form = self.form(n_inputs, symbols=False, sums=False)
        hidden, output = (
            np.empty((self.units, form.sources)),
            np.empty((n_outputs, form.direct + self.cells + form.output_bias)),
        )
        both = np.empty(hidden.size + output.size)
        uniforms(key, both)
        both = self.init * (2.0 * both - 1.0)
        hidden.ravel()[:], output.ravel()[:] = both[: hidden.size], both[hidden.size :]
        if self.recurrent_init == "zero":
            hidden[:, form.activations :] = 0.0
        if form.bias >= 0:
            self._set_biases(hidden[:, form.bias])
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
            (self.output_gate_bias, gates[self.blocks :]),
        ):
            if given:
                random[:] = np.array(given) + (random if self.gate_bias == "adds" else 0.0)

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases (section 4 of the paper counts them so)."""
        form = self.form(n_inputs, symbols=False, sums=False)
        gates = self.units - self.cells
        absent = self.cells * (1 - form.cell_bias) + gates * (1 - form.gate_bias) if form.bias >= 0 else 0
        return self.units * form.sources - absent + n_outputs * (form.direct + self.cells + form.output_bias)
