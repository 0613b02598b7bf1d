"""Temporal order: experiment 6 of Hochreiter & Schmidhuber (1997), section 5.6, table 9."""

from __future__ import annotations

from dataclasses import dataclass

from lstm_search.checks import setting, settle
from lstm_search.simd import APART, Bits, Block, Layout, below, inlined, no_keys
from lstm_search.tasks.skeleton import Sequence, drawn_length, fill, filled_by, mean_length, put_class, put_symbol

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


def _background(block: Block, _task: TemporalOrder, t: int, l: int, key: Bits, i: int) -> None:
    """A distractor: a, b, c or d."""
    block.symbol[t, l] = _A + below(key, i, 4)


def _marks(block: Block, task: TemporalOrder, sequence: Sequence) -> None:
    """Relevant symbols, E at the start, B at the end. The class is their order, a binary number: X is 0, Y is 1."""
    l, key, T, marks, order = sequence.lane, sequence.key, task.T, task.marks, 0
    for i in range(marks):
        y = _is_y(key, i)
        put_symbol(block, sequence.start + _mark_time(key, i, marks, T), l, _X + y)
        order = 2 * order + y
    put_symbol(block, sequence.start, l, _E)
    put_symbol(block, sequence.last, l, _B)
    put_class(block, sequence.last, l, order)


@filled_by(length=drawn_length, background=_background, marks=_marks)
@dataclass(frozen=True)
class TemporalOrder:
    """Classify a sequence of `T` to `T + T/10` symbols by the order of its `marks` relevant symbols X and Y."""

    marks: int = setting(
        2, "relevant symbols, 2 or 3", low=2, high=3, takes="temporal order takes 2 marks (experiment 6a) or 3 (6b)"
    )
    T: int = setting(
        100,
        "minimal length; sequences have T to 1.1 T symbols",
        low=10,
        high=100_000,
        takes="temporal order takes 10 to 100000 steps; in a shorter sequence the windows of the relevant symbols "
        "overlap",
    )

    name = "temporal_order"
    length = mean_length
    fill = staticmethod(fill)
    keys = staticmethod(no_keys)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def layout(self) -> Layout:
        """One output a class: 4 orders of two symbols, 8 of three."""
        return Layout(inputs=8, outputs=2**self.marks, symbols=True, classes=True)
