"""The trials behind the reports, as they are shipped with the package: one CSV file a study, written by `export`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from lstm_search.spec import Definition, Outcome, Reached, Trial, TrialResult, TrialSpec

FOLDER = Path(__file__).parent / "shipped_trials"


def studies(folder: Path = FOLDER) -> list[str]:
    """The names of the shipped studies, sorted."""
    return sorted(path.stem for path in folder.glob("*.csv"))


def trials(asked: Definition, folder: Path = FOLDER) -> Mapping[str, Sequence[Trial]]:
    """The shipped trials of the study, by row; without learning curves and weights.

    Raises ValueError where the study is not shipped, or not with these settings: its keys say so."""
    if asked.name not in studies(folder):
        raise ValueError(f"source=shipped: has no study {asked.name or '(none chosen)'}; {', '.join(studies(folder))}")
    with (folder / f"{asked.name}.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    found = {key: _result(list(ends)) for key, ends in groupby(lines, key=lambda line: line["key"])}
    wanted = {row.name: row.trials(asked.seed) for row in asked.rows}
    chosen = {name: [_trial(spec, found) for spec in specs if spec.key in found] for name, specs in wanted.items()}
    for name, some in chosen.items():
        if not some:
            raise ValueError(
                f"source=shipped: study {asked.name} has no trial of row {name} with seed={asked.seed} and these "
                "settings; give those it was run with"
            )
    return chosen


def _trial(spec: TrialSpec, found: Mapping[str, tuple[TrialResult, Sequence[Mapping[str, str]]]]) -> Trial:
    result, ends = found[spec.key]
    tests = {stop.milestone: stop.test_sequences for stop in spec.cell.stop}
    reached = (_reached(line, tests.get(line["milestone"], 0)) for line in ends if line["milestone"])
    return Trial(spec, TrialResult(**{**vars(result), "milestones": tuple(reached)}))


def _result(lines: Sequence[Mapping[str, str]]) -> tuple[TrialResult, Sequence[Mapping[str, str]]]:
    last = lines[-1]
    result = TrialResult(
        last["key"],
        Outcome(last["outcome"]),
        sequences=max(map(_count, lines)),
        steps=0,
        weights_sha256=last["weights_sha256"],
        seconds=float(last["seconds"]),
    )
    return result, lines


def _count(line: Mapping[str, str]) -> int:
    """Training sequences, or draws: the column is named by what was counted."""
    return int(line["sequences"] if "sequences" in line else line["draws"])


def _reached(line: Mapping[str, str], tested: int) -> Reached:
    return Reached(line["milestone"], _count(line), tested, int(line["test_wrong"]), float(line["test_error"]))
