"""Whatever is changed in a record is found without MLflow, and what was not changed is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.records import WEIGHTS, archive, whole

from lstm_search.record import Record, RecordDamaged, findings, rescued
from lstm_search.record.archive import weights_sha256


def change(home: Path, statement: str, *values: object) -> None:
    """Of one trial where the statement says so."""
    whose = statement.replace("WHERE ONE", "WHERE key = (SELECT min(key) FROM trials)")
    with closing(sqlite3.connect(home / "table_9.sqlite")) as db, db:
        assert db.execute(whose, values).rowcount > 0


TAMPERED = {
    "outcome": "UPDATE trials SET outcome = 'CAPPED' WHERE ONE",
    "sequences": "UPDATE trials SET sequences = sequences - 1 WHERE ONE",
    "steps": "UPDATE trials SET steps = 7 WHERE ONE",
    "cap": "UPDATE trials SET cap = cap + 1 WHERE ONE",
    "seconds": "UPDATE trials SET seconds = seconds / 2 WHERE ONE",
    "attempts": "UPDATE trials SET attempts = 2 WHERE ONE",
    "host": "UPDATE trials SET host = 'elsewhere' WHERE ONE",
    "a learning curve": "UPDATE trials SET curve = substr(curve, 25) WHERE ONE",
    "a piece of a learning curve": "UPDATE trials SET curve = x'00' WHERE ONE",
    "the name of weights": "UPDATE trials SET weights_sha256 = 'ab' WHERE ONE",
    "a key": "UPDATE trials SET key = 'ab' || substr(key, 3) WHERE ONE",
    "a replicate": "UPDATE trials SET replicate = 900 WHERE ONE",
    "a cell of a trial": "UPDATE trials SET replicate = 900, cell = (SELECT max(digest) FROM cells) WHERE ONE",
    "settings": "UPDATE cells SET description = replace(description, '0.5', '0.4')",
    "a milestone": "UPDATE milestones SET sequences = 3 WHERE ONE",
    "a test": "UPDATE milestones SET test_wrong = 0 WHERE ONE",
    "a milestone less": "DELETE FROM milestones WHERE ONE",
    "a milestone more": "INSERT INTO milestones SELECT key, 9, 'late', 1, 1, 0, 0.0 FROM trials LIMIT 1",
    "a digest": "UPDATE trials SET digest = 'ab' WHERE ONE",
    "a milestone of no trial": "INSERT INTO milestones VALUES ('ab', 0, 'solved', 1, 1, 0, 0.0)",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_changed_value_is_found(what: str, tmp_path: Path) -> None:
    whole(tmp_path)
    assert findings(tmp_path, "table_9") == []
    change(tmp_path, TAMPERED[what])
    assert findings(tmp_path, "table_9")


def test_changed_weights_are_found(tmp_path: Path) -> None:
    trials = whole(tmp_path)
    for weights in (archive(WEIGHTS | {"output": np.zeros(2)}), b"no archive", archive(WEIGHTS)[:-1]):
        change(tmp_path, "UPDATE trials SET weights = ? WHERE key = ?", weights, trials[0].result.key)
        assert findings(tmp_path, "table_9") == [
            f"trial {trials[0].result.key[:12]}: its weights are not those that were written"
        ]


def test_whatever_bit_of_weights_is_flipped_is_found_or_means_nothing(tmp_path: Path) -> None:
    trials = whole(tmp_path)
    good, told = archive(WEIGHTS), 0
    for place in range(8 * len(good)):
        changed = bytearray(good)
        changed[place // 8] ^= 1 << place % 8
        told += weights_sha256(bytes(changed)) != trials[0].result.weights_sha256
    assert told > 4 * len(good)
    changed = bytearray(good)
    changed[good.index(b"PK\x01\x02") + 10] ^= 16  # how the first array is packed
    change(tmp_path, "UPDATE trials SET weights = ? WHERE key = ?", bytes(changed), trials[0].result.key)
    assert len(findings(tmp_path, "table_9")) == 1
    with Record.read(tmp_path, "table_9") as record, pytest.raises(RecordDamaged, match=r"its weights cannot be read"):
        record.arrays(trials[0].result.key)


def test_trials_of_earlier_releases_have_no_digest(tmp_path: Path) -> None:
    whole(tmp_path)
    change(tmp_path, "UPDATE trials SET digest = '', sequences = sequences + 1")
    assert findings(tmp_path, "table_9") == []


def test_the_digest_is_that_of_all_values_but_the_words_of_an_error(tmp_path: Path) -> None:
    trial = whole(tmp_path)[0]
    assert replace(trial, result=replace(trial.result, error="said otherwise")).digest == trial.digest
    assert replace(trial, attempts=2).digest != trial.digest


def overwrite(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xff" * 4096)


def test_of_a_damaged_file_what_can_be_read_is_kept(tmp_path: Path) -> None:
    trials = {trial.result.key: trial for trial in whole(tmp_path)}
    path = tmp_path / "table_9.sqlite"
    before, some = path.read_bytes(), 0
    for page in range(1, len(before) // 4096):
        overwrite(path, page)
        found = findings(tmp_path, "table_9")
        assert found, page
        for trial in rescued(tmp_path, "table_9").trials:
            assert trial == trials[trial.result.key]
            some += 1
        path.write_bytes(before)
    assert some > len(trials)


def test_a_damaged_name_of_a_column_is_damage(tmp_path: Path) -> None:
    """SQLite has no code for it: it was told as a defect of the program."""
    whole(tmp_path)
    path = tmp_path / "table_9.sqlite"
    for name in (b"attempts", b"ordinal"):
        before = path.read_bytes()
        for other in (b"x" * len(name), b"\xcc" * len(name)):
            path.write_bytes(before.replace(name, other))
            assert findings(tmp_path, "table_9")
        path.write_bytes(before)


def test_a_damaged_file_is_named_with_the_verb_that_helps(tmp_path: Path) -> None:
    whole(tmp_path)
    path = tmp_path / "table_9.sqlite"
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'rows'").fetchone()
    overwrite(path, page - 1)
    with (
        pytest.raises(RecordDamaged, match="lstm-search recover study=table_9"),
        Record.read(tmp_path, "table_9") as it,
    ):
        it.definition()
