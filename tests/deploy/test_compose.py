"""The compose file's posture, read from the file; no engine is needed."""

import configparser
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.composed import ROOT, compose

from lstm_search import config

FILE = compose()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
ONCE = {"schema", "logins", "submit"}
RAY = {"ray-head", "ray-worker", "submit"}
every = pytest.mark.parametrize("name", SERVICES)


def run(script: str, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docker" / script), *arguments]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert run("make_secrets.py", folder=tmp_path).returncode == 0
    for path in (tmp_path / "secrets").iterdir():
        os.chown(path, os.getuid(), os.getgid())  # where root runs the tests they were given away
    return tmp_path


def test_the_services_are_those_that_were_promised() -> None:
    assert set(SERVICES) == {"ray-head", "ray-worker", "mlflow", "postgres"} | ONCE
    assert SERVICES["submit"]["profiles"] == ["submit"]
    assert not any("container_name" in service for service in SERVICES.values())  # --scale takes that


@every
def test_a_container_can_change_nothing_and_become_nobody(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "1000:1000"
    assert not service.keys() & {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode", "env_file"}
    assert all("size=" in mount and "noexec" in mount and "nosuid" in mount for mount in service["tmpfs"])
    assert all(re.fullmatch(r"(studies|artifacts|postgres):/[\w/]+", mount) for mount in service.get("volumes", []))


@every
def test_a_container_has_limits_and_says_whether_it_is_well(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)
    for other, condition in service.get("depends_on", {}).items():
        assert condition["condition"] == ("service_completed_successfully" if other in ONCE else "service_healthy")


@every
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in SERVICES[name].get("ports", []))


def test_networks_are_apart_and_lead_nowhere() -> None:
    members = {
        network: {name for name, service in SERVICES.items() if network in service.get("networks", [])}
        for network in FILE["networks"]
    }
    assert members == {
        "ray": {"ray-head", "ray-worker"},
        "tracking": {"ray-head", "mlflow", "logins"},
        "data": {"mlflow", "schema", "postgres"},
        "ray-door": {"ray-head"},
        "mlflow-door": {"mlflow"},
    }
    *inner, one, other = FILE["networks"].values()
    assert inner == [{"internal": True}] * 3
    assert set(one["driver_opts"].values()) == set(other["driver_opts"].values()) == {"false"}
    assert SERVICES["submit"]["network_mode"] == "service:ray-head"


@every
def test_no_secret_stands_in_the_file(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("password|secret|token|pgpass|login", key, re.IGNORECASE):
            assert value.startswith("/run/secrets/")
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
    assert not re.search(r"://[^/@\s]*:[^/@\s]*@", str(SERVICES[name]))


def test_a_secret_reaches_those_alone_who_need_it(folder: Path) -> None:
    assert {f"./secrets/{path.name}" for path in (folder / "secrets").iterdir()} == {
        secret["file"] for secret in FILE["secrets"].values()
    }
    holders: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for secret in service.get("secrets", []):
            holders.setdefault(secret if isinstance(secret, str) else secret["source"], set()).add(name)
    assert holders == {
        "ray-token": RAY,
        "mlflow-admin-password": {"mlflow", "logins"},
        "mlflow-driver-login": {"ray-head", "logins"},
        "mlflow-flask-key": {"mlflow"},
        "postgres-password": {"postgres"},
        "postgres-pgpass": {"postgres", "mlflow", "schema"},
    }


@every
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"lstm-search:0\.1\.0|postgres:15\.18-bookworm", SERVICES[name]["image"])
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-bookworm$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("name", sorted(RAY))
def test_ray_is_told_how_to_authenticate(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"].removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert name == "submit" or SERVICES[name]["shm_size"] == "256m"


def test_the_server_of_mlflow_trusts_nobody() -> None:
    environment = SERVICES["mlflow"]["environment"]
    assert (
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"]
        == environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]
        == "false"
    )
    for power in ("SERVER_ENABLE_CUSTOM_SCORERS", "ENABLE_AI_GATEWAY", "ENABLE_REMOTE_ASSISTANT"):
        assert environment[f"MLFLOW_{power}"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    (source,) = SERVICES["mlflow"]["configs"]
    assert source["target"] == environment["MLFLOW_AUTH_CONFIG_PATH"]
    parser = configparser.ConfigParser()
    parser.read(ROOT / FILE["configs"][source["source"]]["file"])
    assert parser["mlflow"]["default_permission"] == "NO_PERMISSIONS"
    assert "admin_password" not in parser["mlflow"]
    assert f"--backend-store-uri={parser['mlflow']['database_uri']}" in SERVICES["mlflow"]["command"]


def test_the_role_of_mlflow_is_not_the_superuser() -> None:
    assert SERVICES["postgres"]["environment"]["POSTGRES_USER"] == "postgres"
    (source,) = SERVICES["postgres"]["configs"]
    assert re.fullmatch(r"/docker-entrypoint-initdb\.d/\w+\.sql", source["target"])
    text = (ROOT / FILE["configs"][source["source"]]["file"]).read_text()
    assert re.findall(r"^(?:CREATE|ALTER) ROLE (.*);$", text, re.MULTILINE) == ["mlflow LOGIN PASSWORD :'password'"]
    assert re.search(r"`cut -d : -f 5 /run/secrets/(.*)`", text)[1] in SERVICES["postgres"]["secrets"]  # type: ignore[index]


@pytest.mark.parametrize("name", ["ray-head", "ray-worker"])
def test_ray_reads_its_command(name: str) -> None:
    """In a process of its own: importing Ray's command line settles how this process logs in, once and for all."""
    program, verb, *arguments = SERVICES[name]["command"]
    read = "import json, sys; from ray.scripts.scripts import start; "
    read += "print(json.dumps(start.make_context('start', sys.argv[1:]).params))"
    done = subprocess.run([sys.executable, "-c", read, *arguments], capture_output=True, text=True, check=True)
    parameters = json.loads(done.stdout.splitlines()[-1])
    assert (program, verb, parameters["block"], parameters["disable_usage_stats"]) == ("ray", "start", True, True)
    assert parameters["head"] == (name == "ray-head")
    assert parameters["num_cpus"] == (0 if name == "ray-head" else 2)


@pytest.mark.filterwarnings("ignore")  # MLflow's own, at import
def test_mlflow_reads_its_command() -> None:
    from mlflow.cli import server

    program, verb, *arguments = SERVICES["mlflow"]["command"]
    parameters = server.make_context("server", arguments).params
    assert (program, verb, parameters["app_name"], parameters["serve_artifacts"]) == (
        "mlflow",
        "server",
        "basic-auth",
        True,
    )
    assert parameters["allowed_hosts"] == "mlflow:5000,127.0.0.1:5000,localhost:5000"


def test_what_is_submitted_is_a_study_on_the_cluster() -> None:
    *_, program, verb, home, execute, uri = SERVICES["submit"]["entrypoint"]
    assert (program, verb) == ("lstm-search", "submit")
    settings = config.compose([home, execute, uri, *SERVICES["submit"]["command"]])
    assert settings.home == Path("/studies")
    assert (settings.execute.kind, settings.execute.address) == ("ray", "auto")
    assert settings.tracking.uri == "http://mlflow:5000"


def test_commands_of_the_shell_and_of_healthchecks_are_written_well() -> None:
    *shell, script = SERVICES["schema"]["command"]
    subprocess.run([*shell[:1], "-n", *shell[1:], script], check=True)
    for service in SERVICES.values():
        kind, *command = service.get("healthcheck", {"test": ["CMD", "true"]})["test"]
        assert kind == "CMD"
        if command[0] == "python":
            compile(command[2], "healthcheck", "exec")


def test_secrets_are_for_their_owner_and_are_never_made_twice(folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "secrets").iterdir()}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o400 for path in before)
    assert run("make_secrets.py", folder=folder).stdout == "all secrets are there\n"
    assert {path: path.read_bytes() for path in (folder / "secrets").iterdir()} == before
    assert re.fullmatch(r"LSTM_UID=[1-9]\d*\nLSTM_GID=[1-9]\d*\n", (folder / ".env").read_text())


@pytest.mark.parametrize("script", ["make_secrets.py", "entrypoint.py"])
def test_a_secret_that_others_may_read_is_refused(folder: Path, script: str) -> None:
    token = folder / "secrets" / "ray-token"
    token.chmod(0o444)
    answer = run(script, "true", folder=folder, RAY_AUTH_TOKEN_PATH=str(token))
    assert (answer.returncode, "others may read this secret (mode 0444)" in answer.stderr) == (1, True)


def test_a_missing_or_empty_secret_is_refused(folder: Path) -> None:
    for path, word in ((folder / "none", "no such secret"), (folder / "empty", "is empty")):
        (folder / "empty").touch(mode=0o600)
        answer = run("entrypoint.py", "true", folder=folder, MLFLOW_AUTH_ADMIN_PASSWORD_FILE=str(path))
        assert (answer.returncode, word in answer.stderr) == (1, True)


def test_an_unknown_processor_level_is_refused(folder: Path) -> None:
    answer = run("compile_kernels.py", folder=folder, NUMBA_CPU_NAME="x86-64-v9", LSTM_SEARCH_CACHE="cache")
    assert answer.stderr.endswith("CPU_LEVEL=x86-64-v9: takes x86-64-v3 or x86-64-v4\n")  # LLVM grumbles before it


def test_the_server_alone_gets_its_secrets_and_finds_its_kernels(folder: Path) -> None:
    password = folder / "secrets" / "mlflow-admin-password"
    (folder / "kernels").mkdir()
    (folder / "kernels" / "one").write_text("machine code")
    command = ["sh", "-c", 'echo "$MLFLOW_AUTH_ADMIN_PASSWORD"; cat cache/one']
    cache = {"LSTM_SEARCH_KERNELS": "kernels", "LSTM_SEARCH_CACHE": "cache"}
    answer = run("entrypoint.py", *command, folder=folder, MLFLOW_AUTH_ADMIN_PASSWORD_FILE=str(password), **cache)
    assert answer.stdout == password.read_text() + "machine code"


def test_the_image_holds_no_pip_and_no_setuptools() -> None:
    """Neither the environment's nor those of the image that it is made from."""
    _, build, last = re.split(r"^FROM .*$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert "venv --without-pip /opt/venv" in build
    assert re.search(r"^RUN pip uninstall .*\bpip setuptools wheel && rm -r \S*/ensurepip$", last, re.MULTILINE)
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert not {"pip", "setuptools", "wheel"} & set(locked)


def test_what_stays_out_of_the_image_and_of_the_repository() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert not any("secrets" in line or "studies" in line for line in ignored[2:])
    assert {"secrets/", ".env"} <= set((ROOT / ".gitignore").read_text().splitlines())
