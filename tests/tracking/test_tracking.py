"""MLflow shows what the record holds: once, completely, and whatever happens to it in between."""

import contextlib
import http.client
import math
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers.program import free_port
from helpers.waiting import PATIENCE, until

from lstm_search.networks import Lstm1997
from lstm_search.spec import (
    Cell,
    CurvePoint,
    Outcome,
    Reached,
    Row,
    Stop,
    Training,
    Trial,
    TrialResult,
    TrialSpec,
)
from lstm_search.tasks import TemporalOrder
from lstm_search.tracking import BackgroundTracker, CellView, PortTaken, StudyView, Tracker, TrackingFailed, ui

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import

EVERY_RUN = 3  # MLflow's ViewType.ALL: the deleted ones too
CREATED = datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=UTC)
CELLS = [Cell(TemporalOrder(marks=marks), Lstm1997(blocks=marks), Training(0.5 / marks), (Stop(),)) for marks in (2, 3)]
ROWS = [
    Row("6a", CELLS[0], 3, 1000, table="9", published="6a", readings=(("reset", "0"),)),
    Row("6b", CELLS[1], 2, 2000, table="9"),
]


def trial(row: Row, replicate: int, outcome: Outcome = Outcome.SOLVED, **changes: Any) -> Trial:
    asked = TrialSpec(row.cell, replicate, 7, row.cap)
    sequences = 100 * (replicate + 1)
    values = {
        "key": asked.key,
        "outcome": outcome,
        "sequences": sequences,
        "steps": 105 * sequences,
        "milestones": (Reached("solved", sequences, 2560, replicate, 0.1 / 3),) if outcome == Outcome.SOLVED else (),
        "curve": tuple(CurvePoint(10 * 2**n, 1 / (n + 3), 0.5**n) for n in range(12)),
        "weights_sha256": asked.key[::-1],
        "seconds": 1.5,
    }
    return Trial(asked, TrialResult(**(values | changes)))


def study(name: str, counts: tuple[int, ...] = (3, 2), **changes: Any) -> StudyView:
    cells = [
        CellView(row, [trial(row, number) for number in range(count)], {"n": count, "success_rate": 1.0, "ert": 7.5})
        for row, count in zip(ROWS, counts, strict=True)
    ]
    values = {
        "cells": cells,
        "metrics": {"recorded": sum(counts)},
        "params": {"numpy": "2.4.6"},
        "note": "| row | k/n |\n|---|---|\n| 6a | 3/3 |",
        "artifacts": {"table.json": "[]", "config.yaml": "table: 9\n", "solved.png": b"\x89PNG"},
    }
    return StudyView(name, 7, CREATED, **(values | changes))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nasty home's %41 folder")


@pytest.fixture(scope="session")
def tracker(home: Path) -> Tracker:
    """One database for all tests, because MLflow takes a second to make it; each test has its own experiment."""
    return Tracker(None, home)


def stored(tracker: Tracker, name: str) -> dict[str, Any]:
    """The runs of an experiment, read back through MLflow's client, by name."""
    client = tracker._client()
    runs = list(client.search_runs([client.get_experiment_by_name(name).experiment_id]))
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def history(tracker: Tracker, run: Any, metric: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in tracker._client().get_metric_history(run.info.run_id, metric))


def test_what_is_read_back_is_what_was_published(tracker: Tracker, home: Path) -> None:
    view = study("read_back")
    assert tracker.sync(view) == 1 + 2 + 5
    runs = stored(tracker, "read_back")
    assert set(runs) == {"read_back", "6a", "6b", "6a #0", "6a #1", "6a #2", "6b #0", "6b #1"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for cell in view.cells:
        parent = runs[cell.row.name]
        assert parent.data.tags["mlflow.parentRunId"] == runs["read_back"].info.run_id
        assert parent.data.metrics == {"n": len(cell.trials), "success_rate": 1.0, "ert": 7.5}
        assert parent.data.params["training.rate"] == str(cell.row.cell.training.rate)
        assert parent.data.params["task.name"] == "temporal_order"
        for shown in cell.trials:
            run, result = runs[f"{cell.row.name} #{shown.spec.replicate}"], shown.result
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert run.data.tags["lstm_search.key"] == run.data.params["key"] == result.key
            assert run.data.params["replicate"] == str(shown.spec.replicate)
            assert run.data.metrics["success"] == 1
            assert run.data.metrics["sequences"] == result.sequences
            assert run.data.metrics["solved/test_wrong"] == result.milestones[0].test_wrong
            assert run.data.metrics["solved/test_error"] == result.milestones[0].test_error
            assert history(tracker, run, "curve/error") == [(point.sequences, point.error) for point in result.curve]
            assert history(tracker, run, "curve/wrong") == [(point.sequences, point.wrong) for point in result.curve]
            assert run.info.end_time - run.info.start_time == 1500
    assert runs["read_back"].data.tags["mlflow.note.content"] == view.note
    assert runs["read_back"].data.params == {"seed": "7", "numpy": "2.4.6"}
    for name, content in view.artifacts.items():
        (file,) = home.joinpath("artifacts", "read_back").rglob(name)
        assert file.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_the_newest_first_order_is_the_order_of_the_table(tracker: Tracker) -> None:
    tracker.sync(study("order"))
    runs = sorted(stored(tracker, "order").values(), key=lambda run: -run.info.start_time)
    names = [run.info.run_name for run in runs]
    assert names[0] == "order"
    assert [name for name in names if name in {"6a", "6b"}] == ["6a", "6b"]
    assert [name for name in names if name.startswith("6a #")] == ["6a #0", "6a #1", "6a #2"]


def everything(tracker: Tracker, name: str) -> list[Any]:
    return [run.to_dictionary() for run in stored(tracker, name).values()]


def test_a_second_sync_writes_nothing(tracker: Tracker, home: Path) -> None:
    tracker.sync(study("again"))
    before = everything(tracker, "again")
    assert tracker.sync(study("again")) == 0
    assert Tracker(None, home).sync(study("again")) == 0
    assert everything(tracker, "again") == before


def test_a_grown_study_adds_its_trials_and_renews_its_summaries(tracker: Tracker, home: Path) -> None:
    assert tracker.sync(study("grown", (1, 0))) == 4
    first = stored(tracker, "grown")
    assert Tracker(None, home).sync(study("grown", (3, 0))) == 4  # two trials, their row, the study
    runs = stored(tracker, "grown")
    assert runs["6a"].data.metrics["n"] == 3
    assert runs["grown"].data.metrics["recorded"] == 3
    assert {name: run.info.run_id for name, run in runs.items() if name in first} == {
        name: run.info.run_id for name, run in first.items()
    }


def test_a_summary_that_shrinks_shows_the_smaller_figure(tracker: Tracker) -> None:
    tracker.sync(study("shrunk", (3, 0)))
    time.sleep(0.002)
    tracker.sync(study("shrunk", (1, 0)))
    assert stored(tracker, "shrunk")["6a"].data.metrics["n"] == 1


def test_a_superseded_trial_is_replaced(tracker: Tracker) -> None:
    capped = trial(ROWS[0], 0, Outcome.CAPPED)
    assert tracker.sync(study("superseded", cells=[CellView(ROWS[0], [capped])])) == 3
    higher = replace(ROWS[0], cap=5000)
    assert tracker.sync(study("superseded", cells=[CellView(higher, [trial(higher, 0)])])) == 2
    run = stored(tracker, "superseded")["6a #0"]
    assert (run.data.params["cap"], run.data.metrics["success"]) == ("5000", 1)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_broken_trial_is_a_failed_run(tracker: Tracker, outcome: Outcome) -> None:
    ended = trial(ROWS[0], 0, outcome, error="Traceback: boom" if outcome == Outcome.FAILED else "")
    tracker.sync(study(f"ended_{outcome}", cells=[CellView(ROWS[0], [ended])]))
    run = stored(tracker, f"ended_{outcome}")["6a #0"]
    broken = outcome in {"FAILED", "LOST", "OOM", "TIMEOUT"}
    assert run.info.status == ("FAILED" if broken else "FINISHED")
    assert run.data.tags["lstm_search.outcome"] == outcome
    assert run.data.metrics["success"] == (outcome == "SOLVED")
    assert ("boom" in run.data.tags.get("mlflow.note.content", "")) == (outcome == "FAILED")


def test_undefined_figures_are_shown_as_undefined(tracker: Tracker) -> None:
    metrics = {"ert": math.inf, "mean_sequences": math.nan, "k": 0, "strange (name)": 1.0}
    diverged = trial(ROWS[0], 0, Outcome.DIVERGED, milestones=(Reached("st1", 10, 2560, 9, math.nan),))
    view = study("undefined", cells=[CellView(ROWS[0], [diverged], metrics)])
    tracker.sync(view)
    runs = stored(tracker, "undefined")
    assert math.isnan(runs["6a"].data.metrics["ert"])
    assert math.isnan(runs["6a"].data.metrics["mean_sequences"])
    assert runs["6a"].data.metrics["strange _name_"] == 1
    assert math.isnan(runs["6a #0"].data.metrics["st1/test_error"])
    assert tracker.sync(view) == 0


def test_hostile_text_is_stored_byte_for_byte(tracker: Tracker) -> None:
    name = "<script>alert(1)</script>'; DROP TABLE runs; -- ${oc.env:HOME} \U0001f600"
    row = replace(ROWS[0], name=name)
    tracker.sync(study("hostile", cells=[CellView(row, [trial(row, 0)])]))
    runs = stored(tracker, "hostile")
    assert runs[name].data.tags["lstm_search.row"] == runs[f"{name} #0"].data.params["row"] == name
    long = replace(ROWS[0], name="x" * 400)
    tracker.sync(study("hostile", cells=[CellView(long, [trial(long, 0)], note="y" * 20_000)]))
    assert tracker.sync(study("hostile", cells=[CellView(long, [trial(long, 0)], note="y" * 20_000)])) == 0


# -- faults -----------------------------------------------------------------------------------------------------------


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


CREATE = """
import sys
from pathlib import Path
from lstm_search.tracking import Tracker
Tracker(None, Path(sys.argv[1])).page(None)
"""


def test_several_processes_may_create_the_database_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, messages = process.communicate(timeout=PATIENCE)
        assert (process.returncode, messages) == (0, "")


# -- finding and addressing -------------------------------------------------------------------------------------------


def test_a_run_is_traced_back_to_its_trial(tracker: Tracker) -> None:
    view = study("traced")
    tracker.sync(view)
    runs = stored(tracker, "traced")
    assert tracker.find_run(runs["6b #1"].info.run_id) == view.cells[1].trials[1].result.key
    for wrong in (runs["6a"].info.run_id, "0" * 32, "../x", ""):
        with pytest.raises(ValueError, match="no run of a trial"):
            tracker.find_run(wrong)


@pytest.mark.parametrize(
    "uri", ["file:///tmp/mlruns", "./mlruns", "mlruns", "ftp://host", "databricks", "http:/host", "'; --"]
)
def test_an_address_mlflow_does_not_take_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ValueError, match=r"tracking\.uri=.*sqlite:"):
        Tracker(uri, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    tracker = Tracker(f"http://user:secret@127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(TrackingFailed) as caught:
        tracker.sync(study("x"))
    assert "secret" not in str(caught.value)
    assert "user:***@127.0.0.1" in str(caught.value)


def test_mlflow_is_imported_only_when_needed() -> None:
    script = "import sys, lstm_search.tracking; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)


# -- in the background ------------------------------------------------------------------------------------------------


def test_the_background_publishes_a_growing_study(tracker: Tracker) -> None:
    recorded = [1, 0]
    passes = []

    def snapshot() -> StudyView:
        passes.append(tuple(recorded))
        return study("growing", (recorded[0], recorded[1]))

    background = BackgroundTracker(tracker, snapshot, pytest.fail, pause=0.01)
    for counts in [(1, 0), (2, 0), (3, 1), (3, 2)]:
        recorded[:] = counts
        background.notify()
    assert background.close(PATIENCE)
    assert background.error == ""
    assert passes[-1] == (3, 2)
    assert len(stored(tracker, "growing")) == 8
    assert tracker.sync(study("growing")) == 0


def test_a_server_that_is_down_delays_nobody_and_is_reported_once(tmp_path: Path) -> None:
    warnings: list[str] = []
    tracker = Tracker(f"http://127.0.0.1:{free_port()}", tmp_path)
    background = BackgroundTracker(tracker, lambda: study("down"), warnings.append, pause=0.01, patience=0.0)
    background.notify()
    until(lambda: warnings)
    assert not background.close(3)
    assert len(warnings) == 1
    assert tracker.uri in warnings[0]
    assert tracker.uri in background.error


def test_the_background_tries_again_until_it_succeeds(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = iter([True, True])
    sync = tracker.sync

    def sometimes(view: StudyView, stop: Callable[[], bool]) -> int:
        if next(fails, False):
            raise TrackingFailed("not now")
        return sync(view, stop)

    monkeypatch.setattr(tracker, "sync", sometimes)
    background = BackgroundTracker(tracker, lambda: study("retried"), pytest.fail, pause=0.01)
    background.notify()
    assert background.close(PATIENCE)
    assert len(stored(tracker, "retried")) == 8


def test_the_background_leaves_no_run_open_where_it_is_stopped(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped in the middle of its first pass, with no time left for the rest."""
    begun, sync = threading.Event(), tracker.sync

    def slow(view: StudyView, stop: Callable[[], bool]) -> int:
        begun.set()
        until(stop)
        return sync(view, stop)

    monkeypatch.setattr(tracker, "sync", slow)
    background = BackgroundTracker(tracker, lambda: study("cut"), pytest.fail, pause=0.01)
    background.notify()
    assert begun.wait(PATIENCE)
    assert not background.close(0)
    until(lambda: not background._thread.is_alive())
    assert {run.info.status for run in stored(tracker, "cut").values()} == {"FINISHED"}
    assert sync(study("cut")) > 0


def test_an_error_of_ones_own_is_no_success(tracker: Tracker) -> None:
    def snapshot() -> StudyView:
        raise RuntimeError("the record is gone")

    background = BackgroundTracker(tracker, snapshot, pytest.fail, pause=0.01)
    background.notify()
    until(lambda: background.error)
    assert not background.close(0.5)
    assert "the record is gone" in background.error


# -- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tracker: Tracker, home: Path) -> Iterator[str]:
    """The address of a server on the session's database, which is then stopped with all its processes."""
    tracker.sync(study("served"))
    port = free_port()
    with ui(home, None, port, "served") as dashboard:
        yield dashboard.link
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert dashboard.server is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(dashboard.server.pid, 0)


def test_the_link_opens_the_runs_of_the_study(server: str, tracker: Tracker) -> None:
    number = tracker._client().get_experiment_by_name("served").experiment_id
    address, _, page = server.partition("/#")
    assert page == f"/experiments/{number}/runs?workflowType=machine_learning"
    with urllib.request.urlopen(address, timeout=PATIENCE) as reply:  # noqa: S310  (our own server)
        assert b"MLflow" in reply.read()
    over_http = Tracker(address, tracker.home)
    assert over_http.link("served") == server
    assert over_http.sync(study("served")) == 0
    there = ui(tracker.home, address, 1, "served")
    assert there.link == server
    own = stored(tracker, "served")["served"].info.run_id
    assert there.study_link == f"{address}/#/experiments/{number}/runs/{own}?workflowType=machine_learning"


@pytest.mark.parametrize("foreign", ["evil.example", "192.168.0.1:5000", "mlflow:5000"])
def test_a_foreign_host_is_refused(server: str, foreign: str) -> None:
    address = server.partition("/#")[0]
    host, _, port = address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    connection.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Host": foreign})
    assert connection.getresponse().status == 403
    connection.close()


def test_publishing_over_http_equals_publishing_into_the_file(server: str, tracker: Tracker) -> None:
    over_http = Tracker(server.partition("/#")[0], tracker.home)
    assert over_http.sync(study("over_http")) == 8
    assert over_http.sync(study("over_http")) == 0
    assert tracker.sync(study("over_http")) == 0
    tracker.sync(study("direct"))
    here, there = stored(tracker, "direct"), stored(tracker, "over_http")
    for name, run in there.items():
        twin = here["direct" if name == "over_http" else name]
        assert (run.data.metrics, run.data.params) == (twin.data.metrics, twin.data.params)
        assert (run.info.start_time, run.info.end_time) == (twin.info.start_time, twin.info.end_time)


class LossyProxy(BaseHTTPRequestHandler):
    """Passes requests on; of every third POST the reply is lost after the work is done: cut off, or 503."""

    target = ""
    posts = 0

    def do_GET(self) -> None:
        self._pass_on(lost=False)

    def do_POST(self) -> None:
        LossyProxy.posts += 1
        self._pass_on(lost=LossyProxy.posts % 3 == 0)

    def _pass_on(self, *, lost: bool) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(self.target, timeout=PATIENCE)
        connection.request(self.command, self.path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        if lost and LossyProxy.posts % 2:
            self.close_connection = True
            return
        self.send_response(503 if lost else reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *values: object) -> None:
        pass


def test_lost_replies_make_no_ghost_runs(server: str, tracker: Tracker) -> None:
    LossyProxy.target = server.partition("/#")[0].removeprefix("http://")
    view = study("lossy", artifacts={})
    with ThreadingHTTPServer(("127.0.0.1", 0), LossyProxy) as proxy:
        threading.Thread(target=proxy.serve_forever).start()
        over_proxy = Tracker(f"http://127.0.0.1:{proxy.server_port}", tracker.home)
        for _ in range(60):  # each try gets a little further
            with contextlib.suppress(TrackingFailed):
                if over_proxy.sync(view) == 0:
                    break
        proxy.shutdown()
    client = tracker._client()
    number = client.get_experiment_by_name("lossy").experiment_id
    assert len(client.search_runs([number], run_view_type=EVERY_RUN)) == 8
    assert {run.info.status for run in stored(tracker, "lossy").values()} == {"FINISHED"}
    assert tracker.sync(view) == 0


def test_a_taken_port_is_named(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port={port}: .*port={port + 1}"):
            ui(home, None, port)
