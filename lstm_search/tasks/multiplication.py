"""Multiplication problem: experiment 5 of Hochreiter & Schmidhuber (1997), section 5.5, table 8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from lstm_search.checks import settle
from lstm_search.simd import Layout
from lstm_search.tasks.marked_pairs import MULTIPLIED, fill, minimal_length


@dataclass(frozen=True)
class Multiplication:
    """Multiply the two marked values of a sequence of `T` to `T + T/10` pairs (value in [0, 1], marker)."""

    T: int = minimal_length("multiplication problem")

    name: ClassVar[str] = "multiplication"
    layout: ClassVar[Layout] = Layout(inputs=2, outputs=1)
    fill: ClassVar[Callable[..., Any]] = staticmethod(fill)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def numbers(self) -> tuple[float, ...]:
        """The settings that `fill` reads from `Stream.numbers`."""
        return (float(self.T), MULTIPLIED)

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return 1.05 * self.T
