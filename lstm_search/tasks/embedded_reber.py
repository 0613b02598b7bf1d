"""Embedded Reber grammar: experiment 1 of Hochreiter & Schmidhuber (1997), section 5.1, table 1.

A string is B, T or P, a whole Reber string, the same T or P, E. The next symbol is to be predicted at every step but
the last, which is no step here. Where two symbols may follow, each does with probability 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.simd import Bits, Block, Layout, Stream, begin, below, draw, inlined, kernel, leave

SYMBOLS = "BTPSXVE"
STRINGS = 256
"""In the training set, and in the test set."""

_B, _T, _P, _S, _X, _V, _E = range(7)
_BRANCH, _INNER, _AGAIN, _LAST, _END = 6, 7, 8, 9, 10  # states around the inner string's 0 .. 5
_WORD, _BIT = np.int64(6), np.int64(63)

# Where a state has two successors: their symbols, and the states they lead to (figure 3).
_FOLLOWS = np.array([[_T, _P], [_S, _X], [_T, _V], [_X, _S], [_P, _V], [_E, _E], [_T, _P], [_B, _B]])
_LEADS = np.array([[1, 2], [1, 3], [2, 4], [2, 5], [3, 5], [_AGAIN, _AGAIN], [_INNER, _INNER], [0, 0]])


@inlined
def _step(state: int, branch: Bits, key: Bits, i: int) -> tuple[int, int, int]:
    """What follows in a state: the symbol, the state after it, and the set of symbols that might (symbol k in bit k).

    Draw i of 64 bits' worth decides; `branch` is the T or P to be repeated.
    """
    if state == _AGAIN:
        return branch, _LAST, 1 << branch
    if state == _LAST:
        return _E, _END, 1 << _E
    bit = int(draw(key, i >> _WORD) >> np.uint64(i & _BIT)) & 1
    return _FOLLOWS[state, bit], _LEADS[state, bit], 1 << _FOLLOWS[state, 0] | 1 << _FOLLOWS[state, 1]


@inlined
def _put(block: Block, t: int, l: int, symbol: int, follows: int, legal: int) -> None:
    """One step of lane l: the symbol, the one that follows it as target, and all that might."""
    block.symbol[t, l] = symbol
    block.due[t] |= 1 << l
    block.target[t, follows, l] = 1.0
    for k in range(block.legal.shape[1]):
        block.legal[t, k] |= (legal >> k & 1) << l


@inlined
def _string(block: Block, l: int, key: Bits, start: int) -> int:
    """Lay the steps of one string that fall into the block; the step after its last."""
    t, i, symbol, branch, state = start, 0, _B, 0, _BRANCH
    while state != _END:
        follows, after, legal = _step(state, branch, key, i)
        if 0 <= t < block.due.shape[0]:
            _put(block, t, l, symbol, follows, legal)
            block.ends[t] |= (after == _END) << l
        branch = follows if state == _BRANCH else branch
        t, i, symbol, state = t + 1, i + 1, follows, after
    return t


@inlined
def _index(stream: Stream, l: int, number: int) -> int:
    """Which of the lane's `keys` sequence `number` is made of."""
    if stream.tested[l]:
        return number % (2 * STRINGS)
    return number % STRINGS if stream.in_turn[l] else below(draw(stream.key[l], number), 0, STRINGS)


@kernel
def fill(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane into `block` and advance `stream`.

    Training draws from the first STRINGS of the lane's `keys`, or takes them in turn; a test goes through all in turn.
    """
    begin(block, stream)
    for t in range(block.due.shape[0]):
        for k in range(block.legal.shape[1]):
            block.legal[t, k] = 0
            for l in range(stream.key.shape[0]):
                block.target[t, k, l] = 0.0
    for l in range(stream.key.shape[0]):
        while stream.start[l] < block.due.shape[0]:
            number = stream.sequence[l]
            index = _index(stream, l, number)
            after = _string(block, l, stream.keys[index, l], stream.start[l])
            if after > block.due.shape[0]:
                break
            stream.sequence[l], stream.start[l] = number + 1, after
    leave(block, stream)


@kernel
def spell(key: Bits, out: np.ndarray) -> int:
    """Write a string's symbols into `out` [n], as numbers from 0 to 6; how many there are, at most n."""
    i, branch, state = 0, 0, _BRANCH
    out[0] = _B
    while state != _END and i + 1 < out.shape[0]:
        follows, after, _ = _step(state, branch, key, i)
        branch = follows if state == _BRANCH else branch
        i, state = i + 1, after
        out[i] = follows
    return i + 1


def string_of(key: np.uint64) -> str:
    """The string of a key, such as BTBTXSETE."""
    out = np.zeros(1000, np.int64)
    return "".join(SYMBOLS[symbol] for symbol in out[: spell(key, out)])


@lru_cache(maxsize=64)
def _sets(key: int, *, distinct: bool) -> tuple[int, ...]:
    """Keys of the strings of a training set, then of a test set without any string of the training set."""
    training: dict[int, str] = {}
    tests: list[int] = []
    used: set[str] = set()
    for counter in range(1 << 20):
        found = int(draw_of(np.uint64(key), counter))
        string = string_of(np.uint64(found))
        if len(training) < STRINGS:
            if not (distinct and string in used):
                training[found] = string
                used.add(string)
        elif string not in used:
            tests.append(found)
        if len(tests) == STRINGS:
            break
    return (*training, *tests)


@kernel
def draw_of(key: Bits, counter: int) -> Bits:
    """`draw` for callers in Python."""
    return draw(key, counter)


_LAYOUT = Layout(7, 7, symbols=True, targets="all", legal=True, classes=True, keys=2 * STRINGS, steps=256)


@dataclass(frozen=True)
class EmbeddedReber:
    """Predict every next symbol of strings from the embedded Reber grammar.

    `training_strings`: whether two of the 256 training strings may be the same (with_replacement) or not (distinct).
    `sharing`: the paper has three pairs of sets with ten nets for each; Fahlman's six runs had a pair each.
    """

    training_strings: Literal["with_replacement", "distinct"] = setting(
        "with_replacement", "training strings may be equal, or are distinct", reading=True
    )

    sharing: int = setting(
        10, "replicates in a row that have the same training set and test set", low=1, high=1_000_000, reading=True
    )

    name = "embedded_reber"
    length = 11.0
    fill = staticmethod(fill)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def layout(self) -> Layout:
        """One input and one output a symbol, and a target at every step."""
        return _LAYOUT._replace(sharing=self.sharing)

    def keys(self, key: np.uint64) -> np.ndarray:
        """The keys of the training strings and of the test strings, drawn from `key`: uint64 [2 STRINGS]."""
        return np.array(_sets(int(key), distinct=self.training_strings == "distinct"), np.uint64)
