"""Experiments 1 to 3: blocks equal to a slow twin in any pieces, and the properties that the paper states."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import naive_tasks
from helpers.naive_tasks import GRAMMAR, Sequence, below
from helpers.reber import following, strings
from helpers.task_contract import SETS, Contract, LengthsFromT, laid_out, p_of_counts, sequences, steps_of
from scipy import stats

from lstm_search.tasks import EmbeddedReber, LongLag, TwoSequence, VeryLongLag
from lstm_search.tasks.embedded_reber import STRINGS, SYMBOLS, string_of


def told(sequence: Sequence) -> int:
    """Which output is asked for at the end."""
    assert sorted(sequence[-1].target) == [0.0] * (len(sequence[-1].target) - 1) + [1.0]
    return sequence[-1].target.index(1.0)


class TestLongLag(Contract):
    task = LongLag(p=10)

    def of(self, size: int) -> LongLag:
        del size  # the number of symbols is the shape
        return self.task

    def twin(self, task: Any, key: int) -> Sequence:
        return naive_tasks.long_lag(key, task.p, regular=task.regular)

    def test_every_step_predicts_the_next_symbol(self, found: list[Sequence]) -> None:
        for sequence in found:
            targets = [step.target.index(1.0) for step in sequence]
            assert targets[:-1] == [step.x for step in sequence[1:]]
            assert all(sum(step.target) == 1 for step in sequence)

    def test_the_first_symbol_is_asked_for_p_steps_later(self, found: list[Sequence]) -> None:
        for sequence in found:
            assert len(sequence) == 10
            assert told(sequence) == sequence[0].x
            assert all(step.x < 9 for step in sequence[1:])

    def test_both_sequences_are_equally_frequent(self, found: list[Sequence]) -> None:
        counts = Counter(sequence[0].x for sequence in found)
        assert set(counts) == {9, 10}
        assert p_of_counts(list(counts.values())) > 1e-3

    def test_what_is_between(self, found: list[Sequence]) -> None:
        assert {tuple(step.x for step in sequence[1:]) for sequence in found} == {tuple(range(9))}

    @pytest.mark.parametrize("p", [1, 501])
    def test_a_lag_out_of_range_is_refused(self, p: int) -> None:
        with pytest.raises(ValueError, match=f"task.p={p}: takes 2 to 500"):
            LongLag(p)


class TestLongLagWithoutRegularities(TestLongLag):
    task = LongLag(p=10, regular=False)

    def test_what_is_between(self, found: list[Sequence]) -> None:
        counts = Counter(step.x for sequence in found for step in sequence[1:])
        assert set(counts) == set(range(9))
        assert p_of_counts(list(counts.values())) > 1e-3
        pairs = Counter((a.x, b.x) for sequence in found for a, b in pairwise(sequence[1:]))
        assert p_of_counts([pairs[a, b] for a in range(9) for b in range(9)]) > 1e-3


class TestLongLagAtItsEnd(Contract):
    task = LongLag(p=10, regular=False, at_end=True)

    def of(self, size: int) -> LongLag:
        del size
        return self.task

    def twin(self, task: Any, key: int) -> Sequence:
        return naive_tasks.long_lag(key, task.p, regular=task.regular, at_end=True)

    def test_the_last_step_alone_asks_for_the_first_symbol(self, found: list[Sequence]) -> None:
        for sequence in found:
            assert [step.target for step in sequence[:-1]] == [None] * 9
            assert told(sequence) == sequence[0].x

    def test_all_else_is_as_where_every_step_has_a_target(self, found: list[Sequence]) -> None:
        for sequence, other in zip(found, sequences(LongLag(p=10, regular=False)), strict=True):
            assert [(step.x, step.ends) for step in sequence] == [(step.x, step.ends) for step in other]
            assert sequence[-1] == other[-1]
        assert self.task.layout.targets == "last"


class TestVeryLongLag(Contract):
    task = VeryLongLag(p=50, q=50)

    def of(self, size: int) -> VeryLongLag:
        return VeryLongLag(50, size)

    def twin(self, task: Any, key: int) -> Sequence:
        return naive_tasks.very_long_lag(key, task.p, task.q)

    def test_a_sequence_is_b_then_x_or_y_then_distractors_then_one_trigger(self, found: list[Sequence]) -> None:
        for sequence in found:
            symbols = [step.x for step in sequence]
            assert symbols[0] == 51
            assert symbols[1] == 52 + told(sequence)
            assert symbols[-1] == 50
            assert all(symbol < 50 for symbol in symbols[2:-1])
            assert [step.target for step in sequence[:-1]] == [None] * (len(sequence) - 1)

    def test_the_lag_is_q_plus_1_at_least_and_the_rest_is_geometric(self, found: list[Sequence]) -> None:
        more = np.array([len(sequence) - 3 - 50 for sequence in found])
        assert more.min() == 0
        longest = 30
        counts = [np.count_nonzero(more == n) for n in range(longest)] + [np.count_nonzero(more >= longest)]
        assert p_of_counts(counts, [0.9**n / 10 for n in range(longest)] + [0.9**longest]) > 1e-3
        assert np.mean(more) + 50 + 4 == pytest.approx(50 + 13, abs=0.5)  # with the final symbol, as the paper counts

    def test_x_and_y_and_distractors_are_equally_frequent(self, found: list[Sequence]) -> None:
        assert p_of_counts(list(Counter(map(told, found)).values())) > 1e-3
        counts = Counter(step.x for sequence in found for step in sequence[2:-1])
        assert len(counts) == 50
        assert p_of_counts(list(counts.values())) > 1e-3

    @pytest.mark.parametrize(
        ("p", "q", "what"), [(0, 50, "task.p=0: takes 1 to 10000"), (50, 0, "task.q=0: takes a lag of 1 to 100000")]
    )
    def test_what_is_out_of_range_is_refused(self, p: int, q: int, what: str) -> None:
        with pytest.raises(ValueError, match=what):
            VeryLongLag(p, q)


class TestTwoSequence(LengthsFromT, Contract):
    task = TwoSequence(T=100, N=3)

    def twin(self, task: Any, key: int) -> Sequence:
        settings = {"noisy_input": task.noisy_input, "noisy_target": task.noisy_target}
        return naive_tasks.two_sequence(key, task.T, task.N, **settings)

    def clean(self) -> list[Sequence]:
        """Sequences for a test."""
        return sequences(self.task, tested=True)

    def test_both_classes_are_equally_frequent(self) -> None:
        counts = Counter(sequence[-1].target for sequence in self.clean())
        assert set(counts) == ({(0.2,), (0.8,)} if self.task.noisy_target else {(1.0,), (0.0,)})
        assert p_of_counts(list(counts.values())) > 1e-3

    def test_the_first_n_elements_tell_the_class(self) -> None:
        for sequence in self.clean():
            sign = 1.0 if sequence[-1].target in {(1.0,), (0.2,)} else -1.0
            informative = np.array([step.x[0] for step in sequence[: self.task.N]])
            if self.task.noisy_input:
                assert abs(informative - sign).max() < 6 * np.sqrt(0.2)
            else:
                assert (informative == sign).all()

    def test_other_elements_are_gaussian_with_variance_a_fifth(self, found: list[Sequence]) -> None:
        values = np.array([step.x[0] for sequence in found for step in sequence[self.task.N :]])
        assert stats.kstest(values, stats.norm(0, np.sqrt(0.2)).cdf).pvalue > 1e-3
        assert values.var() == pytest.approx(0.2, rel=0.01)

    def test_tests_have_the_sequences_of_the_training_without_noise_on_targets(self, found: list[Sequence]) -> None:
        for sequence, clean in zip(found, self.clean(), strict=True):
            assert [step.x for step in sequence] == [step.x for step in clean]
        noise = np.array([a[-1].target[0] - b[-1].target[0] for a, b in zip(found, self.clean(), strict=True)])
        if self.task.noisy_target:
            assert stats.kstest(noise, stats.norm(0, np.sqrt(0.1)).cdf).pvalue > 1e-3
        else:
            assert not noise.any()

    @pytest.mark.parametrize(
        ("settings", "what"),
        [
            ({"T": 1}, "task.T=1: the two-sequence problem takes 2"),
            ({"N": 0}, "task.N=0: takes 1 to 99"),
            ({"N": 100}, "task.N=100: takes 1 to 99, fewer elements than task.T=100"),
            ({"noisy_input": 1.5}, "task.noisy_input=1.5: takes true or false"),
        ],
    )
    def test_what_is_out_of_range_is_refused(self, settings: dict, what: str) -> None:
        with pytest.raises(ValueError, match=what):
            TwoSequence(**settings)


class TestTwoSequenceWithNoisyInput(TestTwoSequence):
    task = TwoSequence(T=100, N=1, noisy_input=True)

    def test_the_best_guess_is_wrong_as_often_as_bayes_says(self) -> None:
        """With one informative element: its sign is the best guess, and wrong with probability 1.27 %."""
        wrong = [(s[0].x[0] > 0) != (s[-1].target[0] > 0.5) for s in self.clean()]
        floor = stats.norm.cdf(-1 / np.sqrt(0.2))
        assert floor == pytest.approx(0.0127, abs=5e-5)
        assert stats.binomtest(sum(wrong), len(wrong), floor).pvalue > 1e-3

    def test_the_informative_element_is_gaussian_around_one(self) -> None:
        values = np.array([s[0].x[0] - (2 * s[-1].target[0] - 1) for s in self.clean()])
        assert stats.kstest(values, stats.norm(0, np.sqrt(0.2)).cdf).pvalue > 1e-3


class TestTwoSequenceWithNoisyTarget(TestTwoSequence):
    task = TwoSequence(T=100, N=3, noisy_target=True)


def legal(string: str) -> bool:
    """Whether the embedded grammar makes the string: an automaton of its own."""
    if not (string[:1] == "B" and string[-1:] == "E" and string[1] == string[-2] in "TP"):
        return False
    if not (string[2] == "B" and string[-3] == "E"):
        return False
    node = 0
    for symbol in string[3:-3]:
        place = GRAMMAR[node].find(symbol)
        if place < 0 or node == 5:
            return False
        node = int(GRAMMAR[node][place + 1])
    return node == 5


class TestEmbeddedReber(Contract):
    task = EmbeddedReber()

    def of(self, size: int) -> EmbeddedReber:
        del size
        return self.task

    def twin(self, task: Any, key: int) -> Sequence:
        return naive_tasks.embedded_reber(naive_tasks.reber(int(task.keys(SETS)[below(key, 0, STRINGS)])))

    def test_training_draws_from_the_training_set(self, found: list[Sequence]) -> None:
        training, _ = strings()
        seen = Counter("".join(SYMBOLS[step.x] for step in sequence) + "E" for sequence in found)
        assert set(seen) == set(training)
        copies = Counter(training)
        assert p_of_counts([seen[s] for s in copies], [count / STRINGS for count in copies.values()]) > 1e-3

    def spelled(self, *, tested: bool = False, in_turn: bool = False) -> list[str]:
        """The whole strings of a long block."""
        found, current = [], ""
        for step in steps_of(laid_out([self.task], [5], [0], [10_000], tested=tested, in_turn=in_turn), 0):
            current += SYMBOLS[step.x]
            if step.ends:
                found.append(current + "E")
                current = ""
        return found

    def test_training_in_turn_goes_through_the_training_set_again_and_again(self) -> None:
        training, _ = strings()
        assert self.spelled(in_turn=True)[: 3 * STRINGS] == training * 3

    def test_a_test_goes_through_both_sets_in_order(self) -> None:
        spelled = self.spelled(tested=True)
        training, tests = strings()
        assert spelled[: 2 * STRINGS] == training + tests
        assert spelled[2 * STRINGS : 2 * STRINGS + 20] == training[:20]

    def test_what_is_legal_is_what_the_grammar_lets_follow(self) -> None:
        (block,) = laid_out([self.task] * 2, [5, 6], [0, 0], [3000], tested=False)
        for l in (0, 1):
            prefix = ""
            for t, step in enumerate(steps_of([block], l)):
                prefix += SYMBOLS[step.x]
                may = {SYMBOLS[k] for k in range(7) if block.legal[t, k] >> l & 1}
                assert may == following(prefix)
                prefix = "" if step.ends else prefix


def test_strings_are_legal_and_of_mean_length_12() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    spelled = [string_of(key) for key in keys]
    assert all(map(legal, spelled))
    lengths = np.array(list(map(len, spelled)))
    assert lengths.min() == 9
    assert abs(lengths.mean() - 12.0) < 4 * lengths.std() / np.sqrt(len(lengths))


def test_the_automaton_refuses_strings_of_another_grammar() -> None:
    assert legal("BTBTXSETE")
    for wrong in ("BTBTXSEPE", "BTBTXSET", "BTBTXXETE", "BPBTXSETE", "BTBPXSETE"):
        assert not legal(wrong)


@pytest.mark.parametrize("distinct", [False, True])
def test_no_test_string_is_in_the_training_set(distinct: bool) -> None:
    training, tests = strings(distinct=distinct)
    assert (len(training), len(tests)) == (STRINGS, STRINGS)
    assert not set(training) & set(tests)
    assert (len(set(training)) == STRINGS) == distinct
    assert set(training) != set(strings(distinct=distinct, pair=1)[0])


def test_an_unknown_way_to_draw_strings_is_refused() -> None:
    with pytest.raises(ValueError, match=r"task.training_strings=some: takes one of with_replacement, distinct"):
        EmbeddedReber("some")
