"""Trials that end badly or never, each in a way of its own, among others that are fine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.faults import ALL, S300, Held, Line, Study, drawn, tell
from helpers.program import ALONE

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="takes minutes; LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS, TIMEOUT = 60, 45
HARMS = ("diverges", "raises", "segfaults", "eats memory", "never ends", "hangs")

FAULT = f"one trial each that {', '.join(HARMS)}"


class Found(NamedTuple):
    """What is recorded of a trial."""

    key: str
    outcome: str
    attempts: int
    error: str
    finished_at: str


def found(study: Study) -> dict[int, Found]:
    with closing(sqlite3.connect(study.home / "s300.sqlite")) as db:
        rows = db.execute("SELECT replicate, key, outcome, attempts, error, finished_at FROM trials").fetchall()
    return {replicate: Found(*rest) for replicate, *rest in rows}


def test_trials_that_misbehave_end_as_they_should_and_harm_no_other(tmp_path: Path, held: Held) -> None:
    undisturbed = Study(tmp_path / "undisturbed", f"{S300} replicates={TRIALS} {ALONE}", TRIALS)
    undisturbed.finish()
    bad = dict(zip(drawn("trials").sample(range(TRIALS), len(HARMS)), HARMS, strict=True))
    tell(bad)
    study = Study(tmp_path / "disturbed", f"{S300} replicates={TRIALS} tracking=none", TRIALS)
    study.harm(bad)
    study.finish(f"execute.workers=2 execute.timeout={TIMEOUT}")
    now = found(study)
    ends = {harm: now[replicate] for replicate, harm in bad.items()}
    assert {harm: end.outcome for harm, end in ends.items()} == dict(
        zip(HARMS, ("DIVERGED", "FAILED", "LOST", "OOM", "TIMEOUT", "TIMEOUT"), strict=True)
    )
    assert {harm: end.attempts for harm, end in ends.items()} == dict(zip(HARMS, (1, 1, 3, 3, 1, 1), strict=True))
    assert "Traceback" in ends["raises"].error
    assert "ZeroDivisionError" in ends["raises"].error
    wrong = {end.key for end in ends.values()}
    mine, theirs = study.bits(), undisturbed.bits()
    equal = all(mine[key] == theirs[key] for key in theirs.keys() - wrong)
    begun = [replicate for _, replicate in study.begun()]
    again = {harm: begun.count(number) - 1 for number, harm in bad.items()}
    late = seconds_late(study, next(number for number, harm in bad.items() if harm == "never ends"))
    line = Line(FAULT, len(HARMS), TRIALS, study.lost(), study.twice(), study.again(), int(equal))
    told = ", ".join(f"{harm}: {count}" for harm, count in again.items() if count)
    told = f"of those trained again: {told}; the endless one ended {late:.1f} s after its limit"
    held(line.said(f"compared: all others; {told}"), TRIALS * len(HARMS))


def seconds_late(study: Study, replicate: int) -> float:
    """How long after its limit a trial was recorded, counted from when it was begun last."""
    ended = datetime.fromisoformat(found(study)[replicate].finished_at).timestamp()
    return ended - study.last_begun(replicate) - TIMEOUT
