"""Drivers that are killed, interrupted, or started twice; then the same command again."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.faults import ALL, S300, Held, Study, drawn, gone, killed, points, scaled, tell
from helpers.program import ALONE, family
from helpers.waiting import PATIENCE, PUBLISHED, until

pytestmark = pytest.mark.usefixtures("kernels", "witness")

TRIALS = scaled(300, 40)
FLIGHT = 64
"""Trials that two workers hold at most."""


def test_the_driver_is_killed_again_and_again(tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    """Each study at several points; then the command trains what is missing, and no trial more."""
    where = "execute.workers=2 tracking=none" if ALL else ALONE
    random, lines, latest = drawn("driver"), [], 0.0
    for n in range(scaled(5, 1)):
        study = Study(tmp_path / str(n), f"{S300} replicates={TRIALS} execute.slice_seconds=0.05 {where}", TRIALS)
        times, runs = 0, []
        for after, delay in points(random, scaled(4, 2), TRIALS):
            runs.append((set(study.seen), len(study.begun())))
            members = killed(study, lambda: study.recorded() >= after, delay=delay)  # noqa: B023  (called at once)
            times, latest = times + bool(members), max(latest, gone(members))
        before, begun = study.recorded(), len(study.begun())
        study.finish()
        assert len(study.begun()) - begun == TRIALS - before
        executed(study, [*runs, (set(study.seen), begun)])
        assert times, "no driver was killed"
        lines.append(study.came_of("SIGKILL of the driver", times, undisturbed(TRIALS)))
    total = sum(lines[1:], lines[0])
    held(total.said(f"its processes were gone after {latest:.1f} s at most"), FLIGHT * total.times)


def executed(study: Study, runs: list[tuple[set[str], int]]) -> None:
    """Hold each run of the command against what was recorded before it, whose keys and how many trials had been begun
    by then are given: none of those was trained again, and none of the others twice."""
    replicate, begun = study.replicates(), [number for _, number in study.begun()]
    for (known, first), (_, last) in pairwise([*runs, (set(), len(begun))]):
        mine = begun[first:last]
        assert len(set(mine)) == len(mine)
        assert not set(mine) & {replicate[key] for key in known}


@pytest.mark.parametrize("number", [signal.SIGINT, *[signal.SIGTERM] * ALL], ids=lambda number: number.name)
def test_an_interrupted_study_ends_all_it_started_and_goes_on(
    number: signal.Signals, tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    """In Ray's workers and with MLflow, or in one process alone. It is interrupted in its first half, so that it has
    not ended by the time that MLflow shows something of it. A busy machine may not close all runs in MLflow in the few
    seconds that the program gives it; then `sync` does."""
    where = f"execute.workers=2 {PUBLISHED}" if ALL or number is signal.SIGINT else ALONE
    trials = scaled(600, TRIALS)
    study = Study(tmp_path, f"{S300} replicates={trials}", trials)
    after = drawn(number.name).randrange(1, trials // 2)
    tell(f"{number.name} after {after} trials")
    with study.started(f"execute.slice_seconds=0.05 {where}") as process:
        until(lambda: study.recorded() >= after and (where == ALONE or len(statuses(study.home)) > 1))
        members = family(process.pid)
        os.killpg(process.pid, number)  # to the whole group, as a terminal does
        began = time.monotonic()
        out, err = process.communicate(timeout=PATIENCE)
        ended = time.monotonic() - began
    assert process.returncode == 128 + number
    assert (out, "Traceback" in err) == ("", False)
    later = gone(members)
    if left := statuses(study.home).count("RUNNING"):
        study.verb("sync")
        assert "RUNNING" not in statuses(study.home)
    study.finish(where if ALL else ALONE)
    line = study.came_of(f"{number.name} to the program", 1, undisturbed(trials))
    told = f"it ended after {ended:.1f} s, the last of its processes {later:.1f} s later; open in MLflow: {left} runs"
    held(line.said(told), FLIGHT)


def statuses(home: Path) -> list[str]:
    """Of all runs in MLflow, read beside it; none while its tables are made."""
    if not (home / "mlflow.db").exists():
        return []
    with closing(sqlite3.connect(f"{(home / 'mlflow.db').as_uri()}?mode=ro", PATIENCE, uri=True)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return [status for (status,) in db.execute("SELECT status FROM runs")]
    return []


def test_a_second_driver_is_refused_until_the_first_is_gone(
    tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    study = Study(tmp_path, f"{S300} replicates={TRIALS} {ALONE}", TRIALS)
    with study.started("execute.slice_seconds=0.01") as first:
        until(study.recorded)
        first.send_signal(signal.SIGSTOP)  # so that it has not ended when the second one looks
        began = time.monotonic()
        refused = study.finish(code=6)
        took = time.monotonic() - began
        assert f"study=s300 is held by process {first.pid} on {socket.gethostname()}" in refused.stderr
        assert refused.stdout == ""
        told = study.verb("verify tracking=none", code=6)
        assert re.fullmatch(rf"planned: {TRIALS}\nrecorded: \d+\n", told.stdout)
        assert f"study s300 runs, by process {first.pid} on {socket.gethostname()}" in told.stderr
        assert re.search(r": \d+ trials are still to come; verify it when that has ended\n", told.stderr)
        first.kill()
        first.wait()
    assert "trials of study" in study.verb("verify tracking=none", code=7).stderr
    study.finish()
    line = study.came_of("a second driver, then SIGKILL of the first", 1, undisturbed(TRIALS))
    held(line.said(f"the second was refused after {took:.1f} s"), FLIGHT)
