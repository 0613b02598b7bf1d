"""A folder for all that a cluster of our own writes. It ends with its owner, and so does the cluster.

Ray lets everybody write where it writes, so this is a folder that only we may enter. Its owner holds a lock in it,
which the kernel frees when the owner ends, however it ends. Another process, the guardian, waits for that lock; then it
ends what still runs in the folder (by itself Ray takes a minute) and removes it. Where the guardian was ended too,
whoever starts the next cluster does that. This file is also the guardian's program, and imports the standard library
alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PREFIX = "lstm-"
_LOCK = "owner"
_SECONDS = 10.0  # that a cluster may take to end, once it is killed


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder for the time of a `with` block, and of its processes."""
    place = _short_place()
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    lock = _locked(folder)
    guardian = subprocess.Popen(  # noqa: S603  (a list of arguments, no shell)
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what a terminal sends to the program's group is not for it
    )
    try:
        yield folder
    finally:
        lock.close()
        with suppress(subprocess.TimeoutExpired):
            guardian.wait(2 * _SECONDS)
        shutil.rmtree(folder, ignore_errors=True)  # where somebody has ended the guardian


def _short_place() -> Path:
    """Where the folder is made: Ray adds some 70 characters for its sockets, whose names may have 107."""
    place = Path(tempfile.gettempdir())
    return place if len(str(place)) <= 20 else Path("/tmp")  # noqa: S108  (only a new folder of our own is made in it)


def _locked(folder: Path) -> IO[bytes]:
    """The lock of a new folder. It has its name only when it is held, so that nobody finds it free."""
    made = folder / "new"
    lock = made.open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    made.rename(folder / _LOCK)
    return lock


def _sweep(place: Path) -> None:
    """Clear the folders whose owners have ended and whose guardians too."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is held, or no such folder, or was removed meanwhile
            if folder.lstat().st_uid == os.geteuid():
                _clear(folder, fcntl.LOCK_NB)


def _clear(folder: Path, how: int = 0) -> None:
    """Once its lock is free, end what runs in the folder and remove it. BlockingIOError where it may not wait."""
    with (folder / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
        deadline = time.monotonic() + _SECONDS
        while (members := _members(folder)) and time.monotonic() < deadline:
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)


def _members(folder: Path) -> list[int]:
    """The processes of the cluster. All have files of the folder open, their logs; so have the owner, and who looks at
    the logs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours
            if _opens(process, folder) and _is_rays(process, folder):
                found.append(int(process.name))
    return found


def _is_rays(process: Path, folder: Path) -> bool:
    """Whether Ray has started it: its environment says where the token lies, which is in the folder; but where Ray
    gives a process a title, that may be written over its environment."""
    titled = process.joinpath("cmdline").read_bytes().startswith(b"ray::")
    return titled or f"{folder}/".encode() in process.joinpath("environ").read_bytes()


def _opens(process: Path, folder: Path) -> bool:
    for link in process.joinpath("fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if link.readlink().is_relative_to(folder):
                return True
    return False


if __name__ == "__main__":
    with suppress(OSError):  # the folder is gone
        _clear(Path(sys.argv[1]))
