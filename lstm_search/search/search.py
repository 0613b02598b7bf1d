"""A search: a proposer that says which points of the space are met, and an allocator that says which of their trials
come next. What it knows is what is recorded: it is told candidates that were met and results, by whichever run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lstm_search.search.allocators import ALLOCATORS, Allocator
from lstm_search.search.objective import objective_of, problem_of
from lstm_search.search.proposers import PROPOSERS, Proposer
from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Base, Fixed, Space
from lstm_search.spec import BROKEN, FINALIST, Candidate, Row, Trial, TrialSpec

FRESH = ", fresh seeds"
"""The end of the name of a row of fresh replicates: nothing was chosen by the results of its trials."""


@dataclass
class _Group:
    """Bases that are searched together, and who proposes points for them."""

    bases: Sequence[Base]
    proposer: Proposer


class Search:
    """What the study's loop asks for trials and tells their results."""

    def __init__(self, space: Space, settings: SearchSettings, seed: int) -> None:
        """Raises ValueError for a space that the proposer cannot search."""
        make = PROPOSERS[settings.proposes]
        self._space, self._settings = space, settings
        self._groups = [_Group(bases, make(space.axes, settings, seed)) for bases in space.groups]
        self._turns = deque(self._groups)
        cells = settings.cells or space.size(contest=True) or 1
        blind = all(group.proposer.blind for group in self._groups)
        self._allocator: Allocator = ALLOCATORS[settings.allocates](settings, seed, cells, blind=blind)
        self._met: list[Candidate] = []
        self._group_of: dict[int, _Group] = {}
        self._recorded: dict[str, list[Trial]] = {}
        self._left: dict[int, str] = {}
        self._names: dict[str, str] = {}
        self._changed: dict[int, None] = {}

    @property
    def remaining(self) -> int:
        """How many trials it would still ask for, as far as it knows now."""
        return self._allocator.remaining + self.unmet

    @property
    def unmet(self) -> int:
        """How many of them are of candidates that were not met yet."""
        return sum(group.proposer.left * sum(base.replicates for base in group.bases) for group in self._groups)

    def resume(self, met: Iterable[Candidate], trials: Iterable[Trial]) -> None:
        """Go on from what is recorded: the candidates in the order in which they were met, and all trials."""
        for trial in trials:
            self._recorded.setdefault(trial.spec.cell.digest, []).append(trial)
        for candidate in met:
            group = next(group for group in self._groups if _are_of(candidate.rows, group.bases))
            group.proposer.meet(self._space.point(dict(candidate.point)))
            self._meet(candidate, group)
            self._left[len(self._met) - 1] = candidate.left
        self._changed.clear()

    def ask(self, count: int) -> list[TrialSpec]:
        """The next trials, `count` at most; none while it waits for those that run. No trial is asked for twice.

        Raises ValueError where a proposer finds no further cells, or proposes one that cannot be.
        """
        found: list[TrialSpec] = []
        while True:
            more = any(group.proposer.left for group in self._groups)
            found += self._allocator.ask(count - len(found), more=more)
            if len(found) == count or not more:
                return found
            self._propose()

    def _propose(self) -> None:
        """Meet one further candidate; the groups take turns."""
        self._turns.rotate(-1)
        group = next(group for group in self._turns if group.proposer.left)
        point = group.proposer.propose()
        if point is not None:
            keyed = self._space.keyed(point)
            rows = tuple(base.row(keyed) for base in group.bases)
            self._meet(Candidate(tuple(keyed.items()), rows, self._settings.proposes), group)

    def _meet(self, candidate: Candidate, group: _Group) -> None:
        self._group_of[len(self._met)] = group
        self._changed[len(self._met)] = None
        self._met.append(candidate)
        self._names |= {row.cell.digest: row.name for row in candidate.rows}
        self._allocator.meet(candidate)
        for row in candidate.rows:
            recorded = self._recorded.get(row.cell.digest, ())
            self.tell(row.counting(one for one in recorded if row.first <= one.spec.replicate < row.end))

    def tell(self, trials: Iterable[Trial]) -> None:
        """The results of trials, in any order and in any number at once."""
        for number, loss in self._allocator.tell(trials):
            point = self._space.point(dict(self._met[number].point))
            self._group_of[number].proposer.tell(point, loss)

    def names(self, trials: Iterable[TrialSpec]) -> dict[str, str]:
        """The rows to which trials belong that it asked for, by key."""
        return {spec.key: self._names[spec.cell.digest] for spec in trials}

    def candidates(self) -> list[Candidate]:
        """All that were met, in that order, with the reason for which some of them left."""
        self._part()
        return [self._now(number) for number in range(len(self._met))]

    def news(self) -> list[Candidate]:
        """The candidates that were met, or left, since this was last asked."""
        self._part()
        changed = sorted(self._changed)
        self._changed.clear()
        return [self._now(number) for number in changed]

    def _part(self) -> None:
        """Take note of those that left."""
        departed = self._allocator.departed()
        self._left |= departed
        self._changed |= dict.fromkeys(departed)

    def dropped(self) -> frozenset[str]:
        """The names of the rows for which no further trial is asked, because they were found worse than others."""
        self._part()
        open_rows = {row.name for number, one in enumerate(self._met) if not self._left.get(number) for row in one.rows}
        return frozenset(self._left_rows() - open_rows)

    def _left_rows(self) -> set[str]:
        return {
            row.name
            for number, why in self._left.items()
            if why not in ("", FINALIST)
            for row in self._met[number].rows
        }

    def _now(self, number: int) -> Candidate:
        return replace(self._met[number], left=self._left.get(number, ""))


def _are_of(rows: Sequence[Row], bases: Sequence[Base]) -> bool:
    return len(rows) == len(bases) and all(base.point(row) is not None for base, row in zip(bases, rows, strict=True))


def first_rows(space: Space, settings: SearchSettings, seed: int, most: int) -> list[Row]:
    """The rows of the first points that would be proposed, `most` points at most; of a proposer that learns, of points
    drawn. Raises ValueError for a space that cannot be searched, or a point that cannot be."""
    name = settings.proposes
    proposer = PROPOSERS["random" if name == "tpe" else name](space.axes, settings, seed)
    return list(space.rows(point for _ in range(min(most, proposer.left)) if (point := proposer.propose()) is not None))


def plain(rows: Iterable[Row], seed: int) -> Search:
    """The search of a study that chooses nothing: every trial of these rows."""
    return Search(Space(tuple(Fixed(row) for row in rows), {}), SearchSettings(), seed)


def finalists(
    settings: SearchSettings, candidates: Sequence[Candidate], trials: Mapping[str, Sequence[Trial]]
) -> list[Candidate]:
    """The best candidates of every contest that has more than one, the best first, said to be finalists.

    Those that left the race come after all others; broken trials are not counted.
    """
    contests = _ranked(settings, candidates, trials)
    best = (one for some in contests if len(some) > 1 for one in some[: settings.finalists])
    return [replace(one, left=FINALIST) for one in best]


def _ranked(
    settings: SearchSettings, candidates: Sequence[Candidate], trials: Mapping[str, Sequence[Trial]]
) -> list[list[Candidate]]:
    """The candidates contest by contest, the best first: those that left come last, and before them those that have
    rows without a trial."""
    contests: dict[object, list[tuple[bool, bool, tuple[float, ...], int]]] = {}
    for number, candidate in enumerate(candidates):
        begun = not all(trials[row.name] for row in candidate.rows)
        place = candidate.dropped, begun, loss_of(settings, candidate, trials), number
        contests.setdefault(problem_of(candidate.rows), []).append(place)
    return [[candidates[number] for *_, number in sorted(entries)] for entries in contests.values()]


def standings(
    settings: SearchSettings, candidates: Sequence[Candidate], trials: Mapping[str, Sequence[Trial]]
) -> list[tuple[Candidate, str]]:
    """The candidates contest by contest, in each the best first and those that left last, with how each stands: leader,
    finalist, or why it left."""
    found = []
    for some in _ranked(settings, candidates, trials):
        for rank, one in enumerate(some):
            leads = rank == 0 and one.left in ("", FINALIST)
            words = [*(["leader"] if leads else []), *([one.left] if one.left else [])]
            found.append((one, ", ".join(words) or "not dropped"))
    return found


def loss_of(settings: SearchSettings, candidate: Candidate, trials: Mapping[str, Sequence[Trial]]) -> tuple[float, ...]:
    """The loss of a candidate by all its trials that did not break."""
    objective = objective_of(candidate.rows, settings.objective, settings.milestone)
    valid = ([one for one in row.finished(trials[row.name]) if one.outcome not in BROKEN] for row in candidate.rows)
    return objective.loss(
        [objective.times(place, row, some) for place, (row, some) in enumerate(zip(candidate.rows, valid, strict=True))]
    )


def fresh(candidate: Candidate, settings: SearchSettings) -> list[Row]:
    """The candidate's rows with fresh replicates, of which no choice was made."""
    first, count = settings.fresh_from, settings.confirm
    return [
        replace(row, name=row.name + FRESH, first=first, replicates=count, purpose="report") for row in candidate.rows
    ]
