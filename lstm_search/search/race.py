"""Candidates compete on the same replicates, block by block. Those leave that an exact test finds worse than the
leader, and those that could not reach it even if all their waiting trials succeeded.

The best candidate is dropped with a probability of `error` at most. It may be tested against each of the m - 1 others,
after each of its own L blocks and each of the other's, so every such test has the level error / ((m - 1) L^2)
(Bonferroni). This bound holds however the tests depend on each other. Tests may therefore be made at any time and
against whichever candidate leads, and none need wait until the others have ended the same block. Where printed rows are
to be served, each of the R rows of the best set is tested by itself after each block, at the level error / (R L); that
a set whose rows are lost cannot reach the leader is arithmetic, and costs no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lstm_search.search.bracket import Bracket, Entrant
from lstm_search.search.objective import problem_of
from lstm_search.search.pool import Pool
from lstm_search.search.settings import SearchSettings
from lstm_search.spec import Candidate, Trial, TrialSpec


class Race:
    """An allocator that gives further trials only to the candidates that may still be the best of their task."""

    def __init__(self, settings: SearchSettings, seed: int, cells: int, *, blind: bool) -> None:
        del blind  # a candidate is met when its first block may begin
        self._settings, self._pool, self._cells = settings, Pool(seed), cells
        self._brackets: dict[object, Bracket] = {}
        self._met = 0
        self._users: dict[str, list[tuple[Bracket, Entrant]]] = {}

    @property
    def remaining(self) -> int:
        """How many trials the candidates that have not left may still get."""
        return self._pool.remaining

    def meet(self, candidate: Candidate) -> None:
        """Take a candidate in, in the bracket of those that learn the same tasks."""
        problem = problem_of(candidate.rows)
        if problem not in self._brackets:
            self._brackets[problem] = Bracket(self._settings, self._pool, self._cells, candidate.rows)
        entrant = self._brackets[problem].meet(candidate, self._met)
        self._met += 1
        for row in candidate.rows:
            self._users.setdefault(row.cell.digest, []).append((self._brackets[problem], entrant))

    def ask(self, count: int, *, more: bool) -> list[TrialSpec]:
        """The most urgent trials, bracket by bracket."""
        return list(self._next(count, more=more))

    def _next(self, count: int, *, more: bool) -> Iterator[TrialSpec]:
        for bracket in self._brackets.values():
            while count and (spec := bracket.next(more=more)):
                count -= 1
                yield spec

    def tell(self, trials: Iterable[Trial]) -> list[tuple[int, tuple[float, ...]]]:
        """Take note of results in any order; tests are made when a candidate would get further trials."""
        seen = []
        for trial in trials:
            self._pool.end(trial)
            for bracket, entrant in self._users.get(trial.spec.cell.digest, ()):
                if bracket.update(entrant):
                    seen.append((entrant.number, entrant.loss))
        return seen

    def departed(self) -> Mapping[int, str]:
        """Which candidates have left since this was last asked, and why."""
        found: dict[int, str] = {}
        for bracket in self._brackets.values():
            found |= bracket.departed
            bracket.departed = {}
        return found
