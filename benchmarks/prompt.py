"""What must be quick: help, refusals, an address where nobody answers, the end after Ctrl-C.

Prints the median and the slowest of some rounds, and asserts nothing: on a busy machine everything takes longer.

    python benchmarks/prompt.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUICK = "run task=temporal_order_6a task.T=10 replicates=8"
ENDLESS = f"{QUICK} stop.mean_error=1e-9 cap=1000000000"
"""Trials that go on until they are interrupted."""

ALONE = "execute=inline tracking=none"

ANSWERS = {
    "--help": "--help",
    "status of one study": "status",
    "a bad command line is refused": "run table=9 training.rat=1",
    "a second driver is refused": f"{ENDLESS} {ALONE} study=held",
    "no Ray cluster at a closed port": f"{QUICK} execute=ray execute.address=127.0.0.1:1",
    "no Ray cluster at a silent port": f"{QUICK} execute=ray execute.address={{silent}}",
    "no head to submit to": "submit table=9 submit.address=http://127.0.0.1:1",
}
INTERRUPTED = {
    "Ctrl-C ends a study in one process": f"{ENDLESS} {ALONE} study=inline",
    "Ctrl-C ends a study on Ray with MLflow": f"{ENDLESS} study=ray",
}


def started(line: str, folder: str) -> subprocess.Popen[bytes]:
    """`lstm-search LINE` in a process group of its own, as a shell starts it."""
    words = [sys.executable, "-m", "lstm_search", *line.split()]
    silence, token = subprocess.DEVNULL, {"RAY_AUTH_TOKEN": "0" * 64}
    environment = os.environ | (token if "address" in line else {})
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=silence, stderr=silence, process_group=0)


def answer(line: str, folder: str) -> float:
    """Seconds from the start of a command to its end."""
    begun = time.perf_counter()
    started(line, folder).wait()
    return time.perf_counter() - begun


@contextmanager
def training(line: str, folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """A study that has begun to train, which takes the time that compiling takes."""
    process = started(line, folder)
    record = Path(folder, "studies", f"{line.rpartition('study=')[2]}.sqlite")
    while not record.exists():
        time.sleep(0.05)
    time.sleep(10)  # Ray's workers have come up by then
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()


def end(line: str, folder: str) -> float:
    """Seconds from Ctrl-C to the end of a study."""
    with training(line, folder):
        begun = time.perf_counter()
    return time.perf_counter() - begun


def measured(rounds: int, folder: str) -> Iterator[tuple[str, list[float]]]:
    """Every measurement with its seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server, training(ANSWERS["a second driver is refused"], folder):
        silent = f"127.0.0.1:{server.getsockname()[1]}"
        for name, line in ANSWERS.items():
            yield name, [answer(line.format(silent=silent), folder) for _ in range(rounds)]
    for name, line in INTERRUPTED.items():
        yield name, [end(line, folder) for _ in range(rounds)]


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print("| seconds until | median | slowest |\n|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="p-", ignore_cleanup_errors=True) as folder:
        for name, seconds in measured(rounds, folder):
            print(f"| {name} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |", flush=True)


if __name__ == "__main__":
    main()
