"""What is interrupted, doubled, lost or stopped in MLflow is completed by the next sync, and nothing twice."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.published import history, stored, study
from helpers.waiting import PATIENCE

from lstm_search.tracking import Tracker, TrackingFailed

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


class Interrupted(Exception):  # noqa: N818  (stands for a process that dies here)
    """Raised in the middle of publishing."""


def failing(call: Callable[..., Any], after: int, *, done: bool) -> Callable[..., Any]:
    """`call`, which fails from the `after`-th time on: before its work, or after it with the reply lost (`done`)."""
    calls = iter(range(1_000_000))

    def wrapped(*values: Any, **named: Any) -> Any:
        if next(calls) < after:
            return call(*values, **named)
        if done:
            call(*values, **named)
        raise Interrupted("the reply was lost")

    return wrapped


@pytest.fixture(scope="module")
def whole(tracker: Tracker) -> dict[str, Any]:
    """The runs of a study that was published without a fault."""
    tracker.sync(study("whole"))
    return stored(tracker, "whole")


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "fault", [("create_run", 0), ("create_run", 3), ("log_batch", 0), ("log_batch", 4), ("set_terminated", 1)]
)
def test_what_an_interruption_leaves_is_completed_and_not_doubled(
    tracker: Tracker, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch, fault: tuple[str, int], *, done: bool
) -> None:
    call, after = fault
    name = f"half_{call}_{after}_{done}"
    broken = Tracker(None, tracker.home)
    with monkeypatch.context() as patch:
        client = broken._client()
        patch.setattr(client, call, failing(getattr(client, call), after, done=done))
        with pytest.raises(TrackingFailed, match="the reply was lost"):
            broken.sync(study(name))
    assert broken.sync(study(name)) > 0  # the same process tries again
    assert broken.sync(study(name)) == 0
    assert Tracker(None, tracker.home).sync(study(name)) == 0
    runs = stored(tracker, name)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for run_name, run in runs.items():
        twin = whole["whole" if run_name == name else run_name]
        assert run.data.metrics == twin.data.metrics
        assert run.data.params == twin.data.params
        assert run.info.end_time == twin.info.end_time
    curve = study(name).cells[0].trials[0].result.curve
    assert history(tracker, runs["6a #0"], "curve/error") == [(point.sequences, point.error) for point in curve]


def test_a_ghost_run_is_removed(tracker: Tracker, home: Path) -> None:
    tracker.sync(study("ghost"))
    client = tracker._client()
    run = stored(tracker, "ghost")["6a #1"]
    client.create_run(run.info.experiment_id, tags=dict(run.data.tags), run_name="6a #1")
    looking = Tracker(None, home)
    assert looking.unpublished(study("ghost")) == 0
    assert len(list(client.search_runs([run.info.experiment_id]))) == 9, "looking removes nothing"
    assert Tracker(None, home).sync(study("ghost")) == 0
    assert stored(tracker, "ghost")["6a #1"].info.run_id == run.info.run_id


@pytest.mark.parametrize(
    "error",
    [
        "(raised as a result of Query-invoked autoflush; ...)\n(sqlite3.OperationalError) database or disk is full",
        "[Errno 28] No space left on device: '/tmp/x.png' -> '/home/x.png'\n",
    ],
)
def test_a_full_disk_is_told_with_its_folder_and_bytes(
    tracker: Tracker, home: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr(tracker._client(), "create_run", full)
    said = re.escape(error.strip().splitlines()[-1])
    with pytest.raises(TrackingFailed, match=rf"^MLflow at .*: {said}; \d+ bytes are free in {re.escape(str(home))}$"):
        tracker.sync(study("full"))


def test_runs_of_other_programs_are_left_alone(tracker: Tracker, home: Path) -> None:
    tracker.sync(study("shared"))
    client = tracker._client()
    foreign = client.create_run(client.get_experiment_by_name("shared").experiment_id, run_name="somebody's")
    assert Tracker(None, home).sync(study("shared")) == 0
    assert client.get_run(foreign.info.run_id).info.status == "RUNNING"


@pytest.mark.parametrize("loss", ["experiment", "rows"])
def test_an_emptied_store_is_filled_again(tracker: Tracker, home: Path, loss: str) -> None:
    name = f"emptied_{loss}"
    tracker.sync(study(name))
    before = {run_name: (run.data.metrics, run.data.params) for run_name, run in stored(tracker, name).items()}
    if loss == "experiment":
        client = tracker._client()
        client.delete_experiment(client.get_experiment_by_name(name).experiment_id)
        assert Tracker(None, home).unpublished(study(name)) == 8
        assert client.get_experiment_by_name(name).lifecycle_stage == "deleted"
        assert Tracker(None, home).sync(study(name)) == 0  # MLflow only hid it
    else:
        with sqlite3.connect(home / "mlflow.db", timeout=PATIENCE) as db:
            number = db.execute("SELECT experiment_id FROM experiments WHERE name = ?", (name,)).fetchone()[0]
            runs = "(SELECT run_uuid FROM runs WHERE experiment_id = ?)"
            for table in ("metrics", "latest_metrics", "params", "tags"):
                db.execute(f"DELETE FROM {table} WHERE run_uuid IN {runs}", (number,))  # noqa: S608  (our own names)
            db.execute("DELETE FROM runs WHERE experiment_id = ?", (number,))
        db.close()
        assert Tracker(None, home).sync(study(name)) == 8
    after = {run_name: (run.data.metrics, run.data.params) for run_name, run in stored(tracker, name).items()}
    assert after == before


def test_a_stopped_sync_leaves_no_run_open_and_the_rest_for_later(tracker: Tracker) -> None:
    answers = iter([False, False, True])
    assert tracker.sync(study("stopped"), stop=lambda: next(answers, True)) == 1 + 2 + 2
    assert {run.info.status for run in stored(tracker, "stopped").values()} == {"FINISHED"}
    assert tracker.sync(study("stopped")) == 3


def test_how_far_a_pass_is_counts_the_trials_that_are_there(tracker: Tracker) -> None:
    """Else one that writes ten trials, again and again, would be taken for one that gets no further."""
    asked: list[None] = []
    for _ in range(2):
        tracker.sync(study("asked"), stop=lambda: asked.append(None) is not None)
        assert len(asked) == 5
        asked.clear()


CREATE = """
import os, sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store  # all that takes its time, so that the database is made at once
from lstm_search.tracking import Tracker
started = []
while len(started) < 3 and (not started or started[-1]):
    started.append(os.fork())
if started[-1]:
    sys.exit(any([os.waitpid(process, 0)[1] for process in started]))
Tracker(None, Path(sys.argv[1])).pages(None)
"""


def test_several_processes_may_create_the_database_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
