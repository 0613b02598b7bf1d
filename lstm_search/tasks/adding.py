"""Adding problem: experiment 4 of Hochreiter & Schmidhuber (1997), section 5.4, table 7."""

from __future__ import annotations

from dataclasses import dataclass

from lstm_search.checks import settle
from lstm_search.simd import Bits, Block, Layout, inlined, no_keys, uniform
from lstm_search.tasks.marked_pairs import mark, marked, minimal_length
from lstm_search.tasks.skeleton import Sequence, drawn_length, fill, filled_by, mean_length, put_target


@inlined
def _value(key: Bits, i: int) -> float:
    """The value of pair i: uniform in [-1, 1)."""
    return 2.0 * uniform(key, i) - 1.0


def _background(block: Block, _task: Adding, t: int, l: int, key: Bits, i: int) -> None:
    """A value without a marker."""
    block.x[t, 0, l] = _value(key, i)
    block.x[t, 1, l] = 0.0


def _marks(block: Block, task: Adding, sequence: Sequence) -> None:
    """Two pairs, and .5 + (X1 + X2)/4. The first pair keeps its marker -1 if it is one of them, and counts as 0."""
    first, second = marked(sequence.key, task.T)
    mark(block, sequence, first, second)
    X1 = _value(sequence.key, first) if first > 0 else 0.0
    X2 = _value(sequence.key, second) if second > 0 else 0.0
    put_target(block, sequence.last, sequence.lane, 0.5 + (X1 + X2) / 4.0)


@filled_by(length=drawn_length, background=_background, marks=_marks)
@dataclass(frozen=True)
class Adding:
    """Add the two marked values of a sequence of `T` to `T + T/10` pairs (value in [-1, 1], marker)."""

    T: int = minimal_length("adding problem")

    name = "adding"
    layout = Layout(inputs=2, outputs=1)
    length = mean_length
    fill = staticmethod(fill)
    keys = staticmethod(no_keys)

    def __post_init__(self) -> None:
        settle(self, "task")
