"""The server for one browser, and publishing over HTTP, also where replies are lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.lossy import Lossy
from helpers.program import free_port, processes
from helpers.published import EVERY_RUN, stored, study
from helpers.waiting import PATIENCE, until

from lstm_search.tracking import PortTaken, Tracker, TrackingFailed, dashboard, ui

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


SERVE = """
import sys
from pathlib import Path
from lstm_search.tracking import ui
with ui(Path(sys.argv[1]), None, int(sys.argv[2]), "served") as dashboard:
    print(*dashboard.links, dashboard.server.pid, sep="\\n", flush=True)
    dashboard.wait()
"""


@pytest.fixture(scope="module")
def server(tracker: Tracker, home: Path) -> Iterator[str]:
    """The link to a server on the session's database, which ends although the process that asked for it is killed."""
    tracker.sync(study("served"))
    port = free_port()
    command = [sys.executable, "-c", SERVE, str(home), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        link, _, number = (asking.stdout.readline().strip() for _ in range(3))
        yield link
        asking.kill()
    until(lambda: int(number) not in processes())
    until(lambda: closed(port))  # its last threads end a moment later


def closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def address(server: str) -> str:
    """Where MLflow's API is, with the key."""
    return server.partition("/#")[0]


def ask(address: str, path: str, body: object = None) -> tuple[int, bytes]:
    """Status and content of a reply; what is asked with a body is sent as JSON, or as it is."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})  # noqa: S310  (our own server)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310  (as above)
            return reply.status, reply.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_the_link_opens_the_runs_of_the_study(server: str, tracker: Tracker) -> None:
    number = tracker._client().get_experiment_by_name("served").experiment_id
    address, _, page = server.partition("/#")
    assert page == f"/experiments/{number}/runs?workflowType=machine_learning&viewStateShareKey=cells"
    with urllib.request.urlopen(f"{address}/", timeout=PATIENCE) as reply:  # noqa: S310  (our own server)
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
    monkeypatch.setattr(dashboard, "_DIRECT", SimpleNamespace(open=health))
    starting = SimpleNamespace(poll=lambda: None)
    dashboard._await(starting, "http://127.0.0.1:1", tmp_path / "log")  # type: ignore[arg-type]


API = "/api/2.0/mlflow/experiments/get?experiment_id=0"


@pytest.mark.parametrize(
    "path", ["", "/", "/health", "/version", "/static-files/favicon.ico", API, "/KEY", "/KE/health"]
)
def test_without_the_key_nobody_is_let_in(address: str, path: str) -> None:
    outside, _, key = address.rpartition("/")
    assert re.fullmatch("[0-9a-f]{32}", key)
    path = path.replace("KEY", key[:-1]).replace("KE", key[:-1])
    assert ask(outside, path) == (403, b"Take the link that lstm-search ui has printed.\n")
    assert ask(outside, f"/{key[::-1]}{API}")[0] == 403
    assert ask(address, API)[0] == 200


def test_other_users_of_the_machine_do_not_see_the_key(address: str, home: Path) -> None:
    key = address.rpartition("/")[2]
    assert not [command for _, command in processes().values() if key in command]
    ask(address, API)
    assert key not in (home / "mlflow-server.log").read_text()
    assert (home / "mlflow-server.log").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("place", ["{outside}", "file://{outside}", "{root}/../..", "{root}/linked", "s3://bucket"])
def test_no_experiment_is_made_with_artifacts_elsewhere(address: str, home: Path, tmp_path: Path, place: str) -> None:
    link = home / "artifacts" / "linked"
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path)
    asked = {"name": f"made {place}", "artifact_location": place.format(outside=tmp_path, root=link.parent)}
    status, reply = ask(address, "/api/2.0/mlflow/experiments/create", asked)
    assert (status, b"and only there" in reply) == (400, True)


@pytest.mark.parametrize("linked", ["nothing", "run", "folder", "file"])
def test_no_artifact_elsewhere_is_read_or_written(
    address: str, tracker: Tracker, home: Path, tmp_path: Path, linked: str
) -> None:
    """Of an experiment that was made by another program: elsewhere, or with a link that leads there."""
    (tmp_path / "secret.txt").write_text("secret")
    client, root = tracker._client(), tmp_path if linked == "nothing" else home / "artifacts" / f"linked {linked}"
    number = client.create_experiment(f"linked {linked} {tmp_path}", artifact_location=root.as_uri())
    run = client.create_run(number).info.run_id
    folder = root / run / "artifacts"
    if linked in {"nothing", "file"}:
        folder.mkdir(parents=True)
        (folder / "secret.txt").symlink_to(tmp_path / "secret.txt")
    elif linked == "run":
        folder.parent.mkdir(parents=True)
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir(parents=True)
        (folder / "deeper").symlink_to(tmp_path)
    path = "deeper/secret.txt" if linked == "folder" else "secret.txt"
    status, reply = ask(address, f"/get-artifact?run_id={run}&path={path}")
    assert (status >= 400, reply == b"secret") == (True, False)
    written = ask(address, f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={path}", b"planted")
    assert linked == "file" or written[0] >= 400
    assert {path.name: path.read_text() for path in tmp_path.glob("*.txt")} == {"secret.txt": "secret"}


def test_artifacts_of_a_study_are_served(address: str, tracker: Tracker) -> None:
    run = stored(tracker, "served")["served"].info.run_id
    assert ask(address, f"/get-artifact?run_id={run}&path=config.yaml") == (200, b"table: 9\n")


@pytest.mark.parametrize("foreign", ["evil.example", "192.168.0.1:5000", "mlflow:5000"])
def test_a_foreign_host_is_refused(address: str, foreign: str) -> None:
    host, _, key = address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    connection.request("GET", f"/{key}{API}", headers={"Host": foreign})
    assert connection.getresponse().status == 403
    connection.close()


def test_publishing_over_http_equals_publishing_into_the_file(address: str, tracker: Tracker) -> None:
    over_http = Tracker(address, tracker.home)
    assert over_http.sync(study("over_http")) == 8
    assert over_http.sync(study("over_http")) == 0
    assert tracker.sync(study("over_http")) == 0
    tracker.sync(study("direct"))
    here, there = stored(tracker, "direct"), stored(tracker, "over_http")
    for name, run in there.items():
        twin = here["direct" if name == "over_http" else name]
        assert (run.data.metrics, run.data.params) == (twin.data.metrics, twin.data.params)
        assert (run.info.start_time, run.info.end_time) == (twin.info.start_time, twin.info.end_time)


def test_lost_replies_make_no_ghost_runs(address: str, tracker: Tracker) -> None:
    port, _, key = address.rpartition(":")[2].partition("/")
    view = study("lossy", artifacts={})
    with Lossy(int(port), random.Random(1), share=1 / 3).passing() as proxy:
        over_proxy = Tracker(f"{proxy.address}/{key}", tracker.home)
        for _ in range(60):  # each try gets a little further
            with contextlib.suppress(TrackingFailed):
                if over_proxy.sync(view) == 0:
                    break
    assert proxy.fates
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
