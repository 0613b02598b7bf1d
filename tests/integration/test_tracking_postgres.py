"""MLflow over PostgreSQL as docker-compose.yml starts them: its commands and environments, 127.0.0.1 for its hosts."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers import synthetic
from helpers.stack import PROGRAMS, Stack
from helpers.waiting import PATIENCE

from lstm_search.tracking import CellView, StudyView, Tracker, TrackingFailed

MISSING = [name for name in ("psycopg", "flask_wtf", "uvloop") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server here (Debian: apt-get install postgresql)"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra `cluster`)"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


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
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
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


def test_the_role_of_mlflow_owns_its_database_and_nothing_else(stack: Stack) -> None:
    import psycopg

    password = stack.secret("postgres-pgpass").rpartition(":")[2]
    reach = {"host": "127.0.0.1", "port": stack.ports["postgres"], "user": "mlflow", "password": password}
    with psycopg.connect(**reach, dbname="mlflow", autocommit=True) as database:
        powers = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        assert database.execute(f"SELECT {powers} FROM pg_roles WHERE rolname = 'mlflow'").fetchone() == (False,)  # noqa: S608
        assert database.execute("SELECT count(*) FROM experiments").fetchone()
        for forbidden in ("COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('PG_VERSION')", "CREATE ROLE me"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                database.execute(forbidden)
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(**reach, dbname="postgres")


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("/ajax-api/3.0/jobs/", {"job_name": "invoke_scorer", "params": {}}, "job execution feature is not enabled"),
        ("/api/3.0/mlflow/gateway/endpoints/create", {"name": "x"}, "Gateway feature is disabled"),
        ("/gateway/mlflow/v1/chat/completions", {"model": "x", "messages": []}, "Gateway feature is disabled"),
    ],
)
def test_not_even_the_administrator_has_something_run(stack: Stack, route: str, body: Any, said: str) -> None:
    status, answer = ask(stack, route, f"admin:{stack.secret('mlflow-admin-password')}", body)
    assert status >= 400
    assert said in str(answer)


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
