"""The time that is left, against what recorded trials took: they are trained again in virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from lstm_search import config
from lstm_search.record import shipped_trials
from lstm_search.stats import Load, seconds_left


class Ran(NamedTuple):
    """A trial in virtual time: when it began and ended, after which share of its cap, what the cap takes, its row."""

    began: float
    ended: float
    share: float
    seconds: float
    row: str


def trained(words: Sequence[str], lanes: int) -> list[Ran]:
    """The shipped trials of a study on so many lanes, those with the longest cap first; a time step takes a second."""
    asked = config.compose(words).definition
    recorded = shipped_trials(asked)
    specs = [
        (row.cap * row.cell.task.length, trial.result.under_cap(row.cap).sequences / row.cap, row.name)
        for row in asked.rows
        for trial in recorded[row.name]
    ]
    free, ran = [0.0] * lanes, []
    for seconds, share, row in sorted(specs, key=lambda spec: -spec[0]):
        began = heapq.heappop(free)
        heapq.heappush(free, began + share * seconds)
        ran.append(Ran(began, began + share * seconds, share, seconds, row))
    return ran


def loads(ran: Sequence[Ran], now: float) -> list[Load]:
    """What can be known of the trials at that time."""
    found = []
    for row in dict.fromkeys(one.row for one in ran):
        ours = [one for one in ran if one.row == row]
        ended = [one.share for one in ours if one.ended <= now]
        ages = [(now - one.began) / one.seconds for one in ours if one.began <= now < one.ended]
        found.append(Load(ended, ages, sum(one.began > now for one in ours), ours[0].seconds))
    return found


@pytest.mark.parametrize("lanes", [8, 16, 32])
@pytest.mark.parametrize("words", [[], ["recipe=best-9", "seed=2026"]], ids=["as written", "best"])
def test_it_is_right_within_a_factor_of_two_for_the_second_half_of_table_9(words: list[str], lanes: int) -> None:
    ran = trained(["table=9", *words], lanes)
    whole = max(one.ended for one in ran)
    for percent in range(50, 100):
        left = seconds_left(loads(ran, whole * percent / 100))
        assert left is not None
        assert 0.5 <= left / (whole * (1 - percent / 100)) <= 2


def test_nothing_is_said_before_there_is_something_to_say() -> None:
    assert seconds_left([Load([0.1] * 2, [0.1] * 8, 10, 100.0)]) is None
    assert seconds_left([Load([0.1] * 9, [], 10, 100.0)]) is None
    assert seconds_left([]) is None


def test_a_trial_is_not_counted_by_its_cap() -> None:
    left = seconds_left([Load([0.01 + i / 1000 for i in range(9)], [0.012], 0, 3600.0)])
    assert left is not None
    assert left < 0.02 * 3600


def test_one_that_has_outlived_all_others_goes_on_to_its_cap() -> None:
    assert seconds_left([Load([0.1] * 9, [0.6], 0, 100.0)]) == pytest.approx(40, rel=0.01)
    assert seconds_left([Load([1.0] * 3, [0.2], 0, 100.0)]) == pytest.approx(80, rel=0.01)


def test_those_that_wait_follow_one_another() -> None:
    same = Load([0.1] * 3, [0.05, 0.05], 20, 100.0)  # each takes ten seconds, two at a time
    assert seconds_left([same]) == pytest.approx(110, rel=0.02)
    assert seconds_left([same, Load([], [], 20, 100.0)]) == pytest.approx(210, rel=0.02)


def test_many_trials_are_estimated_by_some_of_them() -> None:
    few, many = (seconds_left([Load([0.1, 0.2, 0.3] * n, [0.1] * 10, 10 * n, 100.0)]) for n in (100, 10_000))
    assert few is not None
    assert many is not None
    assert many / few == pytest.approx(100, rel=0.05)
