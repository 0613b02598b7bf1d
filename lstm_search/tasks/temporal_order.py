"""Temporal order: experiment 6 of Hochreiter & Schmidhuber (1997), section 5.6, table 9."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.simd import (
    APART,
    Bits,
    Block,
    Layout,
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
)

_E, _B, _A, _X = 0, 1, 2, 6  # of E B a b c d X Y


@inlined
def _mark_time(key: Bits, i: int, marks: int, T: int) -> int:
    """When relevant symbol i comes, for T = 100: 10..20, 50..60 of two; 10..20, 33..43, 66..76 of three."""
    start = T // 10 if i == 0 else i * T // marks
    return start + below(key, APART + 1 + i, T // 10 + 1)


@inlined
def _is_y(key: Bits, i: int) -> int:
    """Whether relevant symbol i is Y (1) or X (0)."""
    return below(key, APART + 8 + i, 2)


@inlined
def _mark(block: Block, stream: Stream, l: int) -> None:
    """Lay all but the distractors of lane l over the block, sequence by sequence."""
    steps = block.symbol.shape[0]
    T, marks = np.int64(stream.numbers[0, l]), np.int64(stream.numbers[1, l])
    sequence, start = stream.first_sequence[l], stream.first_start[l]
    while start < steps:
        key = draw(stream.key[l], sequence)
        last = start + length(key, T) - 1
        order = 0
        for i in range(marks):
            t, y = start + _mark_time(key, i, marks, T), _is_y(key, i)
            order = 2 * order + y
            if 0 <= t < steps:
                block.symbol[t, l] = _X + y
        if start >= 0:
            block.symbol[start, l] = _E
        if last < steps:
            block.symbol[last, l] = _B
            for k in range(2**marks):
                block.target[last, k, l] = 0.0
            block.target[last, order, l] = 1.0
        sequence, start = sequence + 1, last + 1


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` (symbols, as numbers into E B a b c d X Y) and advance `stream`."""
    begin(block, stream)
    mark_ends(block, stream)
    for t in range(block.symbol.shape[0]):
        for l in range(stream.key.shape[0]):
            block.symbol[t, l] = _A + below(stream.sequence_key[l], t - stream.start[l], 4)
        pass_ends(stream, block.ends[t], t)
    for l in range(stream.key.shape[0]):
        _mark(block, stream, l)
    leave(block, stream)


@dataclass(frozen=True)
class TemporalOrder:
    """Classify a sequence of `T` to `T + T/10` symbols by the order of its `marks` relevant symbols X and Y."""

    marks: int = setting(
        2,
        "relevant symbols, 2 or 3",
        low=2,
        high=3,
        takes="temporal order takes 2 marks (experiment 6a) or 3 (6b)",
    )
    T: int = setting(
        100,
        "minimal length; sequences have T to 1.1 T symbols",
        low=10,
        high=100_000,
        takes="temporal order takes 10 to 100000 steps; in a shorter sequence the windows of the relevant symbols "
        "overlap",
    )

    name: ClassVar[str] = "temporal_order"
    fill: ClassVar[Callable[..., Any]] = staticmethod(fill)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def layout(self) -> Layout:
        """One output a class: 4 orders of two symbols, 8 of three."""
        return Layout(inputs=8, outputs=2**self.marks, symbols=True)

    @property
    def numbers(self) -> tuple[float, ...]:
        """The settings that `fill` reads from `Stream.numbers`."""
        return (float(self.T), float(self.marks))

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return 1.05 * self.T
