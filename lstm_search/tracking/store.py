"""The SQLite file of MLflow's tables: it is there as a whole, or not at all.

MLflow makes its tables by some 1,700 statements that SQLite keeps one by one, and an interrupted half of them it
refuses for ever. So they are made aside, and the file gets its name when it is whole.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from lstm_search.tracking.address import sqlite_address, sqlite_file

_BOOKKEEPING = {"alembic_version", "workspaces"}
"""Tables that have a row before anything was published."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
_PATIENCE = 20.0  # seconds for which another program may hold the file, as MLflow has it


@contextmanager
def opening(uri: str, home: Path) -> Iterator[None]:
    """Held while a database is opened, which makes its tables where they are not there yet: two processes that do so at
    once break each other. Raises what SQLite raises, ValueError for the file of another program."""
    path = sqlite_file(uri)
    folder = path.parent if path else home
    folder.mkdir(0o700, parents=True, exist_ok=True)
    with open(folder / "mlflow.lock", "a", opener=lambda name, flags: os.open(name, flags, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path and _is_wanting(path):
            _make(path, home / "artifacts")
        yield


def _is_wanting(path: Path) -> bool:
    """Whether the file is not there, or has come no further than an interrupted start: some of MLflow's tables, and
    nothing in them."""
    if not path.exists():
        return True
    with closing(sqlite3.connect(path, _PATIENCE)) as db:  # what a killed process left half done is taken back
        tables = {name for (name,) in db.execute(_TABLES)}
        if foreign := tables - _known():
            if not tables & {"experiments", "alembic_version"}:
                raise ValueError(f"{path} holds tables of another program ({min(foreign)}); name another file")
            return False
        rows = (db.execute(f'SELECT EXISTS(SELECT 1 FROM "{name}")') for name in tables - _BOOKKEEPING)  # noqa: S608  (of MLflow's names)
        return not any(found for ((found,),) in rows)


def _known() -> set[str]:
    """The names that MLflow's tables may have, those included that it copies a table into to change it."""
    import mlflow.store.db.utils  # noqa: F401  (it gathers all tables)
    from mlflow.store.db.base_sql_model import Base

    names = {"alembic_version", *Base.metadata.tables}
    return names | {f"_alembic_tmp_{name}" for name in names}


def _make(path: Path, artifacts: Path) -> None:
    """Make the file aside, for its owner alone, and give it its name."""
    aside = path.with_name(f".{path.name}.new")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here: nobody else is, with the lock held
    aside.mkdir(0o700)
    try:
        whole = aside / path.name
        whole.touch(0o600)
        _fill(whole, artifacts)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # it would be played back into the new file
        whole.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fill(path: Path, artifacts: Path) -> None:
    """Make the tables. They are brought to the disk once, at the end: after each statement that took six seconds."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def connected(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)  # the store makes its engine itself
    try:
        SqlAlchemyStore(sqlite_address(path), artifacts.as_uri()).engine.dispose()
    finally:
        event.remove(Engine, "connect", connected)
    with path.open("rb") as file:
        os.fsync(file.fileno())
