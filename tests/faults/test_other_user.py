"""Another user of the same machine, who goes for a cluster's folder, its token, a study's files and the `ui`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.faults import ALL, S300, Held, Study
from helpers.program import ALONE, free_port, running
from helpers.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user"),
]

TRIALS, LANES = 60, 32
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

ASKED = (
    "exec 3<>/dev/tcp/127.0.0.1/{port}; "
    "printf '%s HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n' '{request}' >&3; "
    "head -1 <&3 | grep -v ' 403 '"
)
API = "/api/2.0/mlflow/experiments/get?experiment_id=0"

LOOKS = [
    "ls {session}", "cat {token}", "cat /proc/{driver}/environ", "ls /proc/{driver}/fd", "ls {home}",
    "cat {home}/s300.sqlite", "cat {home}/s300.lock", "cat {home}/mlflow.db", "cat {home}/mlflow-server.log",
]  # fmt: skip
"""What the owner may do and nobody else."""

HARMS = [
    "mv {session} {place}/moved", "echo stolen > {token}", "ln -sf {place}/mine {token}", "touch {session}/mine",
    "kill -9 {driver}", "kill -9 {server}", "rm {home}/s300.sqlite", "echo >> {home}/s300.sqlite",
    "echo >> {home}/mlflow.db", "mv {home} {place}/moved", "touch {home}/s300.sqlite-journal",
    "ln -s /etc {home}/artifacts/mine", ASKED.replace("{request}", f"GET {API}"),
    ASKED.replace("{request}", "POST /api/2.0/mlflow/runs/delete"),
    ASKED.replace("{request}", f"GET /{'0' * 32}{API}"),
]  # fmt: skip
"""What would do harm, and is tried by another user alone."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in which everybody may write and remove what is theirs, as in /tmp; its name is short enough for Ray."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def does(words: str, user: list[str]) -> bool:
    """Whether a command succeeds."""
    done = subprocess.run([*user, "bash", "-c", words], capture_output=True, cwd="/", timeout=PATIENCE, check=False)
    return done.returncode == 0


def test_another_user_gets_nowhere(place: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    study = Study(place / "study", f"{S300} replicates={TRIALS}", TRIALS, {"TMPDIR": str(place)})
    study.harm({TRIALS - 1: "hangs"})  # so that there is time for attacks
    with study.started("execute.workers=2") as driver:
        until(lambda: study.recorded() > TRIALS // 2 and (study.home / "mlflow.db").exists())
        (session,) = place.glob("lstm-*")
        (token,) = session.rglob("token")
        port = free_port()
        with running(f"ui study=s300 tracking.port={port}", study.folder, **study.variables) as server:
            assert server.stdout is not None
            link = server.stdout.readline()
            key = re.search("/([0-9a-f]{32})/", link)
            assert key is not None, link
            names = {"place": place, "session": session, "token": token, "home": study.home, "port": port}
            names |= {"driver": driver.pid, "server": server.pid}
            looks, harms = ([attack.format(**names) for attack in attacks] for attacks in (LOOKS, HARMS))
            assert [words for words in looks if not does(words, [])] == []
            for_all = [f"touch {place}/mine", ASKED.format(port=port, request=f"GET /{key[1]}{API}")]
            assert [words for words in for_all if not does(words, NOBODY)] == [], "the attacks cannot begin"
            assert [words for words in (*looks, *harms) if does(words, NOBODY)] == []
            assert (driver.poll(), server.poll()) == (None, None)
            server.send_signal(signal.SIGINT)
            server.wait(PATIENCE)
        driver.send_signal(signal.SIGINT)
        driver.wait(PATIENCE)
    study.harm({})
    study.finish(ALONE)
    line = study.came_of("another user of the machine", len(looks + harms), undisturbed(TRIALS))
    told = "attacks on the cluster's folder and token, records, MLflow's file, the ui: all failed"
    held(line.said(told), LANES)
