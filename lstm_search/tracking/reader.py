"""What MLflow holds of a study, as plain values: the other direction of the projection. Reads only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstm_search.tracking.projection import KIND

CURVES = ("curve/error", "curve/wrong")
"""Metrics of which every value is read, not the last alone."""


@dataclass(frozen=True)
class Stored:
    """A run as MLflow holds it. `curves`: by metric, value by step. `config`: the text of the study's artifact."""

    kind: str
    ended: bool
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    config: str = ""


def stored(client: Any, study: str) -> Iterator[Stored]:
    """The runs that this package made for a study, with all that is needed to rebuild its record."""
    experiment = client.get_experiment_by_name(study)
    if experiment is not None:
        for run in runs_of(client, experiment.experiment_id):
            yield _stored(client, run)


def runs_of(client: Any, experiment_id: str) -> Iterator[Any]:
    """The runs of an experiment that this package made, page by page."""
    token = None
    while True:
        page = client.search_runs([experiment_id], page_token=token)
        yield from (run for run in page if KIND in run.data.tags)
        token = page.token
        if not token:
            return


def has_ended(run: Any) -> bool:
    """Whether the run's status, which is set last, is that of a result: one that was interrupted has none."""
    return run.info.status in {"FINISHED", "FAILED"}


def _stored(client: Any, run: Any) -> Stored:
    data, run_id = run.data, run.info.run_id
    kind = data.tags[KIND]
    curves = {name: _checkpoints(client, run_id, name) for name in CURVES if kind == "trial" and name in data.metrics}
    config = _config(client, run_id) if kind == "study" else ""
    return Stored(kind, has_ended(run), dict(data.tags), dict(data.params), dict(data.metrics), curves, config)


def _checkpoints(client: Any, run_id: str, name: str) -> dict[int, float]:
    """A learning curve by step, without the point of the solution, which has a later time: that of a trial that was
    solved before its first checkpoint has no other."""
    history = client.get_metric_history(run_id, name)
    figures = client.get_metric_history(run_id, "success") if len(history) == 1 else history
    recorded = min(entry.timestamp for entry in figures or history)
    return {entry.step: entry.value for entry in history if entry.timestamp == recorded}


def _config(client: Any, run_id: str) -> str:
    """The configuration that was attached to the study's run; empty where the run was cut off before."""
    if "config.yaml" not in {artifact.path for artifact in client.list_artifacts(run_id)}:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run_id, "config.yaml", folder)).read_text(encoding="utf-8")
