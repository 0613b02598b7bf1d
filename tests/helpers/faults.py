"""Studies of the real program to which something happens, and what is left of them when the same command has ended.

A study is one of the task `witness` (helpers/witness.py), so that it is known how often each of its trials was begun.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from helpers.program import family, lstm, recorded, running
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


def drawn(fault: str) -> random.Random:
    """The schedule of a fault, which the seed and its name fix; the seed is printed."""
    return random.Random(f"{SEED} {fault}")


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


Held = Callable[[Line, int], None]
"""The type of the fixture `held`."""


@dataclass
class Study:
    """One study in a folder of its own. `seen`: what was ever found recorded, and when it had finished."""

    folder: Path
    line: str
    planned: int
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
        path = self.folder / "begun"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(pid), int(replicate)) for pid, replicate in (line.split() for line in lines)]

    def harm(self, **replicates: str) -> None:
        """From now on these replicates misbehave: see `helpers.witness.HARMS`."""
        lines = [f"{number} {harm}\n" for harm, number in replicates.items()]
        (self.folder / "harm").write_text("".join(lines))

    def hash(self) -> str:
        """`export format=hash`, by the program."""
        return lstm(f"export study={self.name} format=hash", self.folder, **self.variables).stdout.strip()

    def lost(self) -> int:
        return max(0, self.planned - self.recorded()) + len(self.seen.keys() - recorded(self.home, self.name).keys())

    def twice(self) -> int:
        """Trials with two rows, archived ones included, or recorded anew in place of what was there."""
        with closing(sqlite3.connect(self.home / f"{self.name}.sqlite")) as db:
            keys = Counter(key for (key,) in db.execute("SELECT key FROM trials UNION ALL SELECT key FROM archive"))
        return sum(count - 1 for count in keys.values()) + len(self.changed)

    def came_of(self, fault: str, times: int, undisturbed: str, *, note: str = "") -> Line:
        """The study as it ended, beside the hash that it should have."""
        lost, twice, equal = self.lost(), self.twice(), int(self.hash() == undisturbed)
        return Line(fault, times, self.planned, lost, twice, self.again(), equal, note=note)

    def again(self) -> int:
        """How many trainings were begun beyond one a trial."""
        return len(self.begun()) - len({replicate for _, replicate in self.begun()})


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Ray's workers under a driver, as far as they train."""
    return sorted(pid for pid, command in family(process.pid).items() if command.startswith("ray::_Host.advance"))


def kill_at(study: Study, process: subprocess.Popen[str], trials: int, delay: float = 0.0) -> bool:
    """SIGKILL of the driver when so many trials are recorded, and a moment later. Whether it had not ended before."""
    until(lambda: study.recorded() >= trials or process.poll() is not None, pause=0.01)
    time.sleep(delay)
    process.kill()
    process.wait(PATIENCE)
    study.recorded()
    return process.returncode == -signal.SIGKILL
