"""The services of docker-compose.yml in namespaces of this machine, as users and strangers meet them.

Every command, environment, user, network, secret, volume and healthcheck is the file's. No engine is needed. Where the
namespaces cannot be made, the same commands run on loopback, and what takes walls is skipped.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from helpers.boxes import impossible, inside
from helpers.engine import POSTGRES, Engine
from helpers.loopback import Loopback
from helpers.waiting import PATIENCE

WALLS = impossible()
contained = pytest.mark.skipif(bool(WALLS), reason=f"no namespaces here, all runs on loopback: {WALLS}")
pytestmark = [
    pytest.mark.skipif(not POSTGRES.exists(), reason="no PostgreSQL server here (Debian: apt-get install postgresql)"),
]

ROW = ("table=9", "rows=6a", "replicates=4")
REMOTE = ("home=/studies", "tracking.uri=http://mlflow:5000")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine | Loopback]:
    """Everything up and healthy, one study trained; the tests run on the server, beside its containers."""
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="c-", dir="/tmp", ignore_cleanup_errors=True))
        Path(name).chmod(0o755)
        started = stack.enter_context(closing((Loopback if WALLS else Engine)(Path(name))))
        if isinstance(started, Engine):
            stack.enter_context(inside(started.server))
        started.build(*ROW)
        started.up("ray-worker")
        started.healthy("ray-worker")
        done = started.run("submit", *ROW)
        assert done.returncode == 0, done.stderr
        assert "| 6a  | " in done.stderr
        yield started


def lstm(engine: Engine, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`lstm-search` of a user of the server, who has the token."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(engine.folder / "secrets/ray-token")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(engine.folder / "user")} | token | variables
    command = [sys.executable, "-m", "lstm_search", *engine.names(words)]
    return subprocess.run(
        command, env=environment, cwd=engine.folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def ask(url: str, method: str = "GET", login: str = "", body: Any = None) -> tuple[int, Any]:
    """Status and answer; `login` is user:password. No proxy, no redirection."""
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers | {"Content-Type": "application/json"}, method=method)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] == b"{" else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def exported(engine: Engine) -> list[dict[str, str]]:
    """One line a trial and milestone, of the record on the head."""
    done = engine.exec("ray-head", "lstm-search", "export", *ROW, "home=/studies")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def test_a_study_is_read_back_through_mlflow_with_a_login(engine: Engine) -> None:
    admin = f"admin:{engine.secret('mlflow-admin-password')}"
    api = f"{engine.mlflow_url}/api/2.0/mlflow"
    status, found = ask(f"{api}/experiments/get-by-name?experiment_name=table-9", login=admin)
    assert status == 200
    body = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 100}
    runs = ask(f"{api}/runs/search", "POST", admin, body)[1]["runs"]
    assert len(runs) == 1 + 1 + 4
    assert {run["info"]["status"] for run in runs} == {"FINISHED"}
    sequences = {}
    for run in runs:
        params = {entry["key"]: entry["value"] for entry in run["data"].get("params", [])}
        metrics = {entry["key"]: entry["value"] for entry in run["data"].get("metrics", [])}
        if "replicate" in params:
            sequences[params["key"]] = metrics["sequences"]
    assert sequences == {line["key"]: float(line["sequences"]) for line in exported(engine)}


@contained
def test_the_driver_runs_on_the_head_and_trials_on_the_worker(engine: Engine) -> None:
    files = engine.exec("ray-head", "ls", "/studies").stdout.split()
    assert "table-9.sqlite" in files
    seen = engine.exec("ray-worker", "sh", "-c", f"ls /studies; cat {engine.logs('ray-worker')}/worker-*.out")
    assert "_Host" in seen.stdout
    assert "table-9" not in seen.stdout
    assert "_Host" not in engine.exec("ray-head", "sh", "-c", f"cat {engine.logs('ray-head')}/worker-*.out").stdout


def test_status_table_and_export_from_outside(engine: Engine) -> None:
    status = lstm(engine, "status", "source=cluster", "home=/studies")
    assert status.returncode == 0, status.stderr
    assert re.search(r"\| table-9 \| 6a \| 4 of 4 \| \d \|", status.stdout)
    export = lstm(engine, "export", "source=cluster", "home=/studies", *ROW)
    assert list(csv.DictReader(export.stdout.splitlines())) == exported(engine)
    verify = lstm(engine, "verify", "source=cluster", *REMOTE, *ROW)
    assert (verify.returncode, verify.stdout) == (0, "planned: 4\nrecorded: 4\nruns not published: 0\n"), verify.stderr
    unknown = lstm(engine, "status", "source=cluster", "home=/studies", "study=nope")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "nope" in unknown.stderr


def test_the_same_words_from_outside_train_nothing_again(engine: Engine) -> None:
    before = exported(engine)
    done = lstm(engine, "submit", *ROW, *REMOTE)
    assert done.returncode == 0, done.stderr
    assert "starting workers" not in done.stderr
    assert exported(engine) == before


@pytest.mark.parametrize("words", [("submit", *ROW), ("status", "source=cluster")])
def test_who_has_a_wrong_token_or_none_hears_it_at_once(engine: Engine, words: tuple[str, ...], tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    for path, said in ((wrong, "refused the token"), (tmp_path / "none", "asks for a token")):
        done = lstm(engine, *words, RAY_AUTH_TOKEN_PATH=str(path))
        assert done.returncode == 8, done.stderr
        assert said in done.stderr


def test_doctor_on_the_head_and_from_outside(engine: Engine) -> None:
    words = ("lstm-search", "doctor", *REMOTE, "execute=ray", "execute.address=auto")
    well = engine.exec("ray-head", *words)
    assert well.returncode == 0, well.stdout
    lines = [" ".join(line.split()) for line in well.stdout.splitlines()]
    assert f"ok mlflow {engine.mlflow_inside} answers" in lines
    assert f"ok cluster {engine.head_address} answers and takes the token" in lines
    uri = f"tracking.uri={engine.mlflow_url}"
    admin = engine.secret("mlflow-admin-password")
    for password, code, line in (
        (admin, 0, "ok +mlflow"),
        ("not the password", 7, "FIX +mlflow.*401.*MLFLOW_TRACKING_USERNAME"),
    ):
        login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
        done = lstm(engine, "doctor", uri, "execute=inline", **login)
        assert done.returncode == code, done.stdout
        assert re.search(line, done.stdout), done.stdout


def test_a_lost_record_is_rebuilt_from_mlflow(engine: Engine) -> None:
    before = exported(engine)
    assert engine.exec("ray-head", "mv", "/studies/table-9.sqlite", "/studies/lost").returncode == 0
    done = engine.exec("ray-head", "lstm-search", "recover", "study=table-9", *REMOTE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "table-9: 4 trials recovered, without their weights\n"
    assert exported(engine) == before
    sync = engine.exec("ray-head", "lstm-search", "sync", "study=table-9", *REMOTE)
    assert sync.stdout == "table-9: 0 runs written\n"


PUBLIC_RAY = {
    "/", "/favicon.ico", "/static", "/api/authentication_mode", "/api/gcs_healthz", "/api/healthz",
    "/api/local_raylet_healthz", "/-/healthz",
}  # fmt: skip
"""What docs/deploy.md calls public; the page that takes a token, /api/authenticate, answers 401 like all others."""


def ray_routes(engine: Engine, service: str, log: str) -> set[tuple[str, str]]:
    """Method and path of every route, as the process itself wrote them down when it started."""
    text = engine.exec(service, "cat", f"{engine.logs(service)}/{log}.log").stdout
    found = re.findall(r"Route \[([A-Z*]+)\] <\w+ +(/[^ >]*)", text)
    return {("GET" if method == "*" else method, path) for method, path in found if method != "HEAD"}


@pytest.mark.parametrize(
    ("service", "log", "least"),
    [("ray-head", "dashboard", 60), ("ray-head", "dashboard_agent", 10), ("ray-worker", "dashboard_agent", 10)],
)
def test_no_route_of_ray_answers_without_the_token(engine: Engine, service: str, log: str, least: int) -> None:
    routes = ray_routes(engine, service, log)
    assert len(routes) >= least
    address = engine.ray_url if log == "dashboard" else f"http://{engine.agents[service]}"
    open_ones = set()
    for method, path in routes:
        status = ask(f"{address}{re.sub(r'{[^}]*}', 'x', path)}", method)[0]
        if status not in {401, 403}:
            open_ones.add(path)
    assert open_ones <= PUBLIC_RAY


LIST_ROUTES = """
import os, re
os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
from mlflow.server import app
from mlflow.server.auth import create_app
native = create_app(app).openapi()["paths"]
for rule in app.url_map.iter_rules():
    for method in rule.methods - {"HEAD", "OPTIONS"}: print("ROUTE", method, re.sub("<[^>]*>", "x", rule.rule))
for path, methods in native.items():
    for method in methods: print("ROUTE", method.upper(), re.sub("{[^}]*}", "x", path))
"""


def test_no_route_of_mlflow_answers_without_a_login(engine: Engine) -> None:
    listed = engine.exec("mlflow", "python", "/opt/lstm/entrypoint.py", "python", "-W", "ignore", "-c", LIST_ROUTES)
    routes = {tuple(line.split()[1:]) for line in listed.stdout.splitlines() if line.startswith("ROUTE ")}
    assert len(routes) > 400, listed.stderr
    open_ones = {path for method, path in routes if ask(engine.mlflow_url + path, method)[0] not in {401, 403}}
    public = {path for path in open_ones if path.startswith("/static-files/") or path.endswith("/mlflow/server-info")}
    assert open_ones - public == {"/health"}


@contained
def test_nobody_gets_at_the_assistant_of_mlflow_which_has_a_shell(engine: Engine) -> None:
    admin = f"admin:{engine.secret('mlflow-admin-password')}"
    assistant = f"{engine.mlflow_url}/ajax-api/3.0/mlflow/assistant"
    assert ask(f"{assistant}/message", "POST", admin, {"message": "run true"})[0] == 403
    assert ask(f"{assistant}/config", "PUT", admin, {"providers": {}})[0] == 403


SERVICES = (
    "NodeInfoGcsService/CheckAlive", "NodeManagerService/GetNodeStats", "ObjectManagerService/Push",
    "CoreWorkerService/PushTask", "ReporterService/GetTraceback", "RayletDriver/Init",
)  # fmt: skip
"""One question to every kind of server that Ray starts."""


def grpc_answers(address: str) -> set[str]:
    """How a server of Ray answers who has no token; empty where it does not speak this protocol."""
    import grpc

    found = set()
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        for name in SERVICES:
            try:
                channel.unary_unary(f"/ray.rpc.{name}")(b"", timeout=PATIENCE)
                found.add(f"answered {name}")
            except grpc.RpcError as error:
                found.add(error.code().name)
    return found - {"UNIMPLEMENTED"}


def guard(address: str) -> str:
    """What stands before a port: the token, nothing before pages or Prometheus' figures, or nothing at all."""
    try:
        status, text = ask(f"http://{address}/")
    except (OSError, HTTPException):
        return "token" if grpc_answers(address) == {"UNAUTHENTICATED"} else f"open: {grpc_answers(address)}"
    if status in {401, 403}:
        return "token"
    return "figures" if text.startswith(b"# HELP ") else "page" if b"<title>Ray Dashboard</title>" in text else "open"


@contained
def test_what_listens_is_on_loopback_or_takes_the_token(engine: Engine) -> None:
    """Asked from the server, which is in every network; its own users are nearer than anybody else."""
    for service, address, guards in (
        ("ray-head", engine.head, {"token", "figures", "page"}),
        ("ray-worker", engine.worker, {"token", "figures"}),
    ):
        ports = {port for place, port in engine.boxes[service].listening() if place != "127.0.0.1"}
        assert len(ports) >= 6
        found = {port: guard(f"{address}:{port}") for port in ports}
        assert set(found.values()) == guards, found
    places = {place for service in ("ray-head", "ray-worker") for place, _ in engine.boxes[service].listening()}
    assert places <= {"0.0.0.0", "::", "127.0.0.1", engine.head, engine.worker}  # noqa: S104


@contained
def test_the_server_publishes_two_ports_on_loopback(engine: Engine) -> None:
    assert engine.server.listening() == {("127.0.0.1", 8265), ("127.0.0.1", 5000)}


REACH = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"


@contained
@pytest.mark.parametrize(
    ("service", "name", "port", "there"),
    [
        ("ray-worker", "ray-head", 6379, True),
        ("ray-worker", "mlflow", 5000, False),
        ("ray-worker", "10.231.1.50", 5000, False),
        ("ray-worker", "10.231.2.90", 5432, False),
        ("ray-worker", "192.0.2.1", 80, False),
        ("ray-head", "mlflow", 5000, True),
        ("ray-head", "10.231.2.90", 5432, False),
        ("ray-head", "192.0.2.1", 80, False),
        ("mlflow", "postgres", 5432, True),
        ("mlflow", "10.231.0.20", 6379, False),
        ("mlflow", "192.0.2.1", 80, False),
    ],
)
def test_who_reaches_whom(engine: Engine, service: str, name: str, port: int, *, there: bool) -> None:
    done = engine.exec(service, "python", "-c", REACH, name, str(port))
    assert (done.returncode == 0) is there, done.stderr


@contained
@pytest.mark.parametrize("service", ["ray-head", "ray-worker", "mlflow", "postgres"])
def test_a_container_can_change_nothing_and_become_nobody(engine: Engine, service: str) -> None:
    state = engine.exec(service, "cat", "/proc/self/status").stdout
    assert set(re.findall(r"^Cap\w+:\s+(\w+)$", state, re.MULTILINE)) == {"0" * 16}
    assert re.search(r"^NoNewPrivs:\s+1$", state, re.MULTILINE)
    assert engine.settings["LSTM_UID"] in state
    assert "Read-only file system" in engine.exec(service, "touch", "/opt/lstm/x").stderr
    held = set(engine.exec(service, "ls", "/run/secrets").stdout.split())
    listed = [entry for entry in engine.services[service]["secrets"] if isinstance(entry, str)]
    assert held == set(listed)
