"""How fast a study is trained, and how long the rest of it may take."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lstm_search.spec import Row
from lstm_search.stats import Load, seconds_left
from lstm_search.study import Moment

WINDOW = 20.0
"""Seconds over which the speed is measured: it changes when trials of other rows end, and with what else runs here."""

APART = 2.0
"""Seconds between two estimates."""

MOST_KINDS = 100
"""The trials of more rows than this are taken for alike."""


class _Point(NamedTuple):
    """What was trained until a time: time steps, and how many seconds the running trials have run, added up."""

    time: float
    steps: float
    run: float


class Pace:
    """Estimates the time that is left from moments of a study, as the trials that ended and the speed tell it."""

    def __init__(self) -> None:
        self._points: deque[_Point] = deque()
        self._left: float | None = None
        self._told = -APART

    def __call__(self, moment: Moment, rows: Sequence[Row], now: float) -> float | None:
        """Seconds from `now`; None while too little is known."""
        steps = sum(row.cell.task.length * _sequences(row, moment) for row in rows)
        running = sum(map(len, moment.running.values()))
        before = self._points[-1] if self._points else _Point(now, steps, 0.0)
        self._points.append(_Point(now, steps, before.run + running * (now - before.time)))
        while self._points[0].time < now - WINDOW:
            self._points.popleft()
        if now - self._told >= APART:
            self._told, self._left = now, self._estimate(moment, rows)
        return None if self._left is None else max(self._left - (now - self._told), 0.0)

    def _estimate(self, moment: Moment, rows: Sequence[Row]) -> float | None:
        first, last = self._points[0], self._points[-1]
        if last.run == first.run or last.steps <= first.steps:
            return None
        speed = (last.steps - first.steps) / (last.run - first.run)  # time steps a second, of one trial
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
