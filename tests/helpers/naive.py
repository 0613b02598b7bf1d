"""Long short-term memory of 1997 by definition: the equations of appendix A.1 in plain loops, and nothing else.

The slow twin that the compiled net is held against, and the reference for the benchmark's C programs. Weights:

- `hidden[unit, source]`. Units: the cells block by block, then one input gate a block, then one output gate a block (if
  `network.output_gates`; else y_out is 1), then `network.hidden` conventional units, which are biased where gates are.
  Sources: the inputs; the activations of t-1 that `network.recurrent` lets through (all: cells, input gates, output
  gates, conventional units; cells: cells only; none); last a column of biases if gates or cells have one. Entries that
  do not exist are 0; with `network.recurrent_to` gates, those from activations of t-1 to cells are among them.
- `output[k, source]`. Sources: the inputs if `network.direct`, the cells, the conventional units, 1 if
  `network.output_bias`.

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
    y_i: list  # of conventional units
    y: list


def n_cells(network: Lstm1997) -> int:
    return network.blocks * network.size


def n_units(network: Lstm1997) -> int:
    return n_gated(network) + network.hidden


def n_gated(network: Lstm1997) -> int:
    """Cells and gates: the conventional units come after them."""
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
    if network.recurrent_to == "gates":
        hidden[: n_cells(network), n_inputs : n_inputs + n_recurrent(network)] = False
    seen = n_direct(network, n_inputs) + n_cells(network) + network.hidden + network.output_bias
    return hidden, np.ones((n_outputs, seen), dtype=bool)


def exp(x: complex) -> complex:
    return cmath.exp(x) if isinstance(x, complex) else math.exp(x)


def f(x: complex) -> complex:
    return 1 / (1 + exp(-x))


def g_of(network: Lstm1997, x: complex) -> complex:
    return {"bipolar": 4 * f(x) - 2, "half": 2 * f(x) - 1, "logistic": f(x)}[network.g]


def g_prime(network: Lstm1997, g: complex) -> complex:
    return {"bipolar": (2 + g) * (2 - g) / 4, "half": (1 + g) * (1 - g) / 2, "logistic": g * (1 - g)}[network.g]


def h_of(network: Lstm1997, s: complex) -> complex:
    return s if network.h == "identity" else {"bipolar": 2 * f(s) - 1, "double": 4 * f(s) - 2}[network.h]


def h_prime(network: Lstm1997, h: complex) -> complex:
    return {"bipolar": (1 + h) * (1 - h) / 2, "double": (2 + h) * (2 - h) / 4, "identity": 1.0}[network.h]


def inputs_of(network: Lstm1997, n_sources: int) -> int:
    return n_sources - n_recurrent(network) - has_bias_column(network)


def seen_by_outputs(network: Lstm1997, z: list, y_c: list, y_i: list) -> list:
    """What output units see."""
    n_inputs = inputs_of(network, len(z))
    return z[: n_direct(network, n_inputs)] + y_c + y_i + [1.0] * network.output_bias


def sources(network: Lstm1997, n_sources: int, x_t: ArrayLike, before: Step) -> list:
    """z(t): the inputs, what is fed back from t-1, and 1 for the biases."""
    n_inputs = inputs_of(network, n_sources)
    inputs = [float(m == x_t) for m in range(n_inputs)] if np.ndim(x_t) == 0 else [float(value) for value in x_t]
    gates = before.y_in + before.y_out * network.output_gates
    fed_back = {"all": before.y_c + gates + before.y_i, "cells": before.y_c, "none": []}[network.recurrent]
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
    y_i = [f(net_i) for net_i in net[n_gated(network) :]]
    net_k = [dot(row, seen_by_outputs(network, z, y_c, y_i)) for row in output]
    y = [f(net) if network.output == "logistic" else net for net in net_k]
    return Step(z, y_in, y_out, g, s, h, y_c, y_i, y)


def start(network: Lstm1997) -> Step:
    """What the first step of a sequence finds as the step before it."""
    cells, gates = [network.reset] * n_cells(network), [network.reset] * network.blocks
    return Step([], gates, gates, [], [0.0] * n_cells(network), [], cells, [network.reset] * network.hidden, [])


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


def error_signal(network: Lstm1997, training: Training, y_k: float, error: float) -> float:
    """What an output that errs by `error` is told: nothing within the margin."""
    if abs(error) < training.margin:
        return 0.0
    if network.output == "linear":
        return error
    return error * ((y_k * (1 - y_k) if training.slope else 1.0) + training.slope_added)


def contributions(
    network: Lstm1997,
    training: Training,
    output: Weights,
    now: Step,
    traces: tuple[Weights, Weights],
    *,
    target: ArrayLike,
) -> tuple[Weights, Weights]:
    """What one target adds to the weights at rate 1, (hidden, output), from the step and the traces (dS_in, dS_c)."""
    cells, blocks, size, gated = n_cells(network), network.blocks, network.size, n_gated(network)
    dS_in, dS_c = traces
    d_hidden, d_output = np.zeros((n_units(network), len(now.z))), np.zeros_like(output)
    errors = [t_k - y_k for t_k, y_k in zip(np.atleast_1d(target), now.y, strict=True)]
    e = [error_signal(network, training, y_k, error) for y_k, error in zip(now.y, errors, strict=True)]
    direct = n_direct(network, inputs_of(network, len(now.z)))
    back = [sum(output[k, direct + c] * e[k] for k in range(len(e))) for c in range(cells + network.hidden)]
    for k in range(len(e)):
        for m, source in enumerate(seen_by_outputs(network, now.z, now.y_c, now.y_i)):
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
    for i, y_i in enumerate(now.y_i):
        for m in range(len(now.z)):
            d_hidden[gated + i, m] += y_i * (1 - y_i) * back[cells + i] * now.z[m]
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
    network: Lstm1997,
    training: Training,
    weights: tuple[Weights, Weights],
    x: Sequence,
    targets: Targets,
    *,
    left: tuple[Weights, Weights] | None = None,
) -> list[list[float]]:
    """Trains the weights (hidden, output) in place on one sequence; returns every step's outputs, as they were before
    the step's own change of the weights.

    `left`: what the sequence before has left to be added to the weights late, after the first step of this one together
    with that step's own contribution. What this sequence brings after its first step is left there in its place."""
    hidden, output = weights
    rate = training.rate * training.error_scale
    mask, _ = exists(network, inputs_of(network, hidden.shape[1]), len(output))
    traces = np.zeros((n_cells(network), hidden.shape[1])), np.zeros((n_cells(network), hidden.shape[1]))
    sums = (np.zeros_like(hidden), np.zeros_like(output)) if left is None else left
    now, outputs = start(network), []
    for t, x_t in enumerate(x):
        z = sources(network, hidden.shape[1], x_t, now)
        now = step(network, hidden.tolist(), output.tolist(), z, now.s)
        outputs.append(now.y)
        extend(network, traces, now)
        if t in targets:
            parts = contributions(network, training, output, now, traces, target=targets[t])
            for total, part in zip(sums, parts, strict=True):
                np.add(total, part, out=total)
        if t == 0 if left is not None else training.update == "step" or t == len(x) - 1:
            hidden += rate * sums[0] * mask
            output += rate * sums[1]
            for total in sums:
                total[:] = 0.0
    return outputs


def train(
    network: Lstm1997,
    training: Training,
    hidden: ArrayLike,
    output: ArrayLike,
    sequences: Iterable[tuple[Sequence, Targets]],
    *,
    late: bool = False,
) -> tuple[Weights, Weights, list[list[list[float]]]]:
    """Trains copies of the weights on the sequences in turn; returns them and every sequence's outputs by step.

    `late`: what a sequence brings changes the weights after the first step of the next one, that step's contribution
    included, as a published simulator of the first author's group does it; what the last one brings is lost."""
    hidden, output = np.array(hidden, float), np.array(output, float)
    left = (np.zeros_like(hidden), np.zeros_like(output)) if late else None
    outputs = [train_sequence(network, training, (hidden, output), x, targets, left=left) for x, targets in sequences]
    return hidden, output, outputs
