"""Distributed hyperparameter search over many seeds, built on the 1997 paper "Long Short-Term Memory".

The command line is `lstm-search`; the same from Python, with the same words:

    import lstm_search
    study = lstm_search.run(task="adding", study="rates", **{"training.rate": [0.1, 0.5]})
    study.cells()                                        # frames of pandas; also .trials() and .curves()
    lstm_search.open_study("rates").figure()

Nothing is imported before it is used: see `api` for what there is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_search.api import Study as Study
    from lstm_search.api import check_task as check_task
    from lstm_search.api import open_study as open_study
    from lstm_search.api import register_task as register_task
    from lstm_search.api import run as run

__all__ = ["Study", "check_task", "open_study", "register_task", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return vars(importlib.import_module("lstm_search.api"))[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
