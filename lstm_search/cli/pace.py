"""How fast a study is trained, and how long the rest of it may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lstm_search.spec import Row
from lstm_search.stats import Load, seconds_left
from lstm_search.study import Moment

APART = 2.0
"""Seconds between two estimates."""

MOST_KINDS = 100
"""The trials of more rows than this are taken for alike."""


class Pace:
    """Estimates the time that is left from moments of a study, as the trials that ended and the speed tell it.

    The speed is that of the whole run: over the last minute it tells more of what else the machine does than of the
    study. Where other work takes the cores, the estimate is as rough as that speed is: beside thirty other processes it
    was right within a factor of two in 92 % of the second half of table 9 in one run, and in 41 % in another.
    """

    def __init__(self) -> None:
        self._began: float | None = None  # time steps that were trained before
        self._run = 0.0  # seconds that trials have run, added up
        self._seen = 0.0
        self._left: float | None = None
        self._told = -APART

    def __call__(self, moment: Moment, rows: Sequence[Row], now: float) -> float | None:
        """Seconds from `now`; None while too little is known."""
        steps = sum(row.cell.task.length * _sequences(row, moment) for row in rows)
        if self._began is None:
            self._began, self._seen = steps, now
        self._run += sum(map(len, moment.running.values())) * (now - self._seen)
        self._seen = now
        if now - self._told >= APART:
            self._told, self._left = now, self._estimate(moment, rows, steps - self._began)
        return None if self._left is None else max(self._left - (now - self._told), 0.0)

    def _estimate(self, moment: Moment, rows: Sequence[Row], steps: float) -> float | None:
        if self._run == 0 or steps <= 0:
            return None
        speed = steps / self._run  # time steps a second, of one trial
        loads = [_load(row, moment, speed) for row in rows]
        if moment.unmet:
            loads.append(Load((), (), moment.unmet, sum(load.seconds for load in loads) / len(loads)))
        return seconds_left(loads if len(loads) <= MOST_KINDS else [_together(loads)])


def _sequences(row: Row, moment: Moment) -> int:
    """All that the row's trials have been trained with."""
    return sum(moment.ended.get(row.name, ())) + sum(moment.running.get(row.name, ()))


def _load(row: Row, moment: Moment, speed: float) -> Load:
    running, ended = moment.running.get(row.name, ()), moment.ended.get(row.name, ())
    return Load(
        _shares(ended, row.cap),
        _shares(running, row.cap),
        max(row.replicates - moment.outcomes[row.name].total() - len(running), 0),
        row.cap * row.cell.task.length / speed,
    )


def _shares(sequences: Iterable[int], cap: int) -> list[float]:
    return [min(number / cap, 1.0) for number in sequences]


def _together(loads: Sequence[Load]) -> Load:
    """All trials as if they were of one row."""
    return Load(
        [share for load in loads for share in load.ended],
        [age for load in loads for age in load.ages],
        sum(load.waiting for load in loads),
        sum(load.seconds for load in loads) / len(loads),
    )
