"""Which of 24 configurations of adding T=100 is the best: trials that a race takes, beside a grid of 30 replicates.

python benchmarks/search.py [--repetitions 200] [--rounds 3] [--write]; PEERS=1 in the environment adds what a short
trial costs in this project's driver and in Ray Tune, which is installed into .peers-search/ from peers-search.txt.

Nothing is trained for the race: its trials are drawn, with replacement, from the 100 recorded ones of each cell in
adding-24.csv. `python benchmarks/search.py record HOME` writes that file from the study adding-24 in the folder HOME,
which `lstm-search run` made with study=adding-24 replicates=100 seed=2026 and the words of SPACE.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench import output_of, processor, rows, spread

from lstm_search.record import Record
from lstm_search.search import Search, SearchSettings, Space, finalists
from lstm_search.spec import Candidate, Outcome, Purpose, Reached, Row, Trial, TrialResult, TrialSpec
from lstm_search.stats import expected_running_time, success_interval

HERE = Path(__file__).parent
RECORDED = HERE / "adding-24.csv"
ROOT = HERE.parent
PEERS = ROOT / ".peers-search"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
MARKERS = "<!-- search: begin -->", "<!-- search: end -->"
STUDY, RECORDED_TRIALS = "adding-24", 100
SPACE = (
    "table=7",
    "rows=T100",
    "training.rate=0.25,0.5",
    "network.recurrent=all,cells,none",
    "network.cell_bias=random,none",
    "network.output=logistic,linear",
)
REPLICATES, LANES = 30, 32
SETTINGS = SearchSettings("race", blocks=(5, 10, 20, REPLICATES), error=0.05, finalists=1, confirm=1)

Codes = Mapping[str, Sequence[int]]
"""Trials by row name: training sequences of one that solved, minus those after which another was censored."""


@dataclass(frozen=True)
class Field:
    """The rows of a field as a base with one axis, their number."""

    rows: tuple[Row, ...]
    name: str = "field"
    keys: tuple[str, ...] = ("cell",)
    lacks: tuple[str, ...] = ()
    replicates: int = REPLICATES
    purpose: Purpose = "race"

    def row(self, point: Mapping[str, int]) -> Row:
        """The row of this number."""
        return self.rows[point["cell"]]

    def point(self, row: Row) -> Mapping[str, Any] | None:
        """The number of the row."""
        return {"cell": self.rows.index(row)} if row in self.rows else None


class Repetition(NamedTuple):
    """A race and a grid on the same draws: trials and training sequences of each, the row each picks, those dropped."""

    trials: int
    sequences: int
    grid_sequences: int
    picked: str
    grid_picked: str
    dropped: frozenset[str]


def record(home: Path, study: str = STUDY) -> str:
    """The study's trials as lines of a CSV: the name of a row, and a code for each trial."""
    lines = []
    with Record.read(home, study) as recorded:
        trials = recorded.trials(curves=False)
        for row in recorded.definition().rows:
            milestone = row.cell.stop[-1].milestone
            ended = [row.times([result], milestone) for result in row.finished(trials[row.name])]
            codes = [reached[0] if reached else -censored[0] for reached, censored in ended]
            lines.append(",".join([row.name, *map(str, codes)]))
    return "\n".join(lines) + "\n"


def recorded_codes(path: Path = RECORDED) -> dict[str, list[int]]:
    """What `record` wrote."""
    lines = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: [int(code) for code in codes] for name, *codes in lines}


def field_of(codes: Codes) -> list[Row]:
    """The rows that compete, each with as many replicates as the grid trains."""
    field = [row for row in rows(*SPACE, f"replicates={REPLICATES}") if row.name in codes]
    if len(field) != len(codes):
        raise ValueError(f"{RECORDED.name} has {len(codes)} rows, and {len(field)} of the space; make it with `record`")
    return field


def running_time(codes: Sequence[int]) -> float:
    """ERT of trials, in training sequences."""
    time = expected_running_time([code for code in codes if code > 0], [-code for code in codes if code < 0])
    return float("inf") if time is None else time


def result(row: Row, code: int) -> TrialResult:
    """A trial's result as far as a search looks at it."""
    if code < 0:
        return TrialResult("", Outcome.CAPPED, -code, steps=0)
    reached = Reached(row.cell.stop[-1].milestone, code, test_sequences=0, test_wrong=0, test_error=0.0)
    return TrialResult("", Outcome.SOLVED, code, steps=0, milestones=(reached,))


def repetition(field: Sequence[Row], codes: Codes, seed: int) -> Repetition:
    """Draw every cell's replicates from its recorded trials, and search among them by race and by grid."""
    rng = np.random.default_rng(seed)
    drawn = {
        row.name: [
            Trial(spec, result(row, int(code)))
            for spec, code in zip(row.trials(seed), rng.choice(codes[row.name], REPLICATES), strict=True)
        ]
        for row in field
    }
    trained, candidates = race(field, drawn, seed)
    return Repetition(
        sum(map(len, trained.values())),
        spent(trained),
        spent(drawn),
        pick(candidates, trained),
        pick([replace(one, left="") for one in candidates], drawn),
        frozenset(one.name for one in candidates if one.left),
    )


def race(
    field: Sequence[Row], drawn: Mapping[str, Sequence[Trial]], seed: int
) -> tuple[dict[str, list[Trial]], list[Candidate]]:
    """The trials that a race trains, by row name, and its candidates as they ended. Time is counted in training
    sequences: all lanes are equally fast, and a lane that is free is refilled at once."""
    searcher = Search(Space((Field(tuple(field)),), {"cell": range(len(field))}), SETTINGS, seed)
    name_of = {row.cell.digest: row.name for row in field}
    trained: dict[str, list[Trial]] = {row.name: [] for row in field}
    lanes: list[tuple[int, int, TrialSpec]] = []
    now, order = 0, count()
    while searcher.remaining or lanes:
        for spec in searcher.ask(LANES - len(lanes)):
            takes = drawn[name_of[spec.cell.digest]][spec.replicate].result.sequences
            heapq.heappush(lanes, (now + takes, next(order), spec))
        if not lanes:
            break
        now, _, spec = heapq.heappop(lanes)
        name = name_of[spec.cell.digest]
        trained[name].append(drawn[name][spec.replicate])
        searcher.tell(trained[name][-1:])
    return trained, searcher.candidates()


def spent(trials: Mapping[str, Sequence[Trial]]) -> int:
    """Training sequences."""
    return sum(trial.result.sequences for some in trials.values() for trial in some)


def pick(candidates: Sequence[Candidate], trials: Mapping[str, Sequence[Trial]]) -> str:
    """The row that a study would train again as the best."""
    (best,) = finalists(SETTINGS, candidates, trials)
    return best.name


def repeated(title: str, field: Sequence[Row], codes: Codes, repetitions: int) -> list[Repetition]:
    """As many repetitions, with seeds from 0 on."""
    found = []
    for seed in range(repetitions):
        found.append(repetition(field, codes, seed))
        if (seed + 1) % 20 == 0:
            print(f"{title}: {seed + 1} of {repetitions} repetitions", file=sys.stderr)
    return found


def rate(k: int, n: int) -> str:
    """So many of n, with the exact interval."""
    low, high = success_interval(k, n)
    return f"{k} of {n} [{100 * low:.1f} to {100 * high:.1f} %]"


def described(codes: Codes, found: Sequence[Repetition]) -> list[str]:
    """One column of the table of fields."""
    times = {name: running_time(some) for name, some in codes.items()}
    best = min(times, key=times.__getitem__)
    n, grid = len(found), len(codes) * REPLICATES
    trials = [one.trials for one in found]
    work = sum(one.sequences for one in found) / sum(one.grid_sequences for one in found)
    losses = [
        np.mean([times[name] / times[best] - 1 for name in names])
        for names in ([one.picked for one in found], [one.grid_picked for one in found])
    ]
    return [
        f"{np.mean(trials):.0f} ({min(trials)}-{max(trials)})",
        str(grid),
        f"{np.mean(trials) / grid:.3f} ({max(trials) / grid:.3f})",
        f"{work:.3f}",
        rate(sum(one.picked == best for one in found), n),
        rate(sum(one.grid_picked == best for one in found), n),
        rate(sum(best in one.dropped for one in found), n),
        *(f"{100 * loss:.2f} %" for loss in losses),
    ]


LINES = (
    "trials of the race: mean (least-most)",
    "trials of the grid",
    "share of the grid's trials: mean (most)",
    "share of the grid's training sequences",
    "the race picks the best cell",
    "the grid picks the best cell",
    "the race drops the best cell",
    "ERT of the race's pick above the best cell's, mean",
    "ERT of the grid's pick above the best cell's, mean",
)


def alike(field: Sequence[Row], codes: Codes, repetitions: int) -> str:
    """How often cells are dropped that are all alike: each has the trials of the best."""
    best = min(codes.values(), key=running_time)
    found = repeated("all cells alike", field, dict.fromkeys(codes, best), repetitions)
    name, dropped = field[0].name, sum(len(one.dropped) for one in found)
    one, some = sum(name in one.dropped for one in found), sum(bool(one.dropped) for one in found)
    return (
        f"All cells alike (each of the {len(field)} has the trials of the best): a given cell is dropped in "
        f"{rate(one, repetitions)} repetitions, and {dropped} of {len(field) * repetitions} cells are "
        f"({100 * dropped / len(field) / repetitions:.2f} %); the budget is {100 * SETTINGS.error:g} %. "
        f"Some cell is dropped in {some} repetitions."
    )


def simulated(repetitions: int) -> list[str]:
    """Markdown: the race beside the grid in both fields, and its false drops."""
    codes = recorded_codes()
    linear = {name: some for name, some in codes.items() if "output=linear" in name}
    fields = {f"all {len(codes)} cells": codes, f"the {len(linear)} with linear output": linear}
    columns = [described(some, repeated(title, field_of(some), some, repetitions)) for title, some in fields.items()]
    return [
        f"| | {' | '.join(fields)} |",
        "|---|---|---|",
        *(f"| {' | '.join(line)} |" for line in zip(LINES, *columns, strict=True)),
        "",
        alike(field_of(linear), linear, repetitions),
    ]


def peer_python() -> Path:
    """Python with Ray Tune, installed on first use."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        print(f"installing Ray Tune into {PEERS.name}/ (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(HERE / "peers-search.txt")], check=True)
    return python


def milliseconds(*command: str | Path) -> dict[str, float]:
    """A run of a program that prints what `short_trials.told` tells."""
    return dict(json.loads(output_of("env", f"PYTHONPATH={ROOT}", *map(str, command))))


def short_trials(rounds: int) -> list[str]:
    """Markdown: overhead of a short trial here and in Ray Tune, which take turns."""
    ours, tune = "this project, 1 lane a worker", "Ray Tune, reuse_actors=True, 1 lane an actor"
    contestants = {
        ours: (sys.executable, HERE / "short_trials.py", "--width", "1"),
        "this project, 16 lanes a worker": (sys.executable, HERE / "short_trials.py", "--width", "16"),
        tune: (peer_python(), HERE / "peer_tune.py"),
    }
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, command in contestants.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            figures[name].append(milliseconds(*command))
    lines = [
        "| | ms alone | ms of overhead | times Ray Tune's | ms of the driver's processor |",
        "|---|---|---|---|---|",
    ]
    for name, runs in figures.items():
        alone, overhead, driver = ([run[part] for run in runs] for part in ("alone", "overhead", "driver"))
        ratios = [mine / run["overhead"] for mine, run in zip(overhead, figures[tune], strict=True)]
        lines.append(
            f"| {name} | {spread(alone, 1)} | {spread(overhead, 2)} | {spread(ratios, 3)} | {spread(driver, 2)} |"
        )
    return lines


def report(repetitions: int, rounds: int, *, with_peers: bool) -> str:
    """Everything as markdown."""
    command = f"python benchmarks/search.py --repetitions {repetitions}"
    lines = [f"`{command}` on {processor()}.", "", *simulated(repetitions), "", "### A trial of 10 ms"]
    if not with_peers:
        return "\n".join([*lines, "Not measured: PEERS=1 in the environment installs Ray Tune, and measures it."])
    told = (
        f"`PEERS=1 {command} --rounds {rounds}`; two workers on two cores, 500 trials, milliseconds a trial. Median "
        f"(least-greatest) of {rounds} rounds, in which all take turns."
    )
    return "\n".join([*lines, told, "", *short_trials(rounds)])


def write(measured: str) -> None:
    """Puts what was measured between the markers of docs/benchmarks.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = (text.index(marker) for marker in MARKERS)
    DOCUMENT.write_text(f"{text[:begin]}{MARKERS[0]}\n{measured}\n{text[end:]}", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", nargs="*", metavar="record HOME", help="write adding-24.csv anew from a study")
    parser.add_argument("--repetitions", type=int, default=200, help="of the simulation")
    parser.add_argument("--rounds", type=int, default=3, help="of the short trials")
    parser.add_argument("--write", action="store_true", help="put the report into docs/benchmarks.md")
    given = parser.parse_args()
    if given.record:
        if len(given.record) != 2 or given.record[0] != "record":
            parser.error(f"{' '.join(given.record)}: takes nothing, or `record HOME`")
        RECORDED.write_text(record(Path(given.record[1])), encoding="utf-8")
        return
    text = report(given.repetitions, given.rounds, with_peers=os.environ.get("PEERS") == "1")
    print(text)
    if given.write:
        write(text)


if __name__ == "__main__":
    main()
