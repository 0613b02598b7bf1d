"""Every replicate of every candidate."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import count as numbers

from lstm_search.search.objective import objective_of
from lstm_search.search.pool import Pool, RowTrials
from lstm_search.search.settings import SearchSettings
from lstm_search.spec import Candidate, Trial, TrialSpec

AHEAD = 10_000
"""How many waiting trials there are before the longest begins, where candidates may be met long before they are needed.
A study of fewer trials is trained from the longest to the shortest; of a larger one so many are in memory."""


class Full:
    """Trains every trial, the longest first, so that no worker is left with a long one at the end."""

    def __init__(self, settings: SearchSettings, seed: int, _cells: int, *, blind: bool) -> None:
        self._settings, self._pool, self._ahead = settings, Pool(seed), AHEAD if blind else 0
        self._longest: list[tuple[float, int, RowTrials, int]] = []
        self._ties = numbers()
        self._open: dict[int, tuple[Candidate, list[RowTrials]]] = {}
        self._users: dict[str, list[int]] = {}
        self._met = 0

    @property
    def remaining(self) -> int:
        """How many trials of the candidates were not asked for yet."""
        return self._pool.remaining

    def meet(self, candidate: Candidate) -> None:
        """Take a candidate in."""
        rows = [self._pool.join(row) for row in candidate.rows]
        self._open[self._met] = candidate, rows
        for row in candidate.rows:
            self._users.setdefault(row.cell.digest, []).append(self._met)
        self._met += 1
        for trials in rows:
            for replicate, spec in trials.waiting.items() if trials.users == 1 else ():
                heapq.heappush(self._longest, (-spec.cap * spec.cell.task.length, next(self._ties), trials, replicate))

    def ask(self, count: int, *, more: bool) -> list[TrialSpec]:
        """The longest trials; none where further candidates should be met first."""
        found: list[TrialSpec] = []
        while len(found) < count and self._longest and not (more and self.remaining <= self._ahead):
            *_, trials, replicate = heapq.heappop(self._longest)
            if replicate in trials.waiting:
                found.append(self._pool.take(trials, replicate))
        return found

    def tell(self, trials: Iterable[Trial]) -> list[tuple[int, tuple[float, ...]]]:
        """Take note of results."""
        digests = [trial.spec.cell.digest for trial in trials if self._pool.end(trial)]
        numbers = dict.fromkeys(number for digest in digests for number in self._users[digest] if number in self._open)
        return [(number, self._loss(*self._open.pop(number))) for number in numbers if self._ended(number)]

    def _ended(self, number: int) -> bool:
        return all(len(one.ended) >= one.row.replicates for one in self._open[number][1])

    def _loss(self, candidate: Candidate, rows: Iterable[RowTrials]) -> tuple[float, ...]:
        objective = objective_of(candidate.rows, self._settings.objective, self._settings.milestone)
        results = enumerate((one.row, one.results(one.row.replicates)) for one in rows)
        return objective.loss([objective.times(place, *of) for place, of in results])

    def departed(self) -> Mapping[int, str]:
        """No candidate ever leaves."""
        return {}
