"""Progress on stderr: one bar for each row on a terminal, elsewhere plain lines every ten seconds."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lstm_search.cli.pace import Pace
from lstm_search.simd import CACHE_DIR
from lstm_search.spec import BROKEN, SEQUENCES, Outcome, Row
from lstm_search.stats import success_interval
from lstm_search.study import Moment

LINES_APART = 10.0
"""Seconds between two reports where there is no terminal."""

MOST_LINES = 20
"""With more rows than this, such a report is one line for all of them."""

MOST_BARS = 10
"""With more rows than this, a terminal shows only those that are being trained."""

WIDEST = 79
"""Columns of a terminal that are used at most. Part of a line that a narrow window wraps would stay on the screen."""

_STATE = len("19/20 solved, 3 running, 46k seq.")
_BARS = range(8, 41)  # columns of a bar; one that would be shorter is left out


class Display:
    """Shows the moments of a study: how many trials are solved, what is running, and how long the rest may take."""

    def __init__(self, rows: Sequence[Row], console: Console, workers: int | None) -> None:
        """`workers`: how many this process starts; None where a cluster has them."""
        self._rows: Sequence[Row] = rows
        self._console, self._workers = console, workers
        self._planned = sum(row.replicates for row in rows)
        self._began, self._last_line = time.monotonic(), 0.0
        self._first: Moment | None = None
        self._moment: Moment | None = None
        self._started = False
        self._pace = Pace()
        self._left: float | None = None

    def __call__(self, moment: Moment) -> None:
        """Show how far the study is."""
        self._rows = moment.rows or self._rows
        self._planned = moment.unmet + sum(row.replicates for row in self._rows)
        if self._first is None:
            self._first = moment
            if _finished(moment) < self._planned:
                print(starting(self._workers), file=sys.stderr)
        self._started |= any(moment.running.values()) or moment.outcomes != self._first.outcomes
        self._moment = moment
        self._left = self._pace(moment, self._rows, time.monotonic())
        if not self._console.is_terminal and time.monotonic() - self._last_line >= LINES_APART:
            self._last_line = time.monotonic()
            for line in _lines(self._rows, moment, self._idle):
                print(line, file=sys.stderr)

    @property
    def _idle(self) -> str:
        """What is said of a row of which no trial is running."""
        return "queued" if self._started else "starting"

    def __rich__(self) -> Group:
        """The bars as they are now, and a line for all."""
        if self._moment is None:
            return Group()
        return Group(self._bars(self._moment), Text(self._total(self._moment), no_wrap=True, overflow="ellipsis"))

    def _bars(self, moment: Moment) -> Table:
        most = min(MOST_BARS, self._console.height - 2)
        rows = self._rows if len(self._rows) <= most else [row for row in self._rows if moment.running.get(row.name)]
        rows = rows[: max(most, 0)]
        columns = min(self._console.width - 1, WIDEST)
        room = columns - len(" 100% ")
        states, bar = self._fitting(rows, moment, room)
        grid = Table.grid(padding=(0, 1))
        grid.width = columns
        for widest in (max(room - max(map(cell_len, states), default=0), room // 3), *([bar] if bar else []), 4, None):
            grid.add_column(max_width=widest, no_wrap=True, overflow="ellipsis")
        for row, state in zip(rows, states, strict=True):
            share = _done(row, moment) / row.replicates
            bars = [ProgressBar(total=1, completed=share, width=bar)] if bar else []
            grid.add_row(Text(row.name), *bars, Text(f"{int(100 * share):3d}%"), Text(state))
        return grid

    def _fitting(self, rows: Sequence[Row], moment: Moment, room: int) -> tuple[list[str], int]:
        """What is said of each row, and the width of its bar. Without enough room the interval is left out first, then
        the bar (width 0)."""
        name = max((cell_len(row.name) for row in rows), default=0)
        for interval in (True, False):
            states = [_state(row, moment, self._idle, interval=interval) for row in rows]
            bar = room - 1 - name - max([_STATE, *map(cell_len, states)])
            if bar >= _BARS[0]:
                return states, min(bar, _BARS[-1])
        return states, 0

    def _total(self, moment: Moment) -> str:
        """Such as `12 rows: 37 of 120 trials finished; 1:05 gone, about 0:40 left`."""
        rows = f"{len(self._rows):,} rows: " if len(self._rows) > 1 else ""
        gone = time.monotonic() - self._began
        text = f"{rows}{_finished(moment):,} of {self._planned:,} trials finished; {_clock(gone)} gone"
        return text if self._left is None else f"{text}, about {_clock(self._left)} left"


def _finished(moment: Moment) -> int:
    return sum(counts.total() for counts in moment.outcomes.values())


def _done(row: Row, moment: Moment) -> float:
    """Trials of the row that are done; a running one counts by its share of the cap."""
    part = sum(min(n / row.cap, 1.0) for n in moment.running.get(row.name, ()))
    return min(moment.outcomes[row.name].total() + part, row.replicates)


def starting(workers: int | None) -> str:
    """The line printed before the first trial, which may take a while to begin."""
    number = "" if workers is None else f"{workers:,} "
    text = f"starting {number}worker{'' if workers == 1 else 's'}"
    if workers is None or next(CACHE_DIR.rglob("*.nbc"), None):
        return text
    return f"{text}; kernels are compiled the first time (about 30 s)"


def short(number: int) -> str:
    """A count in four characters or so: 950, 46k, 1.2M."""
    if number < 1000:
        return str(number)
    if number < 999_500:
        return f"{number / 1e3:.0f}k"
    return f"{number / 1e6:,.1f}M" if number < 99_950_000 else f"{number / 1e6:,.0f}M"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _lines(rows: Sequence[Row], moment: Moment, idle: str) -> list[str]:
    """A line for each row that is not finished; with more than MOST_LINES rows one line for all."""
    if len(rows) > MOST_LINES:
        planned = sum(row.replicates for row in rows)
        counts = sum((moment.outcomes[row.name] for row in rows), Counter[Outcome]())
        running = [n for row in moment.running.values() for n in row]
        told = _told(counts, running, planned, idle, rows[0].unit)
        return [f"{len(rows):,} rows: {counts.total():,} of {planned:,} finished, {told}"]
    return [
        f"{row.name}: {moment.outcomes[row.name].total():,} of {row.replicates:,} finished, "
        + _state(row, moment, idle, interval=True)
        for row in rows
        if moment.outcomes[row.name].total() < row.replicates
    ]


def _state(row: Row, moment: Moment, idle: str, *, interval: bool = False) -> str:
    running = moment.running.get(row.name, ())
    return _told(moment.outcomes[row.name], running, row.replicates, idle, row.unit, interval=interval)


def _told(
    counts: Counter[Outcome], running: Sequence[int], planned: int, idle: str, unit: str, *, interval: bool = True
) -> str:
    """Such as `19/20 solved [75 to 100 %], 3 running, 46k seq.`: the most sequences that a running trial has seen.
    `idle` is said where no trial runs; `unit` is what trials count."""
    broken = sum(counts[outcome] for outcome in BROKEN)
    solved, n = counts[Outcome.SOLVED], counts.total() - broken
    low, high = success_interval(solved, n)
    parts = [f"{solved}/{n} solved" + (f" [{100 * low:.0f} to {100 * high:.0f} %]" if n and interval else "")]
    if broken:
        parts.append(f"{broken} broken")
    if running:
        parts.append(f"{len(running)} running, {short(max(running))} {'seq.' if unit == SEQUENCES else unit}")
    elif counts.total() < planned:
        parts.append(idle)
    return ", ".join(parts)


@contextmanager
def display(rows: Sequence[Row], workers: int | None) -> Iterator[Display]:
    """A display on stderr for the time of a `with` block."""
    console = Console(stderr=True)
    live = Display(rows, console, workers)
    if not console.is_terminal:
        yield live
        return
    with Live(live, console=console, redirect_stdout=False, refresh_per_second=2):
        yield live
