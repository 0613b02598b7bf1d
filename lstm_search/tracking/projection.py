"""What MLflow shall show of a study: its runs as plain values, computed from the record's trials and their summaries.
Together they hold all that a lost record is rebuilt from (`recover`), but for the trials' weights.

A run has the status of what it shows: RUNNING while it is trained, FINISHED, FAILED where it broke (a summary: where
too many trials did), KILLED where it was interrupted.

Times are derived from the record: a run starts a millisecond before the one that stands above it (newest first is then
the table's order) and lasts as long as the core time spent. Only the figures of a summary carry the clock's time,
because they change as the study grows and MLflow shows the value with the latest stamp.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from lstm_search.spec import (
    BROKEN,
    NUMERICS_VERSION,
    SCHEMA_VERSION,
    SEQUENCES,
    Outcome,
    Row,
    Trial,
    TrialResult,
    TrialSpec,
    digest,
    flat,
)

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED", ""]
"""Of a run in MLflow. Empty where the record cannot tell whether what it shows has ended: it stays as it was left."""

Making = Callable[[], Mapping[str, str | bytes]]
"""Makes artifacts, contents by file name."""

TEXTS = ("outcome", "weights_sha256", "host")
"""Values of a trial (`Trial.plain`) that its run has as tags."""

NUMBERS = ("sequences", "steps", "seconds", "attempts")
"""Those that it has as metrics; `sequences` under the name of what the trial counts."""

TESTED = ("sequences", "test_sequences", "test_wrong", "test_error")
"""Values of a milestone that it has as metrics, after the milestone's name."""

_ASKED = ("key", "replicate", "seed", "cap")  # those that it has as params

_LONGEST_NOTE = 7_500  # characters; MLflow refuses tags beyond 8000
DEFINITION = "lstm_search.definition"
SCHEMA = "lstm_search.schema"
"""Tag of a study's run: the version of its trials' keys. Version 1 did not write it."""

KIND, ROW, KEY, STATE = (f"lstm_search.{name}" for name in ("kind", "row", "key", "state"))
"""Tags of a run: its identity, and what its contents shall be."""

OPEN = "open"
"""Begins the state of a trial's run that has no result yet."""

RUN_ID = "{run_id}"
"""In the description of a run: its own id."""

LAYOUT = " v3"
"""Ends the state of a trial's run. Version 1, which wrote nothing here, showed no hyperparameters, and no curve up to
the solution; version 2 had no digest."""

DIGEST = "lstm_search.digest"
"""Tag of a trial's run, its `Trial.digest`: what is rebuilt from MLflow must have it."""

_FENCE, _FENCE_END = "```\n", "\n```"
_PART = 4_000  # characters of a definition in one tag, which leaves room for letters of several bytes


@dataclass(frozen=True)
class CellView:
    """A row to publish: its recorded trials and its summary (`n`, `success_rate`, ...; NaN or inf where undefined).
    `labels`: what else is said of it in tags; `columns`: what is read in the table of runs, in tags without our prefix.
    `running`: its trials that have no result yet."""

    row: Row
    trials: Sequence[Trial]
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    status: Status = "FINISHED"
    running: Sequence[TrialSpec] = ()


@dataclass(frozen=True)
class StudyView:
    """A study to publish. `created` as in its record, `params` such as versions, `note` its table in Markdown,
    `artifacts` contents by file name (table, configuration), `title` as in its definition; `command` makes it, `best`
    is the metric that its cells are sorted by, `axes` the settings that its search varies. `elsewhere`: another process
    trains it and knows what runs. `late` makes further artifacts, figures and a page, which take seconds: whenever
    the study's run is written. `depicted` changes with what they show."""

    name: str
    seed: int
    created: datetime
    cells: Sequence[CellView]
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    artifacts: Mapping[str, str | bytes] = field(default_factory=dict)
    title: str = ""
    command: str = ""
    best: str = "ert"
    axes: Sequence[str] = ()
    status: Status = "FINISHED"
    elsewhere: bool = False
    late: Sequence[Making] = ()
    depicted: str = ""

    @property
    def unfinished(self) -> set[str]:
        """The keys of the trials that run."""
        return {spec.key for cell in self.cells for spec in cell.running}


@dataclass(frozen=True)
class Run:
    """What a run of MLflow shall hold. `start` and `end` in milliseconds; `metrics`: name, value, time, step. A trial's
    run of one of the states `earlier` is filled up; of any other it shows another result, and gives way.
    `late` makes artifacts that are made only when they are written."""

    kind: str
    row: str
    key: str
    name: str
    start: int
    end: int
    state: str
    tags: Mapping[str, str]
    params: Mapping[str, object]
    metrics: Sequence[tuple[str, float, int, int]]
    status: Status = "FINISHED"
    artifacts: Mapping[str, str | bytes] = field(default_factory=dict)
    earlier: Sequence[str] = ()
    late: Sequence[Making] = ()

    @property
    def identity(self) -> tuple[str, str, str]:
        """By which the run is found again."""
        return self.kind, self.row, self.key


def study_run(view: StudyView) -> Run:
    """The study's run: its table, its artifacts, its figures."""
    seconds = sum(trial.result.seconds for cell in view.cells for trial in cell.trials)
    identity = {"schema": SCHEMA_VERSION, "numerics": NUMERICS_VERSION, "title": view.title, "seed": str(view.seed)}
    tags = (
        _note(view.note)
        | {SCHEMA: str(SCHEMA_VERSION)}
        | ({"command": view.command} if view.command else {})
        | definition_tags({**identity, "created": view.created.isoformat()})
    )
    contents = {name: hashlib.sha256(as_bytes(content)).hexdigest() for name, content in view.artifacts.items()}
    summary = _summary(view, view.metrics, tags, 0, seconds, contents={**contents, "": view.depicted})
    params = {"seed": view.seed, **view.params}
    summary |= {"artifacts": view.artifacts, "late": view.late}
    return Run("study", "", str(view.seed), view.name, params=params, status=view.status, **summary)


def cell_run(view: StudyView, number: int) -> Run:
    """The run of the study's row `number`: its configuration as params, its summary as metrics."""
    cell = view.cells[number]
    row = cell.row
    lists = {"readings": row.readings, "altered": row.altered}
    labels = {"table": row.table, "published": row.published, "cap": str(row.cap), "replicates": str(row.replicates)}
    labels |= {"purpose": row.purpose} if row.purpose != "report" else {}
    labels |= {name: ", ".join(f"{key}={value}" for key, value in pairs) for name, pairs in lists.items()}
    labels |= cell.labels
    tags = {f"lstm_search.{name}": value for name, value in labels.items() if value}
    tags |= {name: value for name, value in cell.columns.items() if value}
    tags |= definition_tags({"ordinal": number, **asdict(row), "cell": row.cell.as_dict()})
    seconds = sum(trial.result.seconds for trial in cell.trials)
    summary = _summary(view, cell.metrics, tags, number + 1, seconds)
    params = flat(row.cell.as_dict())
    return Run(
        "cell", row.name, f"{row.cell.digest}/{view.seed}", row.name, params=params, status=cell.status, **summary
    )


def _summary(
    view: StudyView,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    rank: int,
    seconds: float,
    *,
    contents: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The parts of a run that summarises trials: its times, its tags and figures, and the digest of it all; `contents`:
    digests of what it has beside these."""
    start = _milliseconds(view.created) - rank
    clock = int(time.time() * 1000)
    figures = {metric_name(name): float(value) for name, value in metrics.items()}
    return {
        "start": start,
        "end": start + int(seconds * 1000),
        "state": digest([figures, dict(tags), dict(contents), seconds]),
        "tags": tags,
        "metrics": [(name, _finite(value), clock, 0) for name, value in figures.items()],
    }


def open_run(view: StudyView, row: Row, spec: TrialSpec) -> Run:
    """The run of a trial that has no result yet."""
    start = _milliseconds(view.created) - spec.replicate - 1
    name, state = f"{row.name} #{spec.replicate}", f"{OPEN} cap={spec.cap}"
    return Run("trial", row.name, spec.key, name, start, start, state, {}, {}, [], "RUNNING")


def empty_run(view: StudyView, row: Row, trial: Trial) -> Run:
    """A trial's run without what it holds: enough to tell whether MLflow has it, for all trials, again and again. Its
    state names all that decides its figures: outcome, cap, final weights."""
    result, opened = trial.result, open_run(view, row, trial.spec)
    state = f"{result.outcome} cap={trial.spec.cap} weights={result.weights_sha256}"
    return replace(
        opened,
        end=opened.start + int(result.seconds * 1000),
        state=state + LAYOUT,
        status="FAILED" if result.outcome in BROKEN else "FINISHED",
        earlier=(opened.state, state, f"{state} v2"),
    )


def trial_run(view: StudyView, row: Row, trial: Trial) -> Run:
    """A trial's run, whole."""
    asked, result, plain = trial.spec, trial.result, trial.plain()
    created = _milliseconds(view.created)
    return replace(
        empty_run(view, row, trial),
        tags={
            **{f"lstm_search.{name}": plain[name] for name in TEXTS},
            DIGEST: trial.digest,
            **_note(f"{_FENCE}{result.error}{_FENCE_END}" if result.error else ""),
        },
        params={"row": row.name, **{name: plain[name] for name in _ASKED}, **flat(asked.cell.as_dict())},
        metrics=[
            *((metric_name(name), value, created, step) for name, value, step in _figures(trial)),
            *((name, value, created + 1, result.sequences) for name, value in _solution(result)),
        ],
    )


def _solution(result: TrialResult) -> list[tuple[str, float]]:
    """The last point of the learning curve of a trial that was solved between two checkpoints, or before the first:
    what its test found, or, where it was not tested, what was seen at the last checkpoint. It is no part of the record,
    so it has a later time than the checkpoints: what is rebuilt from MLflow leaves it out."""
    last = result.curve[-1] if result.curve else None
    if result.outcome != Outcome.SOLVED or (last and last.sequences >= result.sequences):
        return []
    tests = [there for there in result.milestones if there.sequences == result.sequences and there.test_sequences]
    if tests:
        error, wrong = tests[-1].test_error, tests[-1].test_wrong / tests[-1].test_sequences
        return [("curve/error", error), ("curve/wrong", wrong)]
    return [("curve/error", last.error), ("curve/wrong", last.wrong)] if last else []


def _figures(trial: Trial) -> Iterator[tuple[str, float, int]]:
    """The numbers of a trial: name, value, step (what the trial counts for the learning curve, else 0)."""
    result, plain, unit = trial.result, trial.plain(), trial.spec.cell.unit
    yield "success", float(result.outcome == Outcome.SOLVED), 0
    for name in NUMBERS:
        yield in_unit(name, unit), plain[name], 0
    for reached in result.milestones:
        for name in TESTED:
            yield f"{reached.name}/{in_unit(name, unit)}", vars(reached)[name], 0
    for point in result.curve:
        yield "curve/error", point.error, point.sequences
        yield "curve/wrong", point.wrong, point.sequences


def in_unit(name: str, unit: str) -> str:
    """The name of a value, with what the trial counts in place of "sequences"."""
    return unit if name == SEQUENCES else name


def definition_tags(definition: Mapping[str, object]) -> dict[str, str]:
    """A definition as JSON, in as many tags as it takes."""
    text = json.dumps(definition)
    return {f"{DEFINITION}.{i // _PART}": text[i : i + _PART] for i in range(0, len(text), _PART)}


def definition_of(tags: Mapping[str, str]) -> dict[str, Any]:
    """What `definition_tags` wrote; empty where there is nothing."""
    count = sum(name.startswith(f"{DEFINITION}.") for name in tags)
    text = "".join(tags[f"{DEFINITION}.{i}"] for i in range(count))
    return dict(json.loads(text)) if text else {}


def error_of(tags: Mapping[str, str]) -> str:
    """The traceback that a trial's run shows, as far as it was shown."""
    return tags.get("mlflow.note.content", "").removeprefix(_FENCE).removesuffix(_FENCE_END)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def metric_name(name: str) -> str:
    """`name` in the characters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)


def _finite(value: float) -> float:
    """`value`, or NaN for an infinite one, which MLflow would show as 1.8e308."""
    return value if math.isfinite(value) else math.nan


def _note(text: str) -> dict[str, str]:
    """The tag that MLflow shows as a run's description, in Markdown; without the one character that PostgreSQL takes in
    no text."""
    text = text.replace("\0", "\\0")
    cut = text if len(text) <= _LONGEST_NOTE else text[:_LONGEST_NOTE] + "\n\n(cut here)"
    return {"mlflow.note.content": cut} if text else {}


def as_bytes(content: str | bytes) -> bytes:
    """A file's content, text in UTF-8."""
    return content.encode("utf-8") if isinstance(content, str) else content
