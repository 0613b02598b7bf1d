"""Long short-term memory of 1997 by definition: the equations of appendix A.1 in plain loops, and nothing else.

The slow twin that the compiled net is held against, and the reference for the benchmark's C programs. Weights:

- `hidden[unit, source]`. Units: the cells block by block, then one input gate a block, then one output gate a block (if
  `network.output_gates`; else y_out is 1).
  Sources: the inputs; the activations of t-1 that `network.recurrent` lets through (all: cells, input gates, output
  gates; cells: cells only; none); last a column of biases if gates or cells have one. Entries that do not exist are 0.
- `output[k, source]`. Sources: the inputs if `network.direct`, the cells, 1 if `network.output_bias`.

A sequence is `(x, targets)`: `x[step]` a row of inputs or the number of the one input that is 1; `targets` maps a step
to its target vector.
"""

import cmath
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lstm_search.networks import Lstm1997
from lstm_search.spec import Training

Weights = NDArray[np.float64]
Targets = Mapping[int, ArrayLike]


@dataclass
class Step:
    """All activations of one time step. `z` is what gates and cells saw; `y` the outputs."""

    z: list
    y_in: list
    y_out: list
    g: list
    s: list
    h: list
    y_c: list
    y: list


def n_cells(network: Lstm1997) -> int:
    return network.blocks * network.size


def n_units(network: Lstm1997) -> int:
    return n_cells(network) + (1 + network.output_gates) * network.blocks


def n_recurrent(network: Lstm1997) -> int:
    return {"all": n_units(network), "cells": n_cells(network), "none": 0}[network.recurrent]


def n_direct(network: Lstm1997, n_inputs: int) -> int:
    return n_inputs if network.direct else 0


def has_bias_column(network: Lstm1997) -> bool:
    return network.gates_biased or network.cell_bias != "none"


def exists(network: Lstm1997, n_inputs: int, n_outputs: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which entries of `hidden` and of `output` are weights of the net."""
    bias = has_bias_column(network)
    hidden = np.ones((n_units(network), n_inputs + n_recurrent(network) + bias), dtype=bool)
    if bias:
        hidden[: n_cells(network), -1] = network.cell_bias != "none"
        hidden[n_cells(network) :, -1] = network.gates_biased
    return hidden, np.ones(
        (n_outputs, n_direct(network, n_inputs) + n_cells(network) + network.output_bias), dtype=bool
    )


def exp(x: complex) -> complex:
    return cmath.exp(x) if isinstance(x, complex) else math.exp(x)


def f(x: complex) -> complex:
    return 1 / (1 + exp(-x))


def g_of(network: Lstm1997, x: complex) -> complex:
    return 4 * f(x) - 2 if network.g == "bipolar" else f(x)


def g_prime(network: Lstm1997, g: complex) -> complex:
    return (2 + g) * (2 - g) / 4 if network.g == "bipolar" else g * (1 - g)


def h_of(network: Lstm1997, s: complex) -> complex:
    return 2 * f(s) - 1 if network.h == "bipolar" else s


def h_prime(network: Lstm1997, h: complex) -> complex:
    return (1 + h) * (1 - h) / 2 if network.h == "bipolar" else 1.0


def inputs_of(network: Lstm1997, n_sources: int) -> int:
    return n_sources - n_recurrent(network) - has_bias_column(network)


def seen_by_outputs(network: Lstm1997, z: list, y_c: list) -> list:
    """What output units see."""
    n_inputs = inputs_of(network, len(z))
    return z[: n_direct(network, n_inputs)] + y_c + [1.0] * network.output_bias


def sources(network: Lstm1997, n_sources: int, x_t: ArrayLike, before: Step) -> list:
    """z(t): the inputs, what is fed back from t-1, and 1 for the biases."""
    n_inputs = inputs_of(network, n_sources)
    inputs = [float(m == x_t) for m in range(n_inputs)] if np.ndim(x_t) == 0 else [float(value) for value in x_t]
    gates = before.y_in + before.y_out * network.output_gates
    fed_back = {"all": before.y_c + gates, "cells": before.y_c, "none": []}[network.recurrent]
    return inputs + fed_back + [1.0] * has_bias_column(network)


def dot(weights: list, values: list) -> complex:
    total = 0.0
    for weight, value in zip(weights, values, strict=True):
        total += weight * value
    return total


def step(network: Lstm1997, hidden: list, output: list, z: list, s_before: list) -> Step:
    """One time step from its sources and the cell states before it."""
    cells, blocks = n_cells(network), network.blocks
    net = [dot(row, z) for row in hidden]
    y_in = [f(net[cells + j]) for j in range(blocks)]
    y_out = [f(net[cells + blocks + j]) if network.output_gates else 1.0 for j in range(blocks)]
    g = [g_of(network, net[c]) for c in range(cells)]
    s = [s_before[c] + y_in[c // network.size] * g[c] for c in range(cells)]
    h = [h_of(network, s[c]) for c in range(cells)]
    y_c = [y_out[c // network.size] * h[c] for c in range(cells)]
    net_k = [dot(row, seen_by_outputs(network, z, y_c)) for row in output]
    y = [f(net) if network.output == "logistic" else net for net in net_k]
    return Step(z, y_in, y_out, g, s, h, y_c, y)


def start(network: Lstm1997) -> Step:
    """What the first step of a sequence finds as the step before it."""
    cells, gates = [network.reset] * n_cells(network), [network.reset] * network.blocks
    return Step([], gates, gates, [], [0.0] * n_cells(network), [], cells, [])


def forward(
    network: Lstm1997, hidden: NDArray, output: NDArray, x: Sequence, frozen: Sequence[Step] | None = None
) -> list[Step]:
    """All steps of one sequence. With `frozen`, gates and cells see the sources recorded there instead of the net's
    own activations of t-1: what the truncated gradient takes for constants. Weights may be complex."""
    steps = [start(network)]
    for t, x_t in enumerate(x):
        z = frozen[t].z if frozen else sources(network, hidden.shape[1], x_t, steps[-1])
        steps.append(step(network, hidden.tolist(), output.tolist(), z, steps[-1].s))
    return steps[1:]


def contributions(
    network: Lstm1997, output: Weights, now: Step, traces: tuple[Weights, Weights], target: ArrayLike
) -> tuple[Weights, Weights]:
    """What one target adds to the weights at rate 1, (hidden, output), from the step and the traces (dS_in, dS_c)."""
    cells, blocks, size = n_cells(network), network.blocks, network.size
    dS_in, dS_c = traces
    d_hidden, d_output = np.zeros((n_units(network), len(now.z))), np.zeros_like(output)
    e = [t_k - y_k for t_k, y_k in zip(np.atleast_1d(target), now.y, strict=True)]
    if network.output == "logistic":
        e = [e_k * y_k * (1 - y_k) for e_k, y_k in zip(e, now.y, strict=True)]
    direct = n_direct(network, inputs_of(network, len(now.z)))
    back = [sum(output[k, direct + c] * e[k] for k in range(len(e))) for c in range(cells)]
    for k in range(len(e)):
        for m, source in enumerate(seen_by_outputs(network, now.z, now.y_c)):
            d_output[k, m] += e[k] * source
    for c in range(cells):
        j = c // size
        e_s = now.y_out[j] * h_prime(network, now.h[c]) * back[c]
        for m in range(len(now.z)):
            d_hidden[c, m] += e_s * dS_c[c, m]
            d_hidden[cells + j, m] += e_s * dS_in[c, m]
    for j in range(blocks if network.output_gates else 0):
        e_out = now.y_out[j] * (1 - now.y_out[j]) * sum(now.h[c] * back[c] for c in range(j * size, (j + 1) * size))
        for m in range(len(now.z)):
            d_hidden[cells + blocks + j, m] += e_out * now.z[m]
    return d_hidden, d_output


def extend(network: Lstm1997, traces: tuple[Weights, Weights], now: Step) -> None:
    """Adds one step to the traces of ds_c/dw: of the input gate's weights (dS_in) and of the cell's own (dS_c)."""
    dS_in, dS_c = traces
    for c in range(n_cells(network)):
        y_in = now.y_in[c // network.size]
        for m in range(len(now.z)):
            dS_in[c, m] += now.g[c] * y_in * (1 - y_in) * now.z[m]
            dS_c[c, m] += y_in * g_prime(network, now.g[c]) * now.z[m]


def train_sequence(
    network: Lstm1997, training: Training, weights: tuple[Weights, Weights], x: Sequence, targets: Targets
) -> list[list[float]]:
    """Trains the weights (hidden, output) in place on one sequence; returns every step's outputs, as they were before
    the step's own change of the weights."""
    hidden, output = weights
    rate = training.rate * training.error_scale
    mask, _ = exists(network, inputs_of(network, hidden.shape[1]), len(output))
    traces = np.zeros((n_cells(network), hidden.shape[1])), np.zeros((n_cells(network), hidden.shape[1]))
    sums = np.zeros_like(hidden), np.zeros_like(output)
    now, outputs = start(network), []
    for t, x_t in enumerate(x):
        z = sources(network, hidden.shape[1], x_t, now)
        now = step(network, hidden.tolist(), output.tolist(), z, now.s)
        outputs.append(now.y)
        extend(network, traces, now)
        if t in targets:
            parts = contributions(network, output, now, traces, targets[t])
            sums = sums[0] + parts[0], sums[1] + parts[1]
        if training.update == "step" or t == len(x) - 1:
            hidden += rate * sums[0] * mask
            output += rate * sums[1]
            sums = np.zeros_like(hidden), np.zeros_like(output)
    return outputs


def train(
    network: Lstm1997,
    training: Training,
    hidden: ArrayLike,
    output: ArrayLike,
    sequences: Iterable[tuple[Sequence, Targets]],
) -> tuple[Weights, Weights, list[list[list[float]]]]:
    """Trains copies of the weights on the sequences in turn; returns them and every sequence's outputs by step."""
    hidden, output = np.array(hidden, float), np.array(output, float)
    outputs = [train_sequence(network, training, (hidden, output), x, targets) for x, targets in sequences]
    return hidden, output, outputs
