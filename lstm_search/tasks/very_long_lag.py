"""Very long time lags: experiment 2c of Hochreiter & Schmidhuber (1997), section 5.2, table 3.

Symbols a_1 .. a_p (distractors), e, b, x, y, numbered from 0. A sequence is b, x or y, q distractors, more distractors
while a draw of ten says so, and the trigger e, at which the second symbol is to be predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.simd import APART, Bits, Block, Layout, Stream, begin, below, draw, inlined, kernel, leave, pass_ends


@inlined
def _steps(key: Bits, q: int) -> int:
    """Steps up to the trigger: q distractors, and with probability 9/10 each one more; q + 12 on average."""
    more = 0
    while below(key, APART + 1 + more, 10) != 0:
        more += 1
    return 3 + q + more


@inlined
def _mark(block: Block, stream: Stream, l: int) -> None:
    """Lay all but the distractors of lane l over the block, sequence by sequence."""
    steps, q, e = block.symbol.shape[0], np.int64(stream.numbers[0, l]), np.int64(stream.numbers[1, l])
    sequence, start = stream.first_sequence[l], stream.first_start[l]
    while start < steps:
        key = draw(stream.key[l], sequence)
        last, y = start + _steps(key, q) - 1, below(key, APART, 2)
        if start >= 0:
            block.symbol[start, l] = e + 1
        if 0 <= start + 1 < steps:
            block.symbol[start + 1, l] = e + 2 + y
        if last < steps:
            block.symbol[last, l] = e
            block.target[last, 0, l], block.target[last, 1, l] = 1.0 - y, 1.0 * y
        sequence, start = sequence + 1, last + 1


@inlined
def _mark_ends(block: Block, stream: Stream) -> None:
    """Mark the triggers: there sequences end, with a target each."""
    for l in range(stream.key.shape[0]):
        sequence, q = stream.sequence[l], np.int64(stream.numbers[0, l])
        last = stream.start[l] + _steps(stream.sequence_key[l], q) - 1
        while last < block.ends.shape[0]:
            block.ends[last] |= 1 << l
            block.due[last] |= 1 << l
            sequence += 1
            last += _steps(draw(stream.key[l], sequence), q)


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` (symbols; outputs x, y) and advance `stream`."""
    begin(block, stream)
    _mark_ends(block, stream)
    for t in range(block.symbol.shape[0]):
        for l in range(stream.key.shape[0]):
            p = np.int64(stream.numbers[1, l])
            block.symbol[t, l] = below(stream.sequence_key[l], t - stream.start[l], p)
        pass_ends(stream, block.ends[t], t)
    for l in range(stream.key.shape[0]):
        _mark(block, stream, l)
    leave(block, stream)


@dataclass(frozen=True)
class VeryLongLag:
    """Tell the second symbol of a sequence at its trigger, at least `q` + 1 steps later; there are `p` distractors."""

    p: int = setting(50, "distractor symbols", low=1, high=10_000, takes="takes 1 to 10000 distractor symbols")
    q: int = setting(
        50,
        "the lag: distractors between at least",
        low=1,
        high=100_000,
        takes="takes a lag of 1 to 100000 distractors at least",
    )

    name: ClassVar[str] = "very_long_lag"
    fill: ClassVar[Callable[..., Any]] = staticmethod(fill)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def layout(self) -> Layout:
        """One input a symbol; outputs for x and y."""
        return Layout(inputs=self.p + 4, outputs=2, symbols=True)

    @property
    def numbers(self) -> tuple[float, ...]:
        """The settings that `fill` reads from `Stream.numbers`: q, and p, which is also the number of the symbol e."""
        return (float(self.q), float(self.p))

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return self.q + 12.0
