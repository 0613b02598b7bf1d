from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from helpers.fakes import DIES, FINE, HANGS, NEVER_ENDS, NO_MEMORY, RAISES, ScriptedPool, result, trials
from hypothesis import given
from hypothesis import strategies as st

from lstm_search.execute.crew import Answer, Crew, Fault, _level
from lstm_search.spec import Outcome, Trial, TrialSpec

LOST = Fault(Outcome.LOST, "the worker died")


def misbehave(specs: list[TrialSpec]) -> Fault | str | None:
    caps = {spec.cap for spec in specs}
    if HANGS in caps:
        return "HANG"
    faults = {DIES: LOST, RAISES: Fault(Outcome.FAILED, "Traceback"), NO_MEMORY: Fault(Outcome.OOM, "memory")}
    return next((faults[cap] for cap in faults if cap in caps), None)


def crew_of(
    pool: ScriptedPool, lanes: int = 4, timeout: float | None = None, attempts: dict[str, int] | None = None
) -> tuple[Crew, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    crew = Crew(
        pool,
        attempts or {},
        lambda key, reason: told.append((key, reason)),
        lanes=lanes,
        slice_seconds=0.5,
        timeout=timeout,
        clock=pool.clock,
    )
    return crew, told


def drain(crew: Crew, rounds: int = 10_000) -> list[Trial]:
    finished: list[Trial] = []
    while crew.pending:
        finished += crew.gather(1.0)
        rounds -= 1
        assert rounds, "it does not come to an end"
    return finished


def run(crew: Crew, specs: list[TrialSpec]) -> dict[int, Trial]:
    """Feed as the study does; every trial must come back exactly once."""
    waiting, finished = list(specs), []
    while waiting or crew.pending:
        batch = waiting[: crew.room]
        del waiting[: len(batch)]
        crew.submit(batch)
        finished += crew.gather(1.0)
    assert Counter(entry.spec.key for entry in finished) == Counter(spec.key for spec in specs)
    return {entry.spec.replicate: entry for entry in finished}


def test_every_trial_comes_back_once_with_its_own_result() -> None:
    crew, told = crew_of(ScriptedPool(3))
    finished = run(crew, trials(50))
    assert all(entry.result == result(entry.spec) and entry.attempts == 1 for entry in finished.values())
    assert told == []


def test_trials_are_handed_out_in_the_order_given() -> None:
    pool = ScriptedPool(1)
    crew, _ = crew_of(pool)
    run(crew, trials(20))
    assert [replicate for _, new in pool.given for replicate in new] == list(range(20))


def test_few_trials_are_spread_evenly() -> None:
    pool = ScriptedPool(4)
    crew, _ = crew_of(pool, lanes=16)
    run(crew, trials(10))
    shares = Counter(seat for seat, new in pool.given for _ in new)
    assert sorted(shares.values()) == [2, 2, 3, 3]


def test_where_there_is_too_little_to_fill_the_workers_each_gets_its_share_of_the_longest() -> None:
    pool = ScriptedPool(3)
    crew, _ = crew_of(pool, lanes=16)
    run(crew, trials(12))
    firsts = {seat: new for seat, new in pool.given if new}
    assert sorted(firsts.values()) == [(0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11)]


class StartingInTurn(ScriptedPool):
    """Its workers start one after the other, the first one at `first` seconds, the others `apart`."""

    first = apart = 1.5

    def _answer(self, seat: int, call: str) -> Answer | None:
        early = call == "start" and self.now < self.first + self.apart * seat
        return None if early else super()._answer(seat, call)


@pytest.mark.parametrize("first", [1.5, 40.0], ids=["kernels in the cache", "kernels to compile"])
def test_a_worker_that_starts_first_does_not_get_all_the_longest(first: float) -> None:
    pool = StartingInTurn(3, slices=20)
    pool.first = first
    crew, _ = crew_of(pool, lanes=16)
    run(crew, trials(12))
    firsts = {seat: new for seat, new in pool.given if new}
    assert sorted(firsts.values()) == [(0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11)]


def test_nothing_is_kept_back_for_a_worker_that_does_not_come() -> None:
    pool = StartingInTurn(2, slices=20)
    crew, _ = crew_of(pool, lanes=16)
    crew._seats[1].false_starts = 2
    crew._lose(1, LOST)
    crew.submit(trials(12))
    crew.gather(2.0)
    assert next(new for seat, new in pool.given if new) == tuple(range(12))


def test_for_a_worker_that_is_late_trials_are_kept_back_for_half_a_minute() -> None:
    pool = StartingInTurn(2, slices=500)
    pool.apart = 100.0
    crew, _ = crew_of(pool, lanes=16)
    crew.submit(trials(12))
    while pool.now < 30:
        crew.gather(1.0)
    assert [new for _, new in pool.given if new] == [(0, 2, 4, 6, 8, 10)]
    while pool.now < 35:
        crew.gather(1.0)
    assert [new for _, new in pool.given if new] == [(0, 2, 4, 6, 8, 10), (1, 3, 5, 7, 9, 11)]


@given(
    lanes=st.integers(1, 4),
    workers=st.integers(1, 6),
    count=st.integers(1, 40),
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([0.0, 0.2]),
)
def test_whoever_starts_when_and_dies_each_trial_ends_once(
    *, lanes: int, workers: int, count: int, seed: int, rate: float
) -> None:
    random_death = deaths(seed, rate)
    crew, _ = crew_of(StartingInTurn(workers, random_death), lanes=lanes)
    assert len(run(crew, trials(count))) == count


@given(loads=st.lists(st.integers(0, 8), max_size=12), waiting=st.integers(0, 120), top=st.integers(0, 9))
def test_the_level_is_the_least_that_takes_all_who_wait(loads: list[int], waiting: int, top: int) -> None:
    enough = [level for level in range(top) if sum(max(0, level - load) for load in loads) >= waiting]
    assert _level(Counter(loads), waiting, top) == min(enough, default=top)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_those_of_counting_all_loads_for_each_worker(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    shares, alone = Crew._shares, 0

    def compared(crew: Crew, idle: Sequence[int], sharing: Sequence[Any]) -> dict[int, int]:
        nonlocal alone
        found, left = shares(crew, idle, sharing), len(crew._queue)
        loads = {number: len(seat.held) for number, seat in enumerate(crew._seats) if not (seat.alone or seat.retired)}
        alone += sum(seat.alone for seat in crew._seats)
        for number in idle:
            top = crew._lanes + crew._seats[number].spare
            enough = (level for level in range(top) if sum(max(0, level - load) for load in loads.values()) >= left)
            share = max(0, min(next(enough, top) - loads[number], left))
            assert found[number] == share
            loads[number] += share
            left -= share
        return found

    monkeypatch.setattr(Crew, "_shares", compared)
    random_death = deaths(seed, 0.2)
    crew, _ = crew_of(ScriptedPool(5, lambda specs: misbehave(specs) or random_death(specs)))
    run(crew, [*trials(50), *trials(3, DIES, 50), *trials(60, first=53)])
    assert alone


@pytest.mark.parametrize(
    ("workers", "timeout", "seconds"), [(250, None, 0.5), (1000, None, 2.0), (1000, 10.0, 1.0), (1000, 0.1, 0.5)]
)
def test_of_very_many_workers_each_trains_longer_between_two_answers(
    workers: int, timeout: float | None, seconds: float
) -> None:
    """But no longer than a tenth of what a trial may take, where its limit is looked at once a slice."""
    pool = ScriptedPool(workers)
    crew, _ = crew_of(pool, timeout=timeout)
    crew.submit(trials(3))
    crew.gather(1.0)
    assert set(pool.asked) == {seconds}


@pytest.mark.parametrize(("workers", "many"), [(2, False), (600, True)])
def test_of_very_many_workers_those_that_answer_within_a_slice_get_a_reserve(*, workers: int, many: bool) -> None:
    pool = ScriptedPool(workers, slices=1)  # whose answers take half a second
    crew, _ = crew_of(pool, lanes=2)
    run(crew, trials(20 * workers))
    assert (max(map(len, pool.together)) > 2) == many


def test_a_worker_is_topped_up_before_its_results_are_given_out() -> None:
    pool = ScriptedPool(1, slices=1)
    crew, _ = crew_of(pool, lanes=2)
    crew.submit(trials(4))
    assert len(crew.gather(1.0)) == 2
    assert pool.given == [(0, (0, 1)), (0, (2, 3))]


def test_the_window_is_bounded_and_keeps_every_lane_filled() -> None:
    pool = ScriptedPool(3)
    crew, _ = crew_of(pool, lanes=4)
    assert crew.room == 36
    crew.submit(trials(36))
    assert (crew.room, crew.pending, crew.workers) == (0, 36, 3)
    crew.gather(0.0)
    assert max(len(held) for held in pool.held.values()) == 4
    crew.submit(trials(6, first=36))
    assert crew.room == 0


@pytest.mark.parametrize(("slice_seconds", "spare"), [(0.5, 0), (50.0, 4)])
def test_only_workers_that_come_back_at_once_get_a_reserve(slice_seconds: float, spare: int) -> None:
    pool = ScriptedPool(1, slices=1)  # an answer takes half a second
    crew = Crew(pool, {}, print, lanes=4, slice_seconds=slice_seconds, timeout=None, clock=pool.clock)
    crew.submit(trials(100))
    drain(crew)
    assert max(len(held) for held in pool.together) == 4 + spare


def test_progress_tells_how_far_running_trials_are() -> None:
    crew, _ = crew_of(ScriptedPool(1, slices=9))
    specs = trials(2)
    crew.submit(specs)
    crew.gather(2.0)
    assert crew.progress() == {spec.key: 3 for spec in specs}


def test_gather_waits_for_nothing_where_nothing_is_pending() -> None:
    pool = ScriptedPool(1)
    crew, _ = crew_of(pool)
    assert crew.gather(5.0) == []
    assert pool.now == 0.0


def test_a_poison_trial_is_given_three_attempts_and_harms_no_other() -> None:
    pool = ScriptedPool(2, misbehave)
    crew, told = crew_of(pool)
    poison = trials(1, DIES, first=5)[0]
    finished = run(crew, [*trials(5), poison, *trials(20, first=6)])
    assert finished[5].result.outcome is Outcome.LOST
    assert finished[5].result.error == "the worker died"
    assert finished[5].attempts == 3
    assert told == [(poison.key, "LOST: the worker died")] * 3
    others = [entry for replicate, entry in finished.items() if replicate != 5]
    assert all(entry.result == result(entry.spec) and entry.attempts == 1 for entry in others)


def test_after_a_death_each_trial_is_retried_alone() -> None:
    pool = ScriptedPool(2, misbehave)
    crew, _ = crew_of(pool)
    run(crew, [*trials(3), *trials(1, DIES, first=3), *trials(12, first=4)])
    first_death = next(held for held in pool.together if 3 in held)
    again = [held for held in pool.together[pool.together.index(first_death) + 1 :] if held & first_death]
    assert again
    # the worker that began with suspects keeps to one at a time
    assert [held for held in again if 3 in held] == [{3}] * 3
    assert {frozenset(held) for held in again} == {frozenset({replicate}) for replicate in first_death}


def test_attempts_are_counted_across_resumes() -> None:
    two, three = trials(1, DIES)[0], trials(1, DIES, first=1)[0]
    crew, told = crew_of(ScriptedPool(1, misbehave), attempts={two.key: 2, three.key: 3})
    finished = run(crew, [two, three])
    assert [finished[0].attempts, finished[1].attempts] == [3, 3]
    assert finished[1].result.outcome is Outcome.LOST
    assert [key for key, _ in told] == [two.key]


def test_a_survivor_says_at_which_attempt_it_finished() -> None:
    spec = trials(1)[0]
    crew, _ = crew_of(ScriptedPool(1), attempts={spec.key: 2})
    assert run(crew, [spec])[0].attempts == 3


def test_out_of_memory_is_its_own_outcome() -> None:
    crew, told = crew_of(ScriptedPool(1, misbehave))
    finished = run(crew, trials(1, NO_MEMORY))
    assert (finished[0].result.outcome, finished[0].attempts, len(told)) == (Outcome.OOM, 3, 3)


def test_an_exception_fails_its_trial_once_and_no_other() -> None:
    pool = ScriptedPool(1, misbehave)
    crew, told = crew_of(pool)
    finished = run(crew, [*trials(2), *trials(1, RAISES, first=2), *trials(2, first=3)])
    assert (finished[2].result.outcome, finished[2].result.error) == (Outcome.FAILED, "Traceback")
    assert finished[2].attempts == 1
    assert told == []
    assert pool.starts == 3  # the first worker, one after the pack raised, one after the trial alone did
    assert [entry.result.outcome for entry in finished.values()].count(Outcome.SOLVED) == 4


def test_a_hung_worker_is_replaced_once_its_trials_are_overdue() -> None:
    pool = ScriptedPool(2, misbehave)
    crew, _ = crew_of(pool, timeout=10.0)
    finished = run(crew, [*trials(1, HANGS), *trials(9, first=1)])
    assert finished[0].result.outcome is Outcome.TIMEOUT
    assert "execute.timeout=10.0" in finished[0].result.error
    assert [entry.result.outcome for entry in finished.values()].count(Outcome.SOLVED) == 9
    assert pool.now < 2 * (10.0 + 5.0) + 10  # once with others, once alone


def test_a_trial_past_the_limit_in_a_worker_that_answers_ends_at_once() -> None:
    pool = ScriptedPool(1, slices=4)
    crew, told = crew_of(pool, timeout=10.0)
    finished = run(crew, [*trials(1, NEVER_ENDS), *trials(30, first=1)])
    assert finished[0].result.outcome is Outcome.TIMEOUT
    assert finished[0].attempts == 1
    assert told == []
    assert [entry.result.outcome for entry in finished.values()].count(Outcome.SOLVED) == 30


def test_without_a_limit_nothing_is_overdue() -> None:
    crew, _ = crew_of(ScriptedPool(1, slices=1000))
    assert run(crew, trials(1))[0].result.outcome is Outcome.SOLVED


def test_a_trial_survives_the_death_of_its_worker() -> None:
    dead = iter([None, None, LOST])  # at the start, after the first slice, after the second
    pool = ScriptedPool(1, lambda _: next(dead, None))
    crew, told = crew_of(pool)
    finished = run(crew, trials(1))[0]
    assert (finished.result.outcome, finished.attempts, len(told)) == (Outcome.SOLVED, 2, 1)


def test_workers_that_cannot_start_are_an_error_with_its_cause() -> None:
    crew, _ = crew_of(ScriptedPool(2, lambda _: Fault(Outcome.FAILED, "no module named x")))
    crew.submit(trials(2))
    with pytest.raises(RuntimeError, match="no module named x"):
        drain(crew)


def test_a_worker_that_cannot_start_is_left_out() -> None:
    pool = ScriptedPool(2)
    crew, _ = crew_of(pool)
    crew._seats[1].false_starts = 2
    crew._lose(1, LOST)
    assert crew.workers == 1
    run(crew, trials(9))
    assert {seat for seat, _ in pool.given} == {0}


def deaths(seed: int, rate: float) -> Callable[[list[TrialSpec]], Fault | None]:
    """A machine on which workers die at random, whatever they hold, but never for ever."""
    dice = random.Random(seed)
    left = iter(range(60))
    return lambda specs: LOST if specs and dice.random() < rate and next(left, None) is not None else None


@given(
    seed=st.integers(0, 10**6),
    workers=st.integers(1, 5),
    lanes=st.integers(1, 8),
    count=st.integers(0, 60),
    rate=st.sampled_from([0.0, 0.05, 0.3]),
    poison=st.sets(st.integers(0, 59), max_size=3),
)
def test_nothing_is_lost_and_nothing_comes_twice(
    *, seed: int, workers: int, lanes: int, count: int, rate: float, poison: set[int]
) -> None:
    random_death = deaths(seed, rate)
    pool = ScriptedPool(workers, lambda specs: misbehave(specs) or random_death(specs))
    crew, told = crew_of(pool, lanes=lanes)
    specs = [TrialSpec(s.cell, s.replicate, s.seed, DIES if s.replicate in poison else FINE) for s in trials(count)]
    finished = run(crew, specs)
    assert all(len(held) <= lanes for held in pool.together)
    charged = Counter(key for key, _ in told)
    for entry in finished.values():
        if entry.result.outcome is Outcome.LOST:
            assert charged[entry.spec.key] == entry.attempts == 3
        else:
            assert entry.result == result(entry.spec)
            assert entry.spec.cap == FINE
            assert charged[entry.spec.key] == entry.attempts - 1
