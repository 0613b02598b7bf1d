"""Pairs (value, marker) of which two are marked: the data of experiments 4 and 5, whose values and targets differ.

Hochreiter & Schmidhuber (1997), sections 5.4 and 5.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_search.checks import setting
from lstm_search.simd import (
    APART,
    Bits,
    Block,
    Stream,
    begin,
    below,
    draw,
    inlined,
    kernel,
    leave,
    length,
    mark_ends,
    pass_ends,
    uniform,
)

ADDED, MULTIPLIED = 0.0, 1.0
"""What the target is: `numbers[1]` of a lane."""


@inlined
def _marks(key: Bits, T: int) -> tuple[int, int]:
    """The two marked pairs: one of the first ten, then one of the first T/2 - 1 still unmarked."""
    first = below(key, APART + 1, 10)
    second = below(key, APART + 2, T // 2 - 1)
    return first, second + (second >= first)


@inlined
def _value(key: Bits, t: int, kind: float) -> float:
    """The value of pair t: uniform in [-1, 1) to be added, in [0, 1) to be multiplied."""
    u = uniform(key, t)
    return u if kind == MULTIPLIED else 2.0 * u - 1.0


@inlined
def _target(key: Bits, first: int, second: int, kind: float) -> float:
    """.5 + (X1 + X2)/4, or X1 X2; the first pair keeps its marker -1, and its value counts as 0, or as 1."""
    X1 = _value(key, first, kind) if first > 0 else kind
    X2 = _value(key, second, kind) if second > 0 else kind
    return X1 * X2 if kind == MULTIPLIED else 0.5 + (X1 + X2) / 4.0


@inlined
def _mark(block: Block, stream: Stream, l: int) -> None:
    """Lay the markers and targets of lane l into the block, sequence by sequence."""
    steps, T, kind = block.x.shape[0], np.int64(stream.numbers[0, l]), stream.numbers[1, l]
    sequence, start = stream.first_sequence[l], stream.first_start[l]
    while start < steps:
        key = draw(stream.key[l], sequence)
        last = start + length(key, T) - 1
        first, second = _marks(key, T)
        for t, marker in ((start + first, 1.0), (start + second, 1.0), (start, -1.0), (last, -1.0)):
            if 0 <= t < steps:
                block.x[t, 1, l] = marker
        if last < steps:
            block.target[last, 0, l] = _target(key, first, second, kind)
        sequence, start = sequence + 1, last + 1


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` (2 inputs: value, marker) and advance `stream`."""
    begin(block, stream)
    mark_ends(block, stream)
    for t in range(block.x.shape[0]):
        for l in range(stream.key.shape[0]):
            block.x[t, 0, l] = _value(stream.sequence_key[l], t - stream.start[l], stream.numbers[1, l])
            block.x[t, 1, l] = 0.0
        pass_ends(stream, block.ends[t], t)
    for l in range(stream.key.shape[0]):
        _mark(block, stream, l)
    leave(block, stream)


def minimal_length(task: str) -> Any:
    """The field T of a task of marked pairs: there must be room for the marks."""
    return setting(
        100,
        "minimal length; sequences have T to 1.1 T pairs",
        low=11,
        high=100_000,
        takes=f"the {task} takes 11 to 100000; its first mark is one of the first ten pairs, before the last pair",
    )
