"""What a verb needs to know, composed and checked: frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from lstm_search import checks
from lstm_search.config.axes import ConfigError
from lstm_search.execute import ExecuteSettings, SubmitSettings
from lstm_search.search import SearchSettings
from lstm_search.spec import Definition
from lstm_search.tracking import shown as shown_uri


@dataclass(frozen=True)
class TrackingSettings:
    """Where the record is shown: MLflow at a server's `uri` (None: a file in the home folder) or nowhere. `wait`:
    seconds that a finished study waits for it; `port`: where `ui` serves it on 127.0.0.1."""

    kind: Literal["mlflow", "none"] = "mlflow"
    uri: str | None = None
    wait: float = 60.0
    port: int = 5000

    def __post_init__(self) -> None:
        checks.real("tracking.wait", self.wait, 0)
        checks.whole("tracking.port", self.port, 1, 65535)
        if self.uri is not None and not re.match(r"(https?|sqlite|(postgresql|mysql)(\+\w+)?)://", self.uri):
            raise ConfigError(
                f"tracking.uri={shown_uri(self.uri)}: takes a server such as http://127.0.0.1:5000, or a "
                "database such as sqlite:////path/mlflow.db"
            )
        if (self.uri or "").startswith("postgresql") and find_spec("psycopg") is None:
            raise ConfigError(
                f"tracking.uri={shown_uri(self.uri or '')}: needs the package psycopg; install 'psycopg[binary]' here, "
                "or give the address of an MLflow server"
            )


@dataclass(frozen=True)
class Settings:
    """Everything a verb needs. `definition` has no rows where neither table nor task was chosen, and then its name is
    the `study` given, or empty; `rows` and `replicates` are as the user gave them, None for all; `studies` where more
    than one was given; `words` is all that was given."""

    definition: Definition
    search: SearchSettings
    execute: ExecuteSettings
    tracking: TrackingSettings
    home: Path
    format: str
    source: str
    budget_hours: float | None
    max_failed: float
    retry: tuple[str, ...]
    rows: tuple[str, ...] | None
    replicates: int | None
    studies: tuple[str, ...]
    submit: SubmitSettings
    words: tuple[str, ...]
