"""The study that MLflow shows, read back: its definition and its trials, all but their weights, of which there is the
SHA-256.

What is read is not trusted: every trial's key is computed anew from its cell, replicate and seed, so is the digest of
its values, and every cell is built by the dataclasses that check it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lstm_search import spec
from lstm_search.spec import Definition, Row, Trial
from lstm_search.tracking.projection import (
    DIGEST,
    LAYOUT,
    NUMBERS,
    STATE,
    TESTED,
    TEXTS,
    definition_of,
    error_of,
    in_unit,
    metric_name,
)
from lstm_search.tracking.reader import CURVES, Stored


class NotRecoverable(ValueError):  # noqa: N818  (named by what happened)
    """MLflow does not hold what a record is rebuilt from, or the record is not lost."""


@dataclass(frozen=True)
class Recovered:
    """A study as MLflow holds it. `unfinished`: trials whose runs were cut off; `changed`: those whose values are not
    the ones that were published. Both are trained again. `kept`: trials that were read from a damaged record."""

    definition: Definition
    created: datetime
    environment: Mapping[str, str]
    trials: Sequence[Trial]
    unfinished: int = 0
    changed: int = 0
    kept: int = 0


@dataclass(frozen=True)
class _Cell:
    """A row's run: the row, and what its trials' keys were made of (see `trial_key`)."""

    row: Row
    version: int
    text: str


def recovered(name: str, runs: Sequence[Stored]) -> Recovered:
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


def _study(name: str, run: Stored, runs: Iterable[Stored]) -> Recovered:
    about = definition_of(run.tags)
    if not about:
        raise NotRecoverable(f"study={name}: was published by a release that did not yet publish all of a record")
    known = {"schema": range(1, spec.SCHEMA_VERSION + 1), "numerics": (spec.NUMERICS_VERSION,)}
    for version, ours in known.items():
        if about[version] not in ours:
            raise NotRecoverable(
                f"study={name}: has {version} version {about[version]}, this release {ours[-1]}; "
                "recover it with its own"
            )
    cells = _cells((definition_of(entry.tags) for entry in runs if entry.kind == "cell"), about["schema"])
    definition = Definition(
        name, int(about["seed"]), tuple(cell.row for cell in cells.values()), about["title"], run.config
    )
    trials = [entry for entry in runs if entry.kind == "trial"]
    ended = [(entry, _trial(cells[entry.params["row"]], definition.seed, entry)) for entry in trials if entry.ended]
    unique = {trial.result.key: trial for entry, trial in ended if _as_published(entry, trial)}
    environment = {key: value for key, value in run.params.items() if key != "seed"}
    created = datetime.fromisoformat(about["created"])
    changed = len({trial.result.key for _, trial in ended}) - len(unique)
    return Recovered(definition, created, environment, list(unique.values()), len(trials) - len(ended), changed)


def _as_published(run: Stored, trial: Trial) -> bool:
    """Whether a trial has the digest with which it was published; releases before wrote none."""
    if run.tags.get(STATE, "").endswith(LAYOUT):
        return run.tags.get(DIGEST) == trial.digest
    return run.tags.get(DIGEST, trial.digest) == trial.digest


def _cells(definitions: Iterable[dict[str, Any]], version: int) -> dict[str, _Cell]:
    """The rows in their order, by name; a run of MLflow that was made twice counts once."""
    found = {}
    for entry in sorted(definitions, key=lambda entry: int(entry["ordinal"])):
        description = entry["cell"]
        values = {name: value for name, value in entry.items() if name != "ordinal"}
        row = spec.row_from_plain(spec.cell_from_dict(description), values)
        found[row.name] = _Cell(row, version, spec.canonical_json(description) if version == 1 else row.cell.text)
    return found


def _trial(cell: _Cell, seed: int, run: Stored) -> Trial:
    """A trial of its run, which must have the key that its cell, replicate and seed give."""
    row, figures = cell.row, run.metrics
    replicate = int(run.params["replicate"])
    if spec.trial_key(cell.version, cell.text, replicate, seed) != run.params["key"]:
        raise NotRecoverable(f"run of {row.name} #{replicate}: its key is not that of its configuration")
    plain: dict[str, Any] = {name: run.tags.get(f"lstm_search.{name}", "") for name in TEXTS}
    plain |= {name: figures[in_unit(name, row.unit)] for name in NUMBERS}
    plain |= {"replicate": replicate, "cap": run.params["cap"], "error": error_of(run.tags)}
    plain |= {"milestones": _milestones(row, figures), "curve": _curve(run)}
    trial = spec.trial_from_plain(row.cell, seed, {**plain, "key": ""})
    broken = trial.result.outcome in spec.BROKEN
    result = replace(trial.result, key=trial.spec.key, error=trial.result.error if broken else "")
    return replace(trial, result=result)


def _milestones(row: Row, figures: Mapping[str, float]) -> tuple[spec.Reached, ...]:
    """What was reached, in the order in which it was reached: milestones of stop rules, and others such as `grown`."""
    names = {metric_name(stop.milestone): stop.milestone for stop in row.cell.stop}
    reached = [name.removesuffix("/test_error") for name in figures if name.endswith("/test_error")]
    found = []
    for milestone in sorted(reached, key=[*names, *reached].index):
        values = {name: figures[f"{milestone}/{in_unit(name, row.unit)}"] for name in TESTED}
        values["test_error"] = _endless(values["test_error"])
        found.append(spec.from_plain(spec.Reached, {**values, "name": names.get(milestone, milestone)}))
    return tuple(sorted(found, key=lambda reached: reached.sequences))


def _curve(run: Stored) -> tuple[spec.CurvePoint, ...]:
    errors, wrong = (run.curves.get(name, {}) for name in CURVES)
    if errors.keys() != wrong.keys():
        raise NotRecoverable(f"run of {run.params['row']} #{run.params['replicate']}: its learning curve has gaps")
    return tuple(spec.CurvePoint(step, _endless(errors[step]), _endless(wrong[step])) for step in sorted(errors))


def _endless(value: float) -> float:
    """MLflow keeps an infinite number as the largest there is."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max * 0.99 else value
