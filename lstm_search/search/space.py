"""What a search searches: rows of which some settings are open (bases), and the values that these may have (axes)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lstm_search.spec import Candidate, Purpose, Row

DIGITS = 4
"""Significant digits of a number drawn from an interval, so that the number shown is exactly the one used."""

Point = tuple[Any, ...]
"""One value for each axis, in the order of the axes."""


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
            raise ValueError(f"{text}: takes finite bounds, for example '{self.key}=interval(0.1,1)'")
        if self.low >= self.high:
            raise ValueError(f"{text}: is empty; the lower bound comes first, for example '{self.key}=interval(0.1,1)'")
        if self.log and self.low <= 0:
            raise ValueError(f"tag(log,{text.partition('=')[2]}) for {self.key}: takes a lower bound above 0")

    def at(self, share: float, *, whole: bool) -> float:
        """The number below which `share` of the interval lies."""
        low, high = (math.ceil(self.low), math.floor(self.high) + 1) if whole else (self.low, self.high)
        number = low * (high / low) ** share if self.log else low + share * (high - low)
        return min(math.floor(number), high - 1) if whole else self.shortened(number)

    def shortened(self, number: float) -> float:
        """`number` with `DIGITS` significant digits, within the bounds."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Numbers:
    """The values of one key as an interval; `whole`: whole numbers only."""

    interval: Span
    whole: bool

    def __contains__(self, value: Any) -> bool:
        return self.interval.low <= value <= self.interval.high and (not self.whole or value == int(value))


Values = Sequence[Any] | Numbers


class Base(Protocol):
    """A row of which some settings are open."""

    @property
    def name(self) -> str:
        """The row's name before its axes vary."""

    @property
    def keys(self) -> Sequence[str]:
        """The axes that the row has: those whose key its task and its network know."""

    @property
    def lacks(self) -> Sequence[str]:
        """Of the keys of a joint search those that it does not have, or whose values it all refuses but its own."""

    def row(self, point: Mapping[str, Any]) -> Row:
        """The row at a point, given by key; keys that it does not have are left out. Raises ValueError, which names the
        key, for a value that cannot be used."""

    @property
    def replicates(self) -> int:
        """How many trials a row of it has."""

    @property
    def purpose(self) -> Purpose:
        """What they are for."""

    def point(self, row: Row) -> Mapping[str, Any] | None:
        """At which point the row is this one, by key; None where it is none of it."""


@dataclass(frozen=True)
class Fixed:
    """A row of which nothing is open."""

    fixed: Row
    keys: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The row's name."""
        return self.fixed.name

    @property
    def replicates(self) -> int:
        """How many trials it has."""
        return self.fixed.replicates

    @property
    def purpose(self) -> Purpose:
        """What they are for."""
        return self.fixed.purpose

    def row(self, _point: Mapping[str, Any]) -> Row:
        """The row."""
        return self.fixed

    def point(self, row: Row) -> Mapping[str, Any] | None:
        """It has no axes."""
        return {} if row == self.fixed else None


@dataclass(frozen=True)
class Space:
    """Bases and axes. `joint`: a point is applied to all bases, which are judged together; else each base is searched
    by itself."""

    bases: tuple[Base, ...]
    axes: Mapping[str, Values]
    joint: bool = False

    @property
    def groups(self) -> list[tuple[Base, ...]]:
        """The bases that are searched together."""
        return [self.bases] if self.joint else [(base,) for base in self.bases]

    def size(self, *, contest: bool = False) -> int | None:
        """How many combinations the axes have, None where one is an interval; `contest`: how many of them compete, for
        cells of different tasks and criteria do not."""
        among = [values for key, values in self.axes.items() if not (contest and key.startswith(("task.", "stop.")))]
        if any(isinstance(values, Numbers) for values in among):
            return None
        return math.prod(len(values) for values in among if not isinstance(values, Numbers))

    def keyed(self, point: Point) -> dict[str, Any]:
        """A point by key."""
        return dict(zip(self.axes, point, strict=True))

    def point(self, keyed: Mapping[str, Any]) -> Point:
        """A point from its values by key."""
        return tuple(keyed[key] for key in self.axes)

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether a point, given by key, is one of the space."""
        return point.keys() == self.axes.keys() and all(value in self.axes[key] for key, value in point.items())

    def rows(self, points: Iterable[Point]) -> Iterator[Row]:
        """The rows of all bases at the points, base by base, each row once."""
        met = [self.keyed(point) for point in points]
        for base in self.bases:
            found = (base.row(point) for point in met)
            yield from {row.name: row for row in found}.values()

    def again(self, candidate: Candidate) -> Candidate | None:
        """A recorded candidate with the rows that the space gives it now; None where it is not of the space."""
        point = dict(candidate.point)
        if self.holds(point):
            for bases in self.groups:
                rows = tuple(base.row(point) for base in bases)
                if [row.name for row in rows] == [row.name for row in candidate.rows]:
                    return replace(candidate, rows=rows)
        return None

    def point_of(self, row: Row) -> Mapping[str, Any] | None:
        """At which point of the space a row is, by key; None where it is at none."""
        return next((point for base in self.bases if (point := base.point(row)) is not None), None)

    def owns(self, row: Row) -> bool:
        """Whether a recorded row is at a point of the space, by the axes that it has."""
        point = self.point_of(row)
        return point is not None and all(value in self.axes[key] for key, value in point.items())

    def row_of(self, row: Row) -> Row | None:
        """A recorded row as the space has it now; None where it is not of the space."""
        return next((base.row(point) for base in self.bases if (point := base.point(row)) is not None), None)
