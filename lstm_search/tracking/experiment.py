"""The runs of one experiment of MLflow: each looked up by its identity before it is made, filled, and ended last."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lstm_search.tracking.projection import KEY, KIND, ROW, SCHEMA, STATE, Run, as_bytes
from lstm_search.tracking.reader import has_ended, runs_of

_LONGEST_NAME = 250


@dataclass(frozen=True)
class _Stored:
    """What is known of a run in MLflow."""

    run_id: str
    state: str
    ended: bool
    start: int
    schema: str


class Experiment:
    """The runs of one experiment that this package made, by identity."""

    def __init__(self, client: Any, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self._written: set[str] = set()
        self._stored: dict[tuple[str, str, str], _Stored] = {}
        self._ghosts: list[str] = []
        for run in runs_of(client, experiment_id):
            self._meet(run)

    def count_written(self) -> int:
        """How many runs were written since this was asked last."""
        count = len(self._written)
        self._written.clear()
        return count

    def _meet(self, run: Any) -> None:
        tags, info = run.data.tags, run.info
        identity = (tags[KIND], tags.get(ROW, ""), tags.get(KEY, ""))
        stored = _Stored(info.run_id, tags.get(STATE, ""), has_ended(run), info.start_time, tags.get(SCHEMA, "1"))
        twin = self._stored.get(identity)
        if twin is not None:  # a ghost of a lost reply, or of two processes that published at once
            stored, twin = (stored, twin) if stored.ended and not twin.ended else (twin, stored)
            self._ghosts.append(twin.run_id)
        self._stored[identity] = stored

    def remove_ghosts(self) -> None:
        """Delete the second run of an identity."""
        while self._ghosts:
            self.client.delete_run(self._ghosts[-1])
            self._ghosts.pop()

    def remove_outdated(self, study: Run) -> None:
        """Delete all runs of this study where they were published with keys of an earlier schema version: a run cannot
        get another key. The study's own goes last, so that whoever is interrupted goes on the next time."""
        stored = self._stored.get(study.identity)
        if stored is None or stored.start != study.start or stored.schema == study.tags[SCHEMA]:
            return
        self.remove_ghosts()
        for identity in sorted(self._stored, key=study.identity.__eq__):
            self.client.delete_run(self._stored[identity].run_id)
            del self._stored[identity]

    def ensure(self, run: Run, parent: str | None) -> str:
        """The id of the run, which is made where there is none."""
        stored = self._stored.get(run.identity)
        if stored is not None:
            return stored.run_id
        state = run.state if run.kind == "trial" else ""
        tags = {KIND: run.kind, ROW: run.row, KEY: run.key, STATE: state, "mlflow.source.name": "lstm-search"}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        made = self.client.create_run(self.experiment_id, run.start, tags | dict(run.tags), run.name[:_LONGEST_NAME])
        self._stored[run.identity] = _Stored(made.info.run_id, state, False, run.start, run.tags.get(SCHEMA, ""))
        self._written.add(made.info.run_id)
        return str(made.info.run_id)

    def holds(self, run: Run) -> bool:
        """Whether the run is there, ended, and as it shall be."""
        stored = self._stored.get(run.identity)
        return stored is not None and stored.ended and stored.state == run.state

    def write(self, run: Run, parent: str | None) -> None:
        """Make the run hold what it shall hold; nothing where it does."""
        if self.holds(run):
            return
        stored = self._stored.get(run.identity)
        if stored is not None and run.kind == "trial" and stored.state != run.state:  # superseded: another result
            self.client.delete_run(stored.run_id)
            del self._stored[run.identity]
        run_id = self.ensure(run, parent)
        stored = self._stored[run.identity]
        if run.kind == "trial" or stored.state != run.state:  # a summary gets its state when all the rest is there
            self._fill(run_id, run, new=not stored.ended)
        self.client.set_terminated(run_id, run.status, run.end)
        self._stored[run.identity] = replace(stored, state=run.state, ended=True)
        self._written.add(run_id)

    def _fill(self, run_id: str, run: Run, *, new: bool) -> None:
        from mlflow.entities import Metric, Param, RunTag

        params = [Param(name, str(value)) for name, value in run.params.items()] if new else []
        self.client.log_batch(run_id, [Metric(*entry) for entry in run.metrics], params)
        if run.artifacts:
            self._attach(run_id, run.artifacts)
        if run.kind != "trial":  # a trial has had its tags since it was made
            tags = [RunTag(name, value) for name, value in {**run.tags, STATE: run.state}.items()]
            self.client.log_batch(run_id, tags=tags)

    def _attach(self, run_id: str, artifacts: Mapping[str, str | bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in artifacts.items():
                (Path(folder) / name).write_bytes(as_bytes(content))
            self.client.log_artifacts(run_id, folder)
