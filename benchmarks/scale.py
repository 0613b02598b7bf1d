"""What the driver, the record, the verbs and MLflow take as studies and clusters grow. Nothing is trained for it.

python benchmarks/scale.py [--trials 1000 10000 100000] [--published 1000 10000] [--workers 10 100 1000 10000] [--write]

Studies are simulated ones of row 6a of table 9: results are drawn, and pass through the record, the searches and the
views as those of trained trials do. Workers are simulated ones too, beside a few real ones, whose calls through Ray
are timed. Times are of the processor, of the program and of what it starts; --write renews the tables of docs/scale.md.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

from lstm_search.execute import ExecuteSettings, open_executor
from lstm_search.execute.crew import Answer, Crew
from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, Outcome, Stop, Training, TrialResult, TrialSpec
from lstm_search.tasks import Adding
from lstm_search.worker import Progress

DOCUMENT = Path(__file__).parent.parent / "docs" / "scale.md"
BLOCK = re.compile(r"(<!-- scale: begin -->\n).*?(<!-- scale: end -->)", re.DOTALL)
STUDY = "table=9 rows=6a execute=simulated search.max_trials=10000000"
VIEWS = ("status", "table", "plan", "run", "export format=csv", "verify")
"""`run` again: nothing is missing."""

LANES = 16
REAL, CALLS = 8, 8000  # workers, and calls of all of them
TOGETHER, COUNTED = 10, 10_000  # answers on paper: of one look, and those that are timed
RACES = {"random": "search=random", "race": "search=race"}
SPACE = "task=adding training.rate=tag(log,interval(.05,5)) network.init=tag(log,interval(.01,1)) execute=simulated"


class Spent(NamedTuple):
    """Of a command: seconds of a core, and the most memory that it held (MB)."""

    seconds: float
    memory: float


def spent(words: str, home: str) -> Spent:
    """Run `lstm-search WORDS`, which may find that a study is not published."""
    command = [sys.executable, "-m", "lstm_search", *words.split(), f"home={home}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 7):
        raise SystemExit(f"{' '.join(command)}: exit {os.waitstatus_to_exitcode(status)}")
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def study(trials: int) -> str:
    """A line: what a study of so many trials takes, and what its views take."""
    words = f"{STUDY} tracking=none study=scale"
    with tempfile.TemporaryDirectory(prefix="lstm-scale-") as home:
        started = spent(f"run {words} replicates=1", home)
    with tempfile.TemporaryDirectory(prefix="lstm-scale-") as home:
        first = spent(f"run {words} replicates={trials}", home)
        size = Path(home, "scale.sqlite").stat().st_size / 2**20
        asked = {"status": "status", **{verb: f"{verb} {words} replicates={trials}" for verb in ("plan", "run")}}
        views = {view: spent(asked.get(view, f"{view} study=scale"), home) for view in VIEWS}
    each = 1e3 * (first.seconds - started.seconds) / trials
    seconds = " | ".join(f"{views[view].seconds:.1f}" for view in VIEWS)
    most = max(view.memory for view in (first, *views.values()))
    return f"| {trials:,} | {first.seconds:.1f} | {each:.2f} | {size:,.1f} | {seconds} | {most:,.0f} |"


def published(trials: int) -> str:
    """A line: what it takes to show a recorded study in an empty store of MLflow, and to find nothing new in it."""
    words = f"{STUDY} replicates={trials} study=scale"
    with tempfile.TemporaryDirectory(prefix="lstm-scale-") as home:
        spent(f"run {words} tracking=none", home)
        first, again = (spent("sync study=scale", home) for _ in range(2))
        size = Path(home, "mlflow.db").stat().st_size / 2**20
    each = 1e3 * first.seconds / trials
    return (
        f"| {trials:,} | {first.seconds:.0f} | {each:.1f} | {again.seconds:.1f} | {size:,.0f} | {first.memory:,.0f} |"
    )


def search(kind: str, cells: int, replicates: int) -> str:
    """A line: what a search of so many cells takes, on 1,000 simulated workers."""
    words = f"{SPACE} {RACES[kind]} search.cells={cells} search.max_trials=10000000 replicates={replicates}"
    with tempfile.TemporaryDirectory(prefix="lstm-scale-") as home:
        took = spent(f"run {words} tracking=none study=scale", home)
        rows = subprocess.run(
            [sys.executable, "-m", "lstm_search", "export", "study=scale", "format=csv", f"home={home}"],
            check=True,
            capture_output=True,
        ).stdout.count(b"\n")
    return f"| {kind} | {cells:,} | {rows - 1:,} | {took.seconds:.0f} | {1e3 * took.seconds / (rows - 1):.2f} |"


class OnPaper:
    """A pool whose workers exist on paper: each answers after every slice, a few at a time, and of its lanes one
    ends."""

    def __init__(self, size: int) -> None:
        self.size, self.now, self.answers, self.slice = size, 0.0, 0, 0.5
        self.held: list[dict[str, None]] = [{} for _ in range(size)]
        self.due: deque[Answer | int] = deque()

    def start(self, seat: int) -> None:
        """It is ready at once."""
        self.due.append(Answer(seat))

    def call(self, seat: int, specs: Sequence[TrialSpec], seconds: float) -> None:
        """Train on."""
        self.held[seat].update((spec.key, None) for spec in specs)
        self.due.append(seat)
        self.slice = seconds

    def retire(self, _seat: int) -> None:
        """Nothing is left to be done."""

    def wait(self, _seconds: float) -> list[Answer]:
        """The next few answers."""
        due = [self.due.popleft() for _ in range(min(TOGETHER, len(self.due)))]
        self.now += len(due) * self.slice / self.size
        self.answers += len(due)
        return [entry if isinstance(entry, Answer) else self._answer(entry) for entry in due]

    def _answer(self, seat: int) -> Answer:
        held = self.held[seat]
        first = next(iter(held))
        del held[first]
        ended = TrialResult(first, Outcome.SOLVED, sequences=1, steps=1)
        return Answer(seat, Progress((ended,), dict.fromkeys(islice(held, LANES), 1)))


def endless() -> Iterator[TrialSpec]:
    """Trials, their keys known."""
    cell = Cell(Adding(), Lstm1997(), Training(), (Stop(),))
    for replicate in count():
        spec = TrialSpec(cell, replicate, 1, 1)
        _ = spec.key
        yield spec


def on_paper(workers: int) -> tuple[float, float]:
    """Milliseconds of a core that the driver takes for an answer, what Ray takes left out; and the slice."""
    pool, specs, taken, first = OnPaper(workers), endless(), 0.0, 0
    crew = Crew(pool, {}, lambda *_: None, lanes=LANES, slice_seconds=0.5, timeout=None, clock=lambda: pool.now)
    while pool.answers < 2 * workers + COUNTED:
        if pool.answers < 2 * workers:  # until all are at work
            taken, first = 0.0, pool.answers
        new = list(islice(specs, crew.room))
        begun = time.process_time()
        crew.submit(new)
        crew.gather(0.5)
        taken += time.process_time() - begun
    return 1e3 * taken / (pool.answers - first), pool.slice


class Brief:
    """Answers at once, that all it holds goes on, until it has answered often enough."""

    def __init__(self) -> None:
        self.held: dict[str, None] = {}
        self.left = CALLS // REAL

    def advance(self, new: Sequence[TrialSpec], _seconds: float) -> Progress:
        """One slice of no length."""
        self.held.update((spec.key, None) for spec in new)
        self.left -= 1
        if self.left > 0:
            return Progress((), dict.fromkeys(self.held, 1))
        ended = tuple(TrialResult(key, Outcome.SOLVED, sequences=1, steps=1) for key in self.held)
        self.held = {}
        return Progress(ended, {})


@cache
def through_ray() -> float:
    """Milliseconds of a core that the driver takes for an answer of a real worker, most of them in Ray."""
    settings, specs = ExecuteSettings(kind="local", workers=REAL), list(islice(endless(), REAL * LANES))
    with open_executor(settings, {}, lambda *_: None, trainer=Brief) as executor:
        begun = time.process_time()
        executor.submit(specs)
        while executor.pending:
            executor.gather(1.0)
        return 1e3 * (time.process_time() - begun) / CALLS


def workers(number: int) -> str:
    """A line: how long workers train between two answers, what the driver takes for each, and how much of a core."""
    (crew, between), ray = on_paper(number), through_ray()
    share = 1e-3 * (crew + ray) * number / between
    return f"| {number:,} | {between:g} | {number / between:,.0f} | {crew:.3f} | {ray:.2f} | {share:.2f} |"


HEADS = {
    "study": "trials | first run | ms a trial | record, MB | " + " | ".join(VIEWS) + " | most memory, MB",
    "search": "search | cells | trials | s of a core | ms a trial",
    "published": "trials | first sync, s | ms a trial | second sync, s | mlflow.db, MB | most memory, MB",
    "workers": "workers | slice, s | answers a second | crew, ms an answer | Ray, ms an answer | cores of the driver",
}


def table(name: str, lines: Sequence[str]) -> str:
    """A table under its head."""
    head = HEADS[name]
    return "\n".join([f"| {head} |", f"|{'---|' * (head.count('|') + 1)}", *lines])


def main() -> None:
    """Measure, print, and with --write renew the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    options.add_argument("--published", type=int, nargs="*", default=[1_000, 10_000])
    options.add_argument("--workers", type=int, nargs="*", default=[10, 100, 1_000, 10_000])
    options.add_argument("--cells", type=int, default=1_000)
    options.add_argument("--write", action="store_true")
    asked = options.parse_args()
    parts = [
        table("study", [study(trials) for trials in asked.trials]),
        table("search", [search(kind, asked.cells, 100) for kind in RACES]),
        table("published", [published(trials) for trials in asked.published]),
        table("workers", [workers(number) for number in asked.workers]),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if asked.write:
        page = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(BLOCK.sub(lambda found: f"{found[1]}{text}{found[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
