"""The candidates of a race that learn the same tasks: who gets the next trial, and who leaves."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

from lstm_search.search.objective import Objective, objective_of
from lstm_search.search.pool import Pool, RowTrials
from lstm_search.search.settings import SearchSettings
from lstm_search.spec import Candidate, Row, TrialSpec
from lstm_search.stats import Times

DOUBT = 0.05
"""A candidate that is worse than the leader at this level, but not at that of the race, stays; others go first."""

OPENING = 6
"""So many sets of a joint search get their first blocks before the leading one gets all its trials: every other set is
held against it, after each row."""


Urgency = tuple[float, tuple[float, ...], int]
"""The block of the next trial, the loss, and the number of a candidate: the smallest first."""


@dataclass(eq=False)
class Entrant:
    """A candidate in a bracket, the `number`-th of the race and the `place`-th of the bracket.

    `size`, `times` and `loss` are those of the largest block that has ended in all rows; `doubtful`: it is worse than
    the leader at the level DOUBT. `tested` and `held`: what it was last tested, or held, against.
    """

    candidate: Candidate
    number: int
    place: int
    rows: Sequence[RowTrials]
    blocks: Sequence[int]
    left: str = ""
    size: int = 0
    times: Sequence[Times] = ()
    loss: tuple[float, ...] = ()
    doubtful: bool = False
    tested: tuple[int, int, int] = (0, 0, 0)
    held: tuple[int, int] = (0, 0)
    _order: Iterator[tuple[int, RowTrials, int]] = field(init=False)
    _head: tuple[int, RowTrials, int] | None = None

    def __post_init__(self) -> None:
        self._order = self._trials()

    def _trials(self) -> Iterator[tuple[int, RowTrials, int]]:
        """Its trials as (block, row, replicate): block by block, in each the row that costs least first."""
        cheap = sorted(self.rows, key=lambda one: one.row.cap * one.row.cell.task.length)
        for block, (start, end) in enumerate(pairwise((0, *self.blocks))):
            for one in cheap:
                for number in range(one.row.first + start, one.row.first + end):
                    yield block, one, number

    def head(self) -> tuple[int, RowTrials, int] | None:
        """Its next trial that still waits, None where there is none or it has left."""
        while self._head is None or self._head[2] not in self._head[1].waiting:
            self._head = next(self._order, None)
            if self._head is None:
                return None
        return None if self.left else self._head

    @property
    def urgency(self) -> Urgency:
        """That of its next trial."""
        head = self.head()
        return (head[0] if head else math.inf), self.loss, self.number


class Bracket:
    """The candidates of a race that learn the same tasks.

    Trials are given in this order: the first block of every candidate; then all trials of the leader, because every
    candidate is tested against it; then block by block, the candidate with the smallest loss first. A candidate gets no
    further trials before its first block has ended, and a doubtful one none before the leader's last block has ended:
    the leader's further trials may be enough to drop it. A test is made, against the leader of then, when it would be a
    candidate's turn: so whoever leaves depends on what is recorded, and not on when it was told.
    """

    def __init__(self, settings: SearchSettings, pool: Pool, cells: int, rows: Sequence[Row]) -> None:
        self.objective: Objective = objective_of(rows, settings.objective, settings.milestone)
        self.blocks, self.joint = settings.blocks, len(rows) > 1
        self.level = settings.error / (max(cells - 1, 1) * len(self.blocks) ** 2)
        self.row_level = settings.error / (len(rows) * len(self.blocks))
        self.departed: dict[int, str] = {}
        self._pool = pool
        self._met = 0
        self._first: deque[Entrant] = deque()
        self._later: list[tuple[Urgency, int, Entrant]] = []
        self._best: list[tuple[tuple[float, ...], int, int, Entrant]] = []
        self._deferred: list[Entrant] = []
        self._ties = count()

    def meet(self, candidate: Candidate, number: int) -> Entrant:
        """Take a candidate in."""
        rows = [self._pool.join(row) for row in candidate.rows]
        entrant = Entrant(candidate, number, self._met, rows, self.blocks)
        self._met += 1
        if candidate.left:
            self._leave(entrant, candidate.left)
        else:
            self._first.append(entrant)
        return entrant

    def leader(self) -> Entrant | None:
        """The best of the candidates that have ended a block and have not left."""
        while self._best and (self._best[0][-1].left or self._best[0][-1].loss != self._best[0][0]):
            heapq.heappop(self._best)
        return self._best[0][-1] if self._best else None

    def next(self, *, more: bool) -> TrialSpec | None:
        """The most urgent trial; None where there is none, or where `more` candidates should be met first."""
        entrant = self._turn(more=more)
        head = entrant.head() if entrant else None
        return self._pool.take(head[1], head[2]) if head else None

    def _turn(self, *, more: bool) -> Entrant | None:
        """Whose turn it is."""
        leader, first = self.leader(), self._opening()
        if leader and not leader.head():
            leader = None
        opened = self._met >= OPENING if first is None else first.place >= OPENING
        if self.joint and leader and (opened or (first is None and not more)):
            return leader
        if first or more:
            return first
        return leader or self._further()

    def _opening(self) -> Entrant | None:
        """The first of those whose first block was not asked for as a whole."""
        leader = self.leader()
        while self._first:
            head = self._first[0].head()
            if head and head[0] == 0 and not (self.joint and leader and self._drop_beyond(self._first[0], leader)):
                return self._first[0]
            self._first.popleft()
        return None

    def _further(self) -> Entrant | None:
        """The most urgent of those that have ended a block and may still be the best."""
        leader = self.leader()
        while self._later:
            urgency, _, entrant = self._later[0]
            if leader and entrant is not leader and entrant.head():
                self._test(entrant, leader)
            if not entrant.head() or (waits := leader is not None and self._waits(entrant, leader)):
                heapq.heappop(self._later)
                if entrant.head() and waits:
                    self._deferred.append(entrant)
            elif urgency != entrant.urgency:
                heapq.heapreplace(self._later, self._entry(entrant))
            else:
                return entrant
        return None

    def _entry(self, entrant: Entrant) -> tuple[Urgency, int, Entrant]:
        return entrant.urgency, next(self._ties), entrant

    def _waits(self, entrant: Entrant, leader: Entrant) -> bool:
        return entrant.doubtful and leader is not entrant and leader.size < self.blocks[-1]

    def update(self, entrant: Entrant) -> bool:
        """Take note of results of an entrant's rows; whether its loss is known for the first time."""
        size = min(one.size(self.blocks) for one in entrant.rows)
        if size == entrant.size:
            return False
        before, known = self.leader(), entrant.size > 0
        entrant.size = size
        entrant.times = self._times(entrant, [size] * len(entrant.rows))
        entrant.loss = self.objective.loss(entrant.times)
        if not entrant.left:
            heapq.heappush(self._best, (entrant.loss, entrant.number, next(self._ties), entrant))
            heapq.heappush(self._later, self._entry(entrant))
            if self.leader() is entrant or self.leader() is not before:
                self._recall()
        return not known

    def _recall(self) -> None:
        """Those that waited for the leader may go on, or are tested against another one."""
        for entrant in self._deferred:
            heapq.heappush(self._later, self._entry(entrant))
        self._deferred.clear()

    def _times(self, entrant: Entrant, sizes: Sequence[int]) -> list[Times]:
        rows = zip(entrant.rows, sizes, strict=True)
        return [self.objective.times(place, one.row, one.results(size)) for place, (one, size) in enumerate(rows)]

    def _test(self, entrant: Entrant, leader: Entrant) -> None:
        """Drop the entrant where it is worse than the leader, or cannot reach it. Over several rows both are compared
        on the same replicates, so that all rows count alike."""
        state = entrant.size, leader.number, leader.size
        if entrant is leader or entrant.tested == state or self._drop_beyond(entrant, leader):
            return
        entrant.tested = state
        theirs = (
            self._times(leader, [min(leader.size, entrant.size)] * len(leader.rows)) if self.joint else leader.times
        )
        p = self.objective.worse_p(entrant.times, theirs, self.level)
        entrant.doubtful = p < DOUBT
        if p < self.level:
            self._leave(entrant, f"worse than {leader.candidate.name} (p = {p:.1g})")

    def _drop_beyond(self, entrant: Entrant, leader: Entrant) -> bool:
        """Drop the entrant where the best that it can still come to is worse than what the leader has; True if so."""
        ended = sum(len(one.ended) for one in entrant.rows)
        if entrant is leader or leader.size < self.blocks[-1] or entrant.held == (ended, leader.number):
            return False
        entrant.held = ended, leader.number
        tested = self._times(entrant, [one.size(self.blocks) for one in entrant.rows])
        known = self._times(entrant, [self.blocks[-1]] * len(entrant.rows))
        waiting = [self.blocks[-1] - len(one.ended) for one in entrant.rows]
        if self.objective.least(tested, known, waiting, self.row_level) <= leader.loss[0]:
            return False
        self._leave(entrant, f"out of reach of {leader.candidate.name}")
        return True

    def _leave(self, entrant: Entrant, why: str) -> None:
        entrant.left = self.departed[entrant.number] = why
        for one in entrant.rows:
            self._pool.leave(one)
