"""The services of docker-compose.yml as processes of this machine, on loopback: where no containers can be made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.composed import ROOT, compose, here
from helpers.program import free_port
from helpers.waiting import PATIENCE, until

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


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
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def healthy(self, name: str) -> bool:
        kind, program, *arguments = here(self.services[name]["healthcheck"]["test"], self.places)
        assert (kind, program) == ("CMD", "python")
        return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode == 0

    @contextmanager
    def mlflow(self, *, logins: bool = True) -> Iterator[None]:
        command = [word for word in self.command("mlflow") if logins or word != "--app-name=basic-auth"]
        with (self.folder / "mlflow.log").open("w") as log:
            server = subprocess.Popen(
                command, env=self.environment("mlflow"), cwd=self.folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            try:
                wait_for(lambda: self.healthy("mlflow"), self.folder / "mlflow.log")
                yield
            finally:
                server.terminate()
                try:
                    server.wait(PATIENCE)
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
                    self._make_database([PROGRAMS.with_name("psql"), *reach, "--no-psqlrc", "--set=ON_ERROR_STOP=1"])
                    yield
                finally:
                    server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
                    server.wait(PATIENCE)

    def _make_database(self, psql: Sequence[str | Path]) -> None:
        """What the image runs once, as the superuser."""
        text = here((ROOT / "docker/database.sql").read_text(), self.places)
        environment = {"PATH": "/usr/bin:/bin", "PGPASSWORD": self.secret("postgres-password")}
        subprocess.run(psql, input=text, text=True, env=environment, check=True, capture_output=True)


def wait_for(condition: Callable[[], object], log: Path) -> None:
    """Wait for what a server does, and show the end of its log where it does not come."""
    until(condition, pause=0.3, told=lambda: log.read_text()[-3000:])


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
