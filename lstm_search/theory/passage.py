"""A net run over sequences without learning, in plain NumPy: every activation of every step.

Nets and sequences may be stacked: all axes of the arrays but the first (the step) and the last (what is counted) are
theirs. Complex numbers pass through, so that derivatives can be taken by complex steps. The letters are the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997, Lstm2000

Blocks = Lstm1997 | Lstm2000
"""A net of memory cell blocks."""

Array = NDArray[Any]
"""Numbers: real ones, or complex ones where derivatives are taken."""


class Passage(NamedTuple):
    """What a net of memory cell blocks did at every step: T steps, U hidden units, C cells, b blocks."""

    z: Array  # [T, .., M] what gates and cells saw
    net: Array  # [T, .., U] net inputs of cells, input, output gates, conventional units, forget gates; of no peepholes
    y_in: Array  # [T, .., b]
    y_out: Array  # [T, .., b] 1 where there are no output gates
    y_f: Array  # [T, .., b] how much of its states a block keeps: 1 where it does not forget
    g: Array  # [T, .., C]
    s: Array  # [T, .., C] cell states
    h: Array  # [T, .., C]
    y_c: Array  # [T, .., C] cell outputs
    y_i: Array  # [T, .., H] of conventional units
    y: Array  # [T, .., K] outputs


def logistic(x: Array) -> Array:
    """f(x) = 1 / (1 + e^-x), which never overflows."""
    below = np.real(x) < 0.0
    power = np.exp(np.where(below, x, -x))
    return np.asarray(np.where(below, power, 1.0) / (1.0 + power))


def squash(kind: str, x: Array) -> Array:
    """What a setting g or h names: an odd function to [-2, 2], [-1, 1], or the logistic one, or the identity."""
    if kind == "identity":
        return x
    if kind == "logistic":
        return logistic(x)
    return np.asarray(_RANGE[kind] * np.tanh(0.5 * x))  # a (2 f(x) - 1)


def slope(kind: str, y: Array) -> Array:
    """The derivative of such a function where its value is y."""
    if kind == "identity":
        return np.ones_like(y)
    if kind == "logistic":
        return np.asarray(y * (1.0 - y))
    a = _RANGE[kind]
    return np.asarray((a + y) * (a - y) / (2.0 * a))


G_KIND = {"bipolar": "two", "half": "one", "logistic": "logistic"}
H_KIND = {"bipolar": "one", "double": "two", "identity": "identity"}
"""The functions that the settings g and h of a net name."""

_RANGE = {"one": 1.0, "two": 2.0}


def passage_of(
    network: Blocks,
    hidden: Array,
    output: Array,
    x: Array,
    *,
    frozen: Array | None = None,
    nudge: Array | None = None,
) -> Passage:
    """Run nets with the weights hidden [.., U, M] and output [.., K, M'] (as `memory_blocks.initial` orders them) over
    the input rows x [T, .., I].

    With `frozen` [T, .., M] gates and cells see the sources recorded there instead of the net's own activations of
    t-1: what the truncated gradient takes for constants. `nudge` [T, .., U] is added to the net inputs.
    """
    nets = np.broadcast_shapes(hidden.shape[:-2], x.shape[1:-1])
    before, s = np.full((*nets, network.units), network.reset), np.zeros((*nets, network.cells))
    steps, seen_by_gates = [], _peepholes(network)
    sources, peepholes = np.split(hidden, [hidden.shape[-1] - seen_by_gates], axis=-1)
    for t, inputs in enumerate(x):
        z = _sources(network, inputs, before) if frozen is None else frozen[t]
        net = _times(sources, z) + (0.0 if nudge is None else nudge[t])
        y_in, y_out, y_f, g, s, h, y_c, y_i = _hidden_units(network, net, s, peepholes)
        y = _outputs(network, output, _joined([*[inputs] * network.direct, y_c, y_i, *[_ONE] * network.output_bias]))
        steps.append((z, net, y_in, y_out, y_f, g, s, h, y_c, y_i, y))
        gates = [y_in, *[y_out] * network.output_gates, y_i, *[y_f] * (forgetting(network) == "gates")]
        before = np.concatenate([y_c, *gates], axis=-1)
    return Passage(*(np.array(each) for each in zip(*steps, strict=True)))


_ONE = np.ones(1)
"""The source of biases."""


def _times(weights: Array, values: Array) -> Array:
    """Weights [.., n, M] times values [.., M]."""
    return np.asarray((weights @ values[..., None])[..., 0])


def forgetting(network: Blocks) -> str:
    """How blocks forget: by gates, coupled, or not at all (none)."""
    return network.forget if isinstance(network, Lstm2000) else "none"


def _peepholes(network: Blocks) -> int:
    """How many states each gate sees."""
    return network.size if isinstance(network, Lstm2000) and network.peepholes else 0


def recurrent_sources(network: Blocks) -> int:
    """R: how many activations of the step before are sources."""
    return {"all": network.units, "cells": network.cells, "none": 0}[network.recurrent]


def _sources(network: Blocks, inputs: Array, before: Array) -> Array:
    """z: inputs, 1 where anything hidden is biased, activations of the step before."""
    biased = network.gates_biased or network.cell_bias != "none"
    return _joined([inputs, *[_ONE] * biased, before[..., : recurrent_sources(network)]])


def _joined(parts: Sequence[Array]) -> Array:
    """The parts behind each other; what all nets and sequences have in common is repeated for each."""
    nets = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return np.concatenate([np.broadcast_to(part, (*nets, part.shape[-1])) for part in parts], axis=-1)


def _hidden_units(network: Blocks, net: Array, before: Array, peepholes: Array) -> tuple[Array, ...]:
    """A.1: gates, g, states, h, cell outputs and conventional units, from net inputs without those of `peepholes`
    [.., U, S], and the states before."""
    C, b, S = network.cells, network.blocks, network.size
    conventional = C + (1 + network.output_gates) * b
    forget = conventional + network.hidden

    def gates(first: int, s: Array) -> Array:
        seen = peepholes[..., first : first + b, :]
        by_states = (seen * s.reshape(*s.shape[:-1], b, S)).sum(axis=-1) if seen.shape[-1] else 0.0
        return logistic(net[..., first : first + b] + by_states)

    y_in, g = gates(C, before), squash(G_KIND[network.g], net[..., :C])
    if forgetting(network) == "gates":
        y_f = gates(forget, before)
    else:
        y_f = 1.0 - y_in if forgetting(network) == "coupled" else np.ones_like(y_in)
    s = np.repeat(y_f, S, axis=-1) * before + np.repeat(y_in, S, axis=-1) * g
    y_out = gates(C + b, s) if network.output_gates else np.ones_like(y_in)
    h = squash(H_KIND[network.h], s)
    y_i = logistic(net[..., conventional:forget])
    return y_in, y_out, y_f, g, s, h, np.repeat(y_out, S, axis=-1) * h, y_i


def _outputs(network: Blocks, output: Array, seen: Array) -> Array:
    """What comes of what the output units see."""
    net = _times(output, seen)
    return logistic(net) if network.output == "logistic" else net


def activations(
    hidden: Array, x: Array, *, biased: bool, reset: float, f: Callable[[Array], Array] = logistic
) -> Array:
    """The activations [T, n] of a conventional net with the weights `hidden` [n, I + biased + n], from inputs, 1 and
    the activations of the step before, over the input rows x [T, I]."""
    y, found = np.full(len(hidden), reset), []
    for inputs in x:
        y = f(hidden @ np.concatenate([inputs, *[_ONE] * biased, y]))
        found.append(y)
    return np.array(found)
