"""A study as it is published, made up; and what MLflow then holds of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, CurvePoint, Outcome, Reached, Row, Stop, Training, Trial, TrialResult, TrialSpec
from lstm_search.tasks import TemporalOrder
from lstm_search.tracking import CellView, StudyView, Tracker

EVERY_RUN = 3  # MLflow's ViewType.ALL: the deleted ones too
CREATED = datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=UTC)
CELLS = [Cell(TemporalOrder(marks=marks), Lstm1997(blocks=marks), Training(0.5 / marks), (Stop(),)) for marks in (2, 3)]
ROWS = [
    Row("6a", CELLS[0], 3, 1000, table="9", published="6a", readings=(("reset", "0"),)),
    Row("6b", CELLS[1], 2, 2000, table="9"),
]


def trial(row: Row, replicate: int, outcome: Outcome = Outcome.SOLVED, **changes: Any) -> Trial:
    asked = TrialSpec(row.cell, replicate, 7, row.cap)
    sequences = 100 * (replicate + 1)
    values = {
        "key": asked.key,
        "outcome": outcome,
        "sequences": sequences,
        "steps": 105 * sequences,
        "milestones": (Reached("solved", sequences, 2560, replicate, 0.1 / 3),) if outcome == Outcome.SOLVED else (),
        "curve": tuple(CurvePoint(10 * 2**n, 1 / (n + 3), 0.5**n) for n in range(12)),
        "weights_sha256": asked.key[::-1],
        "seconds": 1.5,
    }
    return Trial(asked, TrialResult(**(values | changes)))


def study(name: str, counts: tuple[int, ...] = (3, 2), **changes: Any) -> StudyView:
    cells = [
        CellView(row, [trial(row, number) for number in range(count)], {"n": count, "success_rate": 1.0, "ert": 7.5})
        for row, count in zip(ROWS, counts, strict=True)
    ]
    values = {
        "cells": cells,
        "metrics": {"recorded": sum(counts)},
        "params": {"numpy": "2.4.6"},
        "note": "| row | k/n |\n|---|---|\n| 6a | 3/3 |",
        "artifacts": {"table.json": "[]", "config.yaml": "table: 9\n"},
        "late": [lambda: {"solved.png": b"\x89PNG"}],
    }
    return StudyView(name, 7, CREATED, **(values | changes))


def stored(tracker: Tracker, name: str) -> dict[str, Any]:
    """The runs of an experiment, read back through MLflow's client, by name."""
    client = tracker._client()
    runs = list(client.search_runs([client.get_experiment_by_name(name).experiment_id]))
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def history(tracker: Tracker, run: Any, metric: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in tracker._client().get_metric_history(run.info.run_id, metric))
