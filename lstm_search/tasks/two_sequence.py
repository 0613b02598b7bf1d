"""Two-sequence problem: experiments 3a, 3b and 3c of Hochreiter & Schmidhuber (1997), section 5.3, tables 4 to 6."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lstm_search.checks import setting, settle
from lstm_search.simd import APART, Bits, Block, Layout, below, inlined, no_keys, normal
from lstm_search.tasks.skeleton import Sequence, drawn_length, fill, filled_by, mean_length, put_target

NOISE_VARIANCE = 0.2
"""Of the Gaussian elements that carry no information."""

TARGET_VARIANCE = 0.1
"""Of the Gaussian noise on the targets of experiment 3c."""

_NOISE, _TARGET_NOISE = math.sqrt(NOISE_VARIANCE), math.sqrt(TARGET_VARIANCE)


@inlined
def _of_class_2(key: Bits) -> int:
    """0 for class 1, whose first N elements are +1; 1 for class 2, where they are -1."""
    return below(key, APART + 1, 2)


def _background(block: Block, _task: TwoSequence, t: int, l: int, key: Bits, i: int) -> None:
    """Gaussian noise."""
    block.x[t, 0, l] = _NOISE * normal(key, i)


def _marks(block: Block, task: TwoSequence, sequence: Sequence) -> None:
    """The first N elements tell the class; the target is 1 for class 1 and 0 for class 2, or .2 and .8 with noise.

    A test has targets without noise.
    """
    l, blurred, of_class_2 = sequence.lane, task.noisy_input, _of_class_2(sequence.key)
    for t in range(max(sequence.start, 0), min(sequence.start + task.N, block.x.shape[0])):
        block.x[t, 0, l] = (1.0 - 2.0 * of_class_2) + blurred * block.x[t, 0, l]
    target = 1.0 - of_class_2
    if task.noisy_target:
        target = 0.8 if of_class_2 else 0.2
        if not sequence.tested:
            target += _TARGET_NOISE * normal(sequence.key, APART + 2)
    put_target(block, sequence.last, l, target)


@filled_by(length=drawn_length, background=_background, marks=_marks)
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

    name = "two_sequence"
    length = mean_length
    fill = staticmethod(fill)
    keys = staticmethod(no_keys)

    def __post_init__(self) -> None:
        settle(self, "task")
        if not 1 <= self.N < self.T:
            raise ValueError(f"task.N={self.N}: takes 1 to {self.T - 1}, fewer elements than task.T={self.T}")

    @property
    def layout(self) -> Layout:
        """One input, and one output for the class."""
        return Layout(inputs=1, outputs=1, classes=not self.noisy_target)
