"""The runs of one experiment of MLflow: each looked up by its identity before it is made, filled, and ended last."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lstm_search.tracking.projection import KEY, KIND, OPEN, ROW, RUN_ID, SCHEMA, STATE, Run, Status, as_bytes
from lstm_search.tracking.reader import runs_of

_LONGEST_NAME = 250

_AS_GOOD_AS: dict[str, set[str]] = {"": {"FINISHED", "FAILED", "KILLED"}, "KILLED": {"KILLED", "FAILED"}}
"""By the status that a run shall have, those that it may keep: what failed was interrupted, too."""


@dataclass(frozen=True)
class _Stored:
    """What is known of a run in MLflow."""

    run_id: str
    state: str
    status: str
    start: int
    schema: str

    @property
    def ended(self) -> bool:
        """Whether it has a result."""
        return self.status in {"FINISHED", "FAILED"}


class Experiment:
    """The runs of one experiment that this package made, by identity."""

    def __init__(self, client: Any, experiment: Any) -> None:
        self.client = client
        self.experiment_id = experiment.experiment_id
        self._tags = dict(experiment.tags)
        self._written: set[str] = set()
        self._stored: dict[tuple[str, str, str], _Stored] = {}
        self._ghosts: list[str] = []
        for run in runs_of(client, self.experiment_id):
            self._meet(run)

    def describe(self, tags: Mapping[str, str]) -> None:
        """Give the experiment tags, as far as it has others."""
        for name, value in tags.items():
            if self._tags.get(name) != value:
                self.client.set_experiment_tag(self.experiment_id, name, value)
                self._tags[name] = value

    def count_written(self) -> int:
        """How many runs were written since this was asked last."""
        count = len(self._written)
        self._written.clear()
        return count

    def _meet(self, run: Any) -> None:
        tags, info = run.data.tags, run.info
        identity = (tags[KIND], tags.get(ROW, ""), tags.get(KEY, ""))
        state = tags.get(STATE, "")
        if state.startswith(OPEN) and run.data.params:  # cut off while it was filled
            state = "unknown"
        stored = _Stored(info.run_id, state, info.status, info.start_time, tags.get(SCHEMA, "1"))
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
        self._stored[run.identity] = _Stored(made.info.run_id, state, "RUNNING", run.start, run.tags.get(SCHEMA, ""))
        self._written.add(made.info.run_id)
        return str(made.info.run_id)

    def holds(self, run: Run) -> bool:
        """Whether the run is there, has the status that it shall have, and is as it shall be."""
        stored = self._stored.get(run.identity)
        return stored is not None and stored.state == run.state and _has(stored, run.status)

    def is_open(self, run: Run) -> bool:
        """Whether MLflow shows the run as running."""
        stored = self._stored.get(run.identity)
        return stored is not None and stored.status == "RUNNING"

    def begin(self, run: Run, parent: str) -> None:
        """Show a trial as running; one that has a result keeps it until there is another."""
        stored = self._stored.get(run.identity)
        if stored is not None and not stored.ended and stored.state != run.state:  # under another cap
            self._delete(run)
        elif stored is not None and stored.ended:
            return
        self.ensure(run, parent)
        self._finish(run)

    def end_open(self, alive: Container[str] = (), summaries: Status = "") -> None:
        """End the runs of trials that run no more, but for those whose keys are `alive`, and, where a status is given,
        those of summaries."""
        for (kind, _, key), stored in list(self._stored.items()):
            if stored.status == "RUNNING" and (key not in alive if kind == "trial" else summaries):
                status = "KILLED" if kind == "trial" else summaries
                self.client.set_terminated(stored.run_id, status, int(time.time() * 1000))
                self._written.add(stored.run_id)
                self._stored[kind, _, key] = replace(stored, status=status)

    def write(self, run: Run, parent: str | None) -> None:
        """Make the run hold what it shall hold; nothing where it does."""
        if self.holds(run):
            return
        stored = self._stored.get(run.identity)
        if stored is not None and run.kind == "trial" and stored.state not in (run.state, *run.earlier):
            self._delete(run)  # superseded: another result
        run_id = self.ensure(run, parent)
        if run.kind == "trial" or self._stored[run.identity].state != run.state:
            self._fill(run_id, run)  # a summary gets its state when all the rest is there
        self._stored[run.identity] = replace(self._stored[run.identity], state=run.state)
        self._finish(run)

    def _delete(self, run: Run) -> None:
        self.client.delete_run(self._stored[run.identity].run_id)
        del self._stored[run.identity]

    def _finish(self, run: Run) -> None:
        """Give the run its status, the last thing that it gets."""
        stored = self._stored[run.identity]
        if _has(stored, run.status):
            return
        status = run.status or "KILLED"
        if status == "RUNNING":
            self.client.update_run(stored.run_id, status)
        else:
            self.client.set_terminated(stored.run_id, status, run.end)
        self._stored[run.identity] = replace(stored, status=status)
        self._written.add(stored.run_id)

    def _fill(self, run_id: str, run: Run) -> None:
        from mlflow.entities import Metric, Param, RunTag

        state = self._stored[run.identity].state
        trial, filled = run.kind == "trial", bool(state)
        tags = [RunTag(name, value.replace(RUN_ID, run_id)) for name, value in {**run.tags, STATE: run.state}.items()]
        params = [Param(name, str(value)) for name, value in run.params.items()] if trial or not filled else []
        at_once = tags if trial and state != run.state else []  # a trial that is made with its result has its tags
        self.client.log_batch(run_id, [Metric(*entry) for entry in run.metrics], params, at_once)
        if run.artifacts or run.late:
            self._attach(run_id, {**run.artifacts, **_made(run)})
        if not trial:
            self.client.log_batch(run_id, tags=tags)
        self._written.add(run_id)

    def _attach(self, run_id: str, artifacts: Mapping[str, str | bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in artifacts.items():
                (Path(folder) / name).write_bytes(as_bytes(content))
            self.client.log_artifacts(run_id, folder)


class NotMade(RuntimeError):  # noqa: N818  (named by what is the case)
    """An artifact of ours could not be made; MLflow has nothing to do with it."""


def _made(run: Run) -> dict[str, str | bytes]:
    """The artifacts that are made only now. Raises NotMade."""
    try:
        return {name: content for make in run.late for name, content in make().items()}
    except Exception as error:
        raise NotMade(f"{run.name}: its figures and page cannot be made: {error}") from error


def _has(stored: _Stored, status: str) -> bool:
    """Whether a run has the status that it shall have."""
    return stored.status == status or stored.status in _AS_GOOD_AS.get(status, ())
