"""The study's loop: plan what is missing, train it, record it, tell the searcher and whoever watches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lstm_search.execute import ExecuteSettings, Executor, open_executor
from lstm_search.publish import About, Activity, view
from lstm_search.record import Record
from lstm_search.resume import met_again
from lstm_search.search import Search, SearchSettings, Space, finalists, first_rows, fresh, plain
from lstm_search.spec import BROKEN, Candidate, Definition, Outcome, Row, Trial, TrialSpec
from lstm_search.tracking import BackgroundTracker, Tracker
from lstm_search.worker import demand, warm

WARMED = 256
"""Of so many cells of a space the kernels are compiled before the workers start."""

SLICE = 0.5
"""Seconds after which the loop looks around, whether or not a trial has finished."""


@dataclass(frozen=True)
class Publishing:
    """Where the study is shown, how long its end waits for a further trial to be taken (seconds), who hears of
    trouble, and what is shown that the record does not say."""

    tracker: Tracker
    wait: float
    warn: Callable[[str], None]
    about: About = field(default_factory=About)


@dataclass(frozen=True)
class Moment:
    """How far a study is, by row: outcomes, and how far the running trials are (training sequences of each). `rows` are
    those of now: a search may add some, and expect fewer trials of others. `unmet`: trials of rows that are to come.
    `ended`: after how many sequences the trials ended, those that broke left out."""

    outcomes: Mapping[str, Counter[Outcome]]
    running: Mapping[str, Sequence[int]]
    rows: Sequence[Row] = ()
    unmet: int = 0
    ended: Mapping[str, Sequence[int]] = field(default_factory=dict)


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
    space: Space | None = None,
    search: SearchSettings = SearchSettings(),  # noqa: B008  (frozen)
    publishing: Publishing | None = None,
    hours: float | None = None,
    retry: Sequence[str] = (),
    watch: Callable[[Moment], None] = lambda _: None,
) -> Ended:
    """Train what is missing of a study; the same call goes on where the last one ended. The rows are those of the
    definition, or those that a search meets in the `space`, where it has axes.

    Raises what `ExecuteSettings.recorded_as`, `Record.open` and `open_executor` raise, before any trial starts;
    DefinitionChanged where the space lacks what the study has met; and what `Search` raises.
    """
    definition = execute.recorded_as(definition)  # a simulated trial has the key of a real one
    with Record.open(home, definition) as record:
        activity = Activity()
        with _background(publishing, home, definition.name, activity) as background:
            notify = background.notify if background else lambda: None
            loop = _Loop(record, space, search, retry, watch, notify, activity)
            left = loop.train(execute, hours)
            watch(replace(loop.moment({}), running={}))
            activity.status, activity.running = "KILLED" if left else "FINISHED", {}
            published = (
                background.close(publishing.wait, activity.status, publishing.warn)
                if background and publishing
                else True
            )
        return Ended(record.counts(), left, published, background.error if background and not published else "")


@dataclass
class _Loop:
    """One run of a study, from its first missing trial to its last."""

    record: Record
    space: Space | None
    settings: SearchSettings
    retry: Sequence[str]
    watch: Callable[[Moment], None]
    notify: Callable[[], None]
    activity: Activity
    search: Search = field(default_factory=lambda: plain((), 0))
    dropped: AbstractSet[str] = frozenset()
    row_of: dict[str, str] = field(default_factory=dict)
    counts: dict[str, Counter[Outcome]] = field(default_factory=dict)
    ended: dict[str, list[int]] = field(default_factory=dict)
    asked: dict[str, TrialSpec] = field(default_factory=dict)
    shown: float = 0.0

    def train(self, execute: ExecuteSettings, hours: float | None) -> int:
        """Train until nothing is missing or the budget is spent; how many trials are left."""
        deadline = time.monotonic() + 3600 * hours if hours else float("inf")
        with ExitStack() as stack:
            executor = None
            for search in self._stages():
                self.search = search
                if self.search.remaining:
                    executor = executor or stack.enter_context(self._executor(execute))
                    self._train(executor, deadline)
                    if left := self.search.remaining + executor.pending:
                        return left
        return 0

    def _executor(self, execute: ExecuteSettings) -> AbstractContextManager[Executor]:
        definition = self.record.definition()
        rows = definition.rows
        if self.space and self.space.axes:
            rows = (*rows, *first_rows(self.space, self.settings, definition.seed, WARMED))
        demanded = demand(rows) if execute.device == "cpu" else ()  # a GPU's worker compiles
        prepare = partial(warm, demanded, execute.width)
        return open_executor(execute, self.record.attempts(), self.record.attempt, prepare=prepare)

    def _stages(self) -> Iterator[Search]:
        """First the search; then its best cells on fresh seeds, which join the study."""
        seed = self.record.definition().seed
        if self.space is None or not self.space.axes:
            yield self._plain(self.record.definition().rows, seed)
            return
        candidates = met_again(self.record, self.space)
        self._count(candidates)
        search = Search(self.space, self.settings, seed)
        search.resume(candidates, self.record.known(self.record.rows()))
        yield search
        if self.settings.confirm:
            self.dropped = self.search.dropped()
            best = finalists(self.settings, self.search.candidates(), self.record.trials(curves=False))
            rows = {row.name: row for one in best for row in fresh(one, self.settings)}
            self.record.meet(best, rows.values())
            yield self._plain(list(rows.values()), seed)

    def _plain(self, rows: Sequence[Row], seed: int) -> Search:
        """Every trial of these rows; of those that have all theirs nothing is read."""
        self._count([Candidate((), (row,), "") for row in rows])
        rows = [row for row in rows if self.counts[row.name].total() < row.replicates]
        search = plain(rows, seed)
        search.resume([Candidate((), (row,), "") for row in rows], self.record.known(rows))
        return search

    def _count(self, candidates: Sequence[Candidate]) -> None:
        """Take note of what is recorded. Of these candidates, trials that are to be tried again are missing."""
        self.record.meet(candidates)
        self.record.retry(self.retry, [row for one in candidates for row in one.rows])
        ended = self.record.ended()
        self.counts = {name: Counter(outcome for outcome, _ in some) for name, some in ended.items()}
        self.ended = {
            name: [sequences for outcome, sequences in some if outcome not in BROKEN] for name, some in ended.items()
        }

    def _train(self, executor: Executor, deadline: float) -> None:
        self._show(dict)
        while (self.search.remaining or executor.pending) and time.monotonic() < deadline:
            new = self.search.ask(executor.room)
            self.record.meet(self.search.news())
            self.row_of |= self.search.names(new)
            self.asked |= {spec.key: spec for spec in new}
            executor.submit(new)
            self._take(executor.gather(SLICE))
            self._show(executor.progress)

    def _take(self, finished: Sequence[Trial]) -> None:
        """Commit what finished; then, and only then, it counts."""
        if finished:
            self.record.add(finished)
            self.search.tell(finished)
            for trial in finished:
                row = self.row_of.pop(trial.spec.key)
                self.counts.setdefault(row, Counter())[trial.result.outcome] += 1
                if trial.result.outcome not in BROKEN:
                    self.ended.setdefault(row, []).append(trial.result.sequences)
                del self.asked[trial.spec.key]
            self.notify()

    def _show(self, progress: Callable[[], Mapping[str, int]]) -> None:
        """Tell who watches, not more often than a person can read."""
        if time.monotonic() - self.shown >= SLICE:
            self.shown = time.monotonic()
            running = progress()
            now = self.moment(running)
            self._tell(running, now.rows)
            self.watch(now)

    def _tell(self, progress: Mapping[str, int], rows: Sequence[Row]) -> None:
        """Tell who publishes which trials run; what is new is published with the next results, or now."""
        running: dict[str, list[TrialSpec]] = {}
        for key in progress:
            running.setdefault(self.row_of[key], []).append(self.asked[key])
        new = {spec.key for some in self.activity.running.values() for spec in some} ^ progress.keys()
        self.activity.rows, self.activity.running = {row.name for row in rows}, running
        if new:
            self.notify()

    def moment(self, progress: Mapping[str, int]) -> Moment:
        """How far the study is, with the running trials by key as far as they are."""
        dropped = self.dropped | self.search.dropped()
        every = self.record.definition().rows
        counts = {row.name: Counter(self.counts.get(row.name, ())) for row in every}
        rows = [
            replace(row, replicates=max(counts[row.name].total(), 1)) if row.name in dropped else row for row in every
        ]
        running: dict[str, list[int]] = {row.name: [] for row in rows}
        for key, sequences in progress.items():
            running[self.row_of[key]].append(sequences)
        ended = {name: tuple(some) for name, some in self.ended.items()}
        return Moment(counts, running, rows, self.search.unmet, ended)


@contextmanager
def _background(
    publishing: Publishing | None, home: Path, name: str, activity: Activity
) -> Iterator[BackgroundTracker | None]:
    """A thread that shows the study as it grows. However the study ends, no run is left open."""
    if publishing is None:
        yield None
        return
    snapshot = partial(view, home, name, publishing.about, activity)
    background = BackgroundTracker(publishing.tracker, snapshot, publishing.warn)
    background.notify()
    try:
        yield background
    except BaseException as ending:
        activity.status, activity.running = "FAILED" if isinstance(ending, Exception) else "KILLED", {}
        background.close(3, activity.status)
        raise
