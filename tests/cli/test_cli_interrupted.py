"""Studies that are interrupted, refused, or end badly."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.fakes import RAISES, FakeTrainer
from helpers.program import ALONE, NAME, QUICK, Lstm, recorded
from helpers.small import GRID, Told

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
