"""The file of a study's record: its name, its lock, its connection, and errors that name it.

What is made here is for its owner alone, whatever the umask; who makes a file readable for others finds it left so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

APPLICATION = 0x4C53544D
"""Stands in the header ("LSTM") and tells a record from any other SQLite file."""

_PATIENCE = 60.0  # seconds to wait while another process reads or commits
_AMISS = ("Could not decode", "no such column", "no such table", "malformed database schema")
"""What SQLite says, without a code of its own, of a file in which a text or the names of tables are not as written."""

_RESERVED = frozenset({"mlflow", "artifacts", "default"})  # what else lives in the home; MLflow's own experiment


class StudyLocked(RuntimeError):  # noqa: N818  (named by what happened)
    """Another process holds the study."""


class UnknownStudy(ValueError):  # noqa: N818  (named by what happened)
    """No study of that name is recorded."""


class HomeUnwritable(ValueError):  # noqa: N818  (named by what happened)
    """The folder of the studies cannot be written."""


class RecordDamaged(RuntimeError):  # noqa: N818  (named by what happened)
    """The file of a record cannot be read whole."""


class RecordFull(OSError):  # noqa: N818  (named by what happened)
    """The disk took no more. What was committed is intact."""


def check_name(name: str) -> str:
    """`name` where it may name a study, and so its files; ValueError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            f"study={name[:120]!r}: takes 1 to 100 of the letters a-z, A-Z, digits and . _ - and starts with a letter "
            "or digit, for example study=adding_long_lags"
        )
    if name.lower() in _RESERVED:
        raise ValueError(f"study={name}: this name is reserved; take another, for example study={name}_1")
    return name


def studies(home: Path) -> list[str]:
    """The names of the studies recorded in `home`, sorted; those of other people that are closed to us are left out."""
    return sorted(path.stem for path in home.glob("*.sqlite") if os.access(path, os.R_OK) and _is_study(path))


def delete(home: Path, name: str) -> None:
    """Remove a study's files. UnknownStudy where there is none, StudyLocked while a driver holds it."""
    path = existing(home, name)
    with closing(acquire(home, name)):
        for file in (path, path.with_name(f"{path.name}-journal"), home / f"{name}.lock"):
            file.unlink(missing_ok=True)


def holder(home: Path, name: str) -> str:
    """Which process holds the study; empty where none does. Nothing is written."""
    try:
        with (home / f"{name}.lock").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "another process"
    except OSError:  # nobody has run it here, or may
        return ""
    return ""


def now() -> str:
    """The time as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def acquire(home: Path, name: str) -> IO[str]:
    """The study's lock file, locked. The kernel frees the lock when the process ends, however it ends."""
    path = home / f"{name}.lock"
    with named_errors(path):
        home.mkdir(0o700, parents=True, exist_ok=True)
        while True:
            with ExitStack() as stack:
                file = stack.enter_context(open(path, "a+", encoding="utf-8", opener=_private))
                _flock(file, name)
                if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):  # not deleted meanwhile
                    stack.pop_all()
                    return file


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _flock(file: IO[str], name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise StudyLocked(
            f"study={name} is held by {holder}: wait for it, stop it, or take another name (study=NAME)"
        ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}, started {now()}\n")
    file.flush()


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection with SQLite's open `mode` (ro, rw, rwc); transactions are begun and ended explicitly."""
    with named_errors(path):
        if mode == "rwc":
            with suppress(FileExistsError):
                path.touch(0o600, exist_ok=False)  # SQLite takes an empty file for a new one, and its mode for journals
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
        db.row_factory = sqlite3.Row
        for setting in ("synchronous = FULL", "foreign_keys = ON"):
            db.execute(f"PRAGMA {setting}")
        return db


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system as exceptions of this module that name the file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _named(path, str(error), getattr(error, "sqlite_errorcode", 0) & 0xFF) from error
    except UnicodeDecodeError as error:  # in the name of a table or a column
        raise _named(path, f"Could not decode {error.object[:40]!r}", sqlite3.SQLITE_CORRUPT) from error
    except (RecordFull, StudyLocked):
        raise
    except OSError as error:
        full = sqlite3.SQLITE_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else sqlite3.SQLITE_CANTOPEN
        raise _named(path, error.strerror or str(error), full) from error


def damaged(path: Path, message: str) -> RecordDamaged:
    """The error for a record that cannot be read whole, with what helps."""
    return RecordDamaged(
        f"{path} is damaged ({message}): lstm-search recover study={path.stem} keeps what can be read of it and "
        "takes the rest from MLflow"
    )


def _named(path: Path, message: str, code: int) -> Exception:
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        free = shutil.disk_usage(path.parent).free
        return RecordFull(
            f"{path}: {message}; {free} bytes are free in {path.parent}. Free some space and give the same command "
            "again: everything recorded so far is kept"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return HomeUnwritable(f"{path}: cannot be written ({message}); choose another folder with home=DIR")
    if code == sqlite3.SQLITE_BUSY:
        return StudyLocked(f"{path}: another program has kept this file locked for {_PATIENCE:.0f} s; close it there")
    if code == sqlite3.SQLITE_CORRUPT or message.startswith(_AMISS):
        return damaged(path, message)
    if code == sqlite3.SQLITE_NOTADB:
        return ValueError(f"{path} is no record of a study ({message}); move it away or take another study=NAME")
    return RuntimeError(f"{path}: {message}")


def _is_study(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(100)
    return header.startswith(b"SQLite format 3\0") and header[68:72] == APPLICATION.to_bytes(4, "big")


def existing(home: Path, name: str) -> Path:
    """The path of a recorded study; UnknownStudy where there is none."""
    path = home / f"{check_name(name)}.sqlite"
    if path.is_file() and not os.access(path, os.R_OK):
        raise ValueError(
            f"study={name}: {path} is closed to you; its owner can open it with chmod a+r, or take another study=NAME"
        )
    if path.is_file() and not _is_study(path):
        raise ValueError(f"{path} is no record of a study: move it away or take another study=NAME")
    if not path.is_file():
        raise unknown(home, name)
    return path


def unknown(home: Path, name: str) -> UnknownStudy:
    """The error that names the studies there are."""
    known = ", ".join(studies(home)) or "none yet"
    return UnknownStudy(f"study={name}: not recorded in {home}; recorded there: {known}")
