"""Points of a space: every combination of its axes, or so many drawn from it, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

DIGITS = 4
"""Significant digits of a number drawn from an interval, so that the number shown is exactly the one used."""

_MOST_DRAWS = 1000
"""How many points are drawn for each that is asked for, before the space is taken to hold no other."""

Point = tuple[Any, ...]


@dataclass(frozen=True)
class Span:
    """The numbers of one key from `low` to `high`: uniformly distributed, or with `log` their logarithms are."""

    key: str
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        text = f"{self.key}=interval({self.low:g},{self.high:g})"
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"{text}: takes finite bounds, for example {self.key}=interval(0.1,1)")
        if self.low >= self.high:
            raise ValueError(f"{text}: is empty; the lower bound comes first, for example {self.key}=interval(0.1,1)")
        if self.log and self.low <= 0:
            raise ValueError(f"tag(log,{text.partition('=')[2]}) for {self.key}: takes a lower bound above 0")

    def at(self, share: float, *, whole: bool) -> float:
        """The number below which `share` of the interval lies."""
        low, high = (math.ceil(self.low), math.floor(self.high) + 1) if whole else (self.low, self.high)
        number = low * (high / low) ** share if self.log else low + share * (high - low)
        if whole:
            return min(math.floor(number), high - 1)
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Draw:
    """How many points are drawn (`random`: independently, `sobol`: a scrambled Sobol sequence). More points of the same
    seed begin with the same points."""

    count: int
    how: Literal["random", "sobol"]
    seed: int


@dataclass(frozen=True)
class Numbers:
    """The values of one key as an interval; `whole`: whole numbers only."""

    interval: Span
    whole: bool


Values = Sequence[Any] | Numbers


def points(space: Sequence[Values], draw: Draw | None) -> Iterator[Point]:
    """The points of the space, one value a key. Raises ValueError where the space holds fewer points than are drawn."""
    if draw is None:
        return product(*(values for values in space if not isinstance(values, Numbers)))
    return iter(_drawn(space, draw))


def _drawn(space: Sequence[Values], draw: Draw) -> list[Point]:
    """Different points, in the order in which they are drawn."""
    if not space:
        raise ValueError(
            "search.cells: nothing to draw from; give a key several values, for example training.rate=0.1,0.5"
        )
    found: dict[Point, None] = {}
    for share in _shares(len(space), draw):
        found.setdefault(tuple(_value(values, part) for values, part in zip(space, share, strict=True)))
        if len(found) == draw.count:
            return list(found)
    raise ValueError(
        f"search.cells={draw.count}: the space has {len(found)} cells, or few more; take fewer, or search=grid for all"
    )


def _value(values: Values, share: float) -> Any:
    if isinstance(values, Numbers):
        return values.interval.at(share, whole=values.whole)
    return values[int(share * len(values))]


def _shares(dimensions: int, draw: Draw) -> Iterator[NDArray[np.float64]]:
    """Points of the unit cube."""
    if draw.how == "random":
        rng = np.random.default_rng(draw.seed)
        return (rng.random(dimensions) for _ in range(_MOST_DRAWS * draw.count))
    from scipy.stats import qmc

    power = min(20, max(10, (4 * draw.count).bit_length()))
    return iter(qmc.Sobol(dimensions, rng=np.random.default_rng(draw.seed)).random_base2(power))
