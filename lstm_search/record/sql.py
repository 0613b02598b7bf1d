"""The statements that read and write a record's tables, and values in the form in which these hold them.

A column of `trials` has the name of its value in `Trial.plain`; a column of `milestones` that of a field of `Reached`.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.resources import files
from typing import Any

from lstm_search import spec
from lstm_search.spec import Candidate, Curve, Definition, Reached, Row, Trial, TrialResult, from_plain

ROW_LISTS = ("readings", "altered")
"""Fields of a row that are kept as JSON."""

_ASKED = ("replicate", "cap", "attempts")
_RESULT = tuple(field.name for field in fields(TrialResult) if field.name not in ("milestones", "curve", "weights"))
_LIGHT = ("key", "outcome", "sequences", "steps", "seconds")
_REACHED = ", ".join(f"milestones.{field.name}" for field in fields(Reached))
_KEPT = ", ".join((*_ASKED, *_RESULT, "curve", "cell", "environment", "finished_at"))
_SOME = "WHERE cell = :cell AND replicate >= :first AND replicate < :end"

STUDY = "SELECT seed, schema_version, numerics_version, title, config, created FROM study"
ENVIRONMENT = "SELECT description FROM environments JOIN study ON study.environment = environments.id"
_ROW = """
SELECT name, digest, description, replicates, cap, "table", published, readings, altered, first, purpose
FROM rows JOIN cells ON cell = digest
"""
ROWS = f"{_ROW} ORDER BY ordinal"
ROW = f"{_ROW} WHERE name = :name"
PUT_ROW = """
INSERT INTO rows (name, ordinal, cell, replicates, cap, "table", published, readings, altered, first, purpose)
SELECT :name, coalesce(max(ordinal), -1) + 1, :cell, :replicates, :cap, :table, :published, :readings, :altered, :first,
    :purpose FROM rows WHERE true
ON CONFLICT (name) DO UPDATE SET replicates = max(replicates, excluded.replicates), cap = excluded.cap,
    "table" = excluded."table", published = excluded.published, readings = excluded.readings,
    altered = excluded.altered, first = excluded.first, purpose = excluded.purpose
"""
CANDIDATES = "SELECT point, rows, proposer, reason FROM candidates ORDER BY ordinal"
PUT_CANDIDATE = """
INSERT INTO candidates (point, rows, proposer, reason) VALUES (:point, :rows, :proposer, :reason)
ON CONFLICT (point, rows) DO UPDATE SET reason = excluded.reason
"""
PUT_ATTEMPT = """
INSERT INTO attempts (key, number, reason, at, settled)
SELECT :key, coalesce(max(number), 0) + 1, :reason, :at, 0 FROM attempts WHERE key = :key
"""
# All names that are put into statements are those of fields and columns, none comes from outside.
ARCHIVE = f"""
INSERT INTO archive (reason, archived_at, milestones, {_KEPT})
SELECT :reason, :at, :milestones, {_KEPT} FROM trials WHERE key = :key
"""  # noqa: S608
TRIALS = f"""
SELECT {", ".join((*_ASKED, *_RESULT))}, iif(:curves, curve, x'') AS curve FROM trials {_SOME} ORDER BY replicate
"""  # noqa: S608
MILESTONES = f"""
SELECT key, {_REACHED} FROM trials JOIN milestones USING (key) {_SOME} ORDER BY key, milestones.ordinal
"""  # noqa: S608
MILESTONES_OF = f"SELECT {_REACHED} FROM milestones WHERE key = :key ORDER BY ordinal"  # noqa: S608
WHOLE = f"SELECT {', '.join((*_ASKED, *_RESULT))}, curve, cell, digest, weights FROM trials"  # noqa: S608
WHOLE_OF = f"{WHOLE} WHERE key = :key"
KNOWN = f"SELECT {', '.join((*_ASKED, *_LIGHT))} FROM trials {_SOME} ORDER BY replicate"  # noqa: S608
"""As TRIALS, without what no search looks at: curves, digests, hosts and errors."""
_VALID = ", ".join(f"'{outcome}'" for outcome in spec.Outcome if outcome not in spec.BROKEN)
_TERMINAL = f"""
SELECT CASE WHEN typeof(sequences) != 'integer' THEN 'damaged' WHEN sequences > :cap AND outcome IN ({_VALID})
    THEN 'CAPPED' ELSE outcome END AS outcome, iif(outcome IN ({_VALID}), min(sequences, :cap), sequences) AS sequences
FROM trials {_SOME} AND (outcome != 'CAPPED' OR cap >= :cap)
"""  # noqa: S608
"""Trials as `TrialResult.under_cap` has them, without those CAPPED under a lower one, which are to run again."""
ENDED = f"{_TERMINAL} ORDER BY replicate"
COUNTS = f"SELECT outcome, count(*) AS trials FROM ({_TERMINAL}) GROUP BY outcome"  # noqa: S608
KEYS = f"SELECT key, outcome FROM trials {_SOME}"  # noqa: S608
FIND = """
SELECT key, replicate, description FROM trials JOIN cells ON cell = cells.digest
WHERE key >= :prefix AND key < :beyond LIMIT 3
"""


def insert(table: str, names: Iterable[str]) -> str:
    """The statement that puts values of these names into a table."""
    names = list(names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608


def statements() -> list[str]:
    """The statements that make the tables of a record."""
    return files("lstm_search.record").joinpath("record.sql").read_text(encoding="utf-8").split(";\n")


def trial_columns(trial: Trial) -> dict[str, Any]:
    """A trial as its row of `trials` holds it; its milestones have rows of their own, the seed is the study's."""
    values = trial.plain()
    del values["seed"], values["milestones"]
    return {name: text(value) if isinstance(value, str) else value for name, value in values.items()} | {
        "curve": Curve.of(trial.result.curve).packed,
        "digest": trial.digest,
    }


def study_columns(definition: Definition) -> dict[str, Any]:
    """What of a definition is in the one row of `study`; the rows have a table of their own."""
    return {
        "only": 1,
        "name": definition.name,
        "seed": str(definition.seed),
        "schema_version": spec.SCHEMA_VERSION,
        "numerics_version": spec.NUMERICS_VERSION,
        "title": text(definition.title),
        "config": text(definition.config),
    }


def candidate_columns(candidate: Candidate) -> dict[str, str]:
    """A candidate as its row of `candidates` holds it."""
    return {
        "point": json.dumps(dict(candidate.point)),
        "rows": json.dumps([row.name for row in candidate.rows]),
        "proposer": candidate.proposer,
        "reason": text(candidate.left),
    }


def candidate(entry: sqlite3.Row, rows: Mapping[str, Row]) -> Candidate:
    """The candidate that a row of `candidates` holds; `rows` are those of the study by name."""
    point = json.loads(entry["point"]).items()
    return Candidate(
        tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in point),
        tuple(rows[name] for name in json.loads(entry["rows"])),
        entry["proposer"],
        entry["reason"],
    )


def milestone_columns(reached: Reached) -> dict[str, Any]:
    """A milestone as its row holds it."""
    return {**vars(reached), "test_error": _exact(reached.test_error)}


def reached(entry: sqlite3.Row) -> Reached:
    """The milestone that a row of `milestones` holds."""
    return from_plain(Reached, dict(entry))


def text(value: str) -> str:
    """`value` without lone surrogates (from undecodable file names in a traceback), which SQLite refuses."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _exact(value: float) -> float | str:
    """The number, or its text where SQLite would change it."""
    changed_by_sqlite = math.isnan(value) or (value == 0 and math.copysign(1, value) < 0)
    return repr(value) if changed_by_sqlite else float(value)
