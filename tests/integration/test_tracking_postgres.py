"""MLflow over PostgreSQL as docker-compose.yml starts them: its commands and environments, 127.0.0.1 for its hosts."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import synthetic
from composed import ROOT, compose, here

from lstm_search.tracking import CellView, StudyView, Tracker, TrackingFailed

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
MISSING = [name for name in ("psycopg", "flask_wtf", "uvloop") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server here (Debian: apt-get install postgresql)"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra `cluster`)"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Stack:
    """The services of the compose file as processes of this machine, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services = compose()["services"]
        self.ports = {"mlflow": free_port(), "postgres": free_port()}
        self.address = f"http://127.0.0.1:{self.ports['mlflow']}"
        self.places = {
            **{f"{host}:5000": self.address.removeprefix("http://") for host in ("mlflow", "127.0.0.1", "localhost")},
            "postgres:5432": f"127.0.0.1:{self.ports['postgres']}",
            "--port=5000": f"--port={self.ports['mlflow']}",
            "--host=0.0.0.0": "--host=127.0.0.1",
            "=/artifacts": f"={folder}/artifacts",
            "/run/secrets": f"{folder}/secrets",
            "/etc/lstm": str(folder),
            "/opt/lstm": str(ROOT / "docker"),
        }
        make = [sys.executable, str(ROOT / "docker/make_secrets.py")]
        subprocess.run(make, cwd=folder, check=True, capture_output=True)
        for path in (folder / "secrets").iterdir():
            os.chown(path, os.getuid(), os.getgid())
        settings = (ROOT / "docker/mlflow-auth.ini").read_text()
        (folder / "mlflow-auth.ini").write_text(here(settings, self.places))

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def command(self, name: str) -> list[str]:
        return [sys.executable, str(ROOT / "docker/entrypoint.py"), *here(self.services[name]["command"], self.places)]

    def environment(self, name: str) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        python = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        given = here(self.services[name]["environment"], self.places)
        return {"PATH": path, "PYTHONPATH": python, "HOME": str(self.folder), **given}

    def once(self, name: str) -> str:
        """What a one-shot service prints; it must succeed."""
        environment = self.environment(name)
        done = subprocess.run(
            self.command(name),
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def healthy(self, name: str) -> bool:
        kind, program, *arguments = here(self.services[name]["healthcheck"]["test"], self.places)
        assert (kind, program) == ("CMD", "python")
        return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode == 0

    @contextmanager
    def mlflow(self) -> Iterator[None]:
        with (self.folder / "mlflow.log").open("w") as log:
            server = subprocess.Popen(
                self.command("mlflow"), env=self.environment("mlflow"), cwd=self.folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            try:
                wait_for(lambda: self.healthy("mlflow"), self.folder / "mlflow.log")
                yield
            finally:
                server.terminate()
                try:
                    server.wait(20)
                finally:
                    kill_group(server.pid)

    @contextmanager
    def postgres(self) -> Iterator[None]:
        """As the image's own entry point does it, as a user without rights, in a folder that this user can reach."""
        assert PROGRAMS is not None
        given = here(self.services["postgres"]["environment"], self.places)
        user: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        )
        with tempfile.TemporaryDirectory(prefix="lstm-pg-") as place:
            password = Path(place, "password")
            shutil.copy(given["POSTGRES_PASSWORD_FILE"], password)
            if user:
                for path in (place, password):
                    shutil.chown(path, "postgres", "postgres")
            initialise = [
                PROGRAMS,
                "-D",
                f"{place}/data",
                f"--username={given['POSTGRES_USER']}",
                f"--pwfile={password}",
            ]
            initialise += given["POSTGRES_INITDB_ARGS"].split()
            subprocess.run(initialise, check=True, capture_output=True, cwd=place, **user)
            listen = ["-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-k", place, "-c", "fsync=off"]
            with Path(place, "log").open("w") as log:
                server = subprocess.Popen(
                    [PROGRAMS.with_name("postgres"), "-D", f"{place}/data", *listen],
                    cwd=place,
                    stdout=log,
                    stderr=log,
                    **user,
                )
                try:
                    reach = [
                        "--host=127.0.0.1",
                        f"--port={self.ports['postgres']}",
                        f"--username={given['POSTGRES_USER']}",
                    ]
                    ready = [PROGRAMS.with_name("pg_isready"), *reach]
                    wait_for(
                        lambda: not subprocess.run(ready, capture_output=True, check=False).returncode, Path(log.name)
                    )
                    create = [PROGRAMS.with_name("createdb"), *reach, given["POSTGRES_DB"]]
                    subprocess.run(create, env={"PGPASSFILE": given["PGPASSFILE"]}, check=True, capture_output=True)
                    yield
                finally:
                    server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
                    server.wait(20)


def wait_for(condition: Any, log: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.3)


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("stack"))
    with ExitStack() as services:
        services.enter_context(running.postgres())
        running.once("schema")
        running.once("schema")  # an upgrade of what is new already changes nothing
        services.enter_context(running.mlflow())
        assert running.once("logins") == "MLflow user driver: made\n"
        yield running


@pytest.fixture
def driver(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tracker:
    """A tracker where the login lies as it does on the head: in ~/.mlflow/credentials, in no variable."""
    login = next(secret for secret in stack.services["ray-head"]["secrets"] if isinstance(secret, dict))
    assert login["target"] == "/home/lstm/.mlflow/credentials"
    (tmp_path / ".mlflow").mkdir()
    shutil.copy(stack.folder / "secrets" / login["source"], tmp_path / ".mlflow/credentials")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Tracker(stack.address, tmp_path)


def ask(
    stack: Stack, route: str, login: str = "", body: Any = None, method: str | None = None, **headers: str
) -> tuple[int, Any]:
    """Status and answer of a request; `login` is user:password."""
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request(stack.address + route, data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] == b"{" else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def view(name: str) -> StudyView:
    rows, trials = synthetic.study()
    cells = [CellView(row, trials.get(row.name, []), {"n": float(len(trials.get(row.name, [])))}) for row in rows[:3]]
    return StudyView(
        name,
        7,
        datetime(2024, 2, 29, tzinfo=UTC),
        cells,
        {"recorded": 35.0},
        {"numpy": "2"},
        "note",
        {"table.json": "[]"},
    )


def test_a_study_is_projected_with_a_login_and_read_back_over_rest(stack: Stack, driver: Tracker) -> None:
    study = view("through the network")
    written = driver.sync(study)
    assert written == 1 + 3 + sum(len(cell.trials) for cell in study.cells)
    assert driver.sync(study) == 0
    admin = f"admin:{stack.secret('mlflow-admin-password')}"
    status, found = ask(stack, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=through%20the%20network", admin)
    assert status == 200
    body = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000}
    runs = ask(stack, "/api/2.0/mlflow/runs/search", admin, body)[1]["runs"]
    assert len(runs) == written
    assert {run["info"]["status"] for run in runs} == {"FINISHED", "FAILED"}
    (first,) = [run for run in runs if run["info"]["run_name"] == "6a #0"]
    metrics = {metric["key"]: metric["value"] for metric in first["data"]["metrics"]}
    assert metrics["sequences"] == study.cells[0].trials[0].result.sequences
    (whole,) = [run for run in runs if run["info"]["run_name"] == study.name]
    assert ask(stack, f"/get-artifact?path=table.json&run_id={whole['info']['run_id']}", admin) == (200, b"[]")
    assert list((stack.folder / "artifacts").rglob("table.json"))


@pytest.mark.parametrize(
    "route",
    [
        "/", "/signup", "/graphql", "/metrics", "/openapi.json", "/docs",
        "/api/2.0/mlflow/experiments/search?max_results=9", "/api/2.0/mlflow/users/list",
        "/get-artifact?path=x&run_id=y", "/version",
        "/ajax-api/2.0/mlflow/experiments/search?max_results=9", "/api/2.0/mlflow-artifacts/artifacts",
        "/api/3.0/mlflow/traces/x", "/ajax-api/3.0/jobs/x", "/api/2.0/mlflow/registered-models/search",
    ],
)  # fmt: skip
def test_without_a_login_nothing_is_shown(stack: Stack, route: str) -> None:
    assert ask(stack, route)[0] in {401, 403}
    assert ask(stack, route, "admin:password1234")[0] in {401, 403}


def test_its_health_its_kind_and_its_empty_pages_are_public(stack: Stack) -> None:
    assert ask(stack, "/health") == (200, b"OK")
    assert ask(stack, "/static-files/index.html")[0] == 200
    status, kind = ask(stack, "/api/3.0/mlflow/server-info")
    assert status == 200
    assert not any(word in str(kind) for word in ("postgres", "secret", "password", str(stack.folder)))


def test_who_was_granted_nothing_sees_nothing(stack: Stack, driver: Tracker) -> None:
    driver.sync(view("closed"))
    admin = f"admin:{stack.secret('mlflow-admin-password')}"
    user = {"username": "visitor", "password": "a long enough one"}
    assert ask(stack, "/api/2.0/mlflow/users/create", admin, user)[0] == 200
    visitor = ":".join(user.values())
    assert ask(stack, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=closed", visitor)[0] == 403
    assert ask(stack, "/api/2.0/mlflow/users/create", visitor, {**user, "username": "second"})[0] == 403
    assert ask(stack, "/api/2.0/mlflow/experiments/search", visitor, {"max_results": 9})[1].get("experiments", []) == []
    named = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=closed"
    grant = {"resource_id": ask(stack, named, admin)[1]["experiment"]["experiment_id"], "resource_type": "experiment"}
    grant |= {"username": "visitor", "permission": "READ"}
    assert ask(stack, "/api/3.0/mlflow/users/permissions/grant", visitor, grant)[0] == 403
    assert ask(stack, "/api/3.0/mlflow/users/permissions/grant", admin, grant)[0] == 200
    assert ask(stack, named, visitor)[0] == 200


def test_other_names_of_the_host_and_other_pages_are_refused(stack: Stack) -> None:
    admin = f"admin:{stack.secret('mlflow-admin-password')}"
    search = "/api/2.0/mlflow/experiments/search"
    assert ask(stack, search, admin, {"max_results": 9}, Host="evil.example")[0] == 403
    assert ask(stack, search, admin, {"max_results": 9}, Origin="http://evil.example")[0] == 403


def test_a_wrong_login_is_told_in_one_line(driver: Tracker, tmp_path: Path) -> None:
    (tmp_path / ".mlflow/credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = driver\nmlflow_tracking_password = no\n"
    )
    with pytest.raises(TrackingFailed, match="401") as caught:
        driver.sync(view("refused"))
    assert "\n" not in str(caught.value)


def test_passwords_can_be_rotated(stack: Stack) -> None:
    login = stack.folder / "secrets" / "mlflow-driver-login"
    old = stack.secret("mlflow-driver-login").rpartition(" ")[2]
    new = login.read_text().replace(old, "another long password")
    login.unlink()
    login.touch(0o600)
    login.write_text(new)
    assert stack.once("logins") == "MLflow user driver: kept, password set\n"
    assert ask(stack, "/api/2.0/mlflow/users/get?username=driver", "driver:another long password")[0] == 200
    change = {"username": "admin", "password": "a third long password"}
    change["current_password"] = stack.secret("mlflow-admin-password")
    admin = f"admin:{change['current_password']}"
    assert ask(stack, "/api/2.0/mlflow/users/update-password", admin, change, "PATCH")[0] == 200
    assert ask(stack, "/api/2.0/mlflow/users/get?username=driver", f"admin:{change['password']}")[0] == 200
