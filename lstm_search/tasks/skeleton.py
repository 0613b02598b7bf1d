"""The loop that lays sequences into blocks, for all tasks whose only target stands at the last step of a sequence.

A task is decorated by `filled_by` with three small functions. The compiler chooses them by the type of
`Stream.settings`, which is named after the task: a kernel that took functions would be compiled anew in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from lstm_search.simd import (
    APART,
    Bits,
    Block,
    Stream,
    begin,
    below,
    draw,
    generic,
    inlined,
    kernel,
    leave,
    pass_ends,
    type_name,
)

Settings = TypeVar("Settings")
"""A task's class. In kernels it is a record with those of its fields that are numbers."""


class Sequence(NamedTuple):
    """Where one sequence of one lane lies. Its first and last steps may be outside of the block."""

    lane: int
    key: Bits  # of all its draws
    start: int  # step of the block at which the sequence begins; below 0 where it began in an earlier block
    last: int  # step of the block at which it ends
    tested: int  # 1 where it is for a test, 0 where it is for training


def _length(key: Bits, task: Settings) -> Any:
    """Number of steps of the sequence of `key`."""


def _background(block: Block, task: Settings, t: int, l: int, key: Bits, i: int) -> None:
    """Lay into step t of lane l what step i = 0, 1, .. of the sequence of `key` holds unless it is marked."""


def _marks(block: Block, task: Settings, sequence: Sequence) -> None:
    """Lay over the block where a sequence differs from the background, and its target at `sequence.last`."""


_LENGTH, _BACKGROUND, _MARKS = generic(_length), generic(_background), generic(_marks)


def filled_by(
    *,
    length: Callable[[Bits, Settings], int],
    background: Callable[[Block, Settings, int, int, Bits, int], None],
    marks: Callable[[Block, Settings, Sequence], None],
) -> Callable[[type[Settings]], type[Settings]]:
    """Say what `fill` lays for the decorated task.

    The functions are plain Python that numba can compile; the stubs of the same names above say what each one does.
    """

    def decorated(kind: type[Settings]) -> type[Settings]:
        named: Any = kind
        type_name(named)  # the sources are looked at now, while they are those that were imported
        _LENGTH[kind], _BACKGROUND[kind], _MARKS[kind] = length, background, marks
        return kind

    return decorated


@inlined
def _mark_ends(block: Block, stream: Stream) -> None:
    """Mark where sequences end, with a target each."""
    for l in range(stream.key.shape[0]):
        number = stream.sequence[l]
        last = stream.start[l] + _length(stream.sequence_key[l], stream.settings[l]) - 1
        while last < block.ends.shape[0]:
            block.ends[last] |= 1 << l
            number += 1
            last += _length(draw(stream.key[l], number), stream.settings[l])
    for t in range(block.ends.shape[0]):
        block.due[t] = block.ends[t]


@inlined
def _lay_over(block: Block, stream: Stream, l: int) -> None:
    """Lay marks and targets of lane l over the background, sequence by sequence."""
    number, start = stream.first_sequence[l], stream.first_start[l]
    while start < block.ends.shape[0]:
        key = draw(stream.key[l], number)
        last = start + _length(key, stream.settings[l]) - 1
        _marks(block, stream.settings[l], Sequence(l, key, start, last, stream.tested[l]))
        number, start = number + 1, last + 1


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` and advance `stream`."""
    begin(block, stream)
    _mark_ends(block, stream)
    for t in range(block.ends.shape[0]):
        for l in range(stream.key.shape[0]):
            _background(block, stream.settings[l], t, l, stream.sequence_key[l], t - stream.start[l])
        pass_ends(stream, block.ends[t], t)
    for l in range(stream.key.shape[0]):
        _lay_over(block, stream, l)
    leave(block, stream)


def drawn_length(key: Bits, task: Any) -> int:
    """The length of sequences in experiments 3 to 6 (sections 5.3 to 5.6): uniform over T .. T + T/10 steps."""
    return task.T + below(key, APART, task.T // 10 + 1)


@property  # type: ignore[misc]  # of every task whose lengths are those of `drawn_length`
def mean_length(task: Any) -> float:
    """Mean number of steps of a sequence."""
    return 1.05 * float(task.T)


@inlined
def put_input(block: Block, t: int, k: int, l: int, value: float) -> None:
    """Input k of lane l is `value` at step t, if that step is in the block."""
    if 0 <= t < block.x.shape[0]:
        block.x[t, k, l] = value


@inlined
def put_symbol(block: Block, t: int, l: int, symbol: int) -> None:
    """The symbol of lane l is `symbol` at step t, if that step is in the block."""
    if 0 <= t < block.symbol.shape[0]:
        block.symbol[t, l] = symbol


@inlined
def put_target(block: Block, t: int, l: int, value: float) -> None:
    """The only output of lane l should be `value` at step t, if that step is in the block."""
    if t < block.target.shape[0]:
        block.target[t, 0, l] = value


@inlined
def put_class(block: Block, t: int, l: int, of_class: int) -> None:
    """Output `of_class` of lane l should be 1 at step t and all others 0, if that step is in the block."""
    if t < block.target.shape[0]:
        for k in range(block.target.shape[1]):
            block.target[t, k, l] = 0.0
        block.target[t, of_class, l] = 1.0
