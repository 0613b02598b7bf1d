"""Who says which trial of the candidates comes next. An allocator is one file and one line of `ALLOCATORS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from lstm_search.search.full import Full
from lstm_search.search.race import Race
from lstm_search.spec import Candidate, Trial, TrialSpec


class Allocator(Protocol):
    """What a search sees of an allocator. Results may be told in any order."""

    @property
    def remaining(self) -> int:
        """How many trials of the candidates it may still ask for, as far as it knows now."""

    def meet(self, candidate: Candidate) -> None:
        """Take a candidate in; one that has left, as `Candidate.left` says, gets no trials."""

    def ask(self, count: int, *, more: bool) -> list[TrialSpec]:
        """The next trials, `count` at most; no trial is asked for twice. `more`: further candidates can be met. Then it
        may give fewer because it would rather have another one first."""

    def tell(self, trials: Iterable[Trial]) -> list[tuple[int, tuple[float, ...]]]:
        """Take note of results; the candidates whose loss is known for the first time: their number in the order in
        which they were met, and the loss."""

    def departed(self) -> Mapping[int, str]:
        """Which candidates have left since this was last asked, by number, and why."""


ALLOCATORS: Mapping[str, Callable[..., Allocator]] = {"full": Full, "race": Race}
"""By name; each is made from settings, the study's seed, how many candidates compete, and whether they may all be met
before there are results."""
