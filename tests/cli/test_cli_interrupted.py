"""Studies that are interrupted, refused, or end badly."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.fakes import RAISES, FakeTrainer
from helpers.program import ALONE, NAME, QUICK, Lstm, family, processes, recorded, running
from helpers.small import GRID, Told
from helpers.waiting import PATIENCE, until

from lstm_search import study
from lstm_search.cli import dispatch as cli
from lstm_search.cli import progress
from lstm_search.execute import executor as execute
from lstm_search.spec import TrialSpec
from lstm_search.worker.trial import Progress

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


HALF_ENDLESS = f"{QUICK} stop.mean_error=1e-9,0.1 replicates=8 study=half"
"""Eight trials that are solved at once, then eight that go on until the cap."""


@pytest.mark.parametrize(("number", "tracking"), [(signal.SIGINT, "mlflow"), (signal.SIGTERM, "none")])
def test_an_interrupted_study_ends_all_it_started_and_goes_on(
    number: signal.Signals, tracking: str, copied: Path, told: Told
) -> None:
    there = len(statuses(copied))
    with running(f"run {HALF_ENDLESS} cap=1000000000 tracking={tracking}", copied.parent) as process:
        until(lambda: recorded(copied, "half") and (tracking == "none" or len(statuses(copied)) > there))
        members = {pid for pid, command in family(process.pid).items() if "Agent" not in command}
        os.killpg(process.pid, number)  # to the whole group, as a terminal does
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert (out, "Traceback" in err) == ("", False)
    until(lambda: not members & processes().keys(), pause=0.3)
    if tracking == "mlflow":
        told("sync study=half")  # a busy machine has not shown all of it in the last seconds
        assert "KILLED" in statuses(copied, "half")
        assert set(statuses(copied)) == {"FINISHED", "KILLED"}
    before = recorded(copied, "half")
    assert 0 < len(before) < 16
    table = told(f"run {HALF_ENDLESS} cap=20000 {ALONE}")
    assert "0/8" in table
    assert "8/8" in table
    assert before.items() <= recorded(copied, "half").items()
    assert len(recorded(copied, "half")) == 16


def statuses(home: Path, name: str = "") -> list[str]:
    """Of all runs in MLflow, or those of a name, read beside it; none while its tables are made."""
    if (home / "mlflow.db").exists():
        with closing(sqlite3.connect(f"{(home / 'mlflow.db').as_uri()}?mode=ro", PATIENCE, uri=True)) as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
                found = db.execute("SELECT name, status FROM runs").fetchall()
                return [status for run, status in found if name in ("", run)]
    return []


def test_a_second_driver_is_refused_until_the_first_is_gone(tmp_path: Path, lstm: Lstm) -> None:
    line = f"run {QUICK} {ALONE}"
    with running(f"{line} replicates=5000 execute.slice_seconds=0.01", tmp_path) as first:
        until(lambda: recorded(tmp_path / "studies"))
        refused = lstm(f"{line} replicates=5", tmp_path, code=6)
        assert f"study={NAME} is held by process {first.pid} on {socket.gethostname()}" in refused.stderr
        assert refused.stdout == ""
        told = lstm("verify tracking=none", tmp_path, code=6)
        assert re.fullmatch(rf"{NAME}: 5,000 planned, [\d,]+ recorded\n", told.stdout)
        assert f"study {NAME} runs, by process {first.pid} on {socket.gethostname()}" in told.stderr
        assert re.search(r": [\d,]+ trials are still to come; verify it when that has ended\n", told.stderr)
        assert first.poll() is None
        first.kill()
        first.wait()
        assert "trials of study" in lstm("verify tracking=none", tmp_path, code=7).stderr
        assert "5/5" in lstm(f"{line} replicates=5", tmp_path).stdout


def test_a_spent_budget_is_told(tmp_path: Path, lstm: Lstm) -> None:
    line = f"run {QUICK} {ALONE} replicates=100 execute.slice_seconds=0.01"
    done = lstm(f"{line} budget.hours=0.00001", tmp_path)
    left = 100 - len(recorded(tmp_path / "studies"))
    assert left > 0
    assert f"{left} trials are left (budget.hours=1e-05); the same command goes on" in done.stderr
    assert "100/100" in lstm(line, tmp_path).stdout


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose trials behave as their cap says, but the first replicate is always fine."""

    class Fake(FakeTrainer):
        def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
            return super().advance([spec if spec.replicate else replace(spec, cap=1) for spec in new], seconds)

    monkeypatch.setattr(execute, "Worker", lambda _width, _device: Fake(seconds=0.001))
    monkeypatch.setattr(study, "warm", lambda *_: None)


@pytest.mark.usefixtures("fake")
def test_too_many_failures_have_an_exit_code_of_their_own(tmp_path: Path, told: Told) -> None:
    line = f"run {QUICK} {ALONE} cap={RAISES} home={tmp_path} replicates"
    assert "75 % of the trials failed or were lost; max_failed=0.1" in told(f"{line}=4", code=5)
    assert told(f"{line}=4 max_failed=0.75")
    assert told(f"{line}=1")


@pytest.mark.parametrize("verb", ["run", "run execute=inline", "run tracking=none"])
def test_a_home_that_cannot_be_written_is_refused(verb: str, tmp_path: Path, told: Told) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file" / "home", Path("/proc/home")):
        message = told(f"{verb} {QUICK} home={home}", code=2)
        assert f"{home}/{NAME}.lock: cannot be written" in message
        assert "home=DIR" in message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_cluster_that_is_not_there_leaves_nothing_behind(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    message = told(f"run {QUICK} home={tmp_path / 'home'} execute=ray execute.address=127.0.0.1:1", code=8)
    assert "no Ray cluster answers at execute.address=127.0.0.1:1" in message
    assert list(tmp_path.iterdir()) == []


def test_a_changed_definition_is_refused_with_the_differences(copied: Path, told: Told) -> None:
    before = (copied / f"{NAME}.sqlite").read_bytes()
    for changed, difference in (("seed=3", "seed was 1997, is 3"), ("network.size=3", "network.size was 2, is 3")):
        for verb in ("run", "table", "export", "verify"):
            assert difference in told(f"{verb} {GRID} {changed}", code=2)
    assert (copied / f"{NAME}.sqlite").read_bytes() == before


@pytest.mark.usefixtures("fake")
def test_a_cache_that_others_may_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "cache" / "kernels"))
    (tmp_path / "cache").mkdir(mode=0o755)
    (tmp_path / "cache").chmod(0o777)
    assert cli.main(f"run {QUICK} {ALONE} replicates=1 home={tmp_path}".split()) == 0
    told = f"others may write {tmp_path}/cache: chmod go-w it, or set LSTM_SEARCH_CACHE to a folder of your own"
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("cap", "code"), [(100, 0), (RAISES, 5)])
def test_training_goes_on_and_the_exit_code_is_true_when_nobody_reads(
    cap: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINES_APART", 0)
    line = f"run {QUICK} {ALONE} cap={cap} home={tmp_path} replicates=20 execute.slice_seconds=0.01 study=unread"
    theirs, ours = os.pipe()
    os.close(theirs)  # as `2>&1 | head -1` does after its line
    with os.fdopen(ours, "w", buffering=1) as unread, monkeypatch.context() as streams:
        streams.setattr(sys, "stdout", unread)
        streams.setattr(sys, "stderr", unread)
        assert cli.main(line.split()) == code
    assert len(recorded(tmp_path, "unread")) == 20
