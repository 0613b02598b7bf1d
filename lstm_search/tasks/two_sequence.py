"""Two-sequence problem: experiments 3a, 3b and 3c of Hochreiter & Schmidhuber (1997), section 5.3, tables 4 to 6."""

from __future__ import annotations

import math
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
    normal,
    pass_ends,
)

NOISE_VARIANCE = 0.2
"""Of the Gaussian elements that carry no information."""

TARGET_VARIANCE = 0.1
"""Of the Gaussian noise on the targets of experiment 3c."""

_NOISE = math.sqrt(NOISE_VARIANCE)


@inlined
def _class(key: Bits) -> int:
    """0 for class 1, whose first N elements are +1; 1 for class 2, where they are -1."""
    return below(key, APART + 1, 2)


@inlined
def _mark(block: Block, stream: Stream, l: int) -> None:
    """Lay the elements that tell the class, and the targets, of lane l over the block, sequence by sequence."""
    steps, T, N = block.x.shape[0], np.int64(stream.numbers[0, l]), np.int64(stream.numbers[1, l])
    blurred, spread = stream.numbers[2, l], stream.numbers[5, l] * (1 - stream.tested[l])
    sequence, start = stream.first_sequence[l], stream.first_start[l]
    while start < steps:
        key = draw(stream.key[l], sequence)
        last = start + length(key, T) - 1
        of_class = _class(key)
        for t in range(max(start, 0), min(start + N, steps)):
            block.x[t, 0, l] = (1.0 - 2.0 * of_class) + blurred * block.x[t, 0, l]
        if last < steps:
            block.target[last, 0, l] = stream.numbers[3 + of_class, l] + spread * normal(key, APART + 2)
        sequence, start = sequence + 1, last + 1


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` (1 input) and advance `stream`."""
    begin(block, stream)
    mark_ends(block, stream)
    for t in range(block.x.shape[0]):
        for l in range(stream.key.shape[0]):
            block.x[t, 0, l] = _NOISE * normal(stream.sequence_key[l], t - stream.start[l])
        pass_ends(stream, block.ends[t], t)
    for l in range(stream.key.shape[0]):
        _mark(block, stream, l)
    leave(block, stream)


@dataclass(frozen=True)
class TwoSequence:
    """Tell from its first `N` elements, +1 or -1, to which of two classes a sequence of `T` to `T + T/10` belongs.

    `noisy_input`: these elements, too, have Gaussian noise (3b). `noisy_target`: targets are .2 and .8 with Gaussian
    noise instead of 1 and 0, and what counts in a test is the error without the noise (3c).
    """

    T: int = setting(
        100,
        "minimal length; sequences have T to 1.1 T elements",
        low=2,
        high=100_000,
        takes="the two-sequence problem takes 2 to 100000",
    )
    N: int = setting(3, "elements at the start that tell the class")
    noisy_input: bool = setting(False, "whether these have Gaussian noise of variance 0.2")
    noisy_target: bool = setting(
        False, "whether targets are 0.2 and 0.8 with Gaussian noise of variance 0.1, instead of 1 and 0"
    )

    name: ClassVar[str] = "two_sequence"
    layout: ClassVar[Layout] = Layout(inputs=1, outputs=1)
    fill: ClassVar[Callable[..., Any]] = staticmethod(fill)

    def __post_init__(self) -> None:
        settle(self, "task")
        if not 1 <= self.N < self.T:
            raise ValueError(f"task.N={self.N}: takes 1 to {self.T - 1}, fewer elements than task.T={self.T}")

    @property
    def numbers(self) -> tuple[float, ...]:
        """The settings that `fill` reads from `Stream.numbers`: T, N, whether the first N are noisy, the targets of the
        two classes, the standard deviation of their noise."""
        targets = (0.2, 0.8, math.sqrt(TARGET_VARIANCE)) if self.noisy_target else (1.0, 0.0, 0.0)
        return (float(self.T), float(self.N), float(self.noisy_input), *targets)

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return 1.05 * self.T
