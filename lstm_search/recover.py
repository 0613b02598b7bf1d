"""A lost record, rebuilt from what MLflow shows of the study: all of it but the weights, of which it has the SHA-256.

What is read is not trusted: every trial's key is computed anew from its cell, replicate and seed, and every cell is
built by the dataclasses that check it. The record is made aside and appears whole or not at all.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lstm_search import spec
from lstm_search.record import Record, provenance
from lstm_search.record import study_file as recordfile
from lstm_search.spec import BROKEN, CurvePoint, Definition, Outcome, Reached, Row, Trial, TrialResult, TrialSpec
from lstm_search.tracking import CURVES, Stored, Tracker, definition_of, error_of, metric_name


class NotRecoverable(ValueError):  # noqa: N818  (named by what happened)
    """MLflow does not hold what a record is rebuilt from, or the record is not lost."""


@dataclass(frozen=True)
class Study:
    """A study as MLflow holds it. `unfinished`: trials whose runs were cut off; they are trained again."""

    definition: Definition
    created: datetime
    environment: Mapping[str, str]
    trials: Sequence[Trial]
    unfinished: int


def recover(home: Path, tracker: Tracker, name: str) -> Study:
    """Rebuild the record of study `name` in `home`; what was rebuilt.

    Raises NotRecoverable, TrackingFailed, StudyLocked, HomeUnwritable, RecordFull.
    """
    path = home / f"{recordfile.check_name(name)}.sqlite"
    with closing(recordfile.acquire(home, name)):
        if path.exists():
            raise NotRecoverable(f"study={name}: {path} is there, nothing is recovered over it; move it away first")
        study = from_runs(name, list(tracker.stored(name)))
        with recordfile.named_errors(path), tempfile.TemporaryDirectory(prefix=".recover-", dir=home) as folder:
            _write(Path(folder), study)
            os.link(Path(folder) / path.name, path)
    return study


def _write(folder: Path, study: Study) -> None:
    with Record.open(folder, study.definition) as record:
        record.add((trial.spec, trial.result, trial.attempts) for trial in study.trials)
        record.date(study.created, study.environment)


def from_runs(name: str, runs: Sequence[Stored]) -> Study:
    """The study that these runs show. NotRecoverable where they do not show enough, or contradict themselves."""
    found = [run for run in runs if run.kind == "study"]
    if not found:
        raise NotRecoverable(f"study={name}: MLflow shows no study of this name")
    try:
        return _study(name, found[0], runs)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, NotRecoverable):
            raise
        raise NotRecoverable(
            f"study={name}: its runs in MLflow are not as they were published ({type(error).__name__}: {error})"
        ) from error


def _study(name: str, run: Stored, runs: Iterable[Stored]) -> Study:
    about = definition_of(run.tags)
    if not about:
        raise NotRecoverable(f"study={name}: was published by a release that did not yet publish all of a record")
    for version, ours in (("schema", spec.SCHEMA_VERSION), ("numerics", spec.NUMERICS_VERSION)):
        if about[version] != ours:
            raise NotRecoverable(
                f"study={name}: has {version} version {about[version]}, this release {ours}; recover it with its own"
            )
    rows = _rows(definition_of(entry.tags) for entry in runs if entry.kind == "cell")
    definition = Definition(name, int(about["seed"]), rows, about["title"], run.config)
    cells = {row.name: row for row in rows}
    trials = [entry for entry in runs if entry.kind == "trial"]
    ended = [_trial(cells[entry.params["row"]], definition.seed, entry) for entry in trials if entry.ended]
    unique = {trial.result.key: trial for trial in ended}
    environment = {key: run.params.get(key, "") for key in provenance.environment()}
    created = datetime.fromisoformat(about["created"])
    return Study(definition, created, environment, list(unique.values()), len(trials) - len(ended))


def _rows(definitions: Iterable[Mapping[str, Any]]) -> tuple[Row, ...]:
    """The rows in their order; a run of MLflow that was made twice counts once."""
    by_name = {entry["name"]: entry for entry in sorted(definitions, key=lambda entry: int(entry["ordinal"]))}
    return tuple(
        Row(
            name=entry["name"],
            cell=spec.cell_from_dict(entry["cell"]),
            replicates=entry["replicates"],
            cap=entry["cap"],
            table=entry["table"],
            published=entry["published"],
            readings=_pairs(entry["readings"]),
            altered=_pairs(entry["altered"]),
            first=entry.get("first", 0),
            purpose=entry.get("purpose", "report"),
        )
        for entry in by_name.values()
    )


def _pairs(pairs: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in pairs)


def _trial(row: Row, seed: int, run: Stored) -> Trial:
    """A trial of its run, which must have the key that its cell, replicate and seed give."""
    asked = TrialSpec(row.cell, int(run.params["replicate"]), seed, int(run.params["cap"]))
    if asked.key != run.params["key"]:
        raise NotRecoverable(f"run of {row.name} #{asked.replicate}: its key is not that of its configuration")
    figures, outcome = run.metrics, Outcome(run.tags["lstm_search.outcome"])
    result = TrialResult(
        key=asked.key,
        outcome=outcome,
        sequences=int(figures[row.unit]),
        steps=int(figures["steps"]),
        milestones=_milestones(row, figures),
        curve=_curve(run),
        weights_sha256=run.tags["lstm_search.weights_sha256"],
        seconds=figures["seconds"],
        error=error_of(run.tags) if outcome in BROKEN else "",
        host=run.tags.get("lstm_search.host", ""),
    )
    return Trial(asked, result, int(figures["attempts"]))


def _milestones(row: Row, figures: Mapping[str, float]) -> tuple[Reached, ...]:
    """What was reached, in the order in which it was reached."""
    found = []
    for stop in row.cell.stop:
        parts = (row.unit, "test_sequences", "test_wrong", "test_error")
        names = [metric_name(f"{stop.milestone}/{part}") for part in parts]
        if names[0] in figures:
            sequences, tested, wrong, error = (figures[name] for name in names)
            found.append(Reached(stop.milestone, int(sequences), int(tested), int(wrong), _endless(error)))
    return tuple(sorted(found, key=lambda reached: reached.sequences))


def _curve(run: Stored) -> tuple[CurvePoint, ...]:
    errors, wrong = (run.curves.get(name, {}) for name in CURVES)
    if errors.keys() != wrong.keys():
        raise NotRecoverable(f"run of {run.params['row']} #{run.params['replicate']}: its learning curve has gaps")
    return tuple(CurvePoint(step, _endless(errors[step]), _endless(wrong[step])) for step in sorted(errors))


def _endless(value: float) -> float:
    """MLflow keeps an infinite number as the largest there is."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max * 0.99 else value
