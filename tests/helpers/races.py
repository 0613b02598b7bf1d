"""Made-up cells and trials for searches: rows that differ in their learning rate, and how fast each learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from helpers.synthetic import TEMPORAL, ended, solved

from lstm_search.search import Search, SearchSettings, Space
from lstm_search.spec import Candidate, Outcome, Purpose, Row, Training, Trial, TrialResult, TrialSpec

CAP = 1000
SEED = 3
Play = Callable[[TrialSpec], TrialResult]


@dataclass(frozen=True)
class Cells:
    """Rows of one task that differ in their learning rate: cell 0 has 0.1, cell 1 has 0.2, ..."""

    name: str = "cell"
    replicates: int = 30
    purpose: Purpose = "race"
    keys: tuple[str, ...] = ("training.rate",)
    lacks: tuple[str, ...] = ()
    table: str = ""
    published: str = ""
    marks: int = 2
    cap: int = CAP
    number: int = 0

    def row(self, point: Mapping[str, Any]) -> Row:
        return _row(self, point["training.rate"] if "training.rate" in self.keys else 0.1)

    def point(self, row: Row) -> Mapping[str, Any] | None:
        point = {"training.rate": row.cell.training.rate} if self.keys else {}
        return point if self.row(point).name == row.name else None


@cache
def _row(of: Cells, rate: float) -> Row:
    task = replace(TEMPORAL.task, marks=of.marks)  # type: ignore[call-arg]  # the temporal order task has them
    stop = replace(TEMPORAL.stop[0], tolerance=0.3 + 0.01 * of.number)  # so that rows are different cells
    cell = replace(TEMPORAL, training=Training(rate), task=task, stop=(stop,))
    name = f"{of.name} {number_at(rate)}" if of.keys else of.name
    return Row(name, cell, of.replicates, of.cap, purpose=of.purpose, table=of.table, published=of.published)


def rates(count: int) -> list[float]:
    return [0.1 * (number + 1) for number in range(count)]


def space(count: int = 6, *bases: Cells, joint: bool = False, **more: Any) -> Space:
    return Space(bases or (Cells(**more),), {"training.rate": rates(count)}, joint=joint)


def number_at(rate: float) -> int:
    return round(rate / 0.1) - 1


def number_of(spec: TrialSpec) -> int:
    return number_at(spec.cell.training.rate)


def played(spec: TrialSpec, sequences: float) -> TrialResult:
    """A trial that learns after so many sequences, or is censored at the cap."""
    return _played(spec.key, spec.cap, max(1, round(sequences)))


@cache
def _played(key: str, cap: int, sequences: int) -> TrialResult:
    result = solved(sequences) if sequences <= cap else ended(Outcome.CAPPED, cap)
    return replace(result, key=key)


def alike(spec: TrialSpec) -> TrialResult:
    """All cells learn equally fast."""
    return played(spec, Random(f"{spec.key}").gammavariate(5, 100))


def graded(spec: TrialSpec) -> TrialResult:
    """Cell 0 is the fastest, every further one takes half as long again."""
    return played(spec, Random(spec.key).gammavariate(10, 10 * 1.5 ** number_of(spec)))


def through(search: Search, play: Play, lanes: int = 8, order: int = 0) -> list[TrialSpec]:
    """All trials of a search with so many lanes, in which trials end in a random order; those asked for."""
    random, running, asked = Random(order), [], []
    while search.remaining or running:
        new = search.ask(lanes - len(running))
        asked += new
        running += new
        if not running:
            assert not search.remaining, "it asks for nothing, although nothing runs"
            break
        spec = running.pop(random.randrange(len(running)))
        search.tell([Trial(spec, play(spec))])
    return asked


def search(count: int = 6, kind: str = "race", *bases: Cells, joint: bool = False, **settings: Any) -> Search:
    """A search over `count` cells of each base."""
    return Search(space(count, *bases, joint=joint), SearchSettings(kind, **settings), SEED)  # type: ignore[arg-type]


class Recorded:
    """What the record of a study would hold: candidates in the order in which they were met, and trials."""

    def __init__(self) -> None:
        self.met: dict[tuple[tuple[tuple[str, Any], ...], str], Candidate] = {}
        self.trials: list[Trial] = []

    def note(self, news: Iterable[Candidate]) -> None:
        for one in news:
            self.met[one.point, one.name] = one

    def resume(self, search: Search) -> Search:
        search.resume(list(self.met.values()), list(self.trials))
        return search

    def keys(self) -> set[str]:
        return {trial.spec.key for trial in self.trials}


def one_by_one(search: Search, play: Play, record: Recorded, most: int = 10**6) -> Recorded:
    """The study's loop with one lane, recorded; it is killed after `most` further trials."""
    while search.remaining and most:
        new = search.ask(1)
        record.note(search.news())
        for spec in new:
            record.trials.append(Trial(spec, play(spec)))
            search.tell(record.trials[-1:])
            most -= 1
    return record
