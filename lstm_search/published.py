"""The rows that Hochreiter & Schmidhuber (1997) printed in tables 1 to 9, read from `published.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

CAP_FACTOR = 5
"""The default cap of a row is this many times the published mean."""


@dataclass(frozen=True)
class Published:
    """One printed row at one milestone. Text fields stay as printed; numbers are None where nothing was printed."""

    table: str
    row: str
    task: str
    method: str
    setting: str
    milestone: str
    trials: int | None
    weights: str
    learning_rate: str
    success_percent: float | None
    sequences: str  # or draws, as `unit` says; the file has a column for each
    sequences_note: str
    wrong_of_2560: float | None
    test_error: float | None
    test_error_kind: str
    unit: str

    @property
    def mean_sequences(self) -> float | None:
        """Mean number of training sequences (or `unit`) of the successful trials; None for a bound like '>5000000'."""
        return float(self.sequences) if self.sequences.isdigit() else None

    @property
    def bound(self) -> float | None:
        """The number in a bound such as '>5000000': after so many training sequences no trial had succeeded."""
        return float(self.sequences[1:]) if self.sequences.startswith(">") else None

    @property
    def successes(self) -> int | None:
        """Number of successful trials, from the printed percentage; None where either figure is missing."""
        if self.trials is None or self.success_percent is None:
            return None
        return round(self.trials * self.success_percent / 100)


def _number(text: str) -> float | None:
    return float(text) if text else None


@cache
def published_rows() -> tuple[Published, ...]:
    """Every printed row, in the order of the paper's tables."""
    text = files("lstm_search").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            **{name: line[name] for name in ("table", "row", "task", "method", "setting", "milestone")},
            trials=int(line["trials"]) if line["trials"] else None,
            weights=line["weights"],
            learning_rate=line["learning_rate"],
            success_percent=_number(line["success_percent"]),
            sequences=line["sequences"] or line["draws"],
            sequences_note=line["sequences_note"],
            wrong_of_2560=_number(line["wrong_of_2560"]),
            test_error=_number(line["test_error"]),
            test_error_kind=line["test_error_kind"],
            unit="draws" if line["draws"] else "sequences",
        )
        for line in csv.DictReader(text.splitlines())
    )


def published_row(table: str, row: str) -> Published | None:
    """The printed row `row` of table `table` (`"9"`, `"6a"`), or None where the paper has no such row."""
    return next((entry for entry in published_rows() if (entry.table, entry.row) == (table, row)), None)


def published_at(table: str, row: str, milestone: str) -> Published | None:
    """The printed figures of a row at one milestone. A row with several milestones has one printed row for each, named
    `row-milestone` (tables 4 and 5: "T100-N3-st1") or after the milestone alone (table 8: "n140")."""
    printed = (published_row(table, name) for name in (row, f"{row}-{milestone}", milestone))
    return next((entry for entry in printed if entry and entry.milestone == milestone), None)
