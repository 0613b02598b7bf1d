"""Adding problem: experiment 4 of Hochreiter & Schmidhuber (1997), section 5.4, table 7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lstm_search.draws import APART, Bits, below, draw, uniform
from lstm_search.jit import inlined, kernel
from lstm_search.streams import Block, Stream, begin, leave, length, pass_ends


@inlined
def _marks(key: Bits, T: int) -> tuple[int, int]:
    """The two marked pairs: one of the first ten, then one of the first T/2 - 1 still unmarked."""
    first = below(key, APART + 1, 10)
    second = below(key, APART + 2, T // 2 - 1)
    return first, second + (second >= first)


@inlined
def _value(key: Bits, t: int) -> float:
    """The value of pair t, uniform in [-1, 1)."""
    return 2.0 * uniform(key, t) - 1.0


@inlined
def _target(key: Bits, first: int, second: int) -> float:
    """.5 + (X1 + X2)/4; the first pair keeps its marker -1, and its value counts as 0."""
    X1 = _value(key, first) if first > 0 else 0.0
    X2 = _value(key, second) if second > 0 else 0.0
    return 0.5 + (X1 + X2) / 4.0


@inlined
def _mark(block: Block, stream: Stream, l: int) -> None:
    """Lay the markers and targets of lane l into the block, sequence by sequence."""
    steps, T = block.x.shape[0], np.int64(stream.numbers[0, l])
    sequence, start = stream.first_sequence[l], stream.first_start[l]
    while start < steps:
        key = draw(stream.key[l], sequence)
        last = start + length(key, T) - 1
        first, second = _marks(key, T)
        for t, marker in ((start + first, 1.0), (start + second, 1.0), (start, -1.0), (last, -1.0)):
            if 0 <= t < steps:
                block.x[t, 1, l] = marker
        if last < steps:
            block.target[last, 0, l] = _target(key, first, second)
        sequence, start = sequence + 1, last + 1


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` (2 inputs: value, marker) and advance `stream`."""
    begin(block, stream)
    for t in range(block.x.shape[0]):
        for l in range(stream.key.shape[0]):
            block.x[t, 0, l] = _value(stream.sequence_key[l], t - stream.start[l])
            block.x[t, 1, l] = 0.0
        pass_ends(stream, block.ends[t], t)
    for l in range(stream.key.shape[0]):
        _mark(block, stream, l)
    leave(block, stream)


@dataclass(frozen=True)
class Adding:
    """Add the two marked values of a sequence of `T` to `T + T/10` pairs (value in [-1, 1], marker)."""

    T: int = 100

    name: ClassVar[str] = "adding"
    n_inputs: ClassVar[int] = 2
    n_outputs: ClassVar[int] = 1
    symbols: ClassVar[bool] = False
    targets: ClassVar[str] = "last"
    fill: ClassVar[Callable[..., Any]] = staticmethod(fill)

    def __post_init__(self) -> None:
        if not 11 <= self.T <= 100_000:
            raise ValueError(
                f"task.T={self.T}: the adding problem takes 11 to 100000; its first mark is one of the first ten "
                "pairs, before the last pair"
            )

    @property
    def numbers(self) -> tuple[float, ...]:
        """The settings that `fill` reads from `Stream.numbers`."""
        return (float(self.T),)
