"""Searchers behind one contract, what they search for, and how often a race drops the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from helpers.synthetic import TEMPORAL, ended, solved

from lstm_search.search import FRESH, Grid, Race, Searcher, SearchSettings, finalists
from lstm_search.search.objective import objective_of
from lstm_search.spec import Outcome, Row, Training, Trial, TrialResult, TrialSpec

CAP = 1000
SEED = 3
Play = Callable[[TrialSpec], TrialResult]


def rows(count: int, replicates: int = 30, **more: Any) -> list[Row]:
    """Cells of one task that differ in their learning rate."""
    cells = [replace(TEMPORAL, training=Training(0.1 * (number + 1))) for number in range(count)]
    return [Row(f"cell {number}", cell, replicates, CAP, **more) for number, cell in enumerate(cells)]


def number_of(spec: TrialSpec) -> int:
    return round(spec.cell.training.rate / 0.1) - 1


def played(spec: TrialSpec, sequences: float) -> TrialResult:
    """A trial that learns after so many sequences, or is censored at the cap."""
    whole = max(1, round(sequences))
    result = solved(whole) if whole <= spec.cap else ended(Outcome.CAPPED, spec.cap)
    return replace(result, key=spec.key)


def alike(spec: TrialSpec) -> TrialResult:
    """All cells learn equally fast."""
    return played(spec, Random(f"{spec.key}").gammavariate(5, 100))


def graded(spec: TrialSpec) -> TrialResult:
    """Cell 0 is the fastest, every further one takes half as long again."""
    return played(spec, Random(spec.key).gammavariate(10, 10 * 1.5 ** number_of(spec)))


def through(search: Searcher, play: Play, lanes: int = 8, order: int = 0) -> list[TrialSpec]:
    """All trials of a search with so many lanes, in which trials end in a random order; those asked for."""
    random, running, asked = Random(order), [], []
    while search.remaining or running:
        new = search.ask(lanes - len(running))
        asked += new
        running += new
        assert running, "it asks for nothing, although nothing runs"
        spec = running.pop(random.randrange(len(running)))
        search.tell([Trial(spec, play(spec))])
    return asked


def grid() -> Grid:
    return Grid(spec for row in rows(6) for spec in row.trials(SEED))


def race(count: int = 6, play: Play | None = None, **settings: Any) -> Race:
    del play
    return Race(rows(count), SEED, SearchSettings("race", **settings))


@pytest.mark.parametrize("make", [grid, race])
class TestContract:
    """What the study's loop counts on."""

    def test_no_trial_is_asked_for_twice(self, make: Callable[[], Searcher]) -> None:
        asked = [spec.key for spec in through(make(), graded)]
        assert len(asked) == len(set(asked)) > 6

    @pytest.mark.parametrize("count", [0, 1, 7, 10_000])
    def test_never_more_than_there_is_room_for(self, make: Callable[[], Searcher], count: int) -> None:
        assert len(make().ask(count)) <= count

    def test_what_remains_falls_by_what_is_asked_for(self, make: Callable[[], Searcher]) -> None:
        search = make()
        before, new = search.remaining, search.ask(11)
        assert search.remaining == before - len(new)

    def test_at_the_end_nothing_remains(self, make: Callable[[], Searcher]) -> None:
        search = make()
        through(search, alike)
        assert (search.remaining, search.ask(5)) == (0, [])

    @pytest.mark.parametrize("order", range(5))
    def test_a_lane_is_idle_only_when_nothing_is_worth_a_trial(self, make: Callable[[], Searcher], order: int) -> None:
        """No block is waited for: while some trial of it still runs, those of other cells begin."""
        search, random = make(), Random(order)
        running: list[TrialSpec] = []
        while search.remaining:
            running += search.ask(8 - len(running))
            leaders = [bracket.leader() for bracket in search._brackets] if isinstance(search, Race) else []
            names = {leader.row.name for leader in leaders if leader}
            awaited = [spec for spec in running if spec.replicate < 5 or f"cell {number_of(spec)}" in names]
            assert len(running) == 8 or not search.remaining or (isinstance(search, Race) and awaited)
            spec = running.pop(random.randrange(1, len(running)) if len(running) > 1 else 0)  # the first is the slowest
            search.tell([Trial(spec, graded(spec))])

    def test_a_dropped_row_gets_nothing_more(self, make: Callable[[], Searcher]) -> None:
        search = make()
        running: list[TrialSpec] = []
        while search.remaining or running:
            new = search.ask(4 - len(running))
            assert not {f"cell {number_of(spec)}" for spec in new} & search.dropped()
            running += new
            search.tell([Trial(running[0], graded(running.pop(0)))])

    def test_broken_trials_end_like_others(self, make: Callable[[], Searcher]) -> None:
        search = make()
        through(search, lambda spec: TrialResult(spec.key, Outcome.LOST, 0, 0))
        assert (search.remaining, search.dropped()) == (0, frozenset())

    def test_two_searches_that_are_told_the_same_ask_for_the_same(self, make: Callable[[], Searcher]) -> None:
        assert [spec.key for spec in through(make(), graded)] == [spec.key for spec in through(make(), graded)]


def told(search: Race, trials: Iterable[TrialSpec], play: Play) -> Race:
    search.tell(Trial(spec, play(spec)) for spec in trials)
    return search


@pytest.mark.parametrize("after", [1, 20, 60, 95])
def test_a_race_goes_on_from_what_is_recorded(after: int) -> None:
    """Whenever it was interrupted: no trial is trained again, and the same cells drop out in the end."""
    whole = race()
    asked = through(whole, graded)
    again = told(race(), asked[:after], graded)
    rest = through(again, graded)
    assert not {spec.key for spec in rest} & {spec.key for spec in asked[:after]}
    assert "cell 0" not in again.dropped() | whole.dropped()
    assert {"cell 4", "cell 5"} <= again.dropped() & whole.dropped()


def test_the_order_of_results_does_not_matter() -> None:
    asked = [spec for row in rows(6) for spec in row.trials(SEED)]
    forward, backward = told(race(), asked, graded), told(race(), asked[::-1], graded)
    assert forward.dropped() == backward.dropped() >= {"cell 3", "cell 4", "cell 5"}


def test_a_race_takes_far_fewer_trials_than_a_grid() -> None:
    assert len(through(race(12), graded, lanes=16)) < 12 * 30 / 2
    assert len(through(Grid(spec for row in rows(12) for spec in row.trials(SEED)), graded)) == 12 * 30


def test_cells_that_are_alike_stay_in_the_race() -> None:
    search = race()
    assert len(through(search, alike)) == 6 * 30
    assert not search.dropped()


def test_cells_of_another_task_are_no_rivals() -> None:
    slow = [replace(row, name=f"slow {row.name}", table="9", published="6b") for row in rows(3)]
    slow = [replace(row, cell=replace(row.cell, task=replace(row.cell.task, marks=3))) for row in slow]
    search = Race([*rows(3), *slow], SEED, SearchSettings("race"))
    through(search, lambda spec: played(spec, spec.cell.task.marks**4 * Random(spec.key).random()))  # type: ignore[union-attr]
    assert not search.dropped()


SPREADS: dict[str, Callable[[Random, int], float]] = {
    "all alike": lambda random, _: random.gammavariate(5, 60),
    "the best spreads most": lambda random, cell: (
        random.lognormvariate(5, 0.2 + 0.6 * (cell == 0)) * (0.8 if cell == 0 else 1)
    ),
    "the best fails at times": lambda random, cell: (
        2 * CAP if cell == 0 and random.random() < 0.1 else random.gammavariate(8, 25 if cell == 0 else 35)
    ),
    "all fail half the time": lambda random, _: 2 * CAP if random.random() < 0.5 else random.gammavariate(4, 50),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("objective", ["ert", "success"])
def test_the_best_is_dropped_no_more_often_than_allowed(spread: str, objective: Any) -> None:
    """Cell 0 is the best, or as good as any; of all races the allowed share may drop it, give or take chance."""
    error, races, wrong = 0.2, 30, 0
    for number in range(races):
        search = race(5, error=error, objective=objective)
        through(search, lambda spec: played(spec, SPREADS[spread](Random(f"{number} {spec.key}"), number_of(spec))), 16)  # noqa: B023
        wrong += "cell 0" in search.dropped()
    allowed = error * races
    assert wrong <= allowed + 2 * math.sqrt(allowed * (1 - error))


# What is searched for


def results(*times: float, capped: int = 0) -> tuple[list[float], list[float]]:
    return list(times), [float(CAP)] * capped


def test_failures_cost_their_cap() -> None:
    ert = objective_of(rows(1)[0], "ert", None)
    assert ert.loss(results(100, 200, capped=1)) == ((300 + CAP) / 2, -2 / 3)
    assert ert.loss(results(capped=3))[0] == math.inf
    assert ert.loss(results())[0] == math.inf
    assert ert.loss(results(400, 400)) < ert.loss(results(100, capped=1)) < ert.loss(results(capped=2))


def test_the_success_rate_comes_before_the_time() -> None:
    success = objective_of(rows(1)[0], "success", None)
    assert success.loss(results(900, 900)) < success.loss(results(1, capped=1))
    assert success.loss(results(1, 2)) < success.loss(results(1, 3))
    assert success.worse_p(results(capped=10), results(*[900.0] * 10), 1e-4) == pytest.approx(1 / math.comb(20, 10))
    assert success.worse_p(results(*[900.0] * 10), results(*[1.0] * 10), 1e-4) == 1


def test_the_distance_to_a_printed_row() -> None:
    row = replace(rows(1)[0], table="9", published="6a")
    near = objective_of(row, "published", None)
    assert near.loss(results(31_390.0, 31_390.0)) == (0,)
    assert near.loss(results(2 * 31_390.0)) == pytest.approx((math.log(2),))
    assert near.loss(results(31_390.0 / 2)) == pytest.approx((math.log(2),))
    assert (
        near.loss(
            (31_390.0,),
        )
        if False
        else near.loss(([31_390.0], [1.0])) == (0.5,)
    )
    assert near.loss(results(capped=5)) == (math.inf,)
    assert near.worse_p(([], [1e6] * 10), results(1.0), 1e-4) < 1e-6
    assert near.worse_p(([29_000.0, 30_000, 31_000, 33_000, 34_000, 32_000], []), results(1.0), 1e-4) > 0.3


@pytest.mark.parametrize(
    ("kind", "milestone", "says"),
    [("published", None, "nothing is printed"), ("ert", "st9", "no such milestone; valid: solved")],
)
def test_an_objective_that_no_trial_has_is_refused(kind: Any, milestone: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        objective_of(rows(1)[0], kind, milestone)


def trials(some: Sequence[Row], play: Play, count: int) -> dict[str, list[Trial]]:
    return {row.name: [Trial(spec, play(spec)) for spec in row.trials(SEED)[:count]] for row in some}


def test_the_best_are_confirmed_on_replicates_of_their_own() -> None:
    some = rows(5, table="9", published="6a", purpose="race")
    settings = SearchSettings("race", confirm=8, finalists=2, fresh_from=500)
    found = finalists(settings, some, trials(some, graded, 10), {"cell 0"})
    assert [row.name for row in found] == ["cell 1" + FRESH, "cell 2" + FRESH], "the dropped one comes last"
    assert [row.trials(SEED)[0].replicate for row in found] == [500, 500]
    assert [(len(row.trials(SEED)), row.purpose, row.published) for row in found] == [(8, "report", "6a")] * 2


def test_one_cell_alone_needs_no_confirmation() -> None:
    some = rows(1)
    assert finalists(SearchSettings(confirm=8), some, trials(some, graded, 5), frozenset()) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"blocks": ()}, r"search\.blocks=\[\]"),
        ({"blocks": (10, 5)}, "that rise"),
        ({"blocks": (1, 5)}, "from 2"),
        ({"error": 0}, r"search\.error=0"),
        ({"error": 0.9}, "up to 0.5"),
        ({"cells": 0}, r"search\.cells=0"),
        ({"confirm": -1}, r"search\.confirm=-1"),
        ({"finalists": 0}, r"search\.finalists=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SearchSettings("race", **settings)
