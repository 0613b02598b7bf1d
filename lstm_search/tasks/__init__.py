"""The paper's tasks, one file each. A task lays the time steps of all lanes into blocks, ahead of the networks.

`TASKS` is the catalogue: the name written in a configuration, then its class. `Task` is what other rooms need of one.
"""

from typing import Any, ClassVar, Protocol

import numpy as np

from lstm_search.simd import Block, Layout, Stream
from lstm_search.tasks.adding import Adding
from lstm_search.tasks.embedded_reber import EmbeddedReber
from lstm_search.tasks.long_lag import LongLag
from lstm_search.tasks.multiplication import Multiplication
from lstm_search.tasks.temporal_order import TemporalOrder
from lstm_search.tasks.two_sequence import TwoSequence
from lstm_search.tasks.very_long_lag import VeryLongLag

TASKS = {
    "embedded_reber": EmbeddedReber,
    "long_lag": LongLag,
    "very_long_lag": VeryLongLag,
    "two_sequence": TwoSequence,
    "adding": Adding,
    "multiplication": Multiplication,
    "temporal_order": TemporalOrder,
}


class Task(Protocol):
    """A frozen dataclass: its fields are the settings, each with a default, checked in `__post_init__` (ValueError)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """As in `TASKS`."""

    @property
    def layout(self) -> Layout:
        """The shape of its data. Lanes of one pack have the same."""

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""

    def fill(self, block: Block, stream: Stream, /) -> None:
        """Lay the next steps of every lane into `block` and advance `stream`. A kernel that does not use `self`."""

    def keys(self, key: np.uint64, /) -> np.ndarray:
        """What all of a trial's sequences are made of, drawn from `key`: uint64 [layout.keys]; most need nothing."""
