"""What stands for the targets 0 and 1 of classes: a coding of its own for each lane, as the slow twins have it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from helpers import naive_tasks
from helpers.naive_tasks import Sequence, below, coded, endless
from helpers.task_contract import SETS, laid_out, steps_of

from lstm_search.tasks import TASKS, EmbeddedReber, LongLag, TemporalOrder, TwoSequence, VeryLongLag
from lstm_search.tasks.embedded_reber import STRINGS

PIECES = [64, 8, 200, 64]
CODINGS = {1: (0.1, 0.9), 2: (0.05, 0.95), 4: (0.2, 1.0)}
"""Of lanes 1, 2 and 4; those of lanes 0 and 3 are 0 and 1."""


def embedded_reber(key: int) -> Sequence:
    return naive_tasks.embedded_reber(naive_tasks.reber(int(EmbeddedReber().keys(SETS)[below(key, 0, STRINGS)])))


TWINS: dict[str, tuple[Any, Callable[[int], Sequence]]] = {
    "1": (EmbeddedReber(), embedded_reber),
    "2a": (LongLag(5), partial(naive_tasks.long_lag, p=5, regular=True)),
    "2b at the end": (
        LongLag(5, regular=False, at_end=True),
        partial(naive_tasks.long_lag, p=5, regular=False, at_end=True),
    ),
    "2c": (VeryLongLag(4, 9), partial(naive_tasks.very_long_lag, p=4, q=9)),
    "3a": (TwoSequence(12, 2), partial(naive_tasks.two_sequence, T=12, N=2, noisy_input=False, noisy_target=False)),
    "6b": (TemporalOrder(3, 30), partial(naive_tasks.temporal_order, T=30, marks=3)),
}


@pytest.mark.parametrize("name", TWINS)
def test_each_lane_has_its_coding(name: str) -> None:
    task, twin = TWINS[name]
    keys = [7, 8, 7, 9, 10]
    blocks = laid_out([task] * 5, keys, [0] * 5, PIECES, codings=CODINGS)
    for l, key in enumerate(keys):
        found, steps = steps_of(blocks, l), endless(twin, key, 0)
        assert found == coded([next(steps) for _ in found], *CODINGS.get(l, (0.0, 1.0)))
        assert len({value for step in found for value in step.target or ()}) == 2


def test_noisy_targets_beside_a_lane_with_a_coding_are_as_they_were() -> None:
    tasks = [TwoSequence(12, 2, noisy_target=True), TwoSequence(12, 2)]
    plain = laid_out(tasks, [7, 8], [0, 0], PIECES)
    beside = laid_out(tasks, [7, 8], [0, 0], PIECES, codings={1: (0.1, 0.9)})
    assert steps_of(beside, 0) == steps_of(plain, 0)
    assert steps_of(beside, 1) == coded(steps_of(plain, 1), 0.1, 0.9)
    assert {step.target for step in steps_of(beside, 1)} == {None, (0.1,), (0.9,)}


def test_tasks_whose_targets_are_classes_say_so() -> None:
    assert {name for name, task in TASKS.items() if task().layout.classes} == {
        "embedded_reber", "long_lag", "very_long_lag", "two_sequence", "temporal_order",
    }  # fmt: skip
    assert not TwoSequence(noisy_target=True).layout.classes
