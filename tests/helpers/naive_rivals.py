"""The rivals by definition: nets of recurrent logistic units in plain loops, their losses, and gradients by a method of
their own. Weights may be complex, so that the derivative of anything can be had to rounding (complex step).

`hidden[unit, source]`: sources are the inputs, 1 if `network.bias`, the activations of t-1. `output[k, source]`: the
inputs if `network.wiring` is direct, the activations, 1 if `network.bias`; not used if it is full.
"""

import cmath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_search.networks import Signal

Weights = tuple[NDArray, NDArray]
Targets = Mapping[int, NDArray]


def f(x: complex) -> complex:
    return 1 / (1 + cmath.exp(-x))


def row_of(x_t: Any, n_inputs: int) -> list:
    return [float(m == x_t) for m in range(n_inputs)] if np.ndim(x_t) == 0 else list(x_t)


def step(network: Any, weights: Weights, row: list, before: list) -> tuple[list, list]:
    """Activations and outputs of a time step."""
    hidden, output = weights
    one = [1.0] * network.bias
    y = [f(sum(w * z for w, z in zip(unit, row + one + list(before), strict=True))) for unit in hidden]
    if network.wiring == "full":
        return y, y[network.hidden :]
    seen = row * (network.wiring == "direct") + y + one
    return y, [f(sum(w * z for w, z in zip(unit, seen, strict=True))) for unit in output]


def forward(network: Any, weights: Weights, x: Sequence, n_inputs: int) -> list[tuple[list, list]]:
    """Activations and outputs of all steps of a sequence."""
    steps, y = [], [network.reset] * len(weights[0])
    for x_t in x:
        y, outputs = step(network, weights, row_of(x_t, n_inputs), y)
        steps.append((y, outputs))
    return steps


def half_squares(outputs: list, target: NDArray) -> complex:
    return sum((t - y) ** 2 / 2 for t, y in zip(target, outputs, strict=True))


def error_signal(signal: Signal, y: float, error: float) -> float:
    """What a logistic output y that errs by `error` is told."""
    return 0.0 if abs(error) < signal.margin else error * (signal.slope * y * (1 - y) + signal.constant)


def felt(outputs: list, target: NDArray, signal: Signal, *, full: bool = False) -> complex:
    """What falls where the outputs follow their error signals. These are told to net inputs, and where the outputs are
    recurrent units (full) to activations; with the plain signal it has the derivative of half the squared error."""
    total: complex = 0.0
    for t, y in zip(target, outputs, strict=True):
        at, error = np.real(y), t - np.real(y)
        told = error * (abs(error) >= signal.margin) if full else error_signal(signal, at, error) / (at * (1 - at))
        total -= told * y
    return total


def loss(
    network: Any, weights: Weights, x: Sequence, targets: Targets, n_inputs: int, *, signal: Signal | None = None
) -> complex:
    """Half the squared error of a sequence, over all its targets, or what takes its place with another signal."""
    steps, full = forward(network, weights, x, n_inputs), network.wiring == "full"
    if signal:
        return sum(felt(steps[t][1], target, signal, full=full) for t, target in targets.items())
    return sum(half_squares(steps[t][1], target) for t, target in targets.items())


def loss_of_steps(
    network: Any,
    weights: Weights,
    x: Sequence,
    targets: Targets,
    n_inputs: int,
    *,
    fed: list,
    signal: Signal | None = None,
) -> complex:
    """The same, where each step finds the activations recorded in `fed`: what an Elman net's context is."""
    found = [step(network, weights, row_of(x_t, n_inputs), y)[1] for x_t, y in zip(x, fed, strict=True)]
    if signal:
        return sum(felt(found[t], target, signal) for t, target in targets.items())
    return sum(half_squares(found[t], target) for t, target in targets.items())


def derivative(weights: Weights, value: Callable[[Weights], complex]) -> Weights:
    """d value/dw of every weight, by complex steps."""
    found = tuple(np.zeros(array.shape) for array in weights)
    for number, array in enumerate(weights):
        for entry in np.ndindex(array.shape):
            moved = [other.astype(complex) for other in weights]
            moved[number][entry] += 1e-30j
            found[number][entry] = value(tuple(moved)).imag / 1e-30
    return found


def train_by_steps(
    network: Any, signal: Signal, weights: Weights, x: Sequence, targets: Targets, *, n_inputs: int
) -> Weights:
    """RTRL on line (update: step): after each target the weights change by the derivative of its error, and what the
    activations depend on is carried along as it was, though the weights have changed under it."""
    hidden, output = (array.copy() for array in weights)
    rate = signal.rate
    y = np.full(len(hidden), network.reset)
    by = np.zeros((len(hidden), *hidden.shape))
    fed = hidden.shape[1] - len(hidden)
    for t, x_t in enumerate(x):
        row = row_of(x_t, n_inputs)
        z = np.array(row + [1.0] * network.bias + list(y))
        after, outputs = (np.real(part) for part in step(network, (hidden, output), row, list(y)))
        by = np.einsum("ij,jum->ium", hidden[:, fed:], by)
        for i in range(len(y)):
            by[i, i] += z
        by *= (after * (1 - after))[:, None, None]
        y = after
        if t in targets:
            error = targets[t] - outputs
            if network.wiring == "full":
                told = error * (abs(error) >= signal.margin)
                hidden += rate * np.einsum("k,kum->um", told, by[network.hidden :])
                continue
            e = np.array([error_signal(signal, *both) for both in zip(outputs, error, strict=True)])
            first = n_inputs * (network.wiring == "direct")
            back = e @ output[:, first : first + len(y)]
            seen = np.array(row * (network.wiring == "direct") + list(y) + [1.0] * network.bias)
            hidden += rate * np.einsum("i,ium->um", back, by)
            output += rate * np.outer(e, seen)
    return hidden, output


def forward_full(weights: Sequence, rows: Sequence, n_inputs: int) -> list[list[float]]:
    """Activations of all steps of a net in which every unit may see every other; all are 0 before the first step."""
    steps, y = [], [0.0] * len(weights)
    for row in rows:
        seen = [*row[:n_inputs], 1.0, *y]
        y = [f(sum(w * z for w, z in zip(unit, seen, strict=True))) for unit in weights]
        steps.append([value.real for value in y])
    return steps
