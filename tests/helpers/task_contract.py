"""What every task keeps to, as a class of tests to inherit, and blocks as lists of steps."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from helpers.naive_tasks import Sequence, Step, endless
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from lstm_search.simd import Block, new_block, new_stream, put_settings
from lstm_search.simd.draws import COMMON, TRAINING, stream_key
from lstm_search.tasks import Task

SETS = stream_key(1997, 0, COMMON)
"""Where the sets of strings of experiment 1 come from."""


def laid_out(
    tasks: list,
    keys: list[int],
    firsts: list[int],
    pieces: list[int],
    *,
    tested: bool = False,
    in_turn: bool = False,
    codings: Mapping[int, tuple[float, float]] = MappingProxyType({}),
) -> list[Block]:
    """Blocks of `pieces` steps in turn: lane l holds `tasks[l]` from sequence number `firsts[l]` on, with its targets
    coded by `codings[l]` if that is there."""
    width, task = len(tasks), tasks[0]
    stream = new_stream(width, type(task), task.layout)
    stream.key[:], stream.sequence[:], stream.start[:] = np.array(keys, np.uint64), firsts, 0
    for l, its in enumerate(tasks):
        put_settings(stream, l, its)
    stream.tested[:], stream.in_turn[:] = tested, in_turn
    stream.keys[:] = task.keys(SETS)[:, None]
    for l, coding in codings.items():
        stream.coding[:, l] = coding
    blocks = [new_block(n, width, task.layout) for n in pieces]
    for block in blocks:
        for array in block[:-1]:
            array[:] = 99  # whatever a step does not set would show
        task.fill(block, stream)
    return blocks


def steps_of(blocks: list[Block], l: int) -> list[Step]:
    """What lane l of the blocks holds, step by step."""
    found: list[Step] = []
    for block in blocks:
        xs = block.symbol[:, l].tolist() if len(block.symbol) else map(tuple, block.x[:, :, l].tolist())
        due, ends = ((mask >> l & 1).astype(bool).tolist() for mask in (block.due, block.ends))
        targets = [None] * len(due)
        for t in np.flatnonzero(due).tolist():
            targets[t] = tuple(block.target[t, :, l].tolist())
        found += map(Step, xs, targets, ends)
    return found


@lru_cache(3)  # each is a hundred megabytes, and a test looks at two
def sequences(task: Task, steps: int = 40_000, width: int = 16, *, tested: bool = False) -> list[Sequence]:
    """All whole sequences of one large block."""
    keys = [int(stream_key(1, l, TRAINING)) for l in range(width)]
    blocks = laid_out([task] * width, keys, [0] * width, [steps], tested=tested)
    found: list[Sequence] = []
    for l in range(width):
        current: Sequence = []
        for step in steps_of(blocks, l):
            current.append(step)
            if step.ends:
                found.append(current)
                current = []
    return found


def p_of_counts(counts: list[int], shares: list[float] | None = None) -> float:
    shares = shares or [1 / len(counts)] * len(counts)
    return float(stats.chisquare(counts, np.array(shares) * sum(counts)).pvalue)


INHERITED = [HealthCheck.differing_executors, HealthCheck.too_slow]
"""Each class of tasks runs the contract's properties with examples of its own, and that is what is wanted. How long
it takes to draw them says nothing on a machine that does other things."""

sizes = st.integers(11, 60)
keys = st.integers(0, 2**64 - 1)
lanes = st.lists(st.tuples(sizes, keys, st.integers(0, 10**9)), min_size=1, max_size=16)
pieces = st.lists(st.integers(1, 80), min_size=1, max_size=6)


class Contract:
    """What every task keeps to: its blocks are those of its twin, however they are cut, in whatever company."""

    task: Any

    @pytest.fixture
    def found(self) -> list[Sequence]:
        return sequences(self.task)

    def of(self, size: int) -> Any:
        """The task with sequences of another length, if it has one."""
        raise NotImplementedError

    def twin(self, task: Any, key: int) -> Sequence:
        """One sequence by definition."""
        raise NotImplementedError

    @settings(max_examples=60, deadline=None, suppress_health_check=INHERITED)
    @given(lanes=lanes, pieces=pieces)
    def test_blocks_in_any_pieces_are_those_of_the_twin(self, lanes: list, pieces: list[int]) -> None:
        tasks = [self.of(size) for size, *_ in lanes]
        _, keys, firsts = map(list, zip(*lanes, strict=True))
        blocks = laid_out(tasks, keys, firsts, pieces)
        for l, (task, (_, key, first)) in enumerate(zip(tasks, lanes, strict=True)):
            expected = islice(endless(lambda key, task=task: self.twin(task, key), key, first), sum(pieces))
            assert steps_of(blocks, l) == list(expected)

    @settings(max_examples=20, deadline=None, suppress_health_check=INHERITED)
    @given(one=st.tuples(sizes, keys), others=st.lists(st.tuples(sizes, keys), max_size=15))
    def test_a_lane_does_not_depend_on_the_others(self, one: tuple, others: list) -> None:
        alone, together = (
            laid_out([self.of(size) for size, _ in lanes], [key for _, key in lanes], [0] * len(lanes), [50, 50])
            for lanes in ([one], [*others, one])
        )
        assert steps_of(alone, 0) == steps_of(together, len(others))

    def test_no_bit_is_set_beyond_the_lanes(self) -> None:
        (block,) = laid_out([self.task] * 3, [1, 2, 3], [0, 0, 0], [1000])
        assert 0 < block.ends.max() < 8
        assert 0 < block.due.max() < 8

    def test_a_sequence_ends_with_a_target(self) -> None:
        (block,) = laid_out([self.task] * 3, [1, 2, 3], [0, 0, 0], [1000])
        np.testing.assert_array_equal(block.due & block.ends, block.ends)

    def test_the_mean_length_is_what_the_task_says(self, found: list[Sequence]) -> None:
        assert np.mean(list(map(len, found))) == pytest.approx(self.task.length, rel=0.05)


class LengthsFromT:
    """Of tasks with sequences of T to T + T/10 steps and a target at the end only."""

    task: Any

    def of(self, size: int) -> Any:
        return type(self.task)(**{**vars(self.task), "T": size})

    def test_lengths_are_uniform_from_t_to_a_tenth_more(self, found: list[Sequence]) -> None:
        lengths = Counter(map(len, found))
        assert set(lengths) == set(range(100, 111))
        assert p_of_counts(list(lengths.values())) > 1e-3

    def test_the_target_stands_at_the_end_and_nowhere_else(self) -> None:
        (block,) = laid_out([self.task] * 3, [1, 2, 3], [0, 0, 0], [1000])
        np.testing.assert_array_equal(block.due, block.ends)
