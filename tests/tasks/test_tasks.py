"""Experiments 4 to 6: blocks equal to a slow twin in any pieces, and the properties that the paper states."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers.naive_tasks import Sequence, adding, multiplication, temporal_order
from helpers.task_contract import Contract, LengthsFromT, p_of_counts, sequences
from scipy import stats

from lstm_search.simd import new_block, new_stream, put_settings
from lstm_search.tasks import TASKS, Adding, Multiplication, TemporalOrder

WINDOWS = {2: [range(10, 21), range(50, 61)], 3: [range(10, 21), range(33, 44), range(66, 77)]}
"""Experiment 6: when the two or three relevant symbols come in sequences of 100 to 110 steps."""


class TestAdding(LengthsFromT, Contract):
    task = Adding()

    def twin(self, task: Any, key: int) -> Sequence:
        return adding(key, task.T)

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


class TestMultiplication(LengthsFromT, Contract):
    task = Multiplication()

    def twin(self, task: Any, key: int) -> Sequence:
        return multiplication(key, task.T)

    def test_the_target_is_the_product_of_the_marked_values(self, found: list[Sequence]) -> None:
        for sequence in found:
            marked = [value for (value, marker), _, _ in sequence if marker == 1]
            assert sequence[-1].target == (np.prod(marked) if len(marked) == 2 else marked[0],)
        assert any(len([x for x, _, _ in sequence if x[1] == 1]) == 1 for sequence in found)

    def test_values_are_uniform(self, found: list[Sequence]) -> None:
        values = np.array([step.x[0] for sequence in found for step in sequence])
        assert 0 <= values.min() < values.max() < 1
        assert stats.kstest(values, stats.uniform(0, 1).cdf).pvalue > 1e-3

    def test_marks_are_those_of_the_adding_problem(self, found: list[Sequence]) -> None:
        for sequence, other in zip(found, sequences(Adding()), strict=True):
            assert [x[1] for x, _, _ in sequence] == [x[1] for x, _, _ in other]

    @pytest.mark.parametrize("T", [-1, 10, 100_001])
    def test_a_length_out_of_range_is_refused(self, T: int) -> None:
        with pytest.raises(ValueError, match=rf"task.T={T}: the multiplication problem takes 11 to 100000"):
            Multiplication(T)


class TestTemporalOrder2(LengthsFromT, Contract):
    task = TemporalOrder(marks=2)

    def twin(self, task: Any, key: int) -> Sequence:
        return temporal_order(key, task.T, task.marks)

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
    stream, block = new_stream(4, Adding, Adding.layout), new_block(1000, 4, Adding.layout)
    put_settings(stream, 1, Adding())
    stream.start[1] = 0
    Adding.fill(block, stream)
    assert set(block.due.tolist()) == {0, 2}


@pytest.mark.parametrize("name", TASKS)
def test_unused_lanes_hold_symbols_that_there_are(name: str) -> None:
    """Networks take the weights of the symbol in every lane."""
    task = TASKS[name]()
    stream, block = new_stream(4, type(task), task.layout), new_block(300, 4, task.layout)
    task.fill(block, stream)
    task.fill(block, stream)
    assert ((block.symbol >= 0) & (block.symbol < task.layout.inputs)).all()
    assert not block.ends.any()
