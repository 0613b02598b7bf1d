"""Whether a record is as it was written, and what can still be read of one that is not.

Every trial was written with a digest of its values (`Trial.digest`); its key follows from its cell, replicate and seed,
the name of a cell from its settings, and the SHA-256 of its weights from these. None of this takes MLflow.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lstm_search.record import sql
from lstm_search.record.archive import weights_sha256
from lstm_search.record.record import Record
from lstm_search.record.study_file import RecordDamaged
from lstm_search.spec import Cell, Curve, Definition, Trial, cell_from_dict, trial_from_plain
from lstm_search.tasks import UnknownTask


class Changed(ValueError):  # noqa: N818  (named by what is the case)
    """A value of a trial is not the one that was written."""


@dataclass(frozen=True)
class Rescued:
    """What can be read of a damaged record: the trials that are as they were written, with their weights; the rest
    where it can be read at all."""

    trials: Sequence[Trial] = ()
    definition: Definition | None = None
    created: datetime | None = None


def findings(home: Path, name: str) -> list[str]:
    """What is not as it was written, a sentence each; empty for a record that is whole. Raises UnknownStudy, and
    UnknownTask for a task that is not here, without which nothing can be told."""
    try:
        with Record.read(home, name) as record:
            try:
                return record.look(_findings)
            except UnknownTask:
                record.definition()  # says where the task came from
                raise
    except RecordDamaged as error:
        return [str(error)]


def rescued(home: Path, name: str) -> Rescued:
    """What can be read of a record that may be damaged. Raises UnknownStudy, ValueError for a file of another kind."""
    try:
        with Record.read(home, name) as record:
            found = Rescued()
            with suppress(RecordDamaged, ValueError, KeyError, TypeError):
                found = replace(found, definition=record.definition(), created=record.created())
            return replace(found, trials=record.look(_readable))
    except RecordDamaged:
        return Rescued()


def _findings(db: sqlite3.Connection) -> list[str]:
    damage = [entry[0] for entry in db.execute("PRAGMA integrity_check(5)") if entry[0] != "ok"]
    if damage:
        return [f"the file is damaged: {'; '.join(damage)}"]
    astray = [f"a row of table {entry[0]} belongs to nothing" for entry in db.execute("PRAGMA foreign_key_check")]
    cells = _cells(db)
    renamed = [f"the settings of cell {digest[:12]} were changed" for digest, cell in cells.items() if cell is None]
    return [*dict.fromkeys(astray), *renamed, *_changes(db, cells)]


def _changes(db: sqlite3.Connection, cells: Mapping[str, Cell | None]) -> Iterator[str]:
    seed = _seed(db)
    for entry in db.execute(sql.WHOLE):
        try:
            _trial(db, entry, cells, seed)
        except Changed as change:
            yield f"trial {entry['key'][:12]}: {change}"


def _readable(db: sqlite3.Connection) -> list[Trial]:
    """The trials that are as they were written. Of a damaged table as many as can be found by their keys."""
    try:
        cells, seed = _cells(db), _seed(db)
    except sqlite3.DatabaseError:
        return []
    keys: list[str] = []
    with suppress(sqlite3.DatabaseError):
        keys += (entry["key"] for entry in db.execute("SELECT key FROM trials"))
    found = []
    for key in keys:
        with suppress(sqlite3.DatabaseError, Changed):
            entry = db.execute(sql.WHOLE_OF, {"key": key}).fetchone()
            found.append(_trial(db, entry, cells, seed))
    return found


def _seed(db: sqlite3.Connection) -> int:
    return int(db.execute(sql.STUDY).fetchone()["seed"])


def _cells(db: sqlite3.Connection) -> dict[str, Cell | None]:
    """The cells by their recorded digests; None for one whose settings have another. Raises UnknownTask."""
    found: dict[str, Cell | None] = {}
    for entry in db.execute("SELECT digest, description FROM cells"):
        try:
            cell = cell_from_dict(json.loads(entry["description"]))
        except UnknownTask:
            raise
        except (ValueError, KeyError, TypeError):
            found[entry["digest"]] = None
        else:
            found[entry["digest"]] = cell if cell.digest == entry["digest"] else None
    return found


def _trial(db: sqlite3.Connection, entry: sqlite3.Row, cells: Mapping[str, Cell | None], seed: int) -> Trial:
    """The trial of a row, with its weights. Raises Changed."""
    cell = cells.get(entry["cell"])
    if cell is None:
        raise Changed("its cell is not the one that it was written with")
    try:
        milestones = [sql.reached(some) for some in db.execute(sql.MILESTONES_OF, {"key": entry["key"]})]
        values = {**entry, "milestones": milestones, "curve": Curve(entry["curve"])}
        trial = trial_from_plain(cell, seed, values)
    except (ValueError, TypeError) as error:
        raise Changed(f"it has a value of another kind ({error})") from error
    _compare(trial, entry["digest"])
    return trial


def _compare(trial: Trial, digest: str) -> None:
    """Raises Changed where key, digest and weights do not belong together. Earlier releases wrote no digest."""
    if trial.spec.key != trial.result.key:
        raise Changed("its key is not that of its cell, replicate and seed")
    if digest not in ("", trial.digest):
        raise Changed("its values are not those that were written")
    if trial.result.weights and weights_sha256(trial.result.weights) != trial.result.weights_sha256:
        raise Changed("its weights are not those that were written")
