"""The study's loop: plan what is missing, train it, record it, tell the searcher and whoever watches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lstm_search.execute import ExecuteSettings, Executor, open_executor
from lstm_search.publish import view
from lstm_search.record import Record
from lstm_search.search import Grid, Race, Searcher, SearchSettings, finalists
from lstm_search.spec import BROKEN, Definition, Outcome, Row, Trial
from lstm_search.tracking import BackgroundTracker, Tracker
from lstm_search.worker import demand, warm

EVERYTHING = SearchSettings()
"""Every trial of every cell."""

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
    """How far a study is, by row: outcomes, and how far the running trials are (training sequences of each). `rows` are
    those of now: a search may add some, and expect fewer trials of others."""

    outcomes: Mapping[str, Counter[Outcome]]
    running: Mapping[str, Sequence[int]]
    rows: Sequence[Row] = ()


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
    search: SearchSettings = EVERYTHING,
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
        with _background(publishing, home, definition.name) as background:
            loop = _Loop(record, search, retry, watch, background.notify if background else lambda: None)
            left = loop.train(execute, hours)
            watch(replace(loop.moment({}), running={}))
            published = background.close(publishing.wait) if background and publishing else True
        return Ended(record.counts(), left, published, background.error if background and not published else "")


@dataclass
class _Loop:
    """One run of a study, from its first missing trial to its last."""

    record: Record
    settings: SearchSettings
    retry: Sequence[str]
    watch: Callable[[Moment], None]
    notify: Callable[[], None]
    search: Searcher = field(default_factory=lambda: Grid(()))
    dropped: AbstractSet[str] = frozenset()
    row_of: dict[str, str] = field(default_factory=dict)
    shown: float = 0.0

    def train(self, execute: ExecuteSettings, hours: float | None) -> int:
        """Train until nothing is missing or the budget is spent; how many trials are left."""
        deadline = time.monotonic() + 3600 * hours if hours else float("inf")
        demanded = demand(self.record.definition().rows) if execute.device == "cpu" else ()  # a GPU's worker compiles
        prepare = partial(warm, demanded, execute.width)
        with ExitStack() as stack:
            executor = None
            for rows, search in self._stages():
                self.search = search
                if self.search.remaining:
                    executor = executor or stack.enter_context(
                        open_executor(execute, self.record.attempts(), self.record.attempt, prepare=prepare)
                    )
                    self._train(rows, executor, deadline)
                    if left := self.search.remaining + executor.pending:
                        return left
        return 0

    def _stages(self) -> Iterator[tuple[Sequence[Row], Searcher]]:
        """First the search; then its best cells on fresh seeds, which join the study."""
        definition = self.record.definition()
        yield definition.rows, self._searcher(definition)
        if self.settings.confirm:
            self.dropped = self.search.dropped()
            best = finalists(self.settings, definition.rows, self.record.trials(curves=False), self.dropped)
            self.record.grow(replace(definition, rows=(*definition.rows, *best)))
            self.record.retry(self.retry, best)
            yield best, Grid(spec for row in best for spec in self.record.missing(row))

    def _searcher(self, definition: Definition) -> Searcher:
        """The searcher as it stands with all that is recorded."""
        if self.settings.kind != "race":
            return Grid(spec for row in definition.rows for spec in self.record.missing(row))
        race, recorded = Race(definition.rows, definition.seed, self.settings), self.record.trials(curves=False)
        race.tell(trial for row in definition.rows for trial in row.counting(recorded[row.name]))
        return race

    def _train(self, rows: Sequence[Row], executor: Executor, deadline: float) -> None:
        names = {row.cell.digest: row.name for row in rows}
        self._show({})
        while (self.search.remaining or executor.pending) and time.monotonic() < deadline:
            new = self.search.ask(executor.room)
            self.row_of |= {spec.key: names[spec.cell.digest] for spec in new}
            executor.submit(new)
            self._take(executor.gather(SLICE))
            self._show(executor.progress())

    def _take(self, finished: Sequence[Trial]) -> None:
        """Commit what finished; then, and only then, it counts."""
        if finished:
            self.record.add(finished)
            self.search.tell(finished)
            self.notify()

    def _show(self, progress: Mapping[str, int]) -> None:
        """Tell who watches, not more often than a person can read."""
        if time.monotonic() - self.shown >= SLICE:
            self.shown = time.monotonic()
            self.watch(self.moment(progress))

    def moment(self, progress: Mapping[str, int]) -> Moment:
        """How far the study is, with the running trials by key as far as they are."""
        counts, dropped = self.record.counts(), self.dropped | self.search.dropped()
        rows = [
            replace(row, replicates=max(counts[row.name].total(), 1)) if row.name in dropped else row
            for row in self.record.definition().rows
        ]
        running: dict[str, list[int]] = {row.name: [] for row in rows}
        for key, sequences in progress.items():
            running[self.row_of[key]].append(sequences)
        return Moment(counts, running, rows)


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
