"""A study of two rows and results made up for its trials, as a record is given them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from lstm_search.networks import Lstm1997
from lstm_search.record import Record
from lstm_search.search import plain
from lstm_search.spec import (
    Candidate,
    Cell,
    CurvePoint,
    Definition,
    Outcome,
    Reached,
    Row,
    Stop,
    Training,
    Trial,
    TrialResult,
    TrialSpec,
)
from lstm_search.tasks import TemporalOrder

CELL_6A = Cell(TemporalOrder(marks=2), Lstm1997(blocks=2), Training(0.5), (Stop(max_wrong=0),))
CELL_6B = Cell(TemporalOrder(marks=3), Lstm1997(blocks=3), Training(0.1), (Stop("early"), Stop("late")))
ROW_6A = Row("6a", CELL_6A, 20, 157_000, table="9", published="6a", readings=(("reset", "every sequence"),))
ROW_6B = Row("6b", CELL_6B, 10, 2_850_000, table="9", published="6b", altered=(("training.rate", "0.1"),))
TABLE_9 = Definition("table_9", 7, (ROW_6A, ROW_6B), "Temporal order", "table: 9\n")


def made_up(asked: TrialSpec, outcome: Outcome = Outcome.SOLVED, **changes: object) -> TrialResult:
    """A result as a worker would hand it in; which one depends on the trial's key alone."""
    sequences = 1000 + int(asked.key[:4], 16)
    error = int(asked.key[4:8], 16) / 7
    values = {
        "key": asked.key,
        "outcome": outcome,
        "sequences": sequences,
        "steps": 105 * sequences,
        "milestones": (Reached("solved", sequences, 2560, 1, error),) if outcome == Outcome.SOLVED else (),
        "curve": (CurvePoint(10, error, 0.75), CurvePoint(sequences, error / 3, 0.5)),
        "weights": asked.key.encode(),
        "weights_sha256": asked.key[::-1],
        "seconds": 0.1,
        "host": "here",
    }
    return TrialResult(**(values | changes))  # type: ignore[arg-type]  # the values of a dataclass by name


def batch(trials: list[TrialSpec], outcome: Outcome = Outcome.SOLVED) -> list[Trial]:
    return [Trial(asked, made_up(asked, outcome)) for asked in trials]


def missing(record: Record, row: Row) -> list[TrialSpec]:
    """The row's trials that a study would train now: what its search asks for once it knows the record."""
    search = plain([row], record.definition().seed)
    search.resume([Candidate((), (row,), "")], record.known(record.rows()))
    return search.ask(search.remaining)


WEIGHTS = {"hidden": np.arange(6.0), "output": np.ones(2)}


def archive(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def whole(home: Path) -> list[Trial]:
    """A record of eight trials with weights that are what they say."""
    found = []
    digest = hashlib.sha256(WEIGHTS["hidden"].tobytes() + WEIGHTS["output"].tobytes()).hexdigest()
    with Record.open(home, TABLE_9) as record:
        for row in (ROW_6A, ROW_6B):
            for asked in row.trials(TABLE_9.seed)[:4]:
                result = made_up(asked, weights=archive(WEIGHTS), weights_sha256=digest)
                found.append(Trial(asked, result))
        record.add(found)
    return found
