"""What a verb needs to know: the settings that are part of no cell and of no other room, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lstm_search.checks import setting, settle
from lstm_search.execute import ExecuteSettings, SubmitSettings
from lstm_search.record import check_name
from lstm_search.search import SearchSettings, Space, first_rows
from lstm_search.spec import Definition, Row
from lstm_search.tracking import check_address


class ConfigError(ValueError):
    """A setting that cannot be used. The message says what was given, what is allowed and what to do."""


@dataclass(frozen=True)
class TrackingSettings:
    """Where the record is shown: in MLflow, or nowhere."""

    kind: Literal["mlflow", "none"] = "mlflow"
    uri: str | None = setting(
        None,
        "an MLflow server such as http://127.0.0.1:5000; null keeps mlflow.db in the home folder",
        kinds=("mlflow",),
    )
    wait: float = setting(
        60,
        "seconds in which MLflow must take a further trial at the end; else sync publishes the rest later",
        low=0,
        kinds=("mlflow",),
    )
    port: int = setting(5000, "where ui serves the dashboard, on 127.0.0.1", low=1, high=65535, kinds=("mlflow",))

    def __post_init__(self) -> None:
        settle(self, "tracking")
        if self.uri is not None:
            try:
                check_address(self.uri)
            except ValueError as error:
                raise ConfigError(str(error)) from error


@dataclass(frozen=True)
class General:
    """The keys of no group. What the names in `table`, `recipe` and `rows` stand for is found elsewhere."""

    table: str | None = setting(
        None,
        "a table of the paper to fill, 1 to 9 or 2b, or several, [1,9]; or choose task=NAME for a study of your own",
    )
    recipe: str | None = setting(
        None, "settings kept under a name, as if they stood before yours; a study by it is named table-3-NAME"
    )
    rows: tuple[str, ...] | None = setting(
        None,
        "rows of that table, such as 6a or [6a,6b], all, or rivals; null takes LSTM's, or those of the network chosen",
    )
    study: str | None = setting(
        None, "name of the study, its record and its experiment; null takes it from the table or task"
    )
    replicates: int | None = setting(
        None, "trials a row, each with its own seed; null takes the paper's number, 10 for a task", low=1, high=10**9
    )
    seed: int = setting(
        1997, "seed of the study; replicate and seed together decide weights and data", low=0, high=2**63 - 1
    )
    cap: int | None = setting(
        None,
        "training sequences after which a trial ends; null takes 5 times the published mean, 1000000 for a task",
        low=1,
        high=10**12,
    )
    conf: str | None = setting(
        None, "a folder with recipes, tables and tasks of your own (recipe/, table/, task/), beside the program's"
    )
    home: str = setting("studies", "folder of the records and of the MLflow store")
    format: Literal["markdown", "csv", "json", "latex", "html", "hash", "png", "svg", "pdf"] | None = setting(
        None, "in what results are shown; null takes the first of the verb's formats, which its --help lists"
    )
    width: Literal["text", "single", "double"] = setting(
        "text",
        "width of figures: 6 inches (text), or those of one and two columns of a journal, 3.5 and 7.2 (single, double)",
    )
    source: Literal["record", "shipped", "cluster"] = setting(
        "record",
        "whose trials are shown: of the record in home, those shipped with the program, or the cluster's at "
        "submit.address",
    )
    max_failed: float = setting(
        0.1,
        "share of trials that may fail, be lost, run out of memory or time before the exit code is 5",
        low=0,
        high=1,
    )
    lines: int = setting(20, "lines of a search's table that are shown, the best first; 0 for all", low=0, high=10**9)
    lags: tuple[int, ...] = setting(
        (),
        "lags at which error-flow prints its factors, such as [1,50]; [] takes 1, 10, 100 and 1000, as far as the "
        "sequence goes",
        low=1,
        high=100_000,
    )
    retry: tuple[Literal["lost", "oom", "timeout", "failed"], ...] = setting(
        (), "outcomes to archive and train again: [lost], [oom], [timeout], [failed] or several"
    )

    def __post_init__(self) -> None:
        settle(self, "")
        if self.study is not None:
            check_name(self.study)
        if not self.home.strip():
            raise ConfigError("home=: takes the path of a folder, for example home=studies")


@dataclass(frozen=True)
class Budget:
    """How long a study may take."""

    hours: float | None = setting(None, "stop after this many hours; the same command goes on from there", above=0)

    def __post_init__(self) -> None:
        settle(self, "budget")


@dataclass(frozen=True)
class Settings:
    """Everything a verb needs. `space` has no bases where neither table nor task was chosen, and then the name of
    `definition` is the `study` given, or empty. The definition has rows where there are no axes; else a search meets
    them. `rows` and `replicates` are as the user gave them, None for all; `studies` where more
    than one was given; `overrides` is all that was given."""

    definition: Definition
    space: Space
    search: SearchSettings
    execute: ExecuteSettings
    tracking: TrackingSettings
    home: Path
    format: str
    width: str
    source: str
    budget_hours: float | None
    max_failed: float
    lines: int
    lags: tuple[int, ...]
    retry: tuple[str, ...]
    rows: tuple[str, ...] | None
    replicates: int | None
    studies: tuple[str, ...]
    submit: SubmitSettings
    overrides: tuple[str, ...]

    def rows_ahead(self, most: int = 10_000) -> list[Row]:
        """The rows that are known before anything is trained: all of a study without axes, and those of the first
        points that a search would meet, `most` at most."""
        if not self.space.axes:
            return list(self.definition.rows)
        return first_rows(self.space, self.search, self.definition.seed, most)
