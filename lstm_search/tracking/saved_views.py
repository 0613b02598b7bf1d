"""What MLflow's page of an experiment shows first: its description, and two saved views of its runs.

MLflow keeps a saved view in a tag of the experiment: the prefix `mlflow.sharedViewState.` and the id by which the
page's address names it (`viewStateShareKey`); the value is JSON of a name, a time in milliseconds, and the page's state
as JSON: the names of MLflow 3.17's `ExperimentPageUIState.tsx`, `savedViewEnvelope.ts`, `runs-charts.types.ts` and
`useExperimentPageSearchFacets.tsx`. A page that does not know a name leaves it out.

A view has charts, too, behind the sign of a chart: the objective over all axes, and against each. Left to itself MLflow
draws a bar for each figure of the first ten runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lstm_search.spec import SEQUENCES, flat
from lstm_search.tracking.projection import KIND, StudyView, in_unit, metric_name

CELLS, TRIALS = "cells", "trials"
"""The ids of the two views."""

_TAG = "mlflow.sharedViewState."
_MOST = 8
"""Hyperparameters that the table of runs shows; it offers all others."""

_WIDTH = 115  # pixels of a column
_SECTION = "lstm-search-axes"  # the id of our charts' section
_RUNS = 100  # in a chart; as many as MLflow loads at once


def page(experiment_id: str, view: str = "") -> str:
    """The address of an experiment's runs, after the server's; as one of the views shows them."""
    place = f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return f"{place}&viewStateShareKey={view}" if view else place


def has_views(tags: Mapping[str, str]) -> bool:
    """Whether an experiment with these tags has the views."""
    return _TAG + CELLS in tags


def experiment_tags(view: StudyView, experiment_id: str) -> dict[str, str]:
    """The tags of the experiment: its description, and its views."""
    made = int(view.created.timestamp() * 1000)
    views = {CELLS: ("Cells, the best first", _cells(view)), TRIALS: ("Trials", _trials(view))}
    tags = {
        _TAG + name: json.dumps({"name": title, "createdAt": made, "updatedAt": made, "state": json.dumps(state)})
        for name, (title, state) in views.items()
    }
    return tags | {"mlflow.note.content": _description(view, experiment_id)}


def _description(view: StudyView, experiment_id: str) -> str:
    """In Markdown; MLflow's page shows its first line, and the others when it is asked to."""
    command = f" `{view.command}`" if view.command else ""
    links = [("cells, the best first", CELLS), ("all trials", TRIALS)]
    shown = " · ".join(f"[{title}]({page(experiment_id, name)[1:]})" for title, name in links)
    return f"**{view.title or view.name}**{command}\n\n{shown}"


def axes(view: StudyView) -> list[str]:
    """The settings that the study's search varies; where it has none, those in which its cells differ. As their runs
    name them."""
    known = [flat(cell.row.cell.as_dict()) for cell in view.cells]
    names = dict.fromkeys(view.axes or (name for some in known for name in some))
    return [name for name in names if len({str(some.get(name)) for some in known}) > 1]


def _cells(view: StudyView) -> dict[str, Any]:
    """A line a cell, with what it came to beside what was printed."""
    shown = {
        name for cell in view.cells for name in (*cell.metrics, *(key for key, text in cell.columns.items() if text))
    }
    unit = view.cells[0].row.unit if view.cells else SEQUENCES
    figures = [view.best, f"mean_{unit}", "success_rate", f"published_mean_{unit}", "published_success_rate"]
    columns = [
        *_columns("params", axes(view)[:_MOST]),
        *_columns("tags", [name for name in ("solved", "state", "verdict") if name in shown]),
        *_columns("metrics", [name for name in dict.fromkeys(map(metric_name, figures)) if name in shown]),
    ]
    return _state("cell", view.best, view, ascending=not view.best.endswith("success_rate"), columns=columns)


def _trials(view: StudyView) -> dict[str, Any]:
    """A line a trial, the fastest first."""
    counted = in_unit("sequences", view.cells[0].row.unit if view.cells else SEQUENCES)
    columns = [
        *_columns("params", axes(view)[:_MOST]),
        *_columns("tags", ["lstm_search.outcome"]),
        *_columns("metrics", [counted, "curve/error", "seconds"]),
    ]
    return _state("trial", counted, view, ascending=True, columns=columns)


def _columns(group: str, names: Iterable[str]) -> list[str]:
    return [f"{group}.`{name}`" for name in names]


def _state(kind: str, figure: str, view: StudyView, *, ascending: bool, columns: Sequence[str]) -> dict[str, Any]:
    """The page's state: which runs, sorted by which figure, with which columns and charts."""
    return {
        "searchFilter": f"tags.`{KIND}` = '{kind}'",
        "orderByKey": f"metrics.`{figure}`",
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, _WIDTH),
        **_charts(figure, axes(view)[:_MOST], _folded(kind, view)),
    }


def _folded(kind: str, view: StudyView) -> list[str]:
    """The sections of charts that MLflow makes itself, by the first part of a metric's name. For all runs they would
    take long to draw."""
    milestones = [stop.milestone for stop in view.cells[0].row.cell.stop] if view.cells else []
    return [*milestones, "curve", "Model metrics"] if kind == "trial" else [*milestones[1:], "Model metrics"]


def _charts(figure: str, names: Sequence[str], folded: Sequence[str]) -> dict[str, Any]:
    """The charts of a view: of all runs that the table holds, the figure over all axes at once, and against each; the
    `folded` sections are shown when they are asked for."""
    if not names:
        return {}
    y = {"type": "METRIC", "key": figure}
    scatters: list[dict[str, Any]] = [
        {"type": "SCATTER", "xaxis": {"type": "PARAM", "key": name}, "yaxis": y} for name in names
    ]
    lines: dict[str, Any] = {
        "type": "PARALLEL",
        "selectedParams": names,
        "selectedMetrics": [figure],
        "showAllRuns": True,
    }
    many = {"runsCountToCompare": _RUNS, "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
    sections = {"Axes": True} | dict.fromkeys(folded, False)
    return {
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,  # else MLflow puts its own charts first
        "compareRunSections": [
            {"uuid": _SECTION if shown else name, "name": name, "display": shown, "isReordered": False}
            for name, shown in sections.items()
        ],
        "compareRunCharts": [
            {"uuid": f"{_SECTION}-{i}", **chart, **many} for i, chart in enumerate([lines, *scatters])
        ],
    }
