"""The tasks by definition: one sequence at a time, in Python's own numbers, from draws written out again.

The slow twins that the blocks of the compiled tasks are held against.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

APART = 2**32


class Step(NamedTuple):
    """What one time step of a lane holds: the inputs (a row, or the number of a symbol), and the target if any."""

    x: tuple[float, ...] | int
    target: tuple[float, ...] | None
    ends: bool


Sequence = list[Step]


def draw(key: int, counter: int) -> int:
    """SplitMix64 in Python's whole numbers."""
    z = (key + (counter + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def uniform(key: int, counter: int) -> float:
    return (draw(key, counter) >> 11) / 2**53


def below(key: int, counter: int, n: int) -> int:
    return int(uniform(key, counter) * n)


def length(key: int, T: int) -> int:
    return T + below(key, APART, T // 10 + 1)


def adding(key: int, T: int) -> Sequence:
    """Experiment 4, one sequence."""
    values = [2 * uniform(key, t) - 1 for t in range(length(key, T))]
    first = below(key, APART + 1, 10)
    unmarked = [t for t in range(len(values)) if t != first]
    second = unmarked[: T // 2 - 1][below(key, APART + 2, T // 2 - 1)]
    markers = {first: 1.0, second: 1.0, 0: -1.0, len(values) - 1: -1.0}
    X1, X2 = (values[t] if t else 0.0 for t in (first, second))
    steps = [Step((value, markers.get(t, 0.0)), None, ends=False) for t, value in enumerate(values)]
    return [*steps[:-1], Step(steps[-1].x, (0.5 + (X1 + X2) / 4,), ends=True)]


def temporal_order(key: int, T: int, marks: int) -> Sequence:
    """Experiments 6a and 6b, one sequence."""
    names = ["abcd"[below(key, t, 4)] for t in range(length(key, T))]
    order = ["XY"[below(key, APART + 8 + i, 2)] for i in range(marks)]
    for i, name in enumerate(order):
        start = T // 10 if i == 0 else T * i // marks
        names[start + below(key, APART + 1 + i, T // 10 + 1)] = name
    names[0], names[-1] = "E", "B"
    target = np.zeros(2**marks)
    target[int("".join(order).replace("X", "0").replace("Y", "1"), 2)] = 1.0
    steps = [Step("EBabcdXY".index(name), None, ends=False) for name in names]
    return [*steps[:-1], Step(steps[-1].x, tuple(target), ends=True)]


def endless(sequence_of: Callable[[int], Sequence], key: int, first: int) -> Iterator[Step]:
    """A lane's stream from the start of sequence number `first` on."""
    number = first
    while True:
        yield from sequence_of(draw(key, number))
        number += 1
