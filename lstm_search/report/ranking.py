"""Which rows a figure shows: all of a few, of many the best."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from lstm_search import stats
from lstm_search.spec import Row, Trial

MOST = 12
"""Rows that a figure shows each by itself; more cannot be told apart."""


class Shown(NamedTuple):
    """The rows of a figure, those that it shows only as the `others`, and in words `which` they are."""

    rows: Sequence[Row]
    others: Sequence[Row]
    which: str


def shown_of(
    rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], dropped: Collection[str] = (), most: int = MOST
) -> Shown:
    """All rows where there are `most` at the most; else the best, which are those on fresh seeds, then those with the
    least expected running time, and last those that were dropped. Rows of different tasks have no order: of them the
    first ones."""
    if len(rows) <= most:
        return Shown(rows, (), "")
    alike = len({(row.cell.task, row.cell.stop) for row in rows}) == 1
    ordered = sorted(rows, key=lambda row: _place(row, trials, dropped)) if alike else rows
    which = f"the {'best' if alike else 'first'} {most} of {len(rows)} rows"
    return Shown(ordered[:most], ordered[most:], which)


def _place(row: Row, trials: Mapping[str, Sequence[Trial]], dropped: Collection[str]) -> tuple[bool, bool, float]:
    ert = stats.expected_running_time(*row.times(row.finished(trials.get(row.name, ())), row.cell.stop[-1].milestone))
    return row.name in dropped, row.purpose != "report", math.inf if ert is None else ert
