"""Races: what they drop and how often that is the best; what is searched for; and which cells are confirmed."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from helpers.races import CAP, SEED, Cells, Play, alike, graded, number_of, played, rates, search, through
from helpers.records import ROW_6A, made_up
from helpers.synthetic import TEMPORAL

from lstm_search.search import FRESH, Search, SearchSettings, finalists, fresh, objective_of
from lstm_search.search.pool import Pool
from lstm_search.spec import Candidate, Row, Training, Trial, TrialSpec


def rows(count: int, replicates: int = 30, **more: Any) -> list[Row]:
    """Cells of one task that differ in their learning rate."""
    cells = [replace(TEMPORAL, training=Training(rate)) for rate in rates(count)]
    return [Row(f"cell {number}", cell, replicates, CAP, **more) for number, cell in enumerate(cells)]


def told(trials: Iterable[TrialSpec], play: Play, count: int = 6) -> Search:
    """A race that is told results of all its cells at once."""
    race = search(count)
    while (race.candidates() or [1]) and len(race.candidates()) < count:
        race.ask(1)
    race.tell(Trial(spec, play(spec)) for spec in trials)
    race.ask(10_000)
    return race


def test_the_order_of_results_does_not_matter() -> None:
    asked = [spec for row in rows(6) for spec in row.trials(SEED)[:10]]
    forward, backward = told(asked, graded), told(asked[::-1], graded)
    assert forward.dropped() == backward.dropped() >= {"cell 4", "cell 5"}


def test_a_search_does_not_hold_the_weights_and_curves_of_its_trials() -> None:
    """They are in the record; ten thousand trials made a driver a hundred MB larger."""
    pool = Pool(SEED)
    trials = pool.join(ROW_6A)
    told = [Trial(spec, made_up(spec, weights=bytes(10_000))) for spec in ROW_6A.trials(SEED)]
    for trial in told:
        pool.end(trial)
    assert len(pickle.dumps(trials.ended)) < 1_000 * len(told)
    assert ROW_6A.times(trials.results(20), "solved") == ROW_6A.times((one.result for one in told), "solved")


def test_no_lane_is_idle_while_a_trial_is_worth_it() -> None:
    """No block is waited for: while some trial of it still runs, those of other cells begin."""
    race, random = search(), Random(3)
    running: list[TrialSpec] = []
    while race.remaining:
        running += race.ask(8 - len(running))
        awaited = [spec for spec in running if spec.replicate < 5 or number_of(spec) == 0]
        assert len(running) == 8 or not race.remaining or awaited
        spec = running.pop(random.randrange(1, len(running)) if len(running) > 1 else 0)  # the first is the slowest
        race.tell([Trial(spec, graded(spec))])


def test_a_race_takes_far_fewer_trials_than_a_grid() -> None:
    assert len(through(search(12), graded, lanes=16)) < 12 * 30 / 2
    assert len(through(search(12, "grid"), graded, lanes=16)) == 12 * 30


def test_it_is_said_why_a_cell_left() -> None:
    race = search(6)
    through(race, graded)
    left = {one.name: one.left for one in race.candidates()}
    assert left["cell 0"] == ""
    assert left["cell 5"].startswith("worse than cell 0 (p = ")


def test_a_cell_that_cannot_reach_the_leader_leaves() -> None:
    """By arithmetic: the leader solved 30 of 30, and two failures are too many."""
    race = search(2, objective="success", error=1e-9)
    through(race, lambda spec: played(spec, 10 if number_of(spec) == 0 or spec.replicate > 1 else 2 * CAP), lanes=1)
    assert [one.left for one in race.candidates()] == ["", "out of reach of cell 0"]
    assert race.dropped() == {"cell 1"}


def test_cells_that_are_alike_stay_in_the_race() -> None:
    race = search()
    assert len(through(race, alike)) == 6 * 30
    assert not race.dropped()


def test_cells_of_another_task_are_no_rivals() -> None:
    race = search(3, "race", Cells(), Cells("slow", marks=3, table="9", published="6b"))
    through(race, lambda spec: played(spec, spec.cell.task.marks**4 * Random(spec.key).random()))  # type: ignore[union-attr]
    assert not race.dropped()


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
        race = search(5, error=error, objective=objective)
        through(race, lambda spec: played(spec, SPREADS[spread](Random(f"{number} {spec.key}"), number_of(spec))), 16)  # noqa: B023
        wrong += "cell 0" in race.dropped()
    allowed = error * races
    assert wrong <= allowed + 2 * math.sqrt(allowed * (1 - error))


# What is searched for


def results(*times: float, capped: int = 0) -> list[tuple[list[float], list[float]]]:
    return [(list(times), [float(CAP)] * capped)]


def test_failures_cost_their_cap() -> None:
    ert = objective_of(rows(1), "ert", None)
    assert ert.loss(results(100, 200, capped=1)) == ((300 + CAP) / 2, -2 / 3)
    assert ert.loss(results(capped=3)) == (math.inf, 3 * CAP), "without a success, what was spent"
    assert ert.loss(results()) == (math.inf, 0)
    assert ert.loss(results(400, 400)) < ert.loss(results(100, capped=1)) < ert.loss(results(capped=2))


def test_the_success_rate_comes_before_the_time() -> None:
    success = objective_of(rows(1), "success", None)
    assert success.loss(results(900, 900)) < success.loss(results(1, capped=1))
    assert success.loss(results(1, 2)) < success.loss(results(1, 3))
    assert success.worse_p(results(capped=10), results(*[900.0] * 10), 1e-4) == pytest.approx(1 / math.comb(20, 10))
    assert success.worse_p(results(*[900.0] * 10), results(*[1.0] * 10), 1e-4) == 1


def test_the_distance_to_a_printed_row() -> None:
    row = replace(rows(1)[0], table="9", published="6a")
    near = objective_of([row], "published", None)
    assert near.loss(results(31_390.0, 31_390.0)) == (0,)
    assert near.loss(results(2 * 31_390.0)) == pytest.approx((math.log(2),))
    assert near.loss(results(31_390.0 / 2)) == pytest.approx((math.log(2),))
    assert near.loss([([31_390.0], [1.0])]) == (0.5,)
    assert near.loss(results(capped=5)) == (math.inf,)
    assert near.worse_p([([], [1e6] * 10)], results(1.0), 1e-4) < 1e-6
    assert near.worse_p([([29_000.0, 30_000, 31_000, 33_000, 34_000, 32_000], [])], results(1.0), 1e-4) > 0.3


@pytest.mark.parametrize(
    ("kind", "milestone", "says"),
    [("published", None, "nothing is printed"), ("ert", "st9", "no such milestone; valid: solved")],
)
def test_an_objective_that_no_trial_has_is_refused(kind: Any, milestone: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        objective_of(rows(1), kind, milestone)


def trials(some: Sequence[Row], play: Play, count: int) -> dict[str, list[Trial]]:
    return {row.name: [Trial(spec, play(spec)) for spec in row.trials(SEED)[:count]] for row in some}


def candidates(some: Sequence[Row], left: Sequence[str] = ()) -> list[Candidate]:
    return [
        Candidate((("training.rate", row.cell.training.rate),), (row,), "grid", "worse" if row.name in left else "")
        for row in some
    ]


def test_the_best_are_confirmed_on_replicates_of_their_own() -> None:
    some = rows(5, table="9", published="6a", purpose="race")
    settings = SearchSettings("race", confirm=8, finalists=2, fresh_from=500)
    found = finalists(settings, candidates(some, ["cell 0"]), trials(some, graded, 10))
    assert [one.left for one in found] == ["finalist"] * 2
    again = [row for one in found for row in fresh(one, settings)]
    assert [row.name for row in again] == ["cell 1" + FRESH, "cell 2" + FRESH], "the dropped one comes last"
    assert [row.trials(SEED)[0].replicate for row in again] == [500, 500]
    assert [(len(row.trials(SEED)), row.purpose, row.published) for row in again] == [(8, "report", "6a")] * 2


def test_one_cell_alone_needs_no_confirmation() -> None:
    some = rows(1)
    assert finalists(SearchSettings(confirm=8), candidates(some), trials(some, graded, 5)) == []


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
        ({"proposer": "grid", "cells": 3}, r"search\.cells=3: search=race takes every combination"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SearchSettings("race", **settings)
