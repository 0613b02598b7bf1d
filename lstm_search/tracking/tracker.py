"""The record's projection into MLflow: repeatable, never waited for. MLflow enters the package here and nowhere else.

Experiment = study. One run for the study (table, plots, exact configuration), below it one run a row, below that one
run a trial with its learning curve. Every run carries its identity as tags and is looked up before it is made; its
status is set last; a run whose tag `lstm_search.state` is what it should be is left alone. So a second `sync` writes
nothing, an interrupted one is completed, and an emptied server is filled again.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import re
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lstm_search.tracking import dashboard, reader
from lstm_search.tracking.dashboard import Dashboard, PortTaken
from lstm_search.tracking.projection import CellView, Run, StudyView, as_bytes, cell_run, study_run, trial_run
from lstm_search.tracking.reader import Stored

__all__ = ["BackgroundTracker", "CellView", "Dashboard", "PortTaken", "StudyView", "Tracker", "TrackingFailed", "ui"]

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A POST whose reply was lost may have made a run: repeated blindly it makes two. We look it up before we repeat.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_KIND, _ROW, _KEY, _STATE = (f"lstm_search.{name}" for name in ("kind", "row", "key", "state"))
_LONGEST_NAME = 250


class TrackingFailed(RuntimeError):  # noqa: N818  (named by what happened)
    """MLflow did not take or give what was asked. The record is not concerned."""


@dataclass(frozen=True)
class _Stored:
    """What is known of a run in MLflow."""

    run_id: str
    state: str
    ended: bool


class Tracker:
    """Publishes studies to the MLflow server or database at `uri`, by default the file HOME/mlflow.db."""

    def __init__(self, uri: str | None, home: Path) -> None:
        """Raises ValueError for an address that MLflow does not take. Nothing is opened yet."""
        self.home = home.absolute()
        self.uri = _checked(uri) if uri else _default_uri(self.home)
        self._mlflow: Any = None
        self._experiments: dict[str, _Experiment] = {}
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)

    def sync(self, view: StudyView, stop: Callable[[], bool] = lambda: False) -> int:
        """Publish what is not published yet; how many runs were written. TrackingFailed where MLflow fails.

        Once `stop()` is true the remaining trials are left for another time; the summaries are still written.
        """
        with self._failures():
            experiment = self._experiment(view.name)
            experiment.remove_ghosts()
            study = study_run(view)
            parent = experiment.ensure(study, None)
            for number, cell in enumerate(view.cells):
                row = cell_run(view, number)
                row_id = experiment.ensure(row, parent)
                for trial in cell.trials:
                    if stop():
                        break
                    experiment.write(trial_run(view, cell.row, trial), row_id)
                experiment.write(row, parent)
            experiment.write(study, None)
            return experiment.count_written()

    def unpublished(self, view: StudyView) -> int:
        """How many of the view's runs MLflow does not hold as they are now. TrackingFailed where MLflow fails.

        Nothing is written.
        """
        with self._failures():
            found = self._client().get_experiment_by_name(view.name) if self._exists else None
            if found is None or found.lifecycle_stage == "deleted":
                return 1 + len(view.cells) + sum(len(cell.trials) for cell in view.cells)
            experiment = self._experiment(view.name)
            runs = [study_run(view)]
            for number, cell in enumerate(view.cells):
                runs += [cell_run(view, number), *(trial_run(view, cell.row, trial) for trial in cell.trials)]
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
        """The key of the trial that a run shows. ValueError where it shows none."""
        with self._failures():
            tags = self._tags(run_id) if self._exists else {}
        if tags.get(_KIND) != "trial":
            raise ValueError(
                f"{run_id!r}: no run of a trial in MLflow at {shown(self.uri)}; take one named like '6a #3'"
            )
        return tags[_KEY]

    def link(self, study: str) -> str | None:
        """Where a browser shows the study's runs; None for a database, which `ui` makes visible."""
        return self.uri.rstrip("/") + self.page(study) if self._is_server else None

    def page(self, study: str | None) -> str:
        """The part of the link after the server's address: the runs of a study, or all experiments."""
        with self._failures():
            client = self._client()
            found = client.get_experiment_by_name(study) if study else None
        runs = f"/{found.experiment_id}/runs" if found else ""
        return f"/#/experiments{runs}?workflowType=machine_learning"

    def study_page(self, study: str) -> str:
        """The part of the link that opens the study's own run, with its table and plots; "" where there is none."""
        with self._failures():
            client = self._client()
            found = client.get_experiment_by_name(study)
            runs = client.search_runs([found.experiment_id], f"tags.`{_KIND}` = 'study'") if found else []
        page = f"/#/experiments/{found.experiment_id}/runs/{runs[0].info.run_id}" if runs else ""
        return f"{page}?workflowType=machine_learning" if page else ""

    @property
    def _is_server(self) -> bool:
        return self.uri.startswith("http")

    @property
    def _exists(self) -> bool:
        """False where asking would first make our own database."""
        return self.uri != _default_uri(self.home) or (self.home / "mlflow.db").exists()

    def _client(self) -> Any:
        if self._mlflow is None:
            from mlflow import MlflowClient

            logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # its errors reach us as exceptions
            with nullcontext() if self._is_server else _one_at_a_time(self.home):
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

    def _experiment(self, name: str) -> _Experiment:
        if name not in self._experiments:
            client = self._client()
            found = client.get_experiment_by_name(name)
            if found is None:
                folder = None if self._is_server else (self.home / "artifacts" / name).as_uri()
                found = client.get_experiment(client.create_experiment(name, artifact_location=folder))
            elif found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            self._experiments[name] = _Experiment(client, found.experiment_id)
        return self._experiments[name]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._experiments.clear()  # what a lost reply has changed is looked up next time
            raise TrackingFailed(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        """The error in one line, without the password and without the layers that a refused connection went through."""
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if self._is_server and "timed out" in reason:
            return f"MLflow: the server at {shown(self.uri)} does not answer in time"
        if self._is_server and re.search("Max retries exceeded|Connection refused|Failed to establish", reason):
            return f"MLflow: no server answers at {shown(self.uri)}"
        return f"MLflow at {shown(self.uri)}: {reason[:300].replace(self.uri, shown(self.uri))}"


class _Experiment:
    """The runs of one experiment that this package made, by identity."""

    def __init__(self, client: Any, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self._written: set[str] = set()
        self._stored: dict[tuple[str, str, str], _Stored] = {}
        self._ghosts: list[str] = []
        for run in self._runs():
            self._meet(run)

    def count_written(self) -> int:
        """How many runs were written since this was asked last."""
        count = len(self._written)
        self._written.clear()
        return count

    def _runs(self) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _meet(self, run: Any) -> None:
        tags = run.data.tags
        if _KIND not in tags:
            return
        identity = (tags[_KIND], tags.get(_ROW, ""), tags.get(_KEY, ""))
        stored = _Stored(run.info.run_id, tags.get(_STATE, ""), run.info.status in {"FINISHED", "FAILED"})
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

    def ensure(self, run: Run, parent: str | None) -> str:
        """The id of the run, which is made where there is none."""
        stored = self._stored.get(run.identity)
        if stored is not None:
            return stored.run_id
        state = run.state if run.kind == "trial" else ""
        tags = {_KIND: run.kind, _ROW: run.row, _KEY: run.key, _STATE: state, "mlflow.source.name": "lstm-search"}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        made = self.client.create_run(self.experiment_id, run.start, tags | dict(run.tags), run.name[:_LONGEST_NAME])
        self._stored[run.identity] = _Stored(made.info.run_id, state, ended=False)
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
        self._stored[run.identity] = _Stored(run_id, run.state, ended=True)
        self._written.add(run_id)

    def _fill(self, run_id: str, run: Run, *, new: bool) -> None:
        from mlflow.entities import Metric, Param, RunTag

        params = [Param(name, str(value)) for name, value in run.params.items()] if new else []
        self.client.log_batch(run_id, [Metric(*entry) for entry in run.metrics], params)
        if run.artifacts:
            self._attach(run_id, run.artifacts)
        if run.kind != "trial":  # a trial has had its tags since it was made
            tags = [RunTag(name, value) for name, value in {**run.tags, _STATE: run.state}.items()]
            self.client.log_batch(run_id, tags=tags)

    def _attach(self, run_id: str, artifacts: Mapping[str, str | bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in artifacts.items():
                (Path(folder) / name).write_bytes(as_bytes(content))
            self.client.log_artifacts(run_id, folder)


def shown(uri: str) -> str:
    """`uri` without its password."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", uri)


def _checked(uri: str) -> str:
    if re.match(r"(https?|sqlite|(postgresql|mysql)(\+\w+)?)://", uri):
        return uri
    raise ValueError(
        f"tracking.uri={shown(uri)}: MLflow takes a server (http://127.0.0.1:5000) or a database "
        "(sqlite:////folder/mlflow.db, postgresql://...); folders of files it takes no more. Without tracking.uri the "
        "runs go to mlflow.db in the home folder"
    )


def _default_uri(home: Path) -> str:
    return f"sqlite:///{quote(str(home / 'mlflow.db'))}"


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Held while a database's tables may be created: two processes that do so at once break each other."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "mlflow.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class BackgroundTracker:
    """Publishes a growing study from a thread of its own; nothing ever waits for it before `close`.

    The record is the queue: `notify` only says that there is news, and the thread asks `snapshot` for all that is
    recorded. However far MLflow lags, nothing piles up in memory. Many results between two passes make one pass, and
    a pass begins only when the last snapshot's cost is a twentieth of the time since.
    """

    def __init__(
        self,
        tracker: Tracker,
        snapshot: Callable[[], StudyView],
        warn: Callable[[str], None],
        *,
        pause: float = 2.0,
        patience: float = 40.0,
    ) -> None:
        """`warn` gets one line, once, when publishing has failed for `patience` seconds."""
        self.error = ""
        self._tracker, self._snapshot, self._warn = tracker, snapshot, warn
        self._pause, self._patience = pause, patience
        self._failing_since: float | None = None
        self._published = False
        # requests silences this itself at import, but MLflow is imported in our thread while another imports Ray, and
        # both save and restore the filters; one that was there before survives that.
        warnings.filterwarnings("ignore", "SOCKS support in urllib3", module=r"urllib3\.contrib\.socks")
        self._news, self._closing, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that the record has grown. Returns at once."""
        self._news.set()

    def close(self, wait: float) -> bool:
        """Publish what is left, for `wait` seconds at most; whether all is published. `error` says why not."""
        self._closing.set()
        self._news.set()
        self._thread.join(wait)
        if self._published:
            return True
        self._stop.set()
        self._thread.join(2)  # so that the run being written is ended
        self.error = self.error or f"MLflow at {shown(self._tracker.uri)} needs more than {wait:g} s"
        return False

    def _work(self) -> None:
        backoff = 1.0
        while not self._stop.is_set():
            self._news.wait()
            closing = self._closing.is_set()  # looked at first: what was recorded before is in the snapshot
            self._news.clear()
            pause = self._publish()
            if pause is None:
                self._news.set()
                (self._stop if closing else self._closing).wait(backoff)
                backoff = min(2 * backoff, 30.0)
            elif closing:
                self._published = True
                return
            else:
                backoff = 1.0
                self._closing.wait(pause)

    def _publish(self) -> float | None:
        """One pass; the seconds to pause after it, or None where it failed or was stopped."""
        began = time.monotonic()
        try:
            view = self._snapshot()
            pause = max(self._pause, 20 * (time.monotonic() - began))
            self._tracker.sync(view, self._stop.is_set)
        except Exception as error:  # noqa: BLE001  (whatever happens here must not reach the study)
            self._remember(error, began)
            return None
        self.error, self._failing_since = "", None
        return None if self._stop.is_set() else pause

    def _remember(self, error: Exception, began: float) -> None:
        self.error = str(error)
        self._failing_since = self._failing_since or began
        if time.monotonic() - self._failing_since >= self._patience:
            self._warn(f"not published yet, tried again: {error}")
            self._patience = math.inf


def ui(home: Path, uri: str | None, port: int, study: str | None = None) -> Dashboard:
    """The dashboard of `uri`'s runs, once it answers; a context manager that stops the server it started.

    Its `link` opens the runs of `study`, its `study_link` the study's own run. Where `uri` is a server, that one is
    used and none is started. Raises PortTaken, ValueError for a bad address, TrackingFailed where MLflow fails.
    """
    tracker = Tracker(uri, home)
    page, study_page = tracker.page(study), tracker.study_page(study) if study else ""
    if uri is not None and uri.startswith("http"):
        address = uri.rstrip("/")
        return Dashboard(address + page, None, address + study_page if study_page else "")
    try:
        return dashboard.start(tracker.uri, tracker.home, port, page, study_page)
    except TimeoutError as error:
        raise TrackingFailed(str(error)) from error
