"""`submit` against a real head of Ray on loopback, with a token. Run by `make test-integration`."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.program import free_port, processes, running
from helpers.tls import certificate, spoken
from helpers.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("LSTM_SEARCH_INTEGRATION") != "1", reason="starts a real Ray head: make test-integration"
    ),
]

CHECKOUT = Path(__file__).parents[2]
TINY = "task=temporal_order_6a task.T=10 replicates=4 study=tiny"
LONG = "task=adding task.T=500 replicates=20 study=long tracking=none"


class Head(NamedTuple):
    """A running head: its folder, its ports, and the environment of who uses it."""

    folder: Path
    gcs: int
    dashboard: int
    environment: dict[str, str]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with tempfile.TemporaryDirectory(prefix="h-", dir="/tmp", ignore_cleanup_errors=True) as name:
        started = _head(Path(name))
        agent, client = free_port(), free_port()
        words = f"ray start --head --port={started.gcs} --dashboard-port={started.dashboard} --num-cpus=2"
        words += f" --dashboard-agent-listen-port={agent} --ray-client-server-port={client} --temp-dir={name}/ray"
        words += f" --object-store-memory={128 * 2**20}"
        try:
            subprocess.run(
                words.split(),
                cwd=started.folder,
                env=started.environment,
                check=True,
                timeout=PATIENCE,
                capture_output=True,
            )
            yield started
        finally:
            _stop(f"{name}/ray")


def _head(folder: Path) -> Head:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux: loopback alone
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    return Head(folder, free_port(), free_port(), environment)


def _stop(folder: str) -> None:
    """End the head's processes by their ids: raylet, then GCS, then the rest. `ray stop` would end everyone's."""
    for names in (("raylet",), ("gcs_server",), ("",)):
        found = [pid for pid, (_, command) in processes().items() if folder in command and names[0] in command]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and set(found) & set(processes()):
                time.sleep(0.1)


def submit(head: Head, words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run(head, "submit", f"submit.address=http://127.0.0.1:{head.dashboard} {words}", **more)


def run(head: Head, verb: str, words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m lstm_search {verb} {words}"
    environment = head.environment | more
    return subprocess.run(
        command.split(), cwd=head.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_a_study_is_trained_on_the_cluster_and_read_back(head: Head) -> None:
    done = submit(head, TINY)
    assert done.returncode == 0, done.stderr
    assert "| temporal_order_6a | 4/4" in done.stderr
    assert done.stdout == ""
    command = [sys.executable, "-m", "lstm_search", "status"]
    status = subprocess.run(command, cwd=head.folder, capture_output=True, text=True, check=True, env=head.environment)
    assert "| tiny | temporal_order_6a | 4 of 4 | 4 |" in status.stdout
    again = submit(head, TINY)
    assert again.returncode == 0
    assert "starting workers" not in again.stderr


def test_the_exit_code_comes_back(head: Head) -> None:
    done = submit(head, f"{TINY} home=/proc/none")
    assert done.returncode == 2
    assert "choose another folder with home=DIR" in done.stderr


def test_detach_attach_and_stop(head: Head) -> None:
    first = submit(head, f"{LONG} submit.wait=false")
    assert first.returncode == 0, first.stderr
    words = f"submit submit.address=http://127.0.0.1:{head.dashboard} {LONG}"
    with running(words, head.folder, **head.environment) as process:
        assert process.stderr is not None
        said = ""
        while "starting workers" not in said:  # in the log that it follows
            said += (line := process.stderr.readline())
            assert line, said
        os.killpg(process.pid, signal.SIGINT)
        said += process.stderr.read()
    assert process.returncode == 130
    assert "attached to it" in said
    assert f"submit.job={first.stdout.strip()} attaches again" in said
    stopped = submit(head, f"{LONG} submit.stop=true")
    assert stopped.returncode == 0
    assert "STOPPED" in stopped.stderr
    until(lambda: not any("lstm_search.cli.job" in command for _, command in _ours(head)), pause=0.3)


def _ours(head: Head) -> list[tuple[int, str]]:
    """The processes of jobs of this head, by the token in their environment."""
    mark, found = head.environment["RAY_AUTH_TOKEN_PATH"].encode(), []
    for pid, (parent, command) in processes().items():
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append((parent, command))
    return found


def test_who_has_no_token_or_no_job_hears_it(head: Head, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    for more, said in (
        ({"RAY_AUTH_TOKEN_PATH": str(wrong)}, "refused the token"),
        ({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none"), "HOME": str(tmp_path)}, "asks for a token"),
    ):
        done = submit(head, TINY, **more)
        assert done.returncode == 8, done.stderr
        assert said in done.stderr
    done = submit(head, "submit.job=nope-1")
    assert done.returncode == 2
    assert "no such job" in done.stderr


def test_the_health_check_of_the_slurm_script(head: Head) -> None:
    """It is asked until the head answers, so it must fail before and succeed after."""
    check = ["timeout", str(PATIENCE), "ray", "health-check", "--address"]
    for port, well in ((head.gcs, True), (free_port(), False)):
        done = subprocess.run([*check, f"127.0.0.1:{port}"], env=head.environment, capture_output=True, check=False)
        assert (done.returncode == 0) is well, done.stderr


def test_a_head_behind_tls(head: Head) -> None:
    """Its certificate must be known and must be that of the name that was asked for."""
    mine, other = certificate(head.folder), certificate(head.folder, "elsewhere")
    for pem, trusted, code in ((mine, mine, 0), (mine, None, 8), (other, other, 8)):
        variables = {"SSL_CERT_FILE": str(trusted)} if trusted else {}
        with spoken(head.dashboard, pem) as port:
            done = run(head, "submit", f"submit.address=https://localhost:{port} {TINY}", **variables)
        assert done.returncode == code, done.stderr
        assert ("| temporal_order_6a | 4/4" in done.stderr) is (code == 0)
        assert ("SSL_CERT_FILE" in done.stderr) is (code == 8)
    with spoken(head.dashboard, mine) as port:
        words = f"submit.address=https://localhost:{port} source=cluster study=tiny"
        status = run(head, "status", words, SSL_CERT_FILE=str(mine))
    assert "| tiny | temporal_order_6a | 4 of 4 | 4 |" in status.stdout, status.stderr
