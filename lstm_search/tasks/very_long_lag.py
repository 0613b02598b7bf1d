"""Very long time lags: experiment 2c of Hochreiter & Schmidhuber (1997), section 5.2, table 3.

Symbols a_1 .. a_p (distractors), e, b, x, y, numbered from 0. A sequence is b, x or y, q distractors, more distractors
while a draw of ten says so, and the trigger e, at which the second symbol is to be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

from lstm_search.checks import setting, settle
from lstm_search.simd import APART, Bits, Block, Layout, below, no_keys
from lstm_search.tasks.skeleton import Sequence, fill, filled_by, put_class, put_symbol


def _length(key: Bits, task: VeryLongLag) -> int:
    """Steps up to the trigger: q distractors, and with probability 9/10 each one more; q + 12 on average."""
    more = 0
    while below(key, APART + 1 + more, 10) != 0:
        more += 1
    return 3 + task.q + more


def _background(block: Block, _task: VeryLongLag, t: int, l: int, key: Bits, i: int) -> None:
    """A distractor: one of a_1 .. a_p."""
    block.symbol[t, l] = below(key, i, block.inputs - 4)


def _marks(block: Block, task: VeryLongLag, sequence: Sequence) -> None:
    """The sequence begins with b, then x or y, which is the class; it ends with the trigger e, whose number is p."""
    l, e, y = sequence.lane, task.p, below(sequence.key, APART, 2)
    put_symbol(block, sequence.start, l, e + 1)
    put_symbol(block, sequence.start + 1, l, e + 2 + y)
    put_symbol(block, sequence.last, l, e)
    put_class(block, sequence.last, l, y)


@filled_by(length=_length, background=_background, marks=_marks)
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

    name = "very_long_lag"
    fill = staticmethod(fill)
    keys = staticmethod(no_keys)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def layout(self) -> Layout:
        """One input a symbol; outputs for x and y."""
        return Layout(inputs=self.p + 4, outputs=2, symbols=True, classes=True)

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return self.q + 12.0
