"""MLflow's server, held to one folder: it reads and writes artifacts below it, and nowhere else.

An experiment may name any folder, or a place on another machine, for its artifacts, and the server reads and writes
there as its own user. A store that others can write to, too, may hold such experiments already.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.file_utils import local_file_uri_to_path


def pin(artifacts: str) -> None:
    """Hold the server that this process is about to become to the folder at the address `artifacts`."""
    from mlflow.server import handlers

    for kind in DATABASE_ENGINES:
        handlers._tracking_store_registry.register(kind, PinnedStore)  # noqa: SLF001  (it has no other door)
    repositories: dict[str, Any] = get_registered_artifact_repositories()
    repositories.clear()  # of other machines
    repositories |= dict.fromkeys(("", "file"), partial(PinnedRepository, artifacts))


class PinnedStore(SqlAlchemyStore):
    """Makes no experiment whose artifacts are elsewhere."""

    def __init__(self, store_uri: str, artifact_uri: str) -> None:
        super().__init__(store_uri, artifact_uri)  # type: ignore[no-untyped-call]

    def create_experiment(self, name: Any, artifact_location: Any = None, tags: Any = None) -> Any:
        """As in MLflow."""
        if artifact_location:
            _check_inside(self.artifact_root_uri, artifact_location)
        return super().create_experiment(name, artifact_location, tags)  # type: ignore[no-untyped-call]


class PinnedRepository(LocalArtifactRepository):
    """The artifacts of a run, in a folder that is looked at again each time: a link may lead out of it."""

    def __init__(self, root: str, artifact_uri: str, tracking_uri: Any = None, registry_uri: Any = None) -> None:
        _check_inside(root, artifact_uri)
        super().__init__(artifact_uri, tracking_uri, registry_uri)


def _check_inside(root: str, location: str) -> None:
    """Raises MlflowException for a place that is not below `root` when all links are followed."""
    folder = Path(local_file_uri_to_path(root)).resolve()
    here = urlsplit(location).scheme in {"", "file"}
    if not here or not Path(local_file_uri_to_path(location)).resolve().is_relative_to(folder):
        raise MlflowException.invalid_parameter_value(
            f"{location}: this server's artifacts are in {folder}, and only there"
        )
