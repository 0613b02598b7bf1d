"""Grid search: every cell with every replicate."""

from __future__ import annotations

from collections.abc import Iterable

from lstm_search.spec import Trial, TrialSpec


def _work(spec: TrialSpec) -> float:
    """Time steps that the trial may take, roughly."""
    return spec.cap * spec.cell.task.length


class Grid:
    """A search that trains every trial, the longest first, so that no worker is left with a long one at the end."""

    def __init__(self, trials: Iterable[TrialSpec]) -> None:
        self._waiting = sorted(trials, key=_work)

    @property
    def remaining(self) -> int:
        """How many trials were not asked for yet."""
        return len(self._waiting)

    def ask(self, count: int) -> list[TrialSpec]:
        """The next `count` trials, fewer where no more are left."""
        return [self._waiting.pop() for _ in range(min(count, len(self._waiting)))]

    def tell(self, trials: Iterable[Trial]) -> None:
        """Results change nothing: every trial is trained."""

    def dropped(self) -> frozenset[str]:
        """No row is ever dropped."""
        return frozenset()
