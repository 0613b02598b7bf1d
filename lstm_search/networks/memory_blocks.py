"""What all nets of memory cell blocks have in common, whatever their gates: settings, shapes and first weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lstm_search.checks import setting
from lstm_search.networks.learner import Facts, Learner, Weights, uniform_weights
from lstm_search.networks.lstm1997_state import NOWHERE, Variant
from lstm_search.networks.optimizers import RULES


@dataclass(frozen=True)
class MemoryBlocks(Learner):
    """The settings of such nets; what is done with them is functions of this file and of each net's own."""

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


def facts(network: MemoryBlocks) -> Facts:
    """The full gradient is known at the end of a sequence."""
    updates = ("sequence",) if network.gradient == "full" else ("sequence", "step")
    return Facts(updates=updates, optimizers=tuple(RULES), linear=network.output == "linear")


def check(network: MemoryBlocks, units: int) -> None:
    """Raises ValueError for a net of too many hidden units, or with biases of gates that it does not have."""
    if units > 512:
        given, which = f"network.blocks={network.blocks} network.size={network.size}", "gates and cells"
        if network.hidden:
            given, which = f"{given} network.hidden={network.hidden}", "hidden units"
        raise ValueError(f"{given}: takes up to 512 {which}, not {units}")
    check_biases(network, "input_gate_bias")
    check_biases(network, "output_gate_bias", "" if network.output_gates else "network.output_gates=false")


def check_biases(network: MemoryBlocks, name: str, absent: str = "") -> None:
    """Raises ValueError where the start values of the gates' biases are not one a block. `absent`: the setting by which
    there are no such gates."""
    biases = list(getattr(network, name))
    absent = absent or ("" if network.gates_biased else "network.gates_biased=false")
    if biases and absent:
        raise ValueError(f"network.{name}={biases}: takes [] where {absent}")
    if len(biases) not in (0, network.blocks):
        raise ValueError(f"network.{name}={biases}: takes one number a block ({network.blocks}), or [] for random")


def variant_of(
    network: MemoryBlocks,
    n_inputs: int,
    units: int,
    *,
    symbols: bool,
    sums: int,
    peepholes: int = 0,
    grows: bool = False,
) -> Variant:
    """What nets of so many hidden `units` have in common on a task; `peepholes`: how many cells each gate sees."""
    dense = 0 if symbols else n_inputs
    biased = network.gates_biased or network.cell_bias != "none"
    recurrent = {"all": units, "cells": network.blocks * network.size, "none": 0}[network.recurrent]
    return Variant(
        blocks=network.blocks,
        size=network.size,
        units=units,
        symbols=n_inputs - dense,
        bias=dense if biased else NOWHERE,
        sources=dense + biased + recurrent,
        peepholes=peepholes,
        activations=dense + biased,
        gate_bias=int(network.gates_biased),
        cell_bias=int(network.cell_bias != "none"),
        output_bias=int(network.output_bias),
        output_gates=int(network.output_gates),
        hidden=network.hidden,
        cells_fed=int(network.recurrent_to == "all"),
        direct=n_inputs if network.direct else 0,
        rows=dense if network.direct else 0,
        grows=int(grows),
        linear=int(network.output == "linear"),
        identity=int(network.h == "identity"),
        h_most=2.0 if network.h == "double" else 1.0,
        g_range={"bipolar": 4.0, "half": 2.0, "logistic": 1.0}[network.g],
        g_low={"bipolar": -2.0, "half": -1.0, "logistic": 0.0}[network.g],
        sums=sums,
    )


def initial(network: MemoryBlocks, key: np.uint64, variant: Variant, n_outputs: int) -> Weights:
    """First weights: hidden [U, M] and output [K, I + C + H + 1], uniform in [-init, init], but biases as configured.

    Units are cells, input gates, output gates, conventional units, forget gates. Sources are inputs, 1 (where anything
    hidden is biased), recurrent activations, and the cells of a block (where its gates see them); those of outputs are
    inputs (where `direct`), cells, conventional units, 1 (where outputs are biased). A connection that does not exist
    has weight 0. In the `variant`, inputs are rows.
    """
    C = variant.blocks * variant.size
    output_shape = (n_outputs, variant.direct + C + variant.hidden + variant.output_bias)
    hidden_shape = (variant.units, variant.sources + variant.peepholes)
    hidden, output = uniform_weights(key, network.init, hidden_shape, output_shape)
    recurrent = hidden[:, variant.activations : variant.sources]
    if network.recurrent_init == "zero":
        recurrent[:] = 0.0
    if network.recurrent_to == "gates":
        recurrent[:C] = 0.0
    if variant.bias >= 0:
        _set_biases(network, hidden[:, variant.bias])
    return hidden, output


def _set_biases(network: MemoryBlocks, bias: np.ndarray) -> None:
    """Put the configured biases of the hidden units in place of, or on top of, the random ones."""
    b, C = network.blocks, network.blocks * network.size
    if network.cell_bias != "random":
        bias[:C] = 0.0
    if not network.gates_biased:
        bias[C:] = 0.0
    set_gate_biases(network, bias[C : C + b], network.input_gate_bias)
    set_gate_biases(network, bias[C + b : C + 2 * b], network.output_gate_bias)


def set_gate_biases(network: MemoryBlocks, bias: np.ndarray, given: tuple[float, ...]) -> None:
    """Do so with those of the gates of one kind, one a block."""
    if given:
        bias[:] = np.array(given) + (bias if network.gate_bias == "adds" else 0.0)


def n_weights(network: MemoryBlocks, variant: Variant, n_outputs: int) -> int:
    """Number of weights and biases, without those from cells to gates (section 4 of the paper counts them so)."""
    C = variant.blocks * variant.size
    gates = variant.units - C
    absent = C * (1 - variant.cell_bias) + gates * (1 - variant.gate_bias) if variant.bias >= 0 else 0
    if network.recurrent_to == "gates":
        absent += C * (variant.sources - variant.activations)
    seen = variant.direct + C + variant.hidden + variant.output_bias
    return variant.units * variant.sources - absent + n_outputs * seen
