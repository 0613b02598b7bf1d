"""MLflow's server on this machine: started for one person's browser, stopped when they are done."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_HOST = "127.0.0.1"
_PATIENCE = 600.0  # seconds until the server answers; four to eleven were seen where nothing else runs


class PortTaken(ValueError):  # noqa: N818  (named by what happened)
    """Another program listens on the port."""


@dataclass
class Dashboard:
    """Links to the runs and, where it is there already, to the study's own run; the server where it is ours."""

    links: Sequence[str]
    server: subprocess.Popen[bytes] | None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def wait(self) -> None:
        """Return when the server has ended."""
        if self.server is not None:
            self.server.wait()

    def close(self) -> None:
        """Stop the server with all its processes: asked first (killed outright it leaves its worker), then killed."""
        if self.server is None:
            return
        for order in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.server.pid, order)
                self.server.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.server.wait()


def start(uri: str, home: Path, port: int, pages: Sequence[str]) -> Dashboard:
    """Serve the database `uri` on 127.0.0.1, with links to these pages; the messages go to HOME/mlflow-server.log.
    Raises PortTaken, TimeoutError."""
    _check_free(port)
    log = home / "mlflow-server.log"
    with log.open("wb") as messages:
        server = subprocess.Popen(  # noqa: S603  (a list of arguments, no shell)
            _command(uri, home, port),
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,  # a group of its own, so that all of it can be stopped
        )
    dashboard = Dashboard([f"http://{_HOST}:{port}{page}" for page in pages], server)
    try:
        _await(server, port, log)
    except BaseException:
        dashboard.close()
        raise
    return dashboard


def _command(uri: str, home: Path, port: int) -> list[str]:
    default = "" if port == 80 else f":{port}"  # browsers leave it out
    hosts = ",".join(f"{host}{default}" for host in (_HOST, "localhost"))
    options = {
        "--backend-store-uri": uri,
        "--default-artifact-root": (home / "artifacts").as_uri(),
        "--host": _HOST,
        "--port": str(port),
        "--workers": "1",
        "--allowed-hosts": hosts,
        "--cors-allowed-origins": ",".join(f"http://{host}" for host in hosts.split(",")),
    }
    return [sys.executable, "-m", "mlflow", "server", *(part for option in options.items() for part in option)]


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise PortTaken(
                f"tracking.port={port}: cannot be used ({error.strerror}); choose another, as tracking.port={port + 1}"
            ) from None


def _await(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{_HOST}:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise TimeoutError(f"MLflow's server did not come up: {' '.join(last) or 'no message'} (all of it: {log})")
