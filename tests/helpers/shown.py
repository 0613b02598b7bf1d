"""MLflow as the faults meet it: a server that can be killed, and what it shows of a study."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from helpers.faults import S300, Line, Study
from helpers.program import free_port, lstm
from helpers.stack import kill_group, wait_for
from helpers.waiting import PATIENCE, PUBLISHED

_RUNS = """
SELECT key.value, runs.status FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
JOIN tags AS kind ON kind.run_uuid = runs.run_uuid AND kind.key = 'lstm_search.kind' AND kind.value = 'trial'
JOIN tags AS key ON key.run_uuid = runs.run_uuid AND key.key = 'lstm_search.key'
WHERE experiments.name = :name
"""
"""Of every run of a trial, the deleted ones too: its key and its status."""


def study_shown(folder: Path, name: str, uri: str, trials: int, wait: str = PUBLISHED) -> Study:
    """A study that is published at `uri`."""
    line = f"{S300.replace('s300', name)} replicates={trials} execute=inline tracking.uri={uri} {wait}"
    return Study(folder, line, trials, name=name)


def runs(uri: str, name: str) -> list[tuple[str, str]]:
    """Key and status of every run of the study's trials in the database of MLflow; none where it cannot be read now."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError, ProgrammingError
    from sqlalchemy.pool import NullPool

    engine = create_engine(uri, poolclass=NullPool)
    with suppress(OperationalError, ProgrammingError), engine.connect() as db:
        return [(str(key), str(status)) for key, status in db.execute(text(_RUNS), {"name": name})]
    return []


def shown(study: Study, uri: str, line: Line) -> Line:
    """The line of a fault, to which trials are added that MLflow does not show as they ended, or shows twice."""
    ended = {"FINISHED", "FAILED"}
    found = Counter(key for key, status in runs(uri, study.name) if status in ended)
    study.recorded()
    missing, ghosts = len(study.seen.keys() - found.keys()), len(runs(uri, study.name)) - len(found)
    return replace(line, lost=line.lost + missing, twice=line.twice + ghosts)


def synced(study: Study, uri: str = "") -> int:
    """How many runs `sync` writes."""
    where = uri or next(word for word in study.line.split() if word.startswith("tracking.uri=")).partition("=")[2]
    done = lstm(f"sync study={study.name} tracking.uri={where}", study.folder, **study.variables)
    return int(done.stdout.removeprefix(f"{study.name}: ").removesuffix(" runs written\n"))


class Server:
    """MLflow's own server over a SQLite file of its own, always at the same port, as one process group."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.uri = f"sqlite:///{folder}/served.db"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to serve; it returns when requests are answered."""
        words = ["--host=127.0.0.1", f"--port={self.port}", "--workers=1", f"--backend-store-uri={self.uri}"]
        words.append(f"--artifacts-destination={self.folder}/served")
        log = self.folder / "mlflow.log"
        with log.open("ab") as messages:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words],
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
                cwd=self.folder, stdout=messages, stderr=messages, start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, log)

    def _answers(self) -> bool:
        request = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(request) as connection, suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT for all its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """All its processes at once, by SIGKILL."""
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, *, away: bool = False) -> Iterator[Server]:
    """A server that answers, or is `away` until it is started; it is killed at the end."""
    server = Server(folder)
    try:
        if not away:
            server.start()
        yield server
    finally:
        server.kill()
