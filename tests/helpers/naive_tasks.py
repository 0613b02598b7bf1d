"""The tasks by definition: one sequence at a time, in Python's own numbers, from draws written out again.

The slow twins that the blocks of the compiled tasks are held against.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lstm_search.simd.draws import _DENSITY, _TAIL, _X

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


def normal(key: int, counter: int) -> float:
    """The ziggurat of Marsaglia & Tsang over the layers of `draws`."""
    bits = draw(key, counter)
    while True:
        layer, u = bits % 256, (bits >> 11) / 2**52 - 1
        x = u * float(_X[layer])
        if abs(x) < _X[layer + 1]:
            return x
        if layer == 0:
            return math.copysign(tail(bits), u)
        height = _DENSITY[layer] + uniform(bits, 0) * (_DENSITY[layer + 1] - _DENSITY[layer])
        if height < math.exp(-0.5 * x * x):
            return x
        bits = draw(bits, 1)


def tail(key: int) -> float:
    counter = 0
    while True:
        x, y = -math.log(1 - uniform(key, counter)) / _TAIL, -math.log(1 - uniform(key, counter + 1))
        if 2 * y > x * x:
            return _TAIL + x
        counter += 2


def length(key: int, T: int) -> int:
    return T + below(key, APART, T // 10 + 1)


def marked_pairs(key: int, T: int, values: list[float], neutral: float) -> tuple[Sequence, list[float]]:
    """Experiments 4 and 5: a sequence without its target, and the values of its two marked pairs."""
    first = below(key, APART + 1, 10)
    unmarked = [t for t in range(len(values)) if t != first]
    second = unmarked[: T // 2 - 1][below(key, APART + 2, T // 2 - 1)]
    markers = {first: 1.0, second: 1.0, 0: -1.0, len(values) - 1: -1.0}
    steps = [Step((value, markers.get(t, 0.0)), None, ends=False) for t, value in enumerate(values)]
    return steps, [values[t] if t else neutral for t in (first, second)]


def adding(key: int, T: int) -> Sequence:
    """Experiment 4, one sequence."""
    values = [2 * uniform(key, t) - 1 for t in range(length(key, T))]
    steps, (X1, X2) = marked_pairs(key, T, values, 0.0)
    return [*steps[:-1], Step(steps[-1].x, (0.5 + (X1 + X2) / 4,), ends=True)]


def multiplication(key: int, T: int) -> Sequence:
    """Experiment 5, one sequence."""
    steps, (X1, X2) = marked_pairs(key, T, [uniform(key, t) for t in range(length(key, T))], 1.0)
    return [*steps[:-1], Step(steps[-1].x, (X1 * X2,), ends=True)]


def two_sequence(key: int, T: int, N: int, *, noisy_input: bool, noisy_target: bool) -> Sequence:
    """Experiments 3a to 3c, one training sequence."""
    x = [math.sqrt(0.2) * normal(key, t) for t in range(length(key, T))]
    of_class = below(key, APART + 1, 2)
    x[:N] = [1.0 - 2 * of_class + (value if noisy_input else 0.0) for value in x[:N]]
    target = 1.0 - of_class
    if noisy_target:
        target = (0.2, 0.8)[of_class] + math.sqrt(0.1) * normal(key, APART + 2)
    steps = [Step((value,), None, ends=False) for value in x]
    return [*steps[:-1], Step(steps[-1].x, (target,), ends=True)]


def one_hot(k: int, n: int) -> tuple[float, ...]:
    return tuple(float(i == k) for i in range(n))


def predicting(symbols: list[int], n: int) -> Sequence:
    """Every symbol but the last with the next one as target."""
    steps = [Step(x, one_hot(after, n), ends=False) for x, after in pairwise(symbols)]
    return [*steps[:-1], steps[-1]._replace(ends=True)]


def long_lag(key: int, p: int, *, regular: bool, at_end: bool = False) -> Sequence:
    """Experiments 2a and 2b, one sequence."""
    between = list(range(p - 1)) if regular else [below(key, i, p - 1) for i in range(1, p)]
    told = p - 1 + below(key, APART, 2)
    steps = predicting([told, *between, told], p + 1)
    return [*(step._replace(target=None) for step in steps[:-1]), steps[-1]] if at_end else steps


def coded(steps: Sequence, low: float, high: float) -> Sequence:
    """The same sequence with `low` and `high` for the targets 0 and 1."""
    return [
        step._replace(target=step.target and tuple({0.0: low, 1.0: high}[t] for t in step.target)) for step in steps
    ]


def very_long_lag(key: int, p: int, q: int) -> Sequence:
    """Experiment 2c, one sequence up to its trigger."""
    n = q
    while below(key, APART + 1 + n - q, 10):
        n += 1
    y = below(key, APART, 2)
    symbols = [p + 1, p + 2 + y, *(below(key, t, p) for t in range(2, 2 + n)), p]
    steps = [Step(symbol, None, ends=False) for symbol in symbols]
    return [*steps[:-1], Step(p, ((1.0, 0.0), (0.0, 1.0))[y], ends=True)]


GRAMMAR = {0: "T1P2", 1: "S1X3", 2: "T2V4", 3: "X2S5", 4: "P3V5", 5: "E"}
"""Figure 3: from each node of the Reber grammar, after B, the symbols that may follow and the nodes they lead to."""


def reber(key: int) -> str:
    """An embedded string."""
    turns = iter(draw(key, i // 64) >> i % 64 & 1 for i in range(10_000))
    told, _ = "TP"[next(turns)], next(turns)  # the inner B takes a turn without a choice
    node, inner = 0, ""
    while node != 5:
        turn = next(turns)
        inner, node = inner + GRAMMAR[node][2 * turn], int(GRAMMAR[node][2 * turn + 1])
    return f"B{told}B{inner}E{told}E"


def embedded_reber(string: str) -> Sequence:
    """Experiment 1, one string."""
    return predicting(["BTPSXVE".index(symbol) for symbol in string], 7)


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
