"""The trials behind the reports, as they are shipped with the package: one CSV file a study, written by `export`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from lstm_search.spec import Definition, Outcome, Reached, Trial, TrialSpec, from_plain, trial_from_plain

FOLDER = Path(__file__).parent / "shipped_trials"


def studies(folder: Path = FOLDER) -> list[str]:
    """The names of the shipped studies, sorted."""
    return sorted(path.stem for path in folder.glob("*.csv"))


def counts(name: str, folder: Path = FOLDER) -> dict[str, Counter[Outcome]]:
    """How many trials of a shipped study ended how, by row name."""
    found: dict[str, Counter[Outcome]] = {}
    for lines in _lines_by_key(folder / f"{name}.csv").values():
        found.setdefault(lines[-1]["row"], Counter())[Outcome(lines[-1]["outcome"])] += 1
    return found


def trials(asked: Definition, folder: Path = FOLDER) -> Mapping[str, Sequence[Trial]]:
    """The shipped trials of the study, by row; without learning curves and weights.

    Raises ValueError where the study is not shipped, or not with these settings: its keys say so."""
    if asked.name not in studies(folder):
        raise ValueError(f"source=shipped: has no study {asked.name or '(none chosen)'}; {', '.join(studies(folder))}")
    ends = _lines_by_key(folder / f"{asked.name}.csv")
    chosen = {
        row.name: [_trial(spec, ends[spec.key]) for spec in row.trials(asked.seed) if spec.key in ends]
        for row in asked.rows
    }
    for name, some in chosen.items():
        if not some:
            raise ValueError(
                f"source=shipped: study {asked.name} has no trial of row {name} with seed={asked.seed} and these "
                "settings; give those it was run with"
            )
    return chosen


def _lines_by_key(path: Path) -> dict[str, list[dict[str, str]]]:
    """The lines of each trial, one a milestone, and a last one where it missed some."""
    with path.open(encoding="utf-8", newline="") as file:
        return {key: list(lines) for key, lines in groupby(csv.DictReader(file), key=itemgetter("key"))}


def _trial(spec: TrialSpec, lines: Sequence[Mapping[str, str]]) -> Trial:
    """A trial from its lines. How many sequences a test had is what its stop rule says; a milestone without one had
    none."""
    unit = spec.cell.unit
    tests = {stop.milestone: stop.test_sequences for stop in spec.cell.stop}
    reached = [
        from_plain(Reached, {**line, "name": name, "sequences": line[unit], "test_sequences": tests.get(name, 0)})
        for line in lines
        if (name := line["milestone"])
    ]
    sequences = max(int(line[unit]) for line in lines)
    plain = {**lines[-1], "cap": spec.cap, "sequences": sequences, "steps": 0, "milestones": reached}
    return trial_from_plain(spec.cell, spec.seed, plain)
