"""Trials from the rows of a record's tables, very many at a time."""

from __future__ import annotations

import gc
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lstm_search.record import sql
from lstm_search.spec import Cell, Curve, Reached, Trial, trial_from_plain


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the collector of cycles, which would look through very many trials again and again, a quarter of the time
    that it takes to make them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_no_collector()
def read_trials(cell: Cell, seed: int, found: Iterable[sqlite3.Row], milestones: Iterable[sqlite3.Row]) -> list[Trial]:
    """The trials of a cell that rows of `trials` hold, with what rows of `milestones` say that they reached. ValueError
    or TypeError where a value is of another kind than it should be."""
    reached: dict[str, list[Reached]] = defaultdict(list)
    for entry in milestones:
        reached[entry["key"]].append(sql.reached(entry))
    return [_trial(cell, seed, entry, reached.get(entry["key"], [])) for entry in found]


def _trial(cell: Cell, seed: int, entry: sqlite3.Row, milestones: list[Reached]) -> Trial:
    values = dict(entry)
    values["milestones"] = milestones
    if "curve" in values:
        values["curve"] = Curve(values["curve"])
    return trial_from_plain(cell, seed, values)
