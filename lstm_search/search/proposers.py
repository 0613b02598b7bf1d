"""Who says which point of the space is met next. A proposer is one file, one line of `PROPOSERS` and its name among the
values of `search.proposer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from lstm_search.search.grid import Grid
from lstm_search.search.random import independent
from lstm_search.search.settings import SearchSettings
from lstm_search.search.sobol import sobol
from lstm_search.search.space import Point, Values
from lstm_search.search.tpe import Tpe


class Proposer(Protocol):
    """What a search sees of a proposer. Whatever it is told may come in any order."""

    @property
    def blind(self) -> bool:
        """Whether what it proposes does not depend on results: then points may be met long before they are needed."""

    @property
    def left(self) -> int:
        """How many points it may still propose."""

    def propose(self) -> Point | None:
        """A point that was not met; None where there is no other."""

    def meet(self, point: Point) -> None:
        """Take note of a point that an earlier run of the study has met."""

    def tell(self, point: Point, loss: tuple[float, ...]) -> None:
        """What a point that was met came to: its loss, smallest for the best and compared from left to right."""


PROPOSERS: Mapping[str, Callable[[Mapping[str, Values], SearchSettings, int], Proposer]] = {
    "grid": Grid,
    "random": independent,
    "sobol": sobol,
    "tpe": Tpe,
}
"""By name; each is made from axes, settings and the study's seed. Raises ValueError for a space it cannot search."""
