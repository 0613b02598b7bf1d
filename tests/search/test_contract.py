"""What the study's loop counts on, for every proposer with every allocator."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

import pytest
from helpers.races import (
    SEED,
    Cells,
    Recorded,
    alike,
    graded,
    one_by_one,
    space,
    through,
)

from lstm_search.search import PROPOSERS, Search, SearchSettings, Space
from lstm_search.search.allocators import ALLOCATORS
from lstm_search.spec import Outcome, Trial, TrialResult, TrialSpec

COUNT = 6
BASES = (Cells(), Cells("slow", marks=3))
PAIRS = [(proposer, allocator) for proposer in PROPOSERS for allocator in ALLOCATORS]


def pair(proposer: str, allocator: str, *, joint: bool = False) -> Callable[[], Search]:
    cells = None if proposer == "grid" else COUNT
    settings = SearchSettings("random", proposer=proposer, allocator=allocator, cells=cells, joint=joint)  # type: ignore[arg-type]
    return lambda: Search(space(COUNT, *(BASES if joint else ()), joint=joint), settings, SEED)


MAKES = [pytest.param(pair(*names), id="-".join(names)) for names in PAIRS]
MAKES += [pytest.param(pair(*names, joint=True), id="-".join((*names, "joint"))) for names in PAIRS]
BLIND = [make for make in MAKES if "tpe" not in str(make.id)]


@pytest.mark.parametrize("make", MAKES)
class TestContract:
    def test_no_trial_is_asked_for_twice(self, make: Callable[[], Search]) -> None:
        asked = [spec.key for spec in through(make(), graded)]
        assert len(asked) == len(set(asked)) > COUNT

    def test_every_cell_is_met_once(self, make: Callable[[], Search]) -> None:
        search = make()
        through(search, graded)
        points = [candidate.point for candidate in search.candidates()]
        assert len(points) == len(set(points)) == COUNT

    @pytest.mark.parametrize("count", [0, 1, 7, 10_000])
    def test_never_more_than_there_is_room_for(self, make: Callable[[], Search], count: int) -> None:
        assert len(make().ask(count)) <= count

    def test_what_remains_falls_by_what_is_asked_for(self, make: Callable[[], Search]) -> None:
        search = make()
        before, new = search.remaining, search.ask(11)
        assert search.remaining == before - len(new) > 0

    def test_at_the_end_nothing_remains(self, make: Callable[[], Search]) -> None:
        search = make()
        through(search, alike)
        assert (search.remaining, search.ask(5)) == (0, [])

    @pytest.mark.parametrize("order", range(3))
    def test_any_order_and_batching_of_results_is_a_search(self, make: Callable[[], Search], order: int) -> None:
        """Results come late, in batches and mixed: no trial is lost or given to who has left."""
        search, random = make(), Random(order)
        running, waiting = list[TrialSpec](), list[Trial]()
        while search.remaining or running or waiting:
            gone = search.dropped()
            new = search.ask(random.randrange(9))
            assert not {search.names([spec])[spec.key] for spec in new} & gone
            running += new
            random.shuffle(running)
            cut = random.randrange(len(running) + 1)
            waiting += [Trial(spec, graded(spec)) for spec in running[:cut]]
            del running[:cut]
            if random.random() < 0.4 or not search.remaining:
                search.tell(waiting)
                waiting.clear()

    def test_broken_trials_end_like_others(self, make: Callable[[], Search]) -> None:
        search = make()
        through(search, lambda spec: TrialResult(spec.key, Outcome.LOST, 0, 0))
        assert (search.remaining, search.dropped()) == (0, frozenset())

    def test_two_searches_that_are_told_the_same_ask_for_the_same(self, make: Callable[[], Search]) -> None:
        assert [spec.key for spec in through(make(), graded)] == [spec.key for spec in through(make(), graded)]

    @pytest.mark.parametrize("after", [0, 1, 7, 33])
    def test_a_resumed_search_trains_nothing_again(self, make: Callable[[], Search], after: int) -> None:
        record = one_by_one(make(), graded, Recorded(), after)
        before = record.keys()
        rest = through(record.resume(make()), graded)
        assert not {spec.key for spec in rest} & before

    def test_another_process_killed_anywhere_meets_no_cell_twice(self, make: Callable[[], Search]) -> None:
        record = Recorded()
        while (search := record.resume(make())).remaining:
            one_by_one(search, graded, record, 13)
        assert len({point for point, _ in record.met}) == COUNT


@cache
def undisturbed(make: Callable[[], Search]) -> Recorded:
    """What is recorded of a search that nothing interrupts."""
    return one_by_one(make(), graded, Recorded())


@pytest.mark.parametrize("make", BLIND)
def test_killed_and_resumed_at_every_point_the_same_trials_are_recorded(make: Callable[[], Search]) -> None:
    whole = undisturbed(make)
    for after in range(0, len(whole.trials), len(whole.trials) // 6):
        record = one_by_one(make(), graded, Recorded(), after)
        again = one_by_one(record.resume(make()), graded, record)
        assert again.keys() == whole.keys(), f"killed after {after} trials"
        assert {name: one.left for (_, name), one in again.met.items()} == {
            name: one.left for (_, name), one in whole.met.items()
        }


@pytest.mark.parametrize("make", BLIND)
def test_killed_again_and_again_the_same_trials_are_recorded(make: Callable[[], Search]) -> None:
    record, whole = Recorded(), undisturbed(make)
    while (search := record.resume(make())).remaining:
        one_by_one(search, graded, record, 17)
    assert record.keys() == whole.keys()


def test_full_trains_every_replicate() -> None:
    asked = through(pair("grid", "full")(), graded)
    assert len(asked) == COUNT * 30


def test_a_larger_space_keeps_what_was_met() -> None:
    settings = SearchSettings("random", cells=4)
    small = Search(space(9), settings, SEED)
    through(small, graded)
    large = Search(space(9), SearchSettings("random", cells=7), SEED)
    through(large, graded)
    points = [[one.point for one in search.candidates()] for search in (small, large)]
    assert points[1][:4] == points[0]


def test_cells_are_met_as_they_are_needed() -> None:
    """A grid of a million cells is not expanded."""
    rates = [1e-6 * (number + 1) for number in range(1_000_000)]
    search = Search(Space((Cells(),), {"training.rate": rates}), SearchSettings(), SEED)
    assert len(search.ask(100)) == 100
    assert search.remaining == 30 * len(rates) - 100
    assert len(search.candidates()) < 1000
