"""MLflow's server on this machine: started for one person's browser, stopped when they are done."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from lstm_search.tracking.server import Served

_HOST = "127.0.0.1"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy shall see the key
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
    The links hold a key that is drawn anew, and nobody is let in without it. The server ends with this thread at the
    latest. Raises PortTaken, TimeoutError."""
    key, log = secrets.token_hex(16), home / "mlflow-server.log"
    default = "" if port == 80 else f":{port}"  # browsers leave it out
    with _listening(port) as listener:
        hosts = [f"{host}{default}" for host in (_HOST, "localhost")]
        served = Served(uri, str(home), hosts, listener.fileno(), key, os.getpid())
        server = _started(served, log)
    address = f"http://{_HOST}{default}/{key}"
    dashboard = Dashboard([f"{address}{page}" for page in pages], server)
    try:
        _await(server, address, log)
    except BaseException:
        dashboard.close()
        raise
    return dashboard


def _started(served: Served, log: Path) -> subprocess.Popen[bytes]:
    """The server's process, which has been told what to serve."""
    log.unlink(missing_ok=True)
    log.touch(0o600)
    with log.open("wb") as messages:
        server = subprocess.Popen(
            [sys.executable, "-c", "from lstm_search.tracking.server import main; main()"],
            stdin=subprocess.PIPE,
            stdout=messages,
            stderr=messages,
            pass_fds=[served.listener],
            start_new_session=True,  # Ctrl-C is for this process, which then stops the server
        )
    with suppress(BrokenPipeError), server.stdin or nullcontext() as pipe:  # broken: its messages tell why
        if pipe:
            pipe.write(served.text())
    return server


def _listening(port: int) -> socket.socket:
    """The socket that the server gets: from here on nobody else can take its place at the port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"tracking.port={port}: cannot be used ({error.strerror}); choose another, as tracking.port={port + 1}"
        ) from None
    return listener


def _await(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with _DIRECT.open(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    raise TimeoutError(f"MLflow's server did not come up: {' '.join(last) or 'no message'} (all of it: {log})")
