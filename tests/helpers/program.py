"""The real program in processes of its own, what it recorded, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from helpers.waiting import PATIENCE

QUICK = "task=temporal_order_6a task.T=10"
"""A task that a trial solves in about five milliseconds."""

NAME = "temporal_order_6a"
"""The study and the row that QUICK makes."""

ALONE = "execute=inline tracking=none"
"""Without Ray and without MLflow, where they are not the point."""

Lstm = Callable[..., subprocess.CompletedProcess[str]]
"""The type of `lstm` below, and of the fixture of that name that does the same without a process of its own."""


def lstm(line: str, folder: Path, *, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """`lstm-search LINE` in `folder`, which must end with `code`."""
    words, env = [sys.executable, "-m", "lstm_search", *line.split()], os.environ | variables
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def running(line: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """`lstm-search LINE` while it runs, in a process group of its own as a shell would start it.

    Where the test fails, what the program said is printed.
    """
    words, pipe = [sys.executable, "-m", "lstm_search", *line.split()], subprocess.PIPE
    with subprocess.Popen(
        words, cwd=folder, env=os.environ | variables, stdout=pipe, stderr=pipe, text=True, process_group=0
    ) as process:
        try:
            yield process
        except AssertionError:
            _kill(process)
            _print_rest(process)
            raise
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _print_rest(process: subprocess.Popen[str]) -> None:
    """What is in the pipe of messages; others may still hold it open."""
    with suppress(OSError, ValueError):
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        print(os.read(process.stderr.fileno(), 2**16).decode(errors="replace"))  # noqa: T201


def recorded(home: Path, name: str = NAME) -> dict[str, str]:
    """When each recorded trial finished, by key; also while a driver writes, and after one was killed."""
    return dict(looked_up(home, name, "SELECT key, finished_at FROM trials"))


def looked_up(home: Path, name: str, query: str) -> list[tuple[Any, ...]]:
    """What is in a record, at any time; nothing where there is none yet."""
    path = home / f"{name}.sqlite"
    if not path.exists():
        return []
    with suppress(sqlite3.OperationalError):
        return _rows(path, "ro", query)
    with TemporaryDirectory() as folder, suppress(OSError, sqlite3.DatabaseError):  # it is being made
        for file in (path, path.with_name(f"{path.name}-journal")):  # only a writer may roll back what a driver left:
            shutil.copy(file, folder)  # in a copy, so that the program has it before it still
        return _rows(Path(folder) / path.name, "rw", query)
    return []


def _rows(path: Path, mode: str, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True)) as db:
        return db.execute(query).fetchall()


def family(root: int) -> dict[int, str]:
    """The command lines of a process's descendants."""
    everyone, members, grown = processes(), {root}, True
    while grown:
        new = {pid for pid, (parent, _) in everyone.items() if parent in members} - members
        members, grown = members | new, bool(new)
    return {pid: everyone[pid][1] for pid in members - {root}}


def processes() -> dict[int, tuple[int, str]]:
    """Of every live process: its parent and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            state, parent = entry.joinpath("stat").read_text().rpartition(") ")[2].split()[:2]
            command = entry.joinpath("cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and state != "Z":
            found[int(entry.name)] = (int(parent), command)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
