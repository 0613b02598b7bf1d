"""Adding problem: experiment 4 of Hochreiter & Schmidhuber (1997), section 5.4, table 7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from lstm_search.checks import settle
from lstm_search.simd import Layout
from lstm_search.tasks.marked_pairs import ADDED, fill, minimal_length


@dataclass(frozen=True)
class Adding:
    """Add the two marked values of a sequence of `T` to `T + T/10` pairs (value in [-1, 1], marker)."""

    T: int = minimal_length("adding problem")

    name: ClassVar[str] = "adding"
    layout: ClassVar[Layout] = Layout(inputs=2, outputs=1)
    fill: ClassVar[Callable[..., Any]] = staticmethod(fill)

    def __post_init__(self) -> None:
        settle(self, "task")

    @property
    def numbers(self) -> tuple[float, ...]:
        """The settings that `fill` reads from `Stream.numbers`."""
        return (float(self.T), ADDED)

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""
        return 1.05 * self.T
