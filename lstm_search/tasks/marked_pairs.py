"""Pairs (value, marker) of which two are marked: the data of experiments 4 and 5, whose values and targets differ.

Hochreiter & Schmidhuber (1997), sections 5.4 and 5.5.
"""

from __future__ import annotations

from typing import Any

from lstm_search.checks import setting
from lstm_search.simd import APART, Bits, Block, below, inlined
from lstm_search.tasks.skeleton import Sequence, put_input


@inlined
def marked(key: Bits, T: int) -> tuple[int, int]:
    """The two marked pairs: one of the first ten, then one of the first T/2 - 1 that are still unmarked."""
    first = below(key, APART + 1, 10)
    second = below(key, APART + 2, T // 2 - 1)
    return first, second + (second >= first)


@inlined
def mark(block: Block, sequence: Sequence, first: int, second: int) -> None:
    """The marker is 1 at the marked pairs. At the first and the last pair it is -1, even where the first is marked."""
    put_input(block, sequence.start + first, 1, sequence.lane, 1.0)
    put_input(block, sequence.start + second, 1, sequence.lane, 1.0)
    put_input(block, sequence.start, 1, sequence.lane, -1.0)
    put_input(block, sequence.last, 1, sequence.lane, -1.0)


def minimal_length(task: str) -> Any:
    """The field T of a task of marked pairs: there must be room for the marks."""
    return setting(
        100,
        "minimal length; sequences have T to 1.1 T pairs",
        low=11,
        high=100_000,
        takes=f"the {task} takes 11 to 100000; its first mark is one of the first ten pairs, before the last pair",
    )
