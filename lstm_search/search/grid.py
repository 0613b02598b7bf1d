"""Every combination of the axes' values, the last axis varying fastest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import ClassVar

from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Numbers, Point, Values


class Grid:
    """Proposes combination by combination; none is made before it is asked for, and none is kept."""

    blind: ClassVar[bool] = True

    def __init__(self, axes: Mapping[str, Values], settings: SearchSettings, _seed: int) -> None:
        values = []
        for key, some in axes.items():
            if isinstance(some, Numbers):
                raise ValueError(  # noqa: TRY004  (what is wrong is the value)
                    f"{key}=interval({some.interval.low:g},{some.interval.high:g}): search={settings.kind} needs a "
                    f"finite list of values, for example {key}=0.1,0.5; search=random and search=tpe draw from "
                    "intervals, and search=race does with search.cells=N"
                )
            values.append(some)
        self.left = math.prod(map(len, values))
        self._points = product(*values)
        self._met: set[Point] = set()

    def propose(self) -> Point | None:
        """The next combination that was not met; None after the last."""
        point = next((point for point in self._points if point not in self._met), None)
        self.left -= point is not None
        return point

    def meet(self, point: Point) -> None:
        """Take note of a point that an earlier run has met."""
        self._met.add(point)
        self.left -= 1

    def tell(self, point: Point, loss: tuple[float, ...]) -> None:
        """Results change nothing."""
