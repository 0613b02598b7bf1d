"""Which trials come next. A searcher is asked for trials and told their results; each kind is one file. The cells
are points of a space, and an objective says which of them is the best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Protocol

from lstm_search.search.grid import Grid
from lstm_search.search.objective import objective_of, problem_of
from lstm_search.search.race import Race
from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Draw, Numbers, Span, Values, points
from lstm_search.spec import BROKEN, Row, Trial, TrialSpec

FRESH = ", fresh seeds"
"""The end of the name of a row of fresh replicates: nothing was chosen by the results of its trials."""


class Searcher(Protocol):
    """What the study's loop sees of a search."""

    @property
    def remaining(self) -> int:
        """How many trials it would still ask for, as far as it knows now."""

    def ask(self, count: int) -> list[TrialSpec]:
        """The next trials, `count` at most; none while it waits for those that run. No trial is asked for twice."""

    def tell(self, trials: Iterable[Trial]) -> None:
        """The results of trials, in any order."""

    def dropped(self) -> AbstractSet[str]:
        """The names of the rows for which no further trial is asked."""


def check(settings: SearchSettings, rows: Iterable[Row]) -> None:
    """Raises ValueError for an objective that trials of some row would not have."""
    for row in {problem_of(row): row for row in rows}.values():
        objective_of(row, settings.objective, settings.milestone)


def finalists(
    settings: SearchSettings, rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], dropped: AbstractSet[str]
) -> list[Row]:
    """The best cells of every task that has more than one, as rows of fresh replicates. Those that dropped out of a
    race come after all others; broken trials are not counted."""
    found: dict[object, list[tuple[bool, tuple[float, ...], int, Row]]] = {}
    for number, row in enumerate(rows):
        objective = objective_of(row, settings.objective, settings.milestone)
        results = [result for result in row.finished(trials[row.name]) if result.outcome not in BROKEN]
        loss = objective.loss(objective.times(row, results))
        found.setdefault(problem_of(row), []).append((row.name in dropped, loss, number, row))
    return [
        replace(row, name=row.name + FRESH, first=settings.fresh_from, replicates=settings.confirm, purpose="report")
        for entries in found.values()
        if len(entries) > 1
        for *_, row in sorted(entries)[: settings.finalists]
    ]
