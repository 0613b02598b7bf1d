"""Others write into MLflow's SQLite file, or keep it locked, while a study is published into it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from helpers.faults import ALL, SEED, Held, scaled
from helpers.shown import runs, shown, study_shown, synced
from helpers.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS = scaled(300, 30)
WRITERS = 8

WRITER = """
import random, sqlite3, sys, time
path, seed = sys.argv[1:]
chance = random.Random(seed)
db = sqlite3.connect(path, timeout=1800, isolation_level=None)
while True:
    db.execute(chance.choice(["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"]))
    db.execute("INSERT INTO experiment_tags VALUES (?, 'x', 0)", (chance.random().hex(),))
    time.sleep(chance.random() / 50)
    db.execute(chance.choice(["COMMIT", "ROLLBACK"]))
    time.sleep(chance.random() / 2)
"""


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies/mlflow.db"


@contextmanager
def writers(path: Path) -> Iterator[None]:
    """Processes that write into the file, each for up to 20 ms of up to half a second, by chance."""
    with ExitStack() as stack:
        for number in range(WRITERS):
            command = [sys.executable, "-c", WRITER, str(path), f"{SEED} {number}"]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        yield


def locked(path: Path, seconds: float) -> None:
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        db.execute("ROLLBACK")


def test_others_write_into_the_file(tmp_path: Path, uri: str, undisturbed: Callable[[int], str], held: Held) -> None:
    study = study_shown(tmp_path, "written", uri, TRIALS)
    with study.started() as process:
        until(lambda: runs(uri, study.name))
        with writers(study.home / "mlflow.db"):
            _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, synced(study)) == (0, 0)
    assert "not published" not in err
    came = study.came_of(f"{WRITERS} others write into MLflow's SQLite file", 1, undisturbed(TRIALS))
    held(shown(study, uri, came), 0)


@pytest.mark.parametrize("seconds", [30, 45])
def test_the_file_is_locked(
    seconds: int, tmp_path: Path, uri: str, undisturbed: Callable[[int], str], held: Held
) -> None:
    study = study_shown(tmp_path, "locked", uri, TRIALS)
    with study.started() as process:
        until(lambda: runs(uri, study.name))
        locked(study.home / "mlflow.db", seconds)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, synced(study)) == (0, 0)
    assert seconds > 30 or "not published" not in err
    came = study.came_of(f"MLflow's SQLite file is locked for {seconds} s", 1, undisturbed(TRIALS))
    held(shown(study, uri, came), 0)
