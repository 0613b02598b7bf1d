"""The paper's tasks, one file each. A task lays the time steps of all lanes into blocks, ahead of the networks.

`TASKS` is the catalogue: the name written in a configuration, then its class. Tasks from outside of this package stand
beside it (`registered`), and are written with the same pieces (`skeleton`). `Task` is what other rooms need of one.
"""

from lstm_search.tasks.adding import Adding
from lstm_search.tasks.contract import BrokenTask, Task, check_task
from lstm_search.tasks.embedded_reber import EmbeddedReber
from lstm_search.tasks.long_lag import LongLag
from lstm_search.tasks.multiplication import Multiplication
from lstm_search.tasks.registered import GROUP as TASK_ENTRY_POINTS
from lstm_search.tasks.registered import UnknownTask, brought_by, find, register
from lstm_search.tasks.registered import names as names_from_outside
from lstm_search.tasks.registered import origin as task_origin
from lstm_search.tasks.skeleton import (
    Sequence,
    drawn_length,
    fill,
    filled_by,
    mean_length,
    put_class,
    put_input,
    put_symbol,
    put_target,
)
from lstm_search.tasks.temporal_order import TemporalOrder
from lstm_search.tasks.two_sequence import TwoSequence
from lstm_search.tasks.very_long_lag import VeryLongLag

TASKS: dict[str, type[Task]] = {
    "embedded_reber": EmbeddedReber,
    "long_lag": LongLag,
    "very_long_lag": VeryLongLag,
    "two_sequence": TwoSequence,
    "adding": Adding,
    "multiplication": Multiplication,
    "temporal_order": TemporalOrder,
}


def task_class(name: str) -> type[Task]:
    """The task of that name, of this package or from outside. Raises UnknownTask, BrokenTask."""
    return TASKS[name] if name in TASKS else find(name)


def register_task(kind: type[Task]) -> None:
    """Make a task from outside known by its name, in this process. Workers import its class, so its own module is not
    the place to call this. Raises BrokenTask where it does not keep to the contract, or has the name of a task of this
    package."""
    check_task(kind)
    if str(kind.name) in TASKS:
        raise BrokenTask(f"task {kind.name}: this package has a task of that name; give it another")
    register(kind)
