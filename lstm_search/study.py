"""The study's loop: plan what is missing, train it, record it, tell the searcher and whoever watches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lstm_search.crew import Finished
from lstm_search.execute import ExecuteSettings, open_executor
from lstm_search.publish import view
from lstm_search.record import Record
from lstm_search.search import Grid
from lstm_search.spec import BROKEN, Definition, Outcome
from lstm_search.tracking import BackgroundTracker, Tracker
from lstm_search.trial import demand, warm

SLICE = 0.5
"""Seconds after which the loop looks around, whether or not a trial has finished."""


@dataclass(frozen=True)
class Publishing:
    """Where the study is shown, how long its end may wait for that (seconds), and who hears of trouble."""

    tracker: Tracker
    wait: float
    warn: Callable[[str], None]


@dataclass(frozen=True)
class Moment:
    """How far a study is, by row: outcomes, and how far the running trials are (training sequences of each)."""

    outcomes: Mapping[str, Counter[Outcome]]
    running: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Ended:
    """How a run of a study ended: its outcomes by row, trials that the budget left untrained, whether all is shown, and
    the trouble that kept it from being shown."""

    outcomes: Mapping[str, Counter[Outcome]]
    left: int
    published: bool
    trouble: str = ""

    @property
    def broken(self) -> float:
        """The share of recorded trials that failed, were lost, or ran out of memory or time."""
        counts = sum(self.outcomes.values(), Counter[Outcome]())
        return sum(counts[outcome] for outcome in BROKEN) / max(counts.total(), 1)


def run(
    definition: Definition,
    home: Path,
    execute: ExecuteSettings,
    *,
    publishing: Publishing | None = None,
    hours: float | None = None,
    retry: Sequence[str] = (),
    watch: Callable[[Moment], None] = lambda _: None,
) -> Ended:
    """Train what is missing of a study; the same call goes on where the last one ended.

    Raises what `Record.open` and `open_executor` raise, before any trial starts.
    """
    with Record.open(home, definition) as record:
        record.retry(retry)
        search = Grid(spec for row in definition.rows for spec in record.missing(row))
        with _background(publishing, home, definition.name) as background:
            loop = _Loop(record, search, watch, background.notify if background else lambda: None)
            left = loop.train(execute, hours) if search.remaining else 0
            watch(Moment(record.counts(), {}))
            published = background.close(publishing.wait) if background and publishing else True
        return Ended(record.counts(), left, published, background.error if background and not published else "")


@dataclass
class _Loop:
    """One run of a study, from its first missing trial to its last."""

    record: Record
    search: Grid
    watch: Callable[[Moment], None]
    notify: Callable[[], None]
    row_of: dict[str, str] = field(default_factory=dict)
    shown: float = 0.0

    def train(self, execute: ExecuteSettings, hours: float | None) -> int:
        """Train until nothing is missing or the budget is spent; how many trials are left."""
        deadline = time.monotonic() + 3600 * hours if hours else float("inf")
        rows = self.record.definition().rows
        names = {row.cell.digest: row.name for row in rows}
        prepare = partial(warm, demand(rows), execute.width)
        self._show({})
        with open_executor(execute, self.record.attempts(), self.record.attempt, prepare=prepare) as executor:
            while (self.search.remaining or executor.pending) and time.monotonic() < deadline:
                new = self.search.ask(executor.room)
                self.row_of |= {spec.key: names[spec.cell.digest] for spec in new}
                executor.submit(new)
                self._take(executor.gather(SLICE))
                self._show(executor.progress())
            return self.search.remaining + executor.pending

    def _take(self, finished: Sequence[Finished]) -> None:
        """Commit what finished; then, and only then, it counts."""
        if finished:
            self.record.add((trial.spec, trial.result, trial.attempts) for trial in finished)
            self.notify()

    def _show(self, progress: Mapping[str, int]) -> None:
        """Tell who watches, not more often than a person can read."""
        if time.monotonic() - self.shown < SLICE:
            return
        self.shown = time.monotonic()
        running: dict[str, list[int]] = {row.name: [] for row in self.record.definition().rows}
        for key, sequences in progress.items():
            running[self.row_of[key]].append(sequences)
        self.watch(Moment(self.record.counts(), running))


@contextmanager
def _background(publishing: Publishing | None, home: Path, name: str) -> Iterator[BackgroundTracker | None]:
    """A thread that shows the study as it grows. However the study ends, no run is left open."""
    if publishing is None:
        yield None
        return
    background = BackgroundTracker(publishing.tracker, partial(view, home, name), publishing.warn)
    background.notify()
    try:
        yield background
    except BaseException:
        background.close(wait=3)
        raise
