"""The Python face: studies as on the command line, and what is recorded of them as frames of pandas.

Errors are the exceptions behind the command line's messages, with the same sentences: ValueError for what cannot be
used, OSError and RuntimeError for what stands in the way.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_search.checks import written
from lstm_search.cli import as_recorded, see, train
from lstm_search.config import ConfigError, Settings, compose, words_of
from lstm_search.record import Record
from lstm_search.report import (
    CURVE_COLUMNS,
    Figures,
    curve_lines,
    settings_by_row,
    summaries,
    summary_line,
    trial_columns,
    trial_lines,
    write_figures,
)
from lstm_search.spec import dropped_rows
from lstm_search.tasks import check_task, register_task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Study", "check_task", "open_study", "register_task", "run"]


def run(*words: str, **settings: Any) -> Study:
    """Train what is missing of a study, and open it.

    Takes the words of `lstm-search run`, or the same as keywords:

        run(task="adding", study="rates", training={"rate": [0.1, 0.5]}, execute="inline")

    A list is several values, the axis of a search; a tuple is one value that is a list; keys with a dot are given in a
    mapping, or by `**{"training.rate": [0.1, 0.5]}`. Given the name of a recorded study alone, it goes on with that.
    Progress is told on stderr. Raises ConfigError, another ValueError, StudyLocked, and what else `study.run` raises.
    """
    asked = as_recorded(compose([*words, *words_of(settings)]))
    ended = train(asked)
    if not ended.published:
        again = f"lstm-search sync study={asked.definition.name} home={asked.home}"
        warnings.warn(f"not everything is in MLflow yet ({ended.trouble}); {again} goes on with it", stacklevel=2)
    return Study(asked)


def open_study(name: str = "", /, *words: str, **settings: Any) -> Study:
    """A recorded study: by its name, `open_study("rates", home="studies")`; or by the words that it was run with, then
    as far as these ask for it; with `source="shipped"`, what is shipped with the program of a table.

    Raises UnknownStudy, and ConfigError for words that cannot be used.
    """
    first = [name if "=" in name else f"study={name}"] if name else []
    asked = compose([*first, *words, *words_of(settings)])
    see(asked)  # what is not there is refused here
    return Study(asked)


_FIRST = ["row", "milestone", "k", "n", "success_interval_low", "success_interval_high", "mean", "ert", "verdict"]
"""The columns of `Study.cells` that are looked at first."""


class Study:
    """What is recorded of a study. Every call reads the record anew, so that a study may be watched while it runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        """The name of the study, of its record and of its experiment in MLflow."""
        return self._settings.definition.name

    @property
    def home(self) -> Path:
        """The folder of its record."""
        return self._settings.home

    def __repr__(self) -> str:
        seen = see(self._settings)
        trials = sum(map(len, seen.trials.values()))
        return f"Study {self.name!r} in {self.home}: {len(seen.definition.rows)} cells, {trials} trials"

    def trials(self) -> pd.DataFrame:
        """One row a trial and milestone, all settings as columns: the lines of `lstm-search export`. A trial that
        missed some milestones has a last row without a milestone: after how many sequences it was censored."""
        seen = see(self._settings)
        rows = seen.definition.rows
        return _frame(trial_lines(rows, seen.trials), trial_columns(rows))

    def cells(self, *, constants: bool = True) -> pd.DataFrame:
        """One row a cell and milestone: what its trials came to (`_FIRST`), the settings in which the cells differ, and
        all else that is known of them, intervals and printed figures among it. Last come the settings that all of them
        have; `constants=False` leaves these out."""
        seen = see(self._settings)
        settings = settings_by_row(seen.definition.rows)
        found = summaries(seen.definition.rows, seen.trials)
        frame = _frame([summary_line(summary) | settings[summary.row] for summary in found])
        names = list(next(iter(settings.values()), {}))
        varied = [name for name in names if len({str(some[name]) for some in settings.values()}) > 1]
        fixed = [name for name in names if name not in varied]
        others = [name for name in frame.columns if name not in (*_FIRST, *names)]
        return frame[[*_FIRST, *varied, *others, *(fixed if constants else ())]]

    def curves(self) -> pd.DataFrame:
        """One row a checkpoint of a trial's learning curve: the mean error, and the fraction of sequences that were
        wrong, since the checkpoint before."""
        seen = see(self._recorded("curves"), curves=True)
        return _frame(curve_lines(seen.definition.rows, seen.trials), CURVE_COLUMNS)

    def weights(self, key: str) -> dict[str, np.ndarray]:
        """The final weights of a trial, by name, from its key or the first digits of it.

        Raises ConfigError where a trial has none: it broke, or was simulated; RecordDamaged where they cannot be read.
        """
        with Record.read(self.home, self._recorded("weights").definition.name) as record:
            trial = record.find(key)
            found = record.arrays(trial.spec.key)
        if not found:
            raise ConfigError(
                f"key={key}: this trial of study {self.name} ended {trial.result.outcome} without weights"
            )
        return found

    def figure(self, kind: str = "solved_fraction") -> Picture:
        """A figure of `lstm-search plot`: `solved_fraction` or `learning_curves`. It shows itself in a notebook."""
        seen = see(self._recorded("curves") if kind == "learning_curves" else self._settings, curves=True)
        with tempfile.TemporaryDirectory() as folder:
            how = Figures(dropped=dropped_rows(seen.candidates), curves=self._settings.source == "record")
            written_to = write_figures(seen.definition.rows, seen.trials, Path(folder), how=how)
            found = {path.stem: path.read_bytes() for path in written_to}
        if kind not in found:
            raise ConfigError(f"figure {kind}: takes {' or '.join(found)}")
        return Picture(kind, found[kind])

    def _recorded(self, what: str) -> Settings:
        """The settings. Raises ConfigError where the record is not at hand."""
        if self._settings.source != "record":
            raise ConfigError(f"source={self._settings.source}: has no {what}; take source=record")
        return self._settings


class Picture:
    """A figure as PNG, which a notebook shows."""

    def __init__(self, kind: str, png: bytes) -> None:
        self.kind, self.png = kind, png

    def __repr__(self) -> str:
        return f"Picture {self.kind!r}; save(path) writes it as PNG"

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str | Path) -> None:
        """Write it into a file."""
        Path(path).write_bytes(self.png)


def _frame(lines: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> pd.DataFrame:
    """Lines as a frame, each column of the type of its values: whole numbers stay whole where some are missing, and
    lists are text as on the command line. The `columns` are there also where there is no line."""
    import pandas as pd

    names = dict.fromkeys([*columns, *(name for line in lines for name in line)])
    return pd.DataFrame({name: _column(pd, [line.get(name) for line in lines]) for name in names})


def _column(pd: Any, values: list[Any]) -> Any:
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, bool) for value in there):
        return pd.array(values, dtype="boolean" if len(there) < len(values) else "bool")
    if there and all(isinstance(value, int) and not isinstance(value, bool) for value in there):
        return pd.array(values, dtype="Int64" if len(there) < len(values) else "int64")
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return np.array([np.nan if value is None else value for value in values], float)
    return pd.Series([None if value is None else _text(value) for value in values], dtype="str")


def _text(value: Any) -> str:
    return written(value) if isinstance(value, list | tuple | bool) else str(value)
