"""Searches whose driver is killed again and again, in one lane: there what is tried next follows from what is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.faults import ALL, CELL, Held, Line, Study, drawn, killed, scaled, tell
from helpers.program import ALONE, looked_up

pytestmark = pytest.mark.usefixtures("kernels", "witness")

FRESH = 1000
"""The first replicate on which finalists are confirmed: one that the witness knows."""

CONFIRM = scaled(20, 6)
SHORT = CELL.replace("task.T=50", "task.T=10")
LANE = f"{ALONE} execute.width=1 execute.slice_seconds=0.01 cap=20000 study=found"
RATE = "training.rate=tag(log,interval(0.1,1))"
RACE = f"search.blocks=[3,6,9] replicates=9 search.confirm={CONFIRM} search.finalists=2 search.fresh_from={FRESH}"
RANDOM = f"run {SHORT} {RATE} search=race search.proposer=random search.cells={scaled(10, 4)} {RACE} {LANE}"
TPE = f"run {SHORT} {RATE} training.slope_added=interval(0,0.4) search=tpe search.cells=20 {RACE} {LANE}"
JOINT = (
    "run table=witness conf=conf search=race search.joint=true search.objective=success training.rate=0.2,0.3,0.5,1 "
    f"{RACE} {LANE}"
)

TABLE = """\
title: "Two lengths"
common: {task: watched, trials: 9, cap: 20000}
rows:
  short: {task.T: 10}
  long: {task.T: 15}
"""
TASK = """\
# @package _global_
# Temporal order, watched
task: {name: witness}
network: {init: 0.1, input_gate_bias: [-2, -4]}
stop: {tolerance: 0.3, mean_error: 0.1}
"""


def made(folder: Path, line: str) -> Study:
    for name, text in (("table/table_witness.yaml", TABLE), ("task/watched.yaml", TASK)):
        path = folder / "conf" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return Study(folder, line, name="found")


def counted(study: Study, *, confirming: bool = False) -> int:
    """Recorded trials: all, or those by which the finalists are confirmed."""
    study.recorded()
    least = FRESH if confirming else 0
    return len(looked_up(study.home, study.name, f"SELECT key FROM trials WHERE replicate >= {least}"))  # noqa: S608


def disturbed(folder: Path, fault: str, line: str, whole: int, *, confirming: bool = False) -> tuple[Study, int]:
    """A search of about `whole` trials, or confirming ones, that is killed at several points and then ends."""
    study, random, times = made(folder, line), drawn(f"{fault} {folder.name}"), 0
    points = sorted(random.choices(range(whole), k=scaled(5, 2)))
    tell(f"SIGKILL after so many trials{' that confirm' * confirming}: {points}")
    for after in points:
        least = max(after, int(confirming))
        due = lambda: counted(study, confirming=confirming) >= least  # noqa: B023, E731  (called at once)
        times += bool(killed(study, due, delay=random.uniform(0, 0.02)))
    study.finish()
    assert times, "no run was killed"
    return study, times


SEARCHES = [
    ("SIGKILL of a race that confirms its best", RANDOM, 2 * CONFIRM, True),
    ("SIGKILL of the confirmation of a race by TPE", TPE, 2 * CONFIRM, True),
    ("SIGKILL of a race over drawn cells", RANDOM, 60, False),
    ("SIGKILL of a joint race over two rows", JOINT, 50, False),
]


@pytest.mark.parametrize(("fault", "line", "whole", "confirming"), SEARCHES if ALL else SEARCHES[:1])
def test_a_killed_search_ends_as_one_that_was_not(
    fault: str, line: str, whole: int, *, confirming: bool, tmp_path: Path, held: Held
) -> None:
    undisturbed, lines = made(tmp_path / "undisturbed", line), []
    undisturbed.finish()
    for n in range(scaled(4, 1)):
        study, times = disturbed(tmp_path / str(n), fault, line, whole, confirming=confirming)
        lines.append(study.came_of(fault, times, undisturbed.hash()))
    total = sum(lines[1:], lines[0])
    held(total, 3 * total.times)


@pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it")
def test_a_killed_search_by_tpe_goes_on_with_what_is_known(tmp_path: Path, held: Held) -> None:
    """What it proposes next depends on its own draws so far, which end with it; so the cells may be others. Each trial
    that both have has the same bits."""
    fault = "SIGKILL of a race over cells that TPE proposes"
    undisturbed, lines, both = made(tmp_path / "undisturbed", TPE), [], 0
    undisturbed.finish()
    for n in range(scaled(4, 1)):
        study, times = disturbed(tmp_path / str(n), fault, TPE, 120)
        mine, theirs = study.bits(), undisturbed.bits()
        common = mine.keys() & theirs.keys()
        both += len(common)
        assert common
        lost, twice, again = study.lost(), study.twice(), study.again()
        equal = int(all(mine[key] == theirs[key] for key in common))
        lines.append(Line(fault, times, len(mine), lost, twice, again, equal))
    total: Line = sum(lines[1:], lines[0])
    held(total.said(f"cells may be others; compared: the bits of {both} trials that both have"), 3 * total.times)
