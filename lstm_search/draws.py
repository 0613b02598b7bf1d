"""Counter-based random draws: every number is a function of (key, counter), so any can be drawn at any time, anywhere.

SplitMix64 (Steele, Lea & Flood 2014): draw j of a key is the key's (j+1)-th output. A trial has one key a stream
(weights, training data, test data), made from the study seed and the replicate and from nothing else: the same
replicate sees the same data in every cell. A sequence has a key of its own, drawn from its stream's key by its number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_search.jit import inlined, kernel

Bits = Any
"""An unsigned 64-bit whole number."""

WEIGHTS, TRAINING, TESTS = 0, 1, 2
"""Streams of a trial. Test number i (0, 1, ...) draws from stream TESTS + i."""

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
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
