"""Ten thousand trials, and something that goes wrong every few seconds: the driver grows no larger.

They are published into MLflow's SQLite file, and that lies in memory: a server takes several times as long, and so does
a disk, to which each trial is brought four times. LSTM_SEARCH_SOAK=N makes it N trials, for a machine that is busy.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.faults import ALL, CELL, Held, Study, drawn, tell
from helpers.program import ALONE
from helpers.shown import shown, synced
from helpers.waiting import PATIENCE, PUBLISHED

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS = int(os.environ.get("LSTM_SEARCH_SOAK", "10000"))
LINE = f"run {CELL.replace('task.T=50', 'task.T=10')} stop.window=200 training.rate=1 cap=20000 study=soak"
"""Trials of a few milliseconds."""

RAISING, KILLS = 5, 3
FAULTS = ("a worker killed", "MLflow's file locked by a writer", "record locked by a reader")
FLAT = 4
"""Files and threads that may be open for a moment, as one looks; had each fault left one, it would be dozens."""


@dataclass(frozen=True)
class Sample:
    """What a driver takes, at a number of recorded trials."""

    trials: int
    megabytes: float
    files: int
    threads: int


def sample(pid: int, trials: int) -> Sample:
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(trials, int(words["VmRSS"].split()[0]) / 1024, files, int(words["Threads"]))


@dataclass
class Soak:
    """The study, what happens to it, and what its last driver takes."""

    study: Study
    chance: random.Random
    happened: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def go_on(self, until: int) -> int | None:
        """Start the driver and disturb it until so many trials are recorded, then kill it; or until it ends. Its exit
        code."""
        self.samples.clear()
        with self.study.started() as process:
            while process.poll() is None and self.study.recorded() < until:
                end = time.monotonic() + self.chance.uniform(1, 5)
                while time.monotonic() < end and process.poll() is None:
                    self._look(process)
                self._disturb()
            if process.poll() is None:
                process.kill()
                self._happened("driver killed")
            process.wait(PATIENCE)
            self.study.recorded()
        return process.returncode

    def _look(self, process: subprocess.Popen[str]) -> None:
        if (trials := self.study.recorded()) < TRIALS and process.poll() is None:
            self.samples.append(sample(process.pid, trials))
        time.sleep(0.5)

    def _happened(self, fault: str) -> None:
        self.happened.append(fault)
        tell(f"after {time.monotonic() - self.began:.0f} s and {self.study.recorded()} trials: {fault}")

    def _disturb(self) -> None:
        fault, while_ = self.chance.choice(FAULTS), self.chance.uniform(0.5, 3)
        running = sorted(self.study.workers())
        if not running:
            return
        if fault == "a worker killed":
            os.kill(self.chance.choice(running), signal.SIGKILL)
        elif fault == "record locked by a reader":
            held_for(while_, self.study.home / "soak.sqlite", "BEGIN", "SELECT count(*) FROM trials")
        elif (path := self.study.home / "mlflow.db").exists():
            held_for(while_, path, "BEGIN EXCLUSIVE")
        else:
            return
        self._happened(fault)


def held_for(seconds: float, path: Path, *statements: str) -> None:
    """Hold the lock that these statements get of a database."""
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement).fetchall()
        time.sleep(seconds)


def slope(samples: list[Sample]) -> float:
    """Megabytes for a thousand trials, by Theil and Sen: the median over pairs of samples that are far apart. The first
    quarter, in which libraries are loaded, is left out."""
    kept = samples[len(samples) // 4 :]
    far = (kept[-1].trials - kept[0].trials) / 3
    pairs = ((a, b) for a in kept for b in kept if b.trials - a.trials > far)
    return 1000 * statistics.median((b.megabytes - a.megabytes) / (b.trials - a.trials) for a, b in pairs)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is room."""
    memory = Path("/dev/shm")  # noqa: S108  (a new folder of our own is made in it)
    if not memory.is_dir() or shutil.disk_usage(memory).free < 2**31:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_ten_thousand_trials(place: Path, held: Held) -> None:
    chance = drawn("soak")
    raising = dict.fromkeys(chance.sample(range(TRIALS), RAISING), "raises")
    alone = Study(place / "undisturbed", f"{LINE} replicates={TRIALS} {ALONE}", TRIALS, name="soak")
    alone.harm(raising)
    alone.finish()
    uri = f"sqlite:///{place}/studies/mlflow.db"
    line = f"{LINE} replicates={TRIALS} execute.workers=2 tracking.uri={uri} {PUBLISHED}"
    soak = Soak(Study(place, line, TRIALS, name="soak"), chance)
    soak.study.harm(raising)
    for kill in range(KILLS):
        assert soak.go_on((kill + 1) * TRIALS // (4 * KILLS)) == -signal.SIGKILL
    assert soak.go_on(TRIALS + 1) == 0
    assert synced(soak.study) == 0
    came = soak.study.came_of("soak: a random fault every few seconds", len(soak.happened), alone.hash())
    held(shown(soak.study, uri, came).said(told(soak.samples)), TRIALS)
    for taken in ("files", "threads"):
        before, after = ends(soak.samples, taken)
        assert after <= before + FLAT, f"{taken}: {before} to {after}"
    assert slope(soak.samples) < 1 or TRIALS < 10_000, "of fewer trials the memory says nothing"


def ends(samples: list[Sample], taken: str) -> tuple[float, float]:
    """The median in the second quarter of the samples and in the last: in the first, libraries are loaded."""
    quarter = max(len(samples) // 4, 1)
    parts = samples[quarter : 2 * quarter], samples[-quarter:]
    before, after = (statistics.median(getattr(each, taken) for each in part) for part in parts)
    return before, after


def told(samples: list[Sample]) -> str:
    taken = {name: ends(samples, name) for name in ("megabytes", "files", "threads")}
    figures = ", ".join(f"{name} {before:.0f} to {after:.0f}" for name, (before, after) in taken.items())
    return f"{slope(samples):.2f} MB a 1,000 trials; second to last quarter: {figures}"
