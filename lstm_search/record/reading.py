"""Trials from the rows of a record's tables, very many at a time."""

from __future__ import annotations

import gc
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lstm_search.spec import Cell, Curve, Reached, Trial, all_from_plain, trials_from_plain


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
def read_trials(cell: Cell, seed: int, found: Sequence[sqlite3.Row], milestones: Sequence[sqlite3.Row]) -> list[Trial]:
    """The trials of a cell that rows of `trials` hold, with what rows of `milestones` say that they reached. ValueError
    or TypeError where a value is of another kind than it should be."""
    reached: dict[str, list[Reached]] = defaultdict(list)
    if milestones:
        passed = _columns(milestones)
        for key, one in zip(passed["key"], all_from_plain(Reached, passed), strict=True):
            reached[key].append(one)
    if not found:
        return []
    values = _columns(found)
    values["milestones"] = [reached.get(key, ()) for key in values["key"]]
    if "curve" in values:
        values["curve"] = [Curve(packed) for packed in values["curve"]]
    return trials_from_plain(cell, seed, values)


def _columns(rows: Sequence[sqlite3.Row]) -> dict[str, Sequence[Any]]:
    """The values of some rows, at least one, by column."""
    return dict(zip(rows[0].keys(), zip(*rows, strict=True), strict=True))
