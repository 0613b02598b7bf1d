"""Between the record and MLflow: the view of a study that is published, and the record rebuilt from what was."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from lstm_search.record import Record, acquire, check_name, named_errors
from lstm_search.report import Summary, render, summaries, write_figures
from lstm_search.spec import FINALIST, SEQUENCES, Candidate, Definition, Trial
from lstm_search.tracking import CellView, NotRecoverable, Recovered, StudyView, Tracker, recovered


def view(home: Path, name: str) -> StudyView:
    """All that is recorded of a study, whatever part of it was asked for last. Raises UnknownStudy."""
    with Record.read(home, name) as record:
        definition, trials = record.definition(), record.trials()
        created, environment, candidates = record.created(), record.environment(), record.candidates()
    labels = _labels(candidates)
    found = summaries(definition.rows, trials)
    markdown = render(found, "markdown", definition.title)
    return StudyView(
        name=name,
        seed=definition.seed,
        created=created,
        cells=[
            CellView(row, trials[row.name], _metrics([s for s in found if s.row == row.name]), labels.get(row.name, {}))
            for row in definition.rows
        ],
        metrics={"trials": float(sum(map(len, trials.values()))), "rows": float(len(definition.rows))},
        params=environment,
        note=markdown,
        title=definition.title,
        artifacts={
            "table.md": markdown,
            "table.csv": render(found, "csv", definition.title),
            "table.json": render(found, "json", definition.title),
            "config.yaml": definition.config,
            **_plots(definition, trials),
        },
    )


def _labels(candidates: Sequence[Candidate]) -> dict[str, dict[str, str]]:
    """By row, who proposed its candidate and why that one left. A row of several sets of a joint search has left when
    all of them have."""
    staying = ("", FINALIST)
    last = sorted(candidates, key=lambda one: staying.index(one.left) if one.left in staying else -1)
    return {row.name: {"proposer": one.proposer, "left": one.left} for one in last for row in one.rows}


def _metrics(found: Sequence[Summary]) -> dict[str, float]:
    """The figures of a row, those of a further milestone under its name."""
    figures: dict[str, float] = {}
    for i, row in enumerate(found):
        low, high = row.success_interval
        prefix = f"{row.milestone}/" if i else ""
        numbers = {
            "k": row.k,
            "n": row.n,
            "success_rate": row.k / row.n if row.n else None,
            "success_rate_low": low,
            "success_rate_high": high,
            f"mean_{row.unit}": row.mean,
            ("ert" if row.unit == SEQUENCES else f"ert_{row.unit}"): row.ert,
            "km_median": row.median,
            "wrong_of_2560": row.wrong,
            "test_error": row.test_error,
        }
        figures |= {prefix + name: math.nan if value is None else float(value) for name, value in numbers.items()}
    return figures


def _plots(definition: Definition, trials: Mapping[str, Sequence[Trial]]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in write_figures(definition.rows, trials, Path(folder))}


def recover(home: Path, tracker: Tracker, name: str) -> Recovered:
    """Rebuild the lost record of study `name` in `home` from MLflow; what was rebuilt. The record is made aside and
    appears whole or not at all.

    Raises NotRecoverable, TrackingFailed, StudyLocked, HomeUnwritable, RecordFull.
    """
    path = home / f"{check_name(name)}.sqlite"
    with closing(acquire(home, name)):
        if path.exists():
            raise NotRecoverable(f"study={name}: {path} is there, nothing is recovered over it; move it away first")
        found = recovered(name, tracker.stored(name))
        with named_errors(path), tempfile.TemporaryDirectory(prefix=".recover-", dir=home) as folder:
            with Record.open(Path(folder), found.definition) as record:
                record.add(found.trials)
                record.date(found.created, found.environment)
            os.link(Path(folder) / path.name, path)
    return found
