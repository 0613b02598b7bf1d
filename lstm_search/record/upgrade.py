"""Records of earlier releases brought up to date, without training anything.

Format 1 had no `first` and `purpose` in its rows, up to format 3 there were no candidates, and up to format 4 trials
had no digest. Up to format 2 the keys
were of schema version 1, which hashed every setting of a cell; since version 2 those at their default are left out. A
key changes only where the one recorded is that of its cell, replicate and seed by the old rule; outcomes, weights and
all else stay.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lstm_search.record import sql
from lstm_search.record.study_file import APPLICATION
from lstm_search.spec import (
    SCHEMA_VERSION,
    Cell,
    TrialSpec,
    canonical_json,
    cell_from_dict,
    digest,
    trial_key,
)

FORMAT = 5
"""Of the tables and keys. Earlier ones are still read, and brought up to date by a driver."""

_RENEWED = {
    "cells": ("digest",),
    "rows": ("cell",),
    "trials": ("key", "cell"),
    "milestones": ("key",),
    "attempts": ("key",),
    "archive": ("key", "cell"),
}
"""Where digests of cells and keys of trials stand."""


class _OldCell(NamedTuple):
    """A cell, and the text that version 1 hashed of it."""

    cell: Cell
    text: str


def is_fresh(db: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing is recorded yet; ValueError for a file that something else wrote."""
    application, format_ = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if application == APPLICATION and 1 <= format_ <= FORMAT:
        return False
    if application == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return True
    kind = (
        f"has format {format_}, this release reads {FORMAT}" if application == APPLICATION else "is no study's record"
    )
    raise ValueError(f"{path} {kind}: move it away or take another name (study=NAME)")


def is_outdated(db: sqlite3.Connection) -> bool:
    """Whether an earlier release wrote the record."""
    return int(db.execute("PRAGMA user_version").fetchone()[0]) < FORMAT


def upgraded_copy(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """A private copy of an outdated record, up to date; it is gone when it is closed. The file is only read."""
    copy = sqlite3.connect("", isolation_level=None)  # in memory as far as SQLite's cache goes, then in a hidden file
    copy.row_factory = sqlite3.Row
    try:
        db.backup(copy)
        copy.execute("BEGIN")
        upgrade(copy, path)
        copy.execute("COMMIT")
    except BaseException:
        copy.close()
        raise
    return copy


def upgrade(db: sqlite3.Connection, path: Path) -> None:
    """Bring a record up to date, inside a transaction of the caller: all of it or nothing.

    ValueError where a key is not that of its cell, or a cell is none of this release.
    """
    if not is_outdated(db):
        return
    before = db.execute("PRAGMA user_version").fetchone()[0]
    if before == 1:
        db.execute("ALTER TABLE rows ADD COLUMN first INTEGER NOT NULL DEFAULT 0")
        db.execute("ALTER TABLE rows ADD COLUMN purpose TEXT NOT NULL DEFAULT 'report'")
    if before < 4:
        db.execute(next(statement for statement in sql.statements() if "CREATE TABLE candidates" in statement))
    db.execute("ALTER TABLE trials ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
    if db.execute("SELECT schema_version FROM study").fetchone()[0] == 1:
        _renew_keys(db, path)
    db.execute(f"PRAGMA user_version = {FORMAT}")


def _renew_keys(db: sqlite3.Connection, path: Path) -> None:
    seed = int(db.execute("SELECT seed FROM study").fetchone()[0])
    cells = dict(_old_cells(db, path))
    new = {old: entry.cell.digest for old, entry in cells.items()}
    new |= _planned_keys(db, cells, seed) | _recorded_keys(db, path, cells, seed)
    db.execute("PRAGMA defer_foreign_keys = ON")  # until the end of the transaction
    db.execute("CREATE TEMP TABLE renewed (old TEXT PRIMARY KEY, new TEXT NOT NULL) WITHOUT ROWID")
    db.executemany("INSERT INTO renewed VALUES (:old, :new)", ({"old": old, "new": key} for old, key in new.items()))
    for table, columns in _RENEWED.items():
        for name in columns:
            new_value = f"coalesce((SELECT new FROM renewed WHERE old = {name}), {name})"  # noqa: S608  (our own names)
            db.execute(f"UPDATE {table} SET {name} = {new_value}")  # noqa: S608
    db.execute("DROP TABLE renewed")
    db.execute("UPDATE study SET schema_version = :version", {"version": SCHEMA_VERSION})


def _old_cells(db: sqlite3.Connection, path: Path) -> Iterator[tuple[str, _OldCell]]:
    """The recorded cells by their old digest, which must be that of their description."""
    met: dict[str, str] = {}
    for entry in db.execute("SELECT digest, description FROM cells"):
        description = json.loads(entry["description"])
        if digest(description) != entry["digest"]:
            raise _contradiction(path, "cell", entry["digest"])
        try:
            cell = cell_from_dict(description)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path}: a cell of it is none of this release ({error}); keep it with the old one"
            ) from error
        if met.setdefault(cell.digest, entry["digest"]) != entry["digest"]:
            raise ValueError(f"{path}: two cells of it are the same one in this release; keep it with the old one")
        yield entry["digest"], _OldCell(cell, canonical_json(description))


def _recorded_keys(db: sqlite3.Connection, path: Path, cells: Mapping[str, _OldCell], seed: int) -> dict[str, str]:
    """The new keys of the trials that ended, by the old ones."""
    query = "SELECT key, cell, replicate FROM trials UNION SELECT key, cell, replicate FROM archive"
    keys = {}
    for entry in db.execute(query):
        old = cells.get(entry["cell"])
        if old is None or trial_key(1, old.text, entry["replicate"], seed) != entry["key"]:
            raise _contradiction(path, "trial", entry["key"])
        keys[entry["key"]] = TrialSpec(old.cell, entry["replicate"], seed, cap=0).key
    return keys


def _planned_keys(db: sqlite3.Connection, cells: Mapping[str, _OldCell], seed: int) -> dict[str, str]:
    """The new keys of all planned trials, by the old ones, where attempts at some were lost; else none are needed."""
    if not db.execute("SELECT 1 FROM attempts LIMIT 1").fetchone():
        return {}
    return {
        trial_key(1, old.text, replicate, seed): TrialSpec(old.cell, replicate, seed, cap=0).key
        for entry in db.execute("SELECT cell, first, replicates FROM rows")
        for old in (cells[entry["cell"]],)
        for replicate in range(entry["first"], entry["first"] + entry["replicates"])
    }


def renewed(db: sqlite3.Connection, prefix: str) -> str | None:
    """The key of the trial whose key of version 1 started with `prefix`; None where there is none."""
    seed = int(db.execute("SELECT seed FROM study").fetchone()[0])
    cells = {
        entry["digest"]: canonical_json(json.loads(entry["description"]))
        for entry in db.execute("SELECT digest, description FROM cells")
    }
    keys = (
        entry["key"]
        for entry in db.execute("SELECT key, cell, replicate FROM trials")
        if trial_key(1, cells[entry["cell"]], entry["replicate"], seed).startswith(prefix)
    )
    return next(keys, None)


def _contradiction(path: Path, what: str, key: str) -> ValueError:
    return ValueError(
        f"{path}: the key of a {what} is not that of its settings ({key}): the file was changed or damaged, and stays "
        "as it is. Move it away and rebuild it from MLflow with lstm-search recover study=NAME"
    )
