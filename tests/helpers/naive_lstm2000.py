"""LSTM with forget gates and peepholes by definition, in plain loops: the slow twin of the net in lanes.

Weights are as `Lstm2000.initial` orders them: `hidden[unit, source]`, units cells, input gates, output gates,
conventional units, forget gates; sources inputs, 1 if anything hidden is biased, activations of t-1, and with peepholes
the cells of a block. Entries that do not exist are 0. What 1997 had already is taken from `naive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from helpers.naive import Targets, Weights, dot, error_signal, f, g_of, g_prime, h_of, h_prime, has_bias_column
from numpy.typing import NDArray

from lstm_search.networks import Lstm2000
from lstm_search.spec import Training


@dataclass
class Step:
    """All activations of a step, what its units saw, and the states that its gates saw."""

    z: list
    before: list  # s(t-1), by input and forget gates
    now: list  # s(t), by output gates
    y_in: list
    y_out: list
    y_f: list
    g: list
    s: list
    h: list
    y_c: list
    y_i: list
    seen: list  # by outputs
    y: list


def recurrent(network: Lstm2000) -> int:
    return {"all": network.units, "cells": network.cells, "none": 0}[network.recurrent]


def places(network: Lstm2000) -> tuple[int, int, int, int]:
    """The first input gate, output gate, conventional unit and forget gate among the hidden units."""
    first_out = network.cells + network.blocks
    conventional = first_out + network.blocks * network.output_gates
    return network.cells, first_out, conventional, conventional + network.hidden


def exists(network: Lstm2000, n_inputs: int, n_outputs: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which entries of `hidden` and of `output` are weights of the net."""
    C, (_, _, conventional, first_f) = network.cells, places(network)
    bias = has_bias_column(network)
    fed, columns = n_inputs + bias, n_inputs + bias + recurrent(network)
    hidden = np.ones((network.units, columns + network.size * network.peepholes), dtype=bool)
    if bias:
        hidden[:C, n_inputs], hidden[C:, n_inputs] = network.cell_bias != "none", network.gates_biased
    if network.recurrent_to == "gates":
        hidden[:C, fed:columns] = False
    hidden[:C, columns:] = hidden[conventional:first_f, columns:] = False
    seen = n_inputs * network.direct + C + network.hidden + network.output_bias
    return hidden, np.ones((n_outputs, seen), dtype=bool)


def activations(network: Lstm2000, before: Step) -> list:
    """What the step before feeds back."""
    gates = before.y_in + before.y_out * network.output_gates
    forget = before.y_f if network.forget == "gates" else []
    return (before.y_c + gates + before.y_i + forget)[: recurrent(network)]


def step(
    network: Lstm2000, hidden: list, output: list, inputs: list, last: Step, *, frozen: Step | None = None
) -> Step:
    """One step after the `last`. With `frozen`, what is fed back, and what gates see of states, is taken from there."""
    b, S, C = network.blocks, network.size, network.cells
    first_in, first_out, conventional, first_f = places(network)
    z = frozen.z if frozen else inputs + [1.0] * has_bias_column(network) + activations(network, last)
    before = frozen.before if frozen else last.s

    def gate(u: int, j: int, states: list) -> complex:
        return f(dot(hidden[u], z + (states[j * S : (j + 1) * S] if network.peepholes else [])))

    def net(u: int) -> complex:
        return dot(hidden[u][: len(z)], z)

    y_in = [gate(first_in + j, j, before) for j in range(b)]
    y_f = {
        "gates": lambda j: gate(first_f + j, j, before), "coupled": lambda j: 1 - y_in[j], "none": lambda _: 1.0
    }[network.forget]  # fmt: skip
    kept = [y_f(j) for j in range(b)]
    g = [g_of(network, net(c)) for c in range(C)]
    s = [kept[c // S] * last.s[c] + y_in[c // S] * g[c] for c in range(C)]
    now = frozen.now if frozen else s
    y_out = [gate(first_out + j, j, now) if network.output_gates else 1.0 for j in range(b)]
    h = [h_of(network, s_c) for s_c in s]
    y_c = [y_out[c // S] * h[c] for c in range(C)]
    y_i = [f(net(u)) for u in range(conventional, first_f)]
    seen = inputs * network.direct + y_c + y_i + [1.0] * network.output_bias
    y = [dot(row, seen) for row in output]
    y = [f(net_k) for net_k in y] if network.output == "logistic" else y
    return Step(z, before, now, y_in, y_out, kept, g, s, h, y_c, y_i, seen, y)


def start(network: Lstm2000) -> Step:
    """What the first step of a sequence finds as the step before it."""
    b, reset, zero = network.blocks, network.reset, [0.0] * network.cells
    gates, cells, others = [reset] * b, [reset] * network.cells, [reset] * network.hidden
    return Step([], zero, zero, gates, gates, gates, [], zero, [], cells, others, [], [])


def rows_of(x: Any, n_inputs: int) -> list[list[float]]:
    return np.eye(n_inputs)[x].tolist() if np.ndim(x) == 1 else np.asarray(x).tolist()


def forward(
    network: Lstm2000, hidden: NDArray, output: NDArray, rows: Sequence[list], frozen: Sequence[Step] | None = None
) -> list[Step]:
    """All steps of one sequence. Weights may be complex. `frozen`: what the truncated gradient takes for constants."""
    steps = [start(network)]
    for t, inputs in enumerate(rows):
        held = frozen[t] if frozen else None
        steps.append(step(network, hidden.tolist(), output.tolist(), inputs, steps[-1], frozen=held))
    return steps[1:]


def extend(network: Lstm2000, traces: dict[str, Weights], last: Step, now: Step) -> None:
    """One step more of ds_c/dw, by the weights of the input gate, of the cell and of the forget gate."""
    S = network.size
    for c in range(network.cells):
        j = c // S
        states = now.before[j * S : j * S + S] if network.peepholes else []
        z, y_in, y_f, s = np.array(now.z + states), now.y_in[j], now.y_f[j], last.s[c]
        of_c = np.array(now.z + [0.0] * len(states))
        by_in = now.g[c] - s if network.forget == "coupled" else now.g[c]
        traces["in"][c] = y_f * traces["in"][c] + by_in * y_in * (1 - y_in) * z
        traces["c"][c] = y_f * traces["c"][c] + y_in * g_prime(network, now.g[c]) * of_c
        traces["f"][c] = y_f * traces["f"][c] + s * y_f * (1 - y_f) * z


def contributions(
    network: Lstm2000, training: Training, weights: tuple[Weights, Weights], now: Step, traces: dict[str, Weights],
    *, target: Any,
) -> tuple[Weights, Weights]:  # fmt: skip
    """What one target adds to the weights at rate 1."""
    hidden, output = weights
    S, C, (first_in, first_out, conventional, first_f) = network.size, network.cells, places(network)
    direct = len(now.seen) - C - network.hidden - network.output_bias
    e = [error_signal(network, training, y, t - y) for y, t in zip(now.y, np.atleast_1d(target), strict=True)]
    back = [sum(output[k, direct + c] * e[k] for k in range(len(e))) for c in range(C + network.hidden)]
    d_hidden, d_output = np.zeros_like(hidden), np.outer(e, now.seen)
    for c in range(C):
        j = c // S
        e_s = now.y_out[j] * h_prime(network, now.h[c]) * back[c]
        d_hidden[c] += e_s * traces["c"][c]
        d_hidden[first_in + j] += e_s * traces["in"][c]
        if network.forget == "gates":
            d_hidden[first_f + j] += e_s * traces["f"][c]
        if network.output_gates:
            y_out, states = now.y_out[j], now.now[j * S : j * S + S] if network.peepholes else []
            d_hidden[first_out + j] += y_out * (1 - y_out) * now.h[c] * back[c] * np.array(now.z + states)
    for i, y_i in enumerate(now.y_i):
        d_hidden[conventional + i, : len(now.z)] += y_i * (1 - y_i) * back[C + i] * np.array(now.z)
    return d_hidden, d_output


def train(
    network: Lstm2000,
    training: Training,
    weights: tuple[Weights, Weights],
    sequences: Sequence[tuple[Any, Targets]],
    n_inputs: int,
) -> tuple[Weights, Weights]:
    """The weights (hidden, output) after the sequences, by the truncated gradient."""
    hidden, output = (np.array(array, float) for array in weights)
    mask, _ = exists(network, n_inputs, len(output))
    for x, targets in sequences:
        traces = {kind: np.zeros((network.cells, hidden.shape[1])) for kind in ("in", "c", "f")}
        sums, now = [np.zeros_like(hidden), np.zeros_like(output)], start(network)
        for t, inputs in enumerate(rows_of(x, n_inputs)):
            last, now = now, step(network, hidden.tolist(), output.tolist(), inputs, now, frozen=None)
            extend(network, traces, last, now)
            if t in targets:
                parts = contributions(network, training, (hidden, output), now, traces, target=targets[t])
                sums = [total + part for total, part in zip(sums, parts, strict=True)]
            if training.update == "step" or t == len(x) - 1:
                hidden, output = hidden + training.rate * sums[0] * mask, output + training.rate * sums[1]
                sums = [np.zeros_like(hidden), np.zeros_like(output)]
    return hidden, output
