"""The study's record: one SQLite file, one row a trial, written by the driver alone.

A trial counts when the transaction that holds it is committed; whatever is shown anywhere is read from here. The
journal is SQLite's rollback journal, not a write-ahead log: between transactions a study is exactly one file, which
can be copied, kept on a network file system, or read from a folder without write permission. Readers take a row of the
table at a time and the driver waits for them, so neither ever fails because of the other.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from lstm_search import spec
from lstm_search.record import provenance
from lstm_search.record import study_file as recordfile
from lstm_search.record.study_file import (
    HomeUnwritable,
    RecordFull,
    StudyLocked,
    UnknownStudy,
    check_name,
    delete,
    named_errors,
    now,
    studies,
)
from lstm_search.spec import BROKEN, Cell, CurvePoint, Definition, Outcome, Reached, Row, Trial, TrialResult, TrialSpec

__all__ = [
    "DefinitionChanged",
    "HomeUnwritable",
    "Record",
    "RecordFull",
    "StudyLocked",
    "UnknownStudy",
    "check_name",
    "delete",
    "studies",
]

_POINT = struct.Struct("<qdd")  # a curve point: sequences, error, wrong, every bit kept

_ROWS = """
SELECT name, description, replicates, cap, "table", published, readings, altered, {first}, {purpose}
FROM rows JOIN cells ON cell = digest ORDER BY ordinal
"""
_PUT_ROW = """
INSERT INTO rows SELECT ?, coalesce(max(ordinal), -1) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM rows WHERE true
ON CONFLICT (name) DO UPDATE SET replicates = max(replicates, excluded.replicates), cap = excluded.cap,
    "table" = excluded."table", published = excluded.published, readings = excluded.readings,
    altered = excluded.altered, first = excluded.first, purpose = excluded.purpose
"""
_PUT_TRIAL = "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_MILESTONE = "INSERT INTO milestones VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_ATTEMPT = "INSERT INTO attempts SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, 0 FROM attempts WHERE key = ?1"
_ARCHIVE = """
INSERT INTO archive SELECT NULL, ?, ?, ?, key, cell, replicate, cap, outcome, sequences, steps, seconds, curve,
    weights_sha256, error, host, attempts, environment, finished_at FROM trials WHERE key = ?
"""
_TRIALS = """
SELECT key, replicate, cap, outcome, sequences, steps, iif(?, curve, x''), weights_sha256, seconds, error, host,
    attempts FROM trials WHERE cell = ? AND replicate >= ? AND replicate < ? ORDER BY replicate
"""
_MILESTONES = """
SELECT key, milestones.name, milestones.sequences, test_sequences, test_wrong, test_error FROM trials
JOIN milestones USING (key) WHERE cell = ? AND replicate >= ? AND replicate < ? ORDER BY key, milestones.ordinal
"""
_MILESTONES_OF = """
SELECT name, sequences, test_sequences, test_wrong, test_error FROM milestones WHERE key = ? ORDER BY ordinal
"""
_ENDED = """
SELECT key, replicate, outcome, cap, sequences FROM trials
WHERE cell = ? AND replicate >= ? AND replicate < ? ORDER BY replicate
"""


_NEXT = "---\n"
"""Stands between the configurations of a study that has grown: together they are a stream of YAML documents."""


class DefinitionChanged(ValueError):  # noqa: N818  (named by what happened)
    """The study is recorded under another definition; `differences` holds one phrase each."""

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            f"{path} was recorded under another definition: {'; '.join(differences)}. "
            "Take another name (study=NAME), or remove this study first with the verb delete"
        )


class Record:
    """One study's record, for its driver (`Record.open`) or for a reader (`Record.read`); a context manager.

    Of a record opened with a definition, or narrowed to one, only the rows and replicates that it asks for are seen.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: IO[str] | None, asked: Definition | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._asked = asked

    @classmethod
    def open(cls, home: Path, definition: Definition) -> Record:
        """Lock the study for writing; make its record, or check that it has this definition and let it grow.

        Raises ValueError for a bad name, HomeUnwritable, StudyLocked, DefinitionChanged, RecordFull.
        """
        path = home / f"{check_name(definition.name)}.sqlite"
        with ExitStack() as stack:
            lock = stack.enter_context(closing(recordfile.acquire(home, definition.name)))
            record = cls(path, stack.enter_context(closing(recordfile.connect(path, "rwc"))), lock, definition)
            record.grow(definition)
            stack.pop_all()
        return record

    @classmethod
    def read(cls, home: Path, name: str) -> Record:
        """Open a study without locking it, also while a driver writes. Raises UnknownStudy."""
        path = recordfile.existing(home, name)
        # Opened for writing where possible: the journal of a killed driver may have to be rolled back first.
        mode = "rw" if os.access(path, os.W_OK) and os.access(home, os.W_OK) else "ro"
        with ExitStack() as stack:
            db = stack.enter_context(closing(recordfile.connect(path, mode)))
            with named_errors(path):
                db.execute("PRAGMA query_only = ON")
                if recordfile.is_fresh(db, path):
                    raise recordfile.unknown(home, name)
            stack.pop_all()
        return cls(path, db, None, None)

    def narrow(self, definition: Definition) -> None:
        """See only the rows and replicates of `definition` from now on. DefinitionChanged where it is not what was
        recorded."""
        with named_errors(self.path):
            self._check(definition)
        self._asked = definition

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, then free the study's lock."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def definition(self) -> Definition:
        """What is asked for: the definition given at opening or to `narrow`, or else all that was ever asked for."""
        if self._asked is not None:
            return self._asked
        seed, title, config = self._query("SELECT seed, title, config FROM study")[0]
        return Definition(self.path.stem, int(seed), self._rows(), title, config)

    def created(self) -> datetime:
        """When the study was first recorded, UTC."""
        return datetime.fromisoformat(self._query("SELECT created FROM study")[0][0])

    def environment(self) -> dict[str, str]:
        """Versions, processor and commit with which the study was first recorded."""
        query = "SELECT description FROM environments JOIN study ON study.environment = environments.id"
        return dict(json.loads(self._query(query)[0][0]))

    def grow(self, definition: Definition) -> None:
        """Record new rows, more replicates or another cap. DefinitionChanged where a recorded row has changed."""
        if len({row.name for row in definition.rows}) < len(definition.rows):
            raise ValueError("two rows of the study have the same name: name each row once")
        with self._transaction() as db:
            if recordfile.is_fresh(db, self.path):
                self._create(definition)
            recordfile.upgrade(db)
            self._check(definition)
            before = self._rows()
            self._check_space(before, definition)
            for row in definition.rows:
                self._put_row(row)
            if self._rows() != before:
                config = self._query("SELECT config FROM study")[0][0]
                if _text(definition.config) not in config.split(_NEXT):
                    db.execute("UPDATE study SET config = ?", (config + _NEXT + _text(definition.config),))
        self._asked = definition

    def add(self, results: Iterable[tuple[TrialSpec, TrialResult, int]]) -> int:
        """Commit a batch (what was asked, what came of it, attempts) in one transaction; how many are newly recorded.

        A trial's first terminal state stays, except that CAPPED gives way to what a run with a higher cap learned.
        """
        batch = list(results)
        with self._transaction():
            environment = self._environment_id()
            return sum(self._put_trial(*entry, environment) for entry in batch)

    def date(self, created: datetime, environment: Mapping[str, str]) -> None:
        """Say of a record that was rebuilt when it was first made, and with what."""
        with self._transaction() as db:
            number = self._environment_id(environment)
            moment = created.isoformat(timespec="milliseconds")
            db.execute("UPDATE study SET created = ?, environment = ?", (moment, number))
            db.execute("UPDATE trials SET environment = ?", (number,))

    def attempt(self, key: str, reason: str) -> int:
        """Commit that an attempt at a trial was lost; how many lost attempts now count against it."""
        with self._transaction() as db:
            db.execute(_PUT_ATTEMPT, (key, _text(reason), now()))
        return self.attempts()[key]

    def attempts(self) -> dict[str, int]:
        """Lost attempts of the trials that have no terminal state yet, by key; earlier runs of the study included."""
        return dict(self._query("SELECT key, count(*) FROM attempts WHERE NOT settled GROUP BY key"))

    def retry(self, outcomes: Iterable[str], rows: Sequence[Row] | None = None) -> int:
        """Archive the trials of `rows` (None: of the definition) with these outcomes (`lost`, `oom`, `timeout`,
        `failed`), so that they are missing again with all their attempts; how many."""
        wanted = _retriable(outcomes)
        with self._transaction():
            ended = [entry for row in (self.definition().rows if rows is None else rows) for entry in self._ended(row)]
            keys = {key for key, _, outcome, *_ in ended if outcome in wanted}
            for key in sorted(keys):
                self._archive(key, "retried")
        return len(keys)

    def missing(self, row: Row) -> list[TrialSpec]:
        """The row's trials that are planned but not recorded, or were CAPPED below the row's cap."""
        done = {
            replicate
            for _, replicate, outcome, cap, _ in self._ended(row)
            if outcome != Outcome.CAPPED or cap >= row.cap
        }
        return [trial for trial in row.trials(self.definition().seed) if trial.replicate not in done]

    def counts(self) -> dict[str, Counter[Outcome]]:
        """How many trials ended how under their row's cap, by row name; those to run again are left out."""
        counts: dict[str, Counter[Outcome]] = {row.name: Counter() for row in self.definition().rows}
        for row in self.definition().rows:
            for key, _, outcome, cap, sequences in self._ended(row):
                if outcome != Outcome.CAPPED or cap >= row.cap:
                    told = TrialResult(key, Outcome(outcome), sequences, steps=0).under_cap(row.cap)
                    counts[row.name][told.outcome] += 1
        return counts

    def trials(self, *, curves: bool = True) -> dict[str, list[Trial]]:
        """The recorded trials by row name, in order of replicate, without their weights.

        `curves=False` leaves the learning curves empty: several times smaller and faster for very many trials.
        """
        asked = self.definition()
        return {row.name: self._load(row.cell, asked.seed, row.first, row.end, curves=curves) for row in asked.rows}

    def find(self, prefix: str) -> Trial:
        """The one trial whose key starts with `prefix`, without its weights; ValueError for none and for several."""
        if not re.fullmatch(r"[0-9a-f]{1,64}", prefix):
            raise ValueError(f"key={prefix[:80]!r}: takes the leading digits (0-9, a-f) of a trial's key")
        query = "SELECT key, replicate, description FROM trials JOIN cells ON cell = digest WHERE key >= ? AND key < ?"
        found = self._query(f"{query} LIMIT 3", (prefix, prefix + "g"))
        if not found:
            raise ValueError(f"key={prefix}: no trial of {self.path} has a key that starts so")
        if len(found) > 1:
            keys = ", ".join(key[: len(prefix) + 8] for key, *_ in found)
            raise ValueError(f"key={prefix}: several trials of {self.path} start so ({keys}, ...); give more digits")
        _, replicate, description = found[0]
        return self._load(_cell(description), self.definition().seed, replicate, replicate + 1)[0]

    def holds(self, prefix: str) -> bool:
        """Whether some trial's key starts with `prefix`."""
        return bool(self._query("SELECT 1 FROM trials WHERE key >= ? AND key < ? LIMIT 1", (prefix, prefix + "g")))

    def weights(self, key: str) -> bytes:
        """A trial's final weights as an npz archive; ValueError where no such trial is recorded."""
        found = self._query("SELECT weights FROM trials WHERE key = ?", (key,))
        if not found:
            raise ValueError(f"key={key[:80]!r}: no trial of {self.path} has this key")
        return bytes(found[0][0])

    def _query(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with named_errors(self.path):
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self, mode: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with named_errors(self.path):
            self._db.execute(f"BEGIN {mode}")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _create(self, definition: Definition) -> None:
        for statement in files("lstm_search.record").joinpath("record.sql").read_text(encoding="utf-8").split(";\n"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA application_id = {recordfile.APPLICATION}")
        self._db.execute(f"PRAGMA user_version = {recordfile.FORMAT}")
        versions = (spec.SCHEMA_VERSION, spec.NUMERICS_VERSION)
        labels = (_text(definition.title), _text(definition.config), now(), self._environment_id())
        values = (definition.name, str(definition.seed), *versions, *labels)
        self._db.execute("INSERT INTO study VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def _check(self, definition: Definition) -> None:
        query = "SELECT schema_version, numerics_version, seed, title FROM study"
        schema, numerics, seed, title = self._db.execute(query).fetchone()
        then_and_now = (
            ("schema version", schema, spec.SCHEMA_VERSION),
            ("numerics version", numerics, spec.NUMERICS_VERSION),
            ("seed", int(seed), definition.seed),
            ("subject", title, _text(definition.title)),
        )
        found = [f"{name} was {then}, is {now}" for name, then, now in then_and_now if then != now]
        found += [phrase for row in definition.rows for phrase in self._row_differences(row)]
        if found:
            raise DefinitionChanged(self.path, found)

    def _check_space(self, recorded: Sequence[Row], definition: Definition) -> None:
        """Cells that were to be chosen among stay in the choice: a space may grow, not shrink or move."""
        names = {row.name for row in definition.rows}
        gone = [row.name for row in recorded if row.purpose != "report" and row.name not in names]
        if gone and any(row.purpose != "report" for row in definition.rows):
            more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
            raise DefinitionChanged(self.path, [f"the space lacks what it had: {'; '.join(gone[:3])}{more}"])

    def _row_differences(self, row: Row) -> list[str]:
        query = "SELECT digest, description FROM rows JOIN cells ON cell = digest WHERE name = ?"
        recorded = self._db.execute(query, (row.name,)).fetchone()
        if recorded is None or recorded[0] == row.cell.digest:
            return []
        then, now = spec.flat(json.loads(recorded[1])), spec.flat(row.cell.as_dict())
        names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        return [f"row {row.name}: {name} was {then.get(name)}, is {now.get(name)}" for name in names]

    def _rows(self) -> tuple[Row, ...]:
        old = self._query("PRAGMA user_version")[0][0] == 1
        query = _ROWS.format(first="0", purpose="'report'") if old else _ROWS.format(first="first", purpose="purpose")
        return tuple(
            Row(name, _cell(cell), planned, cap, table, printed, _pairs(readings), _pairs(altered), first, purpose)
            for name, cell, planned, cap, table, printed, readings, altered, first, purpose in self._query(query)
        )

    def _put_row(self, row: Row) -> None:
        lists = (json.dumps(row.readings), json.dumps(row.altered))
        labels = (row.replicates, row.cap, row.table, row.published, *lists, row.first, row.purpose)
        self._db.execute(_PUT_ROW, (row.name, self._put_cell(row.cell), *labels))

    def _put_cell(self, cell: Cell) -> str:
        self._db.execute("INSERT OR IGNORE INTO cells VALUES (?, ?)", (cell.digest, json.dumps(cell.as_dict())))
        return cell.digest

    def _put_trial(self, asked: TrialSpec, result: TrialResult, attempts: int, environment: int) -> bool:
        if asked.key != result.key:
            raise ValueError(f"the result of trial {result.key} was handed in for trial {asked.key}")
        before = self._db.execute("SELECT outcome, cap FROM trials WHERE key = ?", (result.key,)).fetchone()
        if before is not None:
            if before[0] != Outcome.CAPPED or before[1] >= asked.cap or result.outcome in BROKEN:
                return False
            self._archive(result.key, f"cap raised to {asked.cap}")
        identity = (result.key, self._put_cell(asked.cell), asked.replicate, asked.cap)
        work = (result.outcome, result.sequences, result.steps, result.seconds, _pack(result.curve))
        labels = (result.weights_sha256, _text(result.error), _text(result.host), attempts, environment, now())
        self._db.execute(_PUT_TRIAL, (*identity, *work, *labels, result.weights))
        for number, entry in enumerate(result.milestones):
            tested = (entry.sequences, entry.test_sequences, entry.test_wrong, _exact(entry.test_error))
            self._db.execute(_PUT_MILESTONE, (result.key, number, entry.name, *tested))
        self._db.execute("UPDATE attempts SET settled = 1 WHERE key = ?", (result.key,))
        return True

    def _archive(self, key: str, reason: str) -> None:
        milestones = [asdict(_reached(entry)) for entry in self._db.execute(_MILESTONES_OF, (key,))]
        self._db.execute(_ARCHIVE, (reason, now(), json.dumps(milestones), key))
        self._db.execute("DELETE FROM trials WHERE key = ?", (key,))

    def _environment_id(self, environment: Mapping[str, str] | None = None) -> int:
        description = json.dumps(dict(environment or provenance.environment()))
        self._db.execute("INSERT OR IGNORE INTO environments (description) VALUES (?)", (description,))
        return int(self._db.execute("SELECT id FROM environments WHERE description = ?", (description,)).fetchone()[0])

    def _ended(self, row: Row) -> list[tuple[str, int, str, int, int]]:
        return self._query(_ENDED, (row.cell.digest, row.first, row.end))

    def _load(self, cell: Cell, seed: int, first: int, end: int, *, curves: bool = True) -> list[Trial]:
        milestones: dict[str, list[Reached]] = defaultdict(list)
        with self._transaction("DEFERRED") as db:
            for key, *entry in db.execute(_MILESTONES, (cell.digest, first, end)):
                milestones[key].append(_reached(entry))
            found = db.execute(_TRIALS, (curves, cell.digest, first, end)).fetchall()
        return [_trial(cell, seed, milestones.get(entry[0], ()), entry) for entry in found]


def _cell(description: str) -> Cell:
    return spec.cell_from_dict(json.loads(description))


def _trial(cell: Cell, seed: int, milestones: Sequence[Reached], entry: Sequence[Any]) -> Trial:
    key, replicate, cap, outcome, sequences, steps, curve, sha256, seconds, error, host, attempts = entry
    asked = TrialSpec(cell, replicate, seed, cap)
    result = TrialResult(
        key=key,
        outcome=Outcome(outcome),
        sequences=sequences,
        steps=steps,
        milestones=tuple(milestones),
        curve=tuple(CurvePoint(*point) for point in _POINT.iter_unpack(curve)),
        weights_sha256=sha256,
        seconds=seconds,
        error=error,
        host=host,
    )
    return Trial(asked, result, attempts)


def _reached(entry: Sequence[Any]) -> Reached:
    name, sequences, test_sequences, test_wrong, test_error = entry
    return Reached(name, sequences, test_sequences, test_wrong, float(test_error))


def _pack(curve: Iterable[CurvePoint]) -> bytes:
    return b"".join(_POINT.pack(point.sequences, point.error, point.wrong) for point in curve)


def _exact(value: float) -> float | str:
    changed_by_sqlite = math.isnan(value) or (value == 0 and math.copysign(1, value) < 0)
    return repr(value) if changed_by_sqlite else float(value)


def _text(value: str) -> str:
    """`value` without lone surrogates (from undecodable file names in a traceback), which SQLite refuses."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


def _retriable(outcomes: Iterable[str]) -> set[str]:
    wanted = {outcome.upper() for outcome in outcomes}
    if not wanted <= BROKEN:
        allowed = ", ".join(sorted(BROKEN)).lower()
        raise ValueError(f"retry={','.join(sorted(wanted)).lower()}: takes one or several of {allowed}")
    return wanted
