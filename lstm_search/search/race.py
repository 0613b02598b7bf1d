"""Cells compete on the same replicates, block by block; those that an exact test finds worse than the leader drop out.

The best cell is dropped with a probability of `error` at most. It may be tested against each of the m - 1 other cells,
after each of its own L blocks and each of the other's, so every test has the level error / ((m - 1) L^2) (Bonferroni).
This bound holds however the tests depend on each other. Tests may therefore be made at any time and against whichever
cell leads, and a cell need not wait until the others have ended the same block.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter, itemgetter

from lstm_search.search.objective import Objective, objective_of, problem_of
from lstm_search.search.settings import SearchSettings
from lstm_search.spec import BROKEN, Row, Trial, TrialResult, TrialSpec
from lstm_search.stats import Times

DOUBT = 0.05
"""A cell that is worse than the leader at this level, but not at that of the race, stays; other cells go first."""


@dataclass
class _Candidate:
    """A cell in the race. `waiting`: the trials that it may still get, `ended`: the results, both by replicate. `size`,
    `times` and `loss` are those of the largest block that has ended; `doubtful`: it is worse than the leader at the
    level DOUBT."""

    row: Row
    waiting: dict[int, TrialSpec]
    ended: dict[int, TrialResult] = field(default_factory=dict)
    dropped: bool = False
    size: int = 0
    times: Times = ((), ())
    loss: tuple[float, ...] = ()
    doubtful: bool = False

    def take(self, trial: Trial, blocks: Sequence[int], objective: Objective) -> None:
        """Take note of a result. A broken trial counts towards the end of a block, but not towards the loss."""
        self.ended[trial.spec.replicate] = trial.result
        self.waiting.pop(trial.spec.replicate, None)  # by number: it may be recorded under another cap
        grown = [size for size in blocks if size > self.size and all(number in self.ended for number in range(size))]
        if grown:
            self.size = grown[-1]
            some = (result for number, result in self.ended.items() if number < self.size)
            self.times = objective.times(self.row, (result for result in some if result.outcome not in BROKEN))
            self.loss = objective.loss(self.times)


class _Bracket:
    """The cells that learn one task."""

    def __init__(self, rows: Sequence[Row], seed: int, settings: SearchSettings) -> None:
        self.candidates = {
            row.cell.digest: _Candidate(row, {trial.replicate: trial for trial in row.trials(seed)}) for row in rows
        }
        self.objective = objective_of(rows[0], settings.objective, settings.milestone)
        self.blocks = settings.blocks
        self.level = settings.error / (max(len(rows) - 1, 1) * len(settings.blocks) ** 2)
        self._tested: set[tuple[str, int, str, int]] = set()

    def drop_worse(self) -> None:
        """Drop every cell that is worse than the leader."""
        leader = self.leader()
        for candidate in self.candidates.values():
            if leader is None or candidate is leader or candidate.dropped or not candidate.size:
                continue
            test = (candidate.row.name, candidate.size, leader.row.name, leader.size)
            if test not in self._tested:
                self._tested.add(test)
                p = self.objective.worse_p(candidate.times, leader.times, self.level)
                candidate.dropped, candidate.doubtful = p < self.level, p < DOUBT

    def leader(self) -> _Candidate | None:
        """The best of the cells that have ended a block and are not dropped."""
        ended = [candidate for candidate in self.candidates.values() if candidate.size and not candidate.dropped]
        return min(ended, key=attrgetter("loss"), default=None)

    def wishes(self, most: int) -> list[tuple[tuple[int, ...], TrialSpec]]:
        """The next trials, `most` of a cell at most, each with its urgency (smallest first): the first block of every
        cell; then all trials of the leader, because every cell is tested against it; then block by block, the cell with
        the smallest loss first.

        A cell gets no further trials before its first block has ended, and a doubtful one none before the leader's last
        block has ended: the leader's further trials may be enough to drop it.
        """
        alive = [candidate for candidate in self.candidates.values() if candidate.waiting and not candidate.dropped]
        alive.sort(key=attrgetter("loss"))
        leader = self.leader()
        return [
            ((*self._urgency(trial.replicate, rank, leads=candidate is leader), number), trial)
            for rank, candidate in enumerate(alive)
            for number, trial in enumerate(islice(candidate.waiting.values(), most))
            if trial.replicate < self.blocks[0] or (candidate.size and not self._waits(candidate, leader))
        ]

    def _waits(self, candidate: _Candidate, leader: _Candidate | None) -> bool:
        return candidate.doubtful and leader is not None and leader is not candidate and leader.size < self.blocks[-1]

    def _urgency(self, replicate: int, rank: int, *, leads: bool) -> tuple[int, int]:
        block = sum(replicate >= size for size in self.blocks)
        if block == 0:
            return 0, replicate
        return (1, 0) if leads else (1 + block, rank)


class Race:
    """A search that gives further trials only to the cells that may still be the best of their task."""

    def __init__(self, rows: Sequence[Row], seed: int, settings: SearchSettings) -> None:
        brackets: dict[object, list[Row]] = {}
        for row in rows:
            brackets.setdefault(problem_of(row), []).append(row)
        self._brackets = [_Bracket(some, seed, settings) for some in brackets.values()]
        self._bracket_of = {digest: bracket for bracket in self._brackets for digest in bracket.candidates}

    @property
    def remaining(self) -> int:
        """How many trials the cells that are not dropped may still get."""
        return sum(len(candidate.waiting) for candidate in self._candidates() if not candidate.dropped)

    def ask(self, count: int) -> list[TrialSpec]:
        """The `count` most urgent trials of the cells in the race."""
        wishes = (wish for bracket in self._brackets for wish in bracket.wishes(count))
        chosen = [trial for _, trial in heapq.nsmallest(count, wishes, key=itemgetter(0))]
        for trial in chosen:
            del self._bracket_of[trial.cell.digest].candidates[trial.cell.digest].waiting[trial.replicate]
        return chosen

    def tell(self, trials: Iterable[Trial]) -> None:
        """Take note of results, and drop the cells that they show to be worse than the leader."""
        for trial in trials:
            bracket = self._bracket_of[trial.spec.cell.digest]
            bracket.candidates[trial.spec.cell.digest].take(trial, bracket.blocks, bracket.objective)
        for bracket in self._brackets:
            bracket.drop_worse()

    def dropped(self) -> frozenset[str]:
        """The names of the rows that were found worse."""
        return frozenset(candidate.row.name for candidate in self._candidates() if candidate.dropped)

    def _candidates(self) -> Iterator[_Candidate]:
        return (candidate for bracket in self._brackets for candidate in bracket.candidates.values())
