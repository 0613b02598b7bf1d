"""The paper's tasks, one file each. `TASKS` is the catalogue: the name written in a configuration, then its class."""

from lstm_search.tasks.adding import Adding
from lstm_search.tasks.temporal_order import TemporalOrder

TASKS = {"adding": Adding, "temporal_order": TemporalOrder}

__all__ = ["TASKS", "Adding", "TemporalOrder"]
