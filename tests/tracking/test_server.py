"""The server for one browser, and publishing over HTTP, also where replies are lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.program import free_port
from helpers.published import EVERY_RUN, stored, study
from helpers.waiting import PATIENCE

from lstm_search.tracking import PortTaken, Tracker, TrackingFailed, dashboard, ui

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


@pytest.fixture(scope="module")
def server(tracker: Tracker, home: Path) -> Iterator[str]:
    """The address of a server on the session's database, which is then stopped with all its processes."""
    tracker.sync(study("served"))
    port = free_port()
    with ui(home, None, port, "served") as dashboard:
        yield dashboard.links[0]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert dashboard.server is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(dashboard.server.pid, 0)


def test_the_link_opens_the_runs_of_the_study(server: str, tracker: Tracker) -> None:
    number = tracker._client().get_experiment_by_name("served").experiment_id
    address, _, page = server.partition("/#")
    assert page == f"/experiments/{number}/runs?workflowType=machine_learning&viewStateShareKey=cells"
    with urllib.request.urlopen(address, timeout=PATIENCE) as reply:  # noqa: S310  (our own server)
        assert b"MLflow" in reply.read()
    over_http = Tracker(address, tracker.home)
    assert over_http.link("served") == server
    assert over_http.sync(study("served")) == 0
    there = ui(tracker.home, address, 1, "served")
    assert there.links[0] == server
    own = stored(tracker, "served")["served"].info.run_id
    assert there.links[1] == f"{address}/#/experiments/{number}/runs/{own}?workflowType=machine_learning"


def test_a_server_that_a_busy_machine_starts_slowly_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers after five minutes, of a clock that goes two seconds a look."""
    now = iter(range(0, 10_000, 2))
    clock = SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None)

    def health(*_: object, timeout: float) -> contextlib.nullcontext[None]:
        if next(now) < 300:
            raise TimeoutError(timeout)
        return contextlib.nullcontext()

    monkeypatch.setattr(dashboard, "time", clock)
    monkeypatch.setattr(urllib.request, "urlopen", health)
    starting = SimpleNamespace(poll=lambda: None)
    dashboard._await(starting, 1, tmp_path / "log")  # type: ignore[arg-type]


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
