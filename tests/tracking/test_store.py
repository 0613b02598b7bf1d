"""MLflow's SQLite file is there as a whole or not at all, and nobody's data is taken for a half of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers.published import study
from helpers.waiting import PATIENCE

from lstm_search.tracking import Tracker, TrackingFailed
from lstm_search.tracking.store import opening

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import

STATEMENTS = 1683
"""By so many MLflow makes its tables; a few more or less do no harm here."""

KILLS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
SCHEDULE = [
    *(("now", kill.name, random.Random(kill).randrange(STATEMENTS)) for kill in KILLS),
    *(("formerly", "SIGKILL", random.Random(seed).randrange(STATEMENTS // 2)) for seed in (6, 10)),
]
"""Who makes the file, `formerly` in its place, and which signal comes before which statement."""

MAKE = """
import json, os, signal, sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store  # all that takes its time
from mlflow import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine
from lstm_search.tracking import Tracker

def make(home, how, kill, point):
    left = iter(range(point))
    stop = lambda *_: next(left, None) is None and os.kill(os.getpid(), signal.Signals[kill])
    event.listen(Engine, "before_cursor_execute", stop)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    Tracker(None, home).pages(None) if how == "now" else MlflowClient(f"sqlite:///{home}/mlflow.db")

for number, case in enumerate(json.loads(sys.argv[2])):
    home = Path(sys.argv[1], str(number))
    home.mkdir()
    child = os.fork()
    if not child:
        try:
            make(home, *case)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Homes in which a process was killed that was making the file, numbered as in SCHEDULE."""
    folder = tmp_path_factory.mktemp("interrupted")
    command = [sys.executable, "-c", MAKE, str(folder), json.dumps(SCHEDULE)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    return folder


@pytest.mark.parametrize("number", range(len(SCHEDULE)), ids=["-".join(map(str, case)) for case in SCHEDULE])
def test_a_run_publishes_after_one_that_was_interrupted(interrupted: Path, number: int) -> None:
    home = interrupted / str(number)
    assert (home / "mlflow.db").exists() is (SCHEDULE[number][0] == "formerly"), "under its name it is whole"
    assert Tracker(None, home).sync(study("next")) == 8
    assert sorted(path.name for path in home.iterdir()) == ["artifacts", "mlflow.db", "mlflow.lock"]
    assert (home / "mlflow.db").stat().st_mode & 0o777 == 0o600


def test_the_home_folder_and_the_lock_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    home, before = tmp_path / "home", os.umask(0)
    try:
        with opening("postgresql://elsewhere", home):
            pass
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (home, home / "mlflow.lock")] == [0o700, 0o600]


def test_a_file_with_runs_is_never_made_anew(tracker: Tracker, home: Path, tmp_path: Path) -> None:
    tracker.sync(study("kept"))
    shutil.copy(home / "mlflow.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as db, db:
        db.execute("DELETE FROM alembic_version")
    with pytest.raises(TrackingFailed, match=r"mlflow\.db: "):
        Tracker(None, tmp_path).sync(study("kept"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone()[0] >= 8


def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE trials (key TEXT)")
    before = path.read_bytes()
    with pytest.raises(TrackingFailed, match="tables of another program"):
        Tracker(f"sqlite:///{path}", tmp_path).sync(study("lost"))
    assert path.read_bytes() == before
