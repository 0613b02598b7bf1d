"""The record's projection into MLflow: repeatable, never waited for. MLflow enters the package here and nowhere else.

Experiment = study. One run for the study (table, plots, exact configuration), below it one run a row, below that one
run a trial with its learning curve. Every run carries its identity as tags and is looked up before it is made; its
status is set last; a run whose tag `lstm_search.state` is what it should be is left alone. So a second `sync` writes
nothing, an interrupted one is completed, and an emptied server is filled again. A trial that runs has a run already,
with the status RUNNING and no result; making it sooner takes no further request.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from lstm_search.tracking import dashboard, reader
from lstm_search.tracking.address import (
    check_address,
    check_file,
    is_server,
    sqlite_address,
    sqlite_file,
    without_password,
)
from lstm_search.tracking.dashboard import Dashboard
from lstm_search.tracking.experiment import Experiment, NotMade
from lstm_search.tracking.projection import (
    KEY,
    KIND,
    CellView,
    Status,
    StudyView,
    cell_run,
    empty_run,
    open_run,
    study_run,
    trial_run,
)
from lstm_search.tracking.reader import Stored
from lstm_search.tracking.saved_views import CELLS, experiment_tags, has_views, page
from lstm_search.tracking.store import opening

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A POST whose reply was lost may have made a run: repeated blindly it makes two. We look it up before we repeat.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


_ASIDE = "(raised as a result of Query-invoked autoflush"
"""How a line begins in which SQLAlchemy says when it wrote; what went wrong, the next one says."""


class TrackingFailed(RuntimeError):  # noqa: N818  (named by what happened)
    """MLflow did not take or give what was asked. The record is not concerned."""


class Tracker:
    """Publishes studies to the MLflow server or database at `uri`, by default the file HOME/mlflow.db."""

    def __init__(self, uri: str | None, home: Path) -> None:
        """Raises ValueError for an address that MLflow does not take. Nothing is opened yet."""
        self.home = home.absolute()
        self._own = sqlite_address(self.home / "mlflow.db")
        self.uri = uri or self._own
        if uri:
            check_address(uri)
            check_file(uri)
        self._mlflow: Any = None
        self._experiments: dict[str, Experiment] = {}
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)

    def sync(self, view: StudyView, stop: Callable[[], bool] = lambda: False) -> int:
        """Publish what is not published yet; how many runs were written. TrackingFailed where MLflow fails.

        Once `stop()` is true the remaining trials are left for another time; the summaries are still written.
        """
        with self._failures():
            experiment = self._experiment(view.name)
            study = study_run(view)
            experiment.remove_outdated(study)
            experiment.remove_ghosts()
            if not view.elsewhere:
                recorded = (trial.spec.key for cell in view.cells for trial in cell.trials)
                experiment.end_open({*recorded, *view.unfinished})
            parent = experiment.ensure(study, None)
            experiment.describe(experiment_tags(view, experiment.experiment_id))
            for number, cell in enumerate(view.cells):
                row = cell_run(view, number)
                row_id = experiment.ensure(row, parent)
                self._trials(experiment, view, cell, row_id, stop)
                experiment.write(row, parent)
            experiment.write(study, None)
            return experiment.count_written()

    def _trials(
        self, experiment: Experiment, view: StudyView, cell: CellView, row_id: str, stop: Callable[[], bool]
    ) -> None:
        """Write a row's trials; once `stop()` is true only those that MLflow shows as running."""
        for spec in cell.running:
            if not stop():
                experiment.begin(open_run(view, cell.row, spec), row_id)
        for trial in cell.trials:
            stopped = stop()  # asked before each trial, also one that is there: so it is known how far this is
            run = empty_run(view, cell.row, trial)
            if not experiment.holds(run) and (experiment.is_open(run) or not stopped):
                experiment.write(trial_run(view, cell.row, trial), row_id)

    def settle(self, study: str, status: Status) -> None:
        """End what MLflow shows as running of a study that is published no further: its summaries get `status`, its
        trials are KILLED; the next `sync` corrects it. TrackingFailed where MLflow fails."""
        with self._failures():
            if self._client().get_experiment_by_name(study):
                self._experiment(study).end_open(summaries=status)

    def unpublished(self, view: StudyView) -> int:
        """How many of the view's runs MLflow does not hold as they are now; those of running trials are not counted.

        Nothing is written. TrackingFailed where MLflow fails.
        """
        with self._failures():
            found = self._client().get_experiment_by_name(view.name) if self._exists else None
            if found is None or found.lifecycle_stage == "deleted":
                return 1 + len(view.cells) + sum(len(cell.trials) for cell in view.cells)
            experiment = self._experiment(view.name)
            runs = [study_run(view)]
            for number, cell in enumerate(view.cells):
                runs += [cell_run(view, number), *(empty_run(view, cell.row, trial) for trial in cell.trials)]
            return sum(not experiment.holds(run) for run in runs)

    def stored(self, study: str) -> list[Stored]:
        """What MLflow holds of a study; nothing where it has none. TrackingFailed where MLflow fails."""
        with self._failures():
            return list(reader.stored(self._client(), study)) if self._exists else []

    def reach(self) -> bool:
        """Whether there is a store yet; TrackingFailed where MLflow does not answer or refuses the login."""
        with self._failures():
            if self._exists:
                self._client().search_experiments(max_results=1)
            return self._exists

    def find_run(self, run_id: str) -> str:
        """The key of the trial that a run shows. ValueError where it shows none, TrackingFailed where MLflow fails."""
        with self._failures():
            tags = self._tags(run_id) if self._exists else {}
        if tags.get(KIND) != "trial":
            raise ValueError(
                f"{run_id!r}: no run of a trial in MLflow at {without_password(self.uri)}; take one named like '6a #3'"
            )
        return tags[KEY]

    def attach(self, study: str, paths: Sequence[Path]) -> bool:
        """Put files among the artifacts of the study's own run; False where MLflow does not show the study.
        TrackingFailed where MLflow fails."""
        with self._failures():
            found = self._client().get_experiment_by_name(study) if self._exists else None
            own = self._own_runs(found)
            for path in paths if own else ():
                self._client().log_artifact(own[0].info.run_id, str(path))
            return bool(own)

    def _own_runs(self, experiment: Any) -> list[Any]:
        """The run that a study itself has in its experiment, if there is one."""
        if experiment is None or experiment.lifecycle_stage == "deleted":
            return []
        return list(self._client().search_runs([experiment.experiment_id], f"tags.`{KIND}` = 'study'"))

    def link(self, study: str) -> str | None:
        """Where a browser shows the study's runs; None for a database, which `ui` makes visible. TrackingFailed where
        MLflow fails."""
        return self.uri.rstrip("/") + self.pages(study)[0] if self._is_server else None

    def pages(self, study: str | None) -> list[str]:
        """The parts of links after the server's address: to the runs of a study, or to all experiments; then, where it
        is there, to the study's own run, with its table and plots. TrackingFailed where MLflow fails."""
        with self._failures():
            client = self._client()
            found = client.get_experiment_by_name(study) if study else None
            own = self._own_runs(found)
        if not found:
            return ["/#/experiments?workflowType=machine_learning"]
        number, view = found.experiment_id, CELLS if has_views(found.tags) else ""
        own_pages = [f"/#/experiments/{number}/runs/{run.info.run_id}?workflowType=machine_learning" for run in own[:1]]
        return [page(number, view), *own_pages]

    def is_behind(self, study: str) -> bool:
        """Whether MLflow shows runs of a study as running, or shows them as earlier releases did: looked at before it
        is shown. False where it shows none. TrackingFailed where MLflow fails."""
        with self._failures():
            found = self._client().get_experiment_by_name(study) if self._exists else None
            if found is None or found.lifecycle_stage == "deleted":
                return False
            wanted = f"tags.`{KIND}` LIKE '%'" if has_views(found.tags) else f"tags.`{KIND}` = 'study'"
            running = " AND attributes.status = 'RUNNING'" if has_views(found.tags) else ""
            return bool(self._client().search_runs([found.experiment_id], wanted + running, max_results=1))

    @property
    def _is_server(self) -> bool:
        return is_server(self.uri)

    @property
    def _exists(self) -> bool:
        """False where asking would first make our own database."""
        return self.uri != self._own or (self.home / "mlflow.db").exists()

    def _client(self) -> Any:
        if self._mlflow is None:
            from mlflow import MlflowClient

            logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # its errors reach us as exceptions
            with nullcontext() if self._is_server else opening(self.uri, self.home):
                self._mlflow = MlflowClient(self.uri, registry_uri=self.uri)
        return self._mlflow

    def _tags(self, run_id: str) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            return dict(self._client().get_run(run_id).data.tags)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return {}
            raise

    def _experiment(self, name: str) -> Experiment:
        if name not in self._experiments:
            client = self._client()
            found = client.get_experiment_by_name(name)
            if found is None:
                folder = None if self._is_server else (self.home / "artifacts" / name).as_uri()
                found = client.get_experiment(client.create_experiment(name, artifact_location=folder))
            elif found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            self._experiments[name] = Experiment(client, found)
        return self._experiments[name]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except NotMade:
            raise
        except Exception as error:
            self._experiments.clear()  # what a lost reply has changed is looked up next time
            raise TrackingFailed(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        """The error in one line, without the password and without the layers that a refused connection went through."""
        lines = [line for line in str(error).strip().splitlines() if not line.startswith(_ASIDE)]
        reason = (lines or [type(error).__name__])[0]
        if self._is_server and "timed out" in reason:
            return f"MLflow: the server at {without_password(self.uri)} does not answer in time"
        if self._is_server and re.search("Max retries exceeded|Connection refused|Failed to establish", reason):
            return f"MLflow: no server answers at {without_password(self.uri)}"
        reason = reason[:300].replace(self.uri, without_password(self.uri))
        return f"MLflow at {without_password(self.uri)}: {reason}{self._room(reason)}"

    def _room(self, reason: str) -> str:
        """How much room is left, where a disk of this machine is full: that of the database, or of the artifacts."""
        file = sqlite_file(self.uri)
        if file and "disk is full" in reason:
            place = file.parent
        elif not self._is_server and "No space left" in reason:
            place = self.home
        else:
            return ""
        with suppress(OSError):  # the folder may be gone
            return f"; {shutil.disk_usage(place).free} bytes are free in {place}"
        return ""


def ui(home: Path, uri: str | None, port: int, study: str | None = None) -> Dashboard:
    """The dashboard of `uri`'s runs, once it answers; a context manager that stops the server it started.

    Its `links` open the runs of `study`, and the study's own run. Where `uri` is a server, that one is
    used and none is started. Raises PortTaken, ValueError for a bad address, TrackingFailed where MLflow fails.
    """
    tracker = Tracker(uri, home)
    pages = tracker.pages(study)
    if uri is not None and is_server(uri):
        return Dashboard([uri.rstrip("/") + page for page in pages], None)
    try:
        return dashboard.start(tracker.uri, tracker.home, port, pages)
    except TimeoutError as error:
        raise TrackingFailed(str(error)) from error
