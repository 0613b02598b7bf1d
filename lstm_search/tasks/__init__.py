"""The paper's tasks, one file each. `TASKS` is the catalogue: the name written in a configuration, then its class."""

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

__all__ = [
    "TASKS",
    "Adding",
    "EmbeddedReber",
    "LongLag",
    "Multiplication",
    "TemporalOrder",
    "TwoSequence",
    "VeryLongLag",
]
