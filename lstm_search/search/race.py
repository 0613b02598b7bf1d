"""Cells compete on the same replicates, block by block; those that an exact test finds worse than the leader drop out.

The best cell is dropped with a probability of `error` at most. It could be found worse than any of its m - 1 rivals,
after any of its L blocks and any of the rival's, so every test is made at the level error / ((m - 1) L^2) (Bonferroni).
The levels add up whatever the results have to do with each other, so it does not matter when tests are made or which
cell leads, and no block of all cells has to end before the next one begins.
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
"""A cell found worse than the leader at this level is not dropped for it, but others go first."""


@dataclass
class _Racer:
    """A cell in the race: the trials it may still get and those that ended, both by replicate. `size`, `times`, `loss`
    are of the largest block of replicates that has ended; `doubtful`: it looks worse than the leader."""

    row: Row
    waiting: dict[int, TrialSpec]
    ended: dict[int, TrialResult] = field(default_factory=dict)
    dropped: bool = False
    size: int = 0
    times: Times = ((), ())
    loss: tuple[float, ...] = ()
    doubtful: bool = False

    def take(self, trial: Trial, blocks: Sequence[int], objective: Objective) -> None:
        """Take note of a result; trials that broke end a block like others, but say nothing about the cell."""
        self.ended[trial.spec.replicate] = trial.result
        self.waiting.pop(trial.spec.replicate, None)  # by number: it may be recorded under another cap
        grown = [size for size in blocks if size > self.size and all(number in self.ended for number in range(size))]
        if grown:
            self.size = grown[-1]
            some = (result for number, result in self.ended.items() if number < self.size)
            self.times = objective.times(self.row, (result for result in some if result.outcome not in BROKEN))
            self.loss = objective.loss(self.times)


class _Heat:
    """The cells that learn one task."""

    def __init__(self, rows: Sequence[Row], seed: int, settings: SearchSettings) -> None:
        self.racers = {
            row.cell.digest: _Racer(row, {trial.replicate: trial for trial in row.trials(seed)}) for row in rows
        }
        self.objective = objective_of(rows[0], settings.objective, settings.milestone)
        self.blocks = settings.blocks
        self.level = settings.error / (max(len(rows) - 1, 1) * len(settings.blocks) ** 2)
        self._tested: set[tuple[str, int, str, int]] = set()

    def judge(self) -> None:
        """Drop every cell that is worse than the leader."""
        leader = self.leader()
        for racer in self.racers.values():
            if leader is None or racer is leader or racer.dropped or not racer.size:
                continue
            test = (racer.row.name, racer.size, leader.row.name, leader.size)
            if test not in self._tested:
                self._tested.add(test)
                p = self.objective.worse_p(racer.times, leader.times, self.level)
                racer.dropped, racer.doubtful = p < self.level, p < DOUBT

    def leader(self) -> _Racer | None:
        """The best of the cells that have ended a block and are not dropped."""
        ended = [racer for racer in self.racers.values() if racer.size and not racer.dropped]
        return min(ended, key=attrgetter("loss"), default=None)

    def wishes(self, most: int) -> list[tuple[tuple[int, ...], TrialSpec]]:
        """The next trials, `most` of a cell, each with how urgent it is: everybody's first block; then the leader to
        its end, whom all are measured against; then block by block, the best cells first.

        A cell gets no further trials before its first block has ended, nor, where it is doubtful, before the leader's
        last has: more of the leader may drop it, and a lane that is left out makes the others faster.
        """
        alive = [racer for racer in self.racers.values() if racer.waiting and not racer.dropped]
        alive.sort(key=attrgetter("loss"))
        leader = self.leader()
        return [
            ((*self._urgency(trial.replicate, rank, leads=racer is leader), number), trial)
            for rank, racer in enumerate(alive)
            for number, trial in enumerate(islice(racer.waiting.values(), most))
            if trial.replicate < self.blocks[0] or (racer.size and not self._waits(racer, leader))
        ]

    def _waits(self, racer: _Racer, leader: _Racer | None) -> bool:
        return racer.doubtful and leader is not None and leader is not racer and leader.size < self.blocks[-1]

    def _urgency(self, replicate: int, rank: int, *, leads: bool) -> tuple[int, int]:
        block = sum(replicate >= size for size in self.blocks)
        if block == 0:
            return 0, replicate
        return (1, 0) if leads else (1 + block, rank)


class Race:
    """Trials for the cells that may still be the best of their task."""

    def __init__(self, rows: Sequence[Row], seed: int, settings: SearchSettings) -> None:
        heats: dict[object, list[Row]] = {}
        for row in rows:
            heats.setdefault(problem_of(row), []).append(row)
        self._heats = [_Heat(some, seed, settings) for some in heats.values()]
        self._heat_of = {digest: heat for heat in self._heats for digest in heat.racers}

    @property
    def remaining(self) -> int:
        """How many trials the cells that are not dropped may still get."""
        return sum(len(racer.waiting) for racer in self._racers() if not racer.dropped)

    def ask(self, count: int) -> list[TrialSpec]:
        """The `count` most urgent trials of the cells in the race."""
        wishes = (wish for heat in self._heats for wish in heat.wishes(count))
        chosen = [trial for _, trial in heapq.nsmallest(count, wishes, key=itemgetter(0))]
        for trial in chosen:
            del self._heat_of[trial.cell.digest].racers[trial.cell.digest].waiting[trial.replicate]
        return chosen

    def tell(self, trials: Iterable[Trial]) -> None:
        """Take note of results, and drop the cells that they show to be worse than the leader."""
        for trial in trials:
            heat = self._heat_of[trial.spec.cell.digest]
            heat.racers[trial.spec.cell.digest].take(trial, heat.blocks, heat.objective)
        for heat in self._heats:
            heat.judge()

    def dropped(self) -> frozenset[str]:
        """The names of the rows that were found worse."""
        return frozenset(racer.row.name for racer in self._racers() if racer.dropped)

    def _racers(self) -> Iterator[_Racer]:
        return (racer for heat in self._heats for racer in heat.racers.values())
