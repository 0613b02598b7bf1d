"""Trials, cells and learning curves as lines of plain values: what is exported, and what frames are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from lstm_search.spec import CurvePoint, Row, Trial, flat


def settings_by_row(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """All settings of each row, by row name, under the names that they have in MLflow (`training.rate`,
    `stop.0.window`). Every row has the same columns; what its task or network does not have is None."""
    each = {row.name: flat(row.cell.as_dict()) for row in rows}
    names = dict.fromkeys(name for settings in each.values() for name in settings)
    return {row: {name: settings.get(name) for name in names} for row, settings in each.items()}


CURVE_COLUMNS = ("key", "row", "replicate", *(field.name for field in fields(CurvePoint)))
"""The names of what a line of `curve_lines` has."""


def curve_lines(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]]) -> list[dict[str, Any]]:
    """One line a checkpoint of the learning curve of each trial, as far as its row's cap goes."""
    return [
        {"key": trial.spec.key, "row": row.name, "replicate": trial.spec.replicate, **vars(point)}
        for row in rows
        for trial in trials.get(row.name, ())
        for point in trial.result.under_cap(row.cap).curve
    ]
