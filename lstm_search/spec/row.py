"""A cell as a line of a table, and a study as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lstm_search.checks import written
from lstm_search.spec.cell import SEQUENCES, Cell
from lstm_search.spec.trial import BROKEN, Outcome, Trial, TrialResult, TrialSpec

Purpose = Literal["report", "tune", "race"]

FINALIST = "finalist"
"""Why a candidate gets no further trials but those on fresh replicates."""


@dataclass(frozen=True)
class Row:
    """A cell as a line of a table: its name, its share of work, the printed row beside it, and the open points of the
    paper that it reads otherwise than literally (`readings`: key, value).

    Its trials have the numbers from `first` on. `purpose`: they are for the report; or to choose among cells (tune); or
    to choose among cells that compete (race), and then how many of the `replicates` are trained is up to the results.
    """

    name: str
    cell: Cell
    replicates: int
    cap: int
    table: str = ""
    published: str = ""
    readings: tuple[tuple[str, str], ...] = ()
    altered: tuple[tuple[str, str], ...] = ()
    first: int = 0
    purpose: Purpose = "report"

    @property
    def end(self) -> int:
        """The number after that of the last replicate."""
        return self.first + self.replicates

    @property
    def unit(self) -> str:
        """What the row's trials count."""
        return self.cell.unit

    def trials(self, seed: int) -> list[TrialSpec]:
        """The row's trials under a study seed, in order of replicate."""
        return [TrialSpec(self.cell, replicate, seed, self.cap) for replicate in range(self.first, self.end)]

    def counting(self, trials: Iterable[Trial]) -> list[Trial]:
        """`trials` under this row's cap; a trial CAPPED under a lower one is to run again: left out."""
        counted = ((trial, trial.result.under_cap(self.cap)) for trial in trials)
        return [
            trial if result is trial.result else replace(trial, result=result)
            for trial, result in counted
            if trial.result.outcome != Outcome.CAPPED or trial.spec.cap >= self.cap
        ]

    def finished(self, trials: Iterable[Trial]) -> list[TrialResult]:
        """The results of `counting`."""
        return [trial.result for trial in self.counting(trials)]

    def times(self, results: Iterable[TrialResult], milestone: str) -> tuple[list[int], list[int]]:
        """Training sequences of the trials that reached `milestone`, and those at which the others are censored.

        More training would not have helped a DIVERGED trial: it is censored at the cap. BROKEN ones are left out.
        """
        reached, censored = [], []
        for result in results:
            if result.outcome in BROKEN:
                continue
            if there := result.reached(milestone):
                reached.append(there.sequences)
            else:
                censored.append(self.cap if result.outcome == Outcome.DIVERGED else result.sequences)
        return reached, censored


@dataclass(frozen=True)
class Candidate:
    """A point of a search's space that the search has met: its settings by key, and the rows that have these settings,
    which are judged together (one row, but in a joint search).

    `proposer` says who proposed it; `left` why it gets no further trials, in a phrase; empty while it may get some.
    """

    point: tuple[tuple[str, Any], ...]
    rows: tuple[Row, ...]
    proposer: str
    left: str = ""

    @property
    def name(self) -> str:
        """The name of its row; of several rows, the settings that they have in common."""
        return self.rows[0].name if len(self.rows) == 1 else settings_of(self.point)

    @property
    def dropped(self) -> bool:
        """Whether it left because it was found worse than another."""
        return self.left not in ("", FINALIST)

    @property
    def base(self) -> str:
        """The name of its first row before its axes vary."""
        row = self.rows[0]
        return row.name.partition(" ")[0] if row.table else row.cell.task.name


def dropped_rows(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Why rows were dropped, by name. A row of several sets of a joint search was when all of them were."""
    kept = {row.name for one in candidates if not one.dropped for row in one.rows}
    return {row.name: one.left for one in candidates for row in one.rows if row.name not in kept}


def points_of(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The settings of candidates by short name. Where they vary more than one row, the row is one of the settings."""
    short = short_names(list(dict.fromkeys(key for one in candidates for key, _ in one.point)))
    several = len({one.base for one in candidates}) > 1 and all(len(one.rows) == 1 for one in candidates)
    return [
        {**({"row": one.base} if several else {}), **{short[key]: value for key, value in one.point}}
        for one in candidates
    ]


def settings_of(point: Iterable[tuple[str, Any]]) -> str:
    """A point as it is named: the last part of each key where that is unambiguous, and its value."""
    pairs = list(point)
    short = short_names([key for key, _ in pairs])
    return " ".join(f"{short[key]}={written(value)}" for key, value in pairs)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key where that is unambiguous, else the whole key."""
    lasts = [key.rpartition(".")[2] for key in keys]
    return {key: last if lasts.count(last) == 1 else key for key, last in zip(keys, lasts, strict=True)}


def counted(unit: str) -> str:
    """What a trial counts, in words."""
    return f"training {unit}" if unit == SEQUENCES else unit


def unit_of(rows: Iterable[Row]) -> str:
    """The one unit that the rows' trials count in. ValueError where they count different things: a column of numbers
    means one thing."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row.unit, row.name)
    if len(first) > 1:
        (unit, name), (other, another) = list(first.items())[:2]
        raise ValueError(
            f"rows {name!r} and {another!r} count {unit} and {other}, which cannot stand side by "
            "side; choose others with rows="
        )
    return next(iter(first), SEQUENCES)


def row_from_plain(cell: Cell, values: Mapping[str, Any]) -> Row:
    """A row from plain values by field name; readings and alterations are lists of pairs."""
    pairs = {name: tuple((key, value) for key, value in values[name]) for name in ("readings", "altered")}
    return Row(**{**values, **pairs, "cell": cell})


@dataclass(frozen=True)
class Definition:
    """A study as asked for: its rows, its seed, and the exact configuration it was composed from (YAML)."""

    name: str
    seed: int
    rows: tuple[Row, ...]
    title: str = ""
    config: str = ""
