"""The study's record: one SQLite file, one row a trial, written by the driver alone.

A trial counts when the transaction that holds it is committed; whatever is shown anywhere is read from here. The
journal is SQLite's rollback journal, not a write-ahead log: between transactions a study is exactly one file, which
can be copied, kept on a network file system, or read from a folder without write permission. Readers take a row of the
table at a time and the driver waits for them, so neither ever fails because of the other.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from lstm_search import spec
from lstm_search.record import provenance, sql
from lstm_search.record import study_file as recordfile
from lstm_search.record.archive import unpacked
from lstm_search.record.changes import DefinitionChanged, differences
from lstm_search.record.reading import read_trials
from lstm_search.record.study_file import check_name, named_errors, now
from lstm_search.record.upgrade import FORMAT, is_fresh, is_outdated, renewed, upgrade, upgraded_copy
from lstm_search.spec import (
    BROKEN,
    Candidate,
    Cell,
    Definition,
    Outcome,
    Row,
    Trial,
    row_from_plain,
)
from lstm_search.tasks import Task, UnknownTask, task_origin

T = TypeVar("T")

_ALL = 2**62
"""More than any number of a replicate."""

_TASK = "task "
"""Before the name of a task from outside, in an environment: a key whose value says where the task came from."""

_NEXT = "---\n"
"""Stands between the configurations of a study that has grown: together they are a stream of YAML documents."""


class Record:
    """One study's record, for its driver (`Record.open`) or for a reader (`Record.read`); a context manager.

    Of a record opened with a definition, or narrowed to one, only the rows and replicates that it asks for are seen.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: IO[str] | None, asked: Definition | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._ask(asked)

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
        """Open a study without locking it, also while a driver writes. Nothing is written: of a record of an earlier
        release a copy is read, brought up to date. Raises UnknownStudy; ValueError for a record that is damaged."""
        path = recordfile.existing(home, name)
        # Opened for writing where possible: the journal of a killed driver may have to be rolled back first.
        mode = "rw" if os.access(path, os.W_OK) and os.access(home, os.W_OK) else "ro"
        with ExitStack() as stack:
            db = stack.enter_context(closing(recordfile.connect(path, mode)))
            with named_errors(path):
                if is_fresh(db, path):
                    raise recordfile.unknown(home, name)
                if is_outdated(db):
                    db = stack.enter_context(closing(upgraded_copy(db, path)))
                db.execute("PRAGMA query_only = ON")
                stack.pop_all()
        return cls(path, db, None, None)

    def narrow(self, definition: Definition) -> None:
        """See only the rows and replicates of `definition` from now on. DefinitionChanged where it is not what was
        recorded."""
        with named_errors(self.path):
            self._check(definition)
        self._ask(definition)

    def _ask(self, definition: Definition | None) -> None:
        """See this definition from now on, and the rows that are added to it."""
        self._asked = definition
        self._seen = {row.name: row for row in definition.rows} if definition else {}

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
            return replace(self._asked, rows=tuple(self._seen.values()))
        study = self._query(sql.STUDY)[0]
        return Definition(self.path.stem, int(study["seed"]), self.rows(), study["title"], study["config"])

    def created(self) -> datetime:
        """When the study was first recorded, UTC."""
        return datetime.fromisoformat(self._query(sql.STUDY)[0]["created"])

    def environment(self) -> dict[str, str]:
        """Versions, processor and commit with which the study was first recorded, and where tasks from outside of this
        package came from."""
        return dict(json.loads(self._query(sql.ENVIRONMENT)[0]["description"])) | self._origins()

    def _origins(self) -> dict[str, str]:
        """Where tasks from outside came from, as recorded first; what a trial was trained with, its row says."""
        found: dict[str, str] = {}
        for entry in self._query("SELECT description FROM environments ORDER BY id DESC"):
            found |= {key: value for key, value in json.loads(entry["description"]).items() if key.startswith(_TASK)}
        return found

    def grow(self, definition: Definition) -> None:
        """Record new rows, more replicates or another cap. DefinitionChanged where a recorded row has changed."""
        if len({row.name for row in definition.rows}) < len(definition.rows):
            raise ValueError("two rows of the study have the same name: name each row once")
        with self._transaction() as db:
            if is_fresh(db, self.path):
                self._create(definition)
            upgrade(db, self.path)
            before = self._check(definition)
            for row in definition.rows:
                self._put_row(row)
            if self.rows() != before:
                self._append_config(sql.text(definition.config))
        self._ask(definition)

    def meet(self, candidates: Iterable[Candidate], rows: Iterable[Row] = ()) -> None:
        """Record candidates that a search has met, or why they left, with their rows; and further rows. From now on
        these are seen. DefinitionChanged where a row of such a name is recorded with another cell."""
        met = list(candidates)
        new = {row.name: row for row in (*(row for one in met for row in one.rows), *rows)}
        if not new:
            return
        asked = self.definition()
        with self._transaction() as db:
            for row in new.values():
                then = [self._row(dict(entry)) for entry in db.execute(sql.ROW, {"name": row.name})]
                self._refuse_changes(then, replace(asked, rows=(row,)))
                self._put_row(row)
                if not then:
                    self._append_config(sql.text(asked.config))
            for candidate in met:
                if candidate.point:
                    db.execute(sql.PUT_CANDIDATE, sql.candidate_columns(candidate))
        self._seen |= new

    def candidates(self) -> list[Candidate]:
        """The candidates that were met, in that order, with their rows as they were asked for last."""
        rows = {row.name: row for row in self.rows()}
        return [sql.candidate(entry, rows) for entry in self._query(sql.CANDIDATES)]

    def add(self, trials: Iterable[Trial]) -> int:
        """Commit a batch of trials that ended in one transaction; how many are newly recorded.

        A trial's first terminal state stays, except that CAPPED gives way to what a run with a higher cap learned.
        ValueError where a result has another key than its trial; then nothing of the batch is recorded.
        """
        batch = list(trials)
        with self._transaction():
            environment = self._environment_id(tasks=[trial.spec.cell.task for trial in batch])
            return sum(self._put_trial(trial, environment) for trial in batch)

    def date(self, created: datetime, environment: Mapping[str, str]) -> None:
        """Say of a record that was rebuilt when it was first made, and with what."""
        with self._transaction() as db:
            when = {"created": created.isoformat(timespec="milliseconds"), "with": self._environment_id(environment)}
            db.execute("UPDATE study SET created = :created, environment = :with", when)
            db.execute("UPDATE trials SET environment = :with", when)

    def attempt(self, key: str, reason: str) -> int:
        """Commit that an attempt at a trial was lost; how many lost attempts now count against it."""
        with self._transaction() as db:
            db.execute(sql.PUT_ATTEMPT, {"key": key, "reason": sql.text(reason), "at": now()})
        return self.attempts()[key]

    def attempts(self) -> dict[str, int]:
        """Lost attempts of the trials that have no terminal state yet, by key; earlier runs of the study included."""
        query = "SELECT key, count(*) AS lost FROM attempts WHERE NOT settled GROUP BY key"
        return {entry["key"]: entry["lost"] for entry in self._query(query)}

    def retry(self, outcomes: Iterable[str], rows: Sequence[Row] | None = None) -> int:
        """Archive the trials of `rows` (None: of the definition) with these outcomes (`lost`, `oom`, `timeout`,
        `failed`), so that they are missing again with all their attempts; how many."""
        wanted = _retriable(outcomes)
        with self._transaction():
            rows = self.definition().rows if rows is None else rows
            ended = [entry for row in rows for entry in self._query(sql.KEYS, _which(row.cell, row.first, row.end))]
            keys = {entry["key"] for entry in ended if entry["outcome"] in wanted}
            for key in sorted(keys):
                self._archive(key, "retried")
        return len(keys)

    def counts(self) -> dict[str, Counter[Outcome]]:
        """How many trials ended how under their row's cap, by row name; those to run again are left out."""
        return {row.name: Counter(dict(self._under_cap(sql.COUNTS, row))) for row in self.definition().rows}

    def ended(self) -> dict[str, list[tuple[Outcome, int]]]:
        """How each trial ended under its row's cap, and after how many sequences, by row name; those to run again are
        left out."""
        return {row.name: self._under_cap(sql.ENDED, row) for row in self.definition().rows}

    def trials(self, *, curves: bool = True) -> dict[str, list[Trial]]:
        """The recorded trials by row name, in order of replicate, without their weights.

        `curves=False` leaves the learning curves empty: several times smaller and faster for very many trials.
        """
        asked = self.definition()
        return {row.name: self._load(row.cell, asked.seed, row.first, row.end, curves=curves) for row in asked.rows}

    def known(self, rows: Iterable[Row]) -> Iterator[Trial]:
        """All trials ever recorded of the cells of these rows, without what no search looks at: curves, weights and
        their digests, hosts and errors. What is damaged in these is noticed where they are read."""
        cells = {row.cell.digest: row.cell for row in rows}
        for cell in cells.values():
            yield from self._load(cell, self.definition().seed, 0, _ALL, sql.KNOWN, curves=False)

    def find(self, prefix: str) -> Trial:
        """The one trial whose key starts with `prefix`, without its weights; ValueError for none and for several."""
        if not re.fullmatch(r"[0-9a-f]{1,64}", prefix):
            raise ValueError(f"key={prefix[:80]!r}: takes the leading digits (0-9, a-f) of a trial's key")
        found = self._query(sql.FIND, {"prefix": prefix, "beyond": prefix + "g"})
        if not found:
            raise ValueError(f"key={prefix}: no trial of {self.path} has a key that starts so")
        if len(found) > 1:
            keys = ", ".join(entry["key"][: len(prefix) + 8] for entry in found)
            raise ValueError(f"key={prefix}: several trials of {self.path} start so ({keys}, ...); give more digits")
        replicate, cell = found[0]["replicate"], self._cell(found[0]["description"])
        return self._load(cell, self.definition().seed, replicate, replicate + 1)[0]

    def holds(self, prefix: str) -> bool:
        """Whether some trial's key starts with `prefix`."""
        return bool(self._query(sql.FIND, {"prefix": prefix, "beyond": prefix + "g"}))

    def renewed(self, prefix: str) -> str | None:
        """The key of the trial whose key of schema version 1 started with `prefix`; None where there is none."""
        with named_errors(self.path):
            return renewed(self._db, prefix)

    def weights(self, key: str) -> bytes:
        """A trial's final weights as an npz archive; ValueError where no such trial is recorded."""
        found = self._query("SELECT weights FROM trials WHERE key = :key", {"key": key})
        if not found:
            raise ValueError(f"key={key[:80]!r}: no trial of {self.path} has this key")
        return bytes(found[0]["weights"])

    def arrays(self, key: str) -> dict[str, Any]:
        """A trial's final weights, `hidden` and `output`; none where it ended without. ValueError where no such trial
        is recorded, RecordDamaged where they cannot be read."""
        archive = self.weights(key)
        try:
            return unpacked(archive) if archive else {}
        except ValueError as error:
            raise recordfile.damaged(self.path, f"trial {key[:12]}: {error}") from error

    def look(self, at: Callable[[sqlite3.Connection], Iterable[T]]) -> list[T]:
        """What a function finds in the tables. RecordDamaged where they cannot be read."""
        with named_errors(self.path):
            return list(at(self._db))

    def _query(self, query: str, values: dict[str, Any] | None = None) -> list[sqlite3.Row]:
        with named_errors(self.path):
            return self._db.execute(query, values or {}).fetchall()

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
        for statement in sql.statements():
            self._db.execute(statement)
        self._db.execute(f"PRAGMA application_id = {recordfile.APPLICATION}")
        self._db.execute(f"PRAGMA user_version = {FORMAT}")
        environment = self._environment_id(tasks=[row.cell.task for row in definition.rows])
        study = sql.study_columns(definition) | {"created": now(), "environment": environment}
        self._db.execute(sql.insert("study", study), study)

    def _append_config(self, config: str) -> None:
        recorded = self._query(sql.STUDY)[0]["config"]
        if config not in recorded.split(_NEXT):
            self._db.execute("UPDATE study SET config = :config", {"config": recorded + _NEXT + config})

    def _check(self, definition: Definition) -> tuple[Row, ...]:
        """The recorded rows. DefinitionChanged where `definition` is not what was recorded."""
        recorded = self.rows()
        self._refuse_changes(recorded, definition)
        return recorded

    def _refuse_changes(self, recorded: Sequence[Row], definition: Definition) -> None:
        if found := differences(self._query(sql.STUDY)[0], recorded, definition):
            raise DefinitionChanged(self.path, found)

    def rows(self) -> tuple[Row, ...]:
        """All rows that were ever asked for."""
        return tuple(self._row(dict(values)) for values in self._query(sql.ROWS))

    def _row(self, values: dict[str, Any]) -> Row:
        cell, digest = self._cell(values.pop("description")), values.pop("digest")
        if cell.digest != digest:
            raise ValueError(
                f"{self.path}: the cell of row {values['name']} is not recorded under its own digest: another release "
                "has other defaults. Read it with the release that recorded it"
            )
        lists = {name: json.loads(values[name]) for name in sql.ROW_LISTS}
        return row_from_plain(cell, values | lists)

    def _cell(self, description: str) -> Cell:
        """The cell of a description. UnknownTask, which says where its task came from, where that is not here."""
        try:
            return spec.cell_from_dict(json.loads(description))
        except UnknownTask as error:
            origin = self._origins().get(f"{_TASK}{error.name}")
            if origin is None:
                raise
            raise UnknownTask(
                error.name,
                f"study {self.path.stem} has it from {origin}, which is not here; install that distribution, or call "
                "lstm_search.register_task",
            ) from error

    def _put_row(self, row: Row) -> None:
        lists = {name: json.dumps(getattr(row, name)) for name in sql.ROW_LISTS}
        self._db.execute(sql.PUT_ROW, {**vars(row), **lists, "cell": self._put_cell(row.cell)})

    def _put_cell(self, cell: Cell) -> str:
        if not self._db.execute("SELECT 1 FROM cells WHERE digest = :digest", {"digest": cell.digest}).fetchone():
            values = {"digest": cell.digest, "description": json.dumps(cell.as_dict())}
            self._db.execute("INSERT INTO cells VALUES (:digest, :description)", values)
            self._environment_id(tasks=[cell.task])
        return cell.digest

    def _put_trial(self, trial: Trial, environment: int) -> bool:
        asked, result = trial.spec, trial.result
        if asked.key != result.key:
            raise ValueError(f"the result of trial {result.key} was handed in for trial {asked.key}")
        key = {"key": result.key}
        before = self._db.execute("SELECT outcome, cap FROM trials WHERE key = :key", key).fetchone()
        if before is not None:
            if before["outcome"] != Outcome.CAPPED or before["cap"] >= asked.cap or result.outcome in BROKEN:
                return False
            self._archive(result.key, f"cap raised to {asked.cap}")
        self._put_cell(asked.cell)
        values = sql.trial_columns(trial) | {"environment": environment, "finished_at": now()}
        self._db.execute(sql.insert("trials", values), values)
        for number, reached in enumerate(result.milestones):
            values = key | {"ordinal": number} | sql.milestone_columns(reached)
            self._db.execute(sql.insert("milestones", values), values)
        self._db.execute("UPDATE attempts SET settled = 1 WHERE key = :key", key)
        return True

    def _archive(self, key: str, reason: str) -> None:
        milestones = [asdict(sql.reached(entry)) for entry in self._db.execute(sql.MILESTONES_OF, {"key": key})]
        why = {"key": key, "reason": reason, "at": now(), "milestones": json.dumps(milestones)}
        self._db.execute(sql.ARCHIVE, why)
        self._db.execute("DELETE FROM trials WHERE key = :key", why)

    def _environment_id(self, environment: Mapping[str, str] | None = None, tasks: Iterable[Task] = ()) -> int:
        origins = {f"{_TASK}{task.name}": origin for task in tasks if (origin := task_origin(type(task)))}
        values = {"description": json.dumps({**(environment or provenance.environment()), **origins})}
        self._db.execute("INSERT OR IGNORE INTO environments (description) VALUES (:description)", values)
        query = "SELECT id FROM environments WHERE description = :description"
        return int(self._db.execute(query, values).fetchone()["id"])

    def _under_cap(self, statement: str, row: Row) -> list[tuple[Outcome, int]]:
        found = self._query(statement, _which(row.cell, row.first, row.end) | {"cap": row.cap})
        try:
            return [(Outcome(outcome), number) for outcome, number in found]
        except ValueError as error:
            raise recordfile.damaged(self.path, f"a value of a trial is of another kind: {error}") from error

    def _load(
        self, cell: Cell, seed: int, first: int, end: int, statement: str = sql.TRIALS, *, curves: bool = True
    ) -> list[Trial]:
        which = _which(cell, first, end) | {"curves": curves}
        with self._transaction("DEFERRED") as db:
            found, reached = (db.execute(part, which).fetchall() for part in (statement, sql.MILESTONES))
        try:
            return read_trials(cell, seed, found, reached)
        except (ValueError, TypeError) as error:
            raise recordfile.damaged(self.path, f"a value of a trial is of another kind: {error}") from error


def _which(cell: Cell, first: int, end: int) -> dict[str, Any]:
    """What the statements ask for: the trials of a cell with these numbers of replicates."""
    return {"cell": cell.digest, "first": first, "end": end}


def _retriable(outcomes: Iterable[str]) -> set[str]:
    wanted = {outcome.upper() for outcome in outcomes}
    if not wanted <= BROKEN:
        allowed = ", ".join(sorted(BROKEN)).lower()
        raise ValueError(f"retry={','.join(sorted(wanted)).lower()}: takes one or several of {allowed}")
    return wanted
