"""Counter-based random draws: every number is a function of (key, counter), so any can be drawn at any time, anywhere.

SplitMix64 (Steele, Lea & Flood 2014): draw j of a key is the key's (j+1)-th output. A trial has one key a stream
(weights, training data, test data), made from the study seed and the replicate and from nothing else: the same
replicate sees the same data in every cell. A sequence has a key of its own, drawn from its stream's key by its number.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from lstm_search.simd.elementary import exp, log
from lstm_search.simd.jit import inlined, kernel

Bits = Any
"""An unsigned 64-bit whole number."""

WEIGHTS, TRAINING, TESTS, CHECKS, COMMON = 0, 1, 2, 1 << 20, (1 << 20) + 1
"""Streams of a trial. The test of milestone i (0, 1, ...) draws from stream TESTS + i, checks in the middle of training
from CHECKS, and what several trials have in common (the sets of strings of experiment 1) from COMMON."""

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_LOW8 = np.uint64(255)
_UNIT = 2.0**-53

APART = 1 << 32
"""Counters from here on serve what is drawn once a sequence; those below serve its time steps."""


def stream_key(seed: int, replicate: int, stream: int) -> np.uint64:
    """The 64-bit key of one stream of one replicate under a study seed (all non-negative)."""
    return np.random.SeedSequence(seed, spawn_key=(replicate, stream)).generate_state(1, np.uint64)[0]


@inlined
def mix(z: Bits) -> Bits:
    """SplitMix64's output function."""
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    return z ^ (z >> _S31)


@inlined
def draw(key: Bits, counter: int) -> Bits:
    """64 random bits: draw number `counter` of `key`."""
    return mix(key + (np.uint64(counter) + np.uint64(1)) * _GAMMA)


@inlined
def uniform(key: Bits, counter: int) -> float:
    """A number in [0, 1), a multiple of 2^-53."""
    return np.float64(draw(key, counter) >> _S11) * _UNIT


@inlined
def below(key: Bits, counter: int, n: int) -> int:
    """An integer 0 .. n-1 (n far below 2^32, so that its bias is below 2^-21 of its share)."""
    return int(uniform(key, counter) * n)


@kernel
def uniforms(key: Bits, out: np.ndarray) -> None:
    """Fill the one-dimensional `out` with the first draws of `key`, numbers in [0, 1)."""
    for counter in range(out.shape[0]):
        out[counter] = uniform(key, counter)


_LAYERS = 256
_TAIL = 3.6541528853610088
_AREA = 0.004928673233974655


def _layers() -> tuple[np.ndarray, np.ndarray]:
    """Marsaglia & Tsang's 256 layers of equal area under e^(-x^2/2): their right ends, from the tail's down to 0, and
    the density there. In decimal arithmetic, so that every machine has the same bits."""
    with localcontext(prec=40):
        area, ends = Decimal(_AREA), [Decimal(_TAIL)]
        ends.insert(0, area / (-ends[0] * ends[0] / 2).exp())
        while len(ends) < _LAYERS:
            density = (-ends[-1] * ends[-1] / 2).exp()
            ends.append((-2 * (area / ends[-1] + density).ln()).sqrt())
        ends.append(Decimal(0))
        densities = [(-x * x / 2).exp() for x in ends]
    return np.array(ends, float), np.array(densities, float)


_X, _DENSITY = _layers()


@inlined
def _tail(key: Bits, sign: float) -> float:
    """A normal number beyond _TAIL (Marsaglia 1964)."""
    counter = 0
    while True:
        x = -log(1.0 - uniform(key, counter)) / _TAIL
        y = -log(1.0 - uniform(key, counter + 1))
        if y + y > x * x:
            return sign * (_TAIL + x)
        counter += 2


@kernel
def _rejected(bits: Bits) -> float:
    """The normal number of a draw that did not fall into the certain part of its layer: one draw in 66."""
    while True:
        layer = int(bits & _LOW8)
        u = np.float64(bits >> _S11) * (2.0 * _UNIT) - 1.0
        x = u * _X[layer]
        if abs(x) < _X[layer + 1]:
            return x
        if layer == 0:
            return _tail(bits, -1.0 if u < 0.0 else 1.0)
        height = _DENSITY[layer] + uniform(bits, 0) * (_DENSITY[layer + 1] - _DENSITY[layer])
        if height < exp(-0.5 * x * x):
            return x
        bits = draw(bits, 1)


@inlined
def normal(key: Bits, counter: int) -> float:
    """A Gaussian number of mean 0 and variance 1, by the ziggurat of Marsaglia & Tsang (2000)."""
    bits = draw(key, counter)
    layer = int(bits & _LOW8)
    x = (np.float64(bits >> _S11) * (2.0 * _UNIT) - 1.0) * _X[layer]
    return x if abs(x) < _X[layer + 1] else _rejected(bits)
