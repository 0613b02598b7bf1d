"""Tasks: blocks equal to a slow twin in any pieces, and the properties that the paper states, from the blocks alone."""

from collections import Counter
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_tasks import Sequence, Step, adding, endless, temporal_order
from scipy import stats

from lstm_search.draws import TRAINING, stream_key
from lstm_search.streams import Block, new_block, new_stream
from lstm_search.tasks import Adding, TemporalOrder

WINDOWS = {2: [range(10, 21), range(50, 61)], 3: [range(10, 21), range(33, 44), range(66, 77)]}
"""Experiment 6: when the two or three relevant symbols come in sequences of 100 to 110 steps."""


def laid_out(tasks: list, keys: list[int], firsts: list[int], pieces: list[int]) -> list[Block]:
    """Blocks of `pieces` steps in turn: lane l holds `tasks[l]` from sequence number `firsts[l]` on."""
    width, task = len(tasks), tasks[0]
    stream = new_stream(width, len(task.numbers))
    stream.key[:], stream.sequence[:] = np.array(keys, np.uint64), firsts
    stream.numbers[:] = np.transpose([task.numbers for task in tasks])
    blocks = [new_block(n, width, task.n_inputs, task.n_outputs, symbols=task.symbols) for n in pieces]
    for block in blocks:
        for array in block:
            array[:] = 99  # whatever a step does not set would show
        task.fill(block, stream)
    return blocks


def steps_of(blocks: list[Block], l: int) -> list[Step]:
    """What lane l of the blocks holds, step by step."""
    found = []
    for block in blocks:
        for t in range(len(block.due)):
            x = int(block.symbol[t, l]) if len(block.symbol) else tuple(block.x[t, :, l].tolist())
            due, ends = (bool(mask[t] >> l & 1) for mask in (block.due, block.ends))
            found.append(Step(x, tuple(block.target[t, :, l].tolist()) if due else None, ends))
    return found


@cache
def sequences(task: Adding | TemporalOrder, steps: int = 40_000, width: int = 16) -> list[Sequence]:
    """All whole sequences of one large block."""
    keys = [int(stream_key(1, l, TRAINING)) for l in range(width)]
    blocks = laid_out([task] * width, keys, [0] * width, [steps])
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


INHERITED = [HealthCheck.differing_executors]
"""Each class of tasks runs the contract's properties with examples of its own, and that is what is wanted."""

keys = st.integers(0, 2**64 - 1)
lanes = st.lists(st.tuples(st.integers(11, 60), keys, st.integers(0, 10**9)), min_size=1, max_size=16)
pieces = st.lists(st.integers(1, 80), min_size=1, max_size=6)


class Contract:
    """What every task with sequences of T to T + T/10 steps and a target at the end keeps to."""

    task: Adding | TemporalOrder

    @pytest.fixture
    def found(self) -> list[Sequence]:
        return sequences(self.task)

    def of(self, T: int) -> Adding | TemporalOrder:
        """The task with sequences of another length."""
        return type(self.task)(**{**vars(self.task), "T": T})

    def twin(self, key: int, T: int) -> Sequence:
        """One sequence by definition."""
        raise NotImplementedError

    @settings(max_examples=60, deadline=None, suppress_health_check=INHERITED)
    @given(lanes=lanes, pieces=pieces)
    def test_blocks_in_any_pieces_are_those_of_the_twin(self, lanes: list, pieces: list[int]) -> None:
        lengths, keys, firsts = map(list, zip(*lanes, strict=True))
        blocks = laid_out([self.of(T) for T in lengths], keys, firsts, pieces)
        for l, (T, key, first) in enumerate(lanes):
            expected = islice(endless(lambda key, T=T: self.twin(key, T), key, first), sum(pieces))
            assert steps_of(blocks, l) == list(expected)

    @settings(max_examples=20, deadline=None, suppress_health_check=INHERITED)
    @given(one=st.tuples(st.integers(11, 60), keys), others=st.lists(st.tuples(st.integers(11, 60), keys), max_size=15))
    def test_a_lane_does_not_depend_on_the_others(self, one: tuple, others: list) -> None:
        alone, together = (
            laid_out([self.of(T) for T, _ in lanes], [key for _, key in lanes], [0] * len(lanes), [50, 50])
            for lanes in ([one], [*others, one])
        )
        assert steps_of(alone, 0) == steps_of(together, len(others))

    def test_no_bit_is_set_beyond_the_lanes(self) -> None:
        (block,) = laid_out([self.task] * 3, [1, 2, 3], [0, 0, 0], [1000])
        assert 0 < block.ends.max() < 8

    def test_lengths_are_uniform_from_t_to_a_tenth_more(self, found: list[Sequence]) -> None:
        lengths = Counter(map(len, found))
        assert set(lengths) == set(range(100, 111))
        assert p_of_counts(list(lengths.values())) > 1e-3

    def test_the_target_stands_at_the_end_and_nowhere_else(self) -> None:
        (block,) = laid_out([self.task] * 3, [1, 2, 3], [0, 0, 0], [1000])
        np.testing.assert_array_equal(block.due, block.ends)


class TestAdding(Contract):
    task = Adding()

    def twin(self, key: int, T: int) -> Sequence:
        return adding(key, T)

    def test_first_and_last_pair_are_marked_minus_one(self, found: list[Sequence]) -> None:
        for sequence in found:
            assert [t for t, step in enumerate(sequence) if step.x[1] == -1] == [0, len(sequence) - 1]

    def test_two_pairs_are_marked_but_for_a_chosen_first_one(self, found: list[Sequence]) -> None:
        """Every unordered pair of marks as often as by drawing one of ten, then one of the first 49 still unmarked."""
        marked = Counter(tuple(t for t, step in enumerate(sequence) if step.x[1] == 1) for sequence in found)
        shares: Counter = Counter()
        for first in range(10):
            for second in [t for t in range(100) if t != first][:49]:
                shares[tuple(sorted({first, second} - {0}))] += 1 / 490
        assert set(marked) <= set(shares)
        assert p_of_counts([marked[pair] for pair in shares], list(shares.values())) > 1e-3
        assert {x[1] for sequence in found for x, _, _ in sequence} == {-1.0, 0.0, 1.0}

    def test_the_target_is_a_half_and_a_quarter_of_the_marked_values(self, found: list[Sequence]) -> None:
        for sequence in found:
            assert sequence[-1].target == (0.5 + sum(value for (value, marker), _, _ in sequence if marker == 1) / 4,)

    def test_values_are_uniform(self, found: list[Sequence]) -> None:
        values = np.array([step.x[0] for sequence in found for step in sequence])
        assert -1 <= values.min() < values.max() < 1
        assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3

    @pytest.mark.parametrize("T", [-1, 10, 100_001])
    def test_a_length_out_of_range_is_refused(self, T: int) -> None:
        with pytest.raises(ValueError, match=rf"task.T={T}: the adding problem takes 11 to 100000"):
            Adding(T)


class TestTemporalOrder2(Contract):
    task = TemporalOrder(marks=2)

    def twin(self, key: int, T: int) -> Sequence:
        return temporal_order(key, T, self.task.marks)

    def test_sequences_start_with_e_and_end_with_b_and_only_they(self, found: list[Sequence]) -> None:
        for sequence in found:
            symbols = [step.x for step in sequence]
            assert (symbols[0], symbols[-1]) == (0, 1)
            assert all(symbol > 1 for symbol in symbols[1:-1])

    def test_relevant_symbols_stand_in_their_windows_and_nowhere_else(self, found: list[Sequence]) -> None:
        times = np.array([[t for t, step in enumerate(sequence) if step.x > 5] for sequence in found])
        for of_one, window in zip(times.T, WINDOWS[self.task.marks], strict=True):
            counts = Counter(of_one.tolist())
            assert set(counts) == set(window)
            assert p_of_counts(list(counts.values())) > 1e-3

    def test_the_class_is_the_order_and_all_are_equally_frequent(self, found: list[Sequence]) -> None:
        classes = Counter()
        for sequence in found:
            order = "".join("XY"[step.x - 6] for step in sequence if step.x > 5)
            assert sorted(sequence[-1].target) == [0.0] * (2**self.task.marks - 1) + [1.0]
            classes[order, sequence[-1].target.index(1.0)] += 1
        orders = ["".join(order) for order in product("XY", repeat=self.task.marks)]
        assert sorted(classes) == [(order, c) for c, order in enumerate(orders)]
        assert p_of_counts(list(classes.values())) > 1e-3

    def test_distractors_are_uniform(self, found: list[Sequence]) -> None:
        counts = Counter(step.x for sequence in found for step in sequence if 1 < step.x < 6)
        assert set(counts) == {2, 3, 4, 5}
        assert p_of_counts(list(counts.values())) > 1e-3

    @pytest.mark.parametrize("T", [9, 100_001])
    def test_a_length_out_of_range_is_refused(self, T: int) -> None:
        with pytest.raises(ValueError, match=rf"task.T={T}: temporal order takes 10 to 100000 steps"):
            TemporalOrder(self.task.marks, T)

    def test_the_windows_of_the_shortest_sequences_do_not_overlap(self) -> None:
        for T in range(10, 40):
            for sequence in sequences(TemporalOrder(self.task.marks, T), steps=500, width=4):
                assert sum(step.x > 5 for step in sequence) == self.task.marks


class TestTemporalOrder3(TestTemporalOrder2):
    task = TemporalOrder(marks=3)


@pytest.mark.parametrize("marks", [1, 4])
def test_other_numbers_of_marks_are_refused(marks: int) -> None:
    with pytest.raises(ValueError, match=rf"task.marks={marks}: temporal order takes 2 marks"):
        TemporalOrder(marks)


def test_unused_lanes_hold_no_targets() -> None:
    """They would make every step one with a target, and so cost the lanes in use most of their speed."""
    stream, block = new_stream(4, 1), new_block(1000, 4, 2, 1, symbols=False)
    stream.numbers[0, 1] = 100
    Adding.fill(block, stream)
    assert set(block.due.tolist()) == {0, 2}
