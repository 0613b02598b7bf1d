"""Ten thousand trials, and something that goes wrong every few seconds: the driver grows no larger.

LSTM_SEARCH_SOAK=N makes it N trials: on a machine with other work ten thousand take hours.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import statistics
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.faults import ALL, CELL, Held, Study, drawn
from helpers.program import ALONE
from helpers.shown import Server, serving, shown, synced
from helpers.waiting import PATIENCE, PUBLISHED

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS = int(os.environ.get("LSTM_SEARCH_SOAK", "10000"))
LINE = f"run {CELL.replace('task.T=50', 'task.T=10')} cap=20000 study=soak"
"""Trials of a few milliseconds."""

RAISING, KILLS = 5, 3
FAULTS = ("a worker killed", "MLflow stopped for a while", "record locked by a reader")


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
    server: Server
    chance: random.Random
    happened: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

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
                self.happened.append("driver killed")
            process.wait(PATIENCE)
            self.study.recorded()
        return process.returncode

    def _look(self, process: subprocess.Popen[str]) -> None:
        if (trials := self.study.recorded()) < TRIALS and process.poll() is None:
            self.samples.append(sample(process.pid, trials))
        time.sleep(0.5)

    def _disturb(self) -> None:
        fault, while_ = self.chance.choice(FAULTS), self.chance.uniform(0.5, 3)
        running = sorted(self.study.workers())
        if not running:
            return
        if fault == "a worker killed":
            os.kill(self.chance.choice(running), signal.SIGKILL)
        elif fault == "MLflow stopped for a while":
            self.server.signal(signal.SIGSTOP)
            time.sleep(while_)
            self.server.signal(signal.SIGCONT)
        else:
            with closing(sqlite3.connect(self.study.home / "soak.sqlite", isolation_level=None)) as db:
                db.execute("BEGIN")
                db.execute("SELECT count(*) FROM trials").fetchall()
                time.sleep(while_)
        self.happened.append(fault)


def slope(samples: list[Sample]) -> float:
    """Megabytes for a thousand trials, by Theil and Sen: the median over pairs of samples that are far apart. The first
    quarter, in which libraries are loaded, is left out."""
    kept = samples[len(samples) // 4 :]
    far = (kept[-1].trials - kept[0].trials) / 3
    pairs = ((a, b) for a in kept for b in kept if b.trials - a.trials > far)
    return 1000 * statistics.median((b.megabytes - a.megabytes) / (b.trials - a.trials) for a, b in pairs)


def test_ten_thousand_trials(tmp_path: Path, held: Held) -> None:
    chance = drawn("soak")
    raising = dict.fromkeys(chance.sample(range(TRIALS), RAISING), "raises")
    alone = Study(tmp_path / "undisturbed", f"{LINE} replicates={TRIALS} {ALONE}", TRIALS, name="soak")
    alone.harm(raising)
    alone.finish()
    with serving(tmp_path) as server:
        line = f"{LINE} replicates={TRIALS} execute.workers=2 tracking.uri={server.address} {PUBLISHED}"
        soak = Soak(Study(tmp_path, line, TRIALS, name="soak"), server, chance)
        soak.study.harm(raising)
        for kill in range(KILLS):
            assert soak.go_on((kill + 1) * TRIALS // (4 * KILLS)) == -signal.SIGKILL
        assert soak.go_on(TRIALS + 1) == 0
        assert synced(soak.study) == 0
        came = soak.study.came_of("soak: a random fault every few seconds", len(soak.happened), alone.hash())
        held(shown(soak.study, server.uri, came).said(told(soak.samples)), TRIALS)
    assert slope(soak.samples) < 1 or TRIALS < 10_000, "of fewer trials the memory says nothing"


def told(samples: list[Sample]) -> str:
    first, last = samples[len(samples) // 4], samples[-1]
    return (
        f"{slope(samples):.2f} MB a 1,000 trials ({first.megabytes:.0f} to {last.megabytes:.0f} MB), "
        f"files {first.files} to {last.files}, threads {first.threads} to {last.threads}"
    )
