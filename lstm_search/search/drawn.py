"""Points drawn from a space by shares of its axes: numbers from 0 to 1, one an axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Numbers, Point, Values

_MOST_DRAWS = 1000
"""How many points are drawn for each that is asked for, before the space is taken to hold no other."""


class Drawn:
    """`search.cells` different points, in the order in which they are drawn; more cells begin with the same points.

    Raises ValueError where there is nothing to draw from, or no number of cells; `propose` does where the space holds
    fewer.
    """

    blind: ClassVar[bool] = True

    def __init__(self, axes: Mapping[str, Values], settings: SearchSettings, shares: Iterator[Sequence[float]]) -> None:
        self._values, self._cells, self._shares = list(axes.values()), cells_of(axes, settings), shares
        self._met: set[Point] = set()

    @property
    def left(self) -> int:
        """How many of the cells were not met yet."""
        return max(0, self._cells - len(self._met))

    def propose(self) -> Point | None:
        """The next point that was not met; None where all cells were. Raises ValueError where the space holds no
        other."""
        for _ in range(_MOST_DRAWS * self._cells if self.left else 0):
            share = next(self._shares, None)
            if share is None:
                break
            point = tuple(value_at(values, part) for values, part in zip(self._values, share, strict=True))
            if point not in self._met:
                self._met.add(point)
                return point
        if not self.left:
            return None
        raise ValueError(
            f"search.cells={self._cells}: the space has {len(self._met)} cells, or few more; take fewer, or "
            "search=grid for all"
        )

    def meet(self, point: Point) -> None:
        """Take note of a point that an earlier run has met."""
        self._met.add(point)

    def tell(self, point: Point, loss: tuple[float, ...]) -> None:
        """Results change nothing."""


def cells_of(axes: Mapping[str, Values], settings: SearchSettings) -> int:
    """How many cells are to be met. Raises ValueError where that is not said, or there are no axes."""
    if not axes:
        raise ValueError(
            "search.cells: nothing to draw from; give a key several values, for example training.rate=0.1,0.5"
        )
    if settings.cells is None:
        raise ValueError(
            f"search.cells=null: search.proposer={settings.proposes} takes the number of cells to be met, for example "
            "search.cells=40"
        )
    return settings.cells


def value_at(values: Values, share: float) -> Any:
    """The value of an axis below which `share` of it lies."""
    if isinstance(values, Numbers):
        return values.interval.at(share, whole=values.whole)
    return values[int(share * len(values))]
