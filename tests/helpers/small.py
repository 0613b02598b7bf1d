"""A small study of two rows, which several files of tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from helpers.program import NAME, QUICK

from lstm_search.record import Record
from lstm_search.spec import Trial

GRID = f"{QUICK} study={NAME} training.rate=0.5,1 replicates=3"
ROWS = ["rate=0.5", "rate=1"]

Told = Callable[..., str]


def trials_of(home: Path) -> dict[str, list[Trial]]:
    with Record.read(home, NAME) as record:
        return record.trials()
