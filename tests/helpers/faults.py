"""Studies of the real program to which something happens, and what is left of them when the same command has ended.

A study is one of the task `witness` (helpers/witness.py), so that it is known how often each of its trials was begun.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random

from helpers.program import family, lstm, processes, recorded, running
from helpers.waiting import PATIENCE, until
from helpers.witness import WITNESS

SEED = int(os.environ.get("LSTM_SEARCH_SEED", "1997"))
ALL = os.environ.get("LSTM_SEARCH_FAULTS") == "all"

CELL = "task=witness task.T=50 network.init=0.1 network.input_gate_bias=[-2,-4] stop.tolerance=0.3 stop.mean_error=0.1"
S300 = f"run {CELL} cap=20000 study=s300"
"""Trials of about 40 ms, most of which are solved before their cap."""


def scaled(all_of: int, some: int) -> int:
    """A number of trials or of points: all of them, or the fast subset's."""
    return all_of if ALL else some


def drawn(fault: str) -> Random:
    """What the schedule of a fault is drawn from: the seed and its name fix it."""
    return Random(f"{SEED} {fault}")


def tell(schedule: object) -> None:
    """Print what was drawn, or what happened in order: pytest shows it where a test fails, and with `-s`."""
    print(f"drawn with seed {SEED}: {schedule}")  # noqa: T201


@dataclass(frozen=True)
class Line:
    """What came of a fault: how often it happened, in how many studies of how many trials; trials that are missing,
    that are there twice, and that were trained more than once; and how many studies ended with the undisturbed hash.
    """

    fault: str
    times: int
    trials: int
    lost: int
    twice: int
    again: int
    equal: int
    studies: int = 1
    note: str = ""

    def __add__(self, other: Line) -> Line:
        """The same fault in a further study."""
        mine, theirs = asdict(self), asdict(other)
        words = {"fault": self.fault, "note": self.note or other.note}
        return Line(**{name: value + theirs[name] for name, value in mine.items()} | words)

    def said(self, note: str) -> Line:
        """The same, with what else was seen."""
        return replace(self, note=note)


Held = Callable[[Line, int], None]
"""The type of the fixture `held`."""


@dataclass
class Study:
    """One study in a folder of its own. `planned`: its trials, where no search decides on them; `seen`: what was ever
    found recorded, and when it had finished."""

    folder: Path
    line: str
    planned: int | None = None
    variables: dict[str, str] = field(default_factory=dict)
    name: str = "s300"
    seen: dict[str, str] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.variables[WITNESS] = str(self.folder)

    @property
    def home(self) -> Path:
        return self.folder / "studies"

    def started(self, more: str = "") -> AbstractContextManager[subprocess.Popen[str]]:
        """The study's command while it runs."""
        return running(f"{self.line} {more}", self.folder, **self.variables)

    def finish(self, more: str = "", *, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The study's command, to its end."""
        return lstm(f"{self.line} {more}", self.folder, code=code, **self.variables)

    def recorded(self) -> int:
        """How many trials are recorded now. One that was recorded before must be there as it was."""
        now = recorded(self.home, self.name)
        self.changed |= {key for key, at in self.seen.items() if now and now.get(key) != at}
        self.seen |= now
        return len(now)

    def begun(self) -> list[tuple[int, int]]:
        """Process and replicate of every trial that a lane began so far."""
        return [(int(pid), int(replicate)) for pid, replicate, _ in self._begun()]

    def last_begun(self, replicate: int) -> float:
        """When a lane began this replicate last."""
        return max(float(when) for _, number, when in self._begun() if int(number) == replicate)

    def _begun(self) -> list[list[str]]:
        path = self.folder / "begun"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def workers(self) -> set[int]:
        """The processes that began trials and are still there."""
        return {pid for pid, _ in self.begun()} & processes().keys()

    def replicates(self) -> dict[str, int]:
        """The replicate of each recorded trial, by key."""
        with closing(sqlite3.connect(self.home / f"{self.name}.sqlite")) as db:
            return dict(db.execute("SELECT key, replicate FROM trials"))

    def harm(self, replicates: Mapping[int, str]) -> None:
        """These replicates will misbehave: see `helpers.witness.HARMS`."""
        lines = [f"{number} {harm}\n" for number, harm in replicates.items()]
        (self.folder / "harm").write_text("".join(lines))

    def verb(self, line: str, *, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Another command of the program, about this study."""
        return lstm(f"{line} study={self.name}", self.folder, code=code, **self.variables)

    def hash(self) -> str:
        """`export format=hash`."""
        return self.verb("export format=hash").stdout.strip()

    def bits(self) -> dict[str, tuple[int, str]]:
        """After how many sequences each trial ended, and the digest of its weights, by key."""
        with closing(sqlite3.connect(self.home / f"{self.name}.sqlite")) as db:
            found = db.execute("SELECT key, sequences, weights_sha256 FROM trials")
            return {key: (sequences, weights) for key, sequences, weights in found}

    def lost(self) -> int:
        """Trials that were recorded and are no longer, or that were planned and never came."""
        there = recorded(self.home, self.name).keys()
        return max(len(self.seen.keys() - there), (self.planned or 0) - len(there))

    def twice(self) -> int:
        """Trials with two rows, archived ones included, or recorded anew in place of what was there."""
        self.recorded()
        with closing(sqlite3.connect(self.home / f"{self.name}.sqlite")) as db:
            keys = Counter(key for (key,) in db.execute("SELECT key FROM trials UNION ALL SELECT key FROM archive"))
        return sum(count - 1 for count in keys.values()) + len(self.changed)

    def came_of(self, fault: str, times: int, undisturbed: str) -> Line:
        """What is there now that the study has ended, beside the hash that it should have."""
        lost, twice, equal = self.lost(), self.twice(), int(self.hash() == undisturbed)
        return Line(fault, times, self.recorded(), lost, twice, self.again(), equal)

    def again(self) -> int:
        """How many trainings were begun beyond one a trial."""
        return len(self.begun()) - self.recorded()


def killed(study: Study, due: Callable[[], bool], *, delay: float = 0.0, more: str = "") -> list[int]:
    """Start the study's command and end it by SIGKILL a moment after `due` comes true. The processes that it was; none
    where it ended before."""
    with study.started(more) as process:
        until(lambda: process.poll() is not None or due(), pause=0.005)
        time.sleep(delay)
        members = [process.pid, *family(process.pid)]
        process.kill()
        process.wait(PATIENCE)
    study.recorded()
    return members if process.returncode == -signal.SIGKILL else []


def gone(members: Iterable[int]) -> float:
    """Wait until these processes are no more. How many seconds that took."""
    began = time.monotonic()
    until(lambda: not processes().keys() & set(members), pause=0.1)
    return time.monotonic() - began


def points(random: Random, count: int, trials: int) -> list[tuple[int, float]]:
    """Where a study of so many trials is killed: after how many, ascending, and how many seconds later."""
    found = [(n, random.uniform(0, 0.3)) for n in sorted(random.choices(range(trials), k=count))]
    tell(f"SIGKILL after (trials, seconds): {found}")
    return found
