"""A record of version 1 is shown and resumed without training: its keys change, all else stays.

`data/version-1.sqlite` was written by the last release of version 1, `data/version-1.csv` is its export of it. Its
trials were capped at 100 and repeated with a higher cap; an attempt at the fourth was lost. Of their weights only the
SHA-256 is left, which stands in their place.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest
from helpers.records import missing

from lstm_search import config, study
from lstm_search.cli.dispatch import main
from lstm_search.cli.shell import Exit
from lstm_search.record import Record
from lstm_search.record import record as record_module
from lstm_search.report import export_trials
from lstm_search.spec import Definition

NAME = "version-1"
DATA = Path(__file__).parent / "data"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copy(DATA / f"{NAME}.sqlite", tmp_path)
    return tmp_path


def asked() -> Definition:
    words = f"task=temporal_order_6a task.T=10 execute=inline tracking=none study={NAME} replicates=4 cap=100000"
    return config.compose(words.split()).definition


def shown(record: Record) -> str:
    return export_trials(record.definition().rows, record.trials(), "csv")


def without_keys(lines: str) -> list[tuple[str, ...]]:
    """The lines of an export up to the weights, but for the trial's key and the cell's digest."""
    return [(line.split(",")[1], *line.split(",")[3:11]) for line in lines.splitlines()]


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def change(home: Path, *statements: str) -> bytes:
    with closing(sqlite3.connect(home / f"{NAME}.sqlite")) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return (home / f"{NAME}.sqlite").read_bytes()


@pytest.mark.parametrize("writable", [True, False])
def test_it_is_shown_and_its_file_stays_as_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, *, writable: bool
) -> None:
    # Root may write anywhere.
    monkeypatch.setattr(record_module.os, "access", lambda _, mode: writable or mode != os.W_OK)
    before = (home / f"{NAME}.sqlite").read_bytes()
    with Record.read(home, NAME) as record:
        assert without_keys(shown(record)) == without_keys((DATA / f"{NAME}.csv").read_text())
        trials = record.trials()["temporal_order_6a"]
        assert [trial.result.key for trial in trials] == [trial.spec.key for trial in trials]
        record.narrow(asked())
    assert (home / f"{NAME}.sqlite").read_bytes() == before
    assert [path.name for path in home.iterdir()] == [f"{NAME}.sqlite"]


def test_a_driver_brings_it_up_to_date_and_misses_only_what_was_never_trained(home: Path) -> None:
    with Record.read(home, NAME) as record:
        before = shown(record)
    (row,), seed = asked().rows, asked().seed
    specs = row.trials(seed)
    with Record.open(home, asked()) as record:
        assert missing(record, row) == [specs[3]]
        assert record.attempts() == {specs[3].key: 1}
        assert shown(record) == before
        for trial in record.trials()[row.name]:
            assert record.weights(trial.spec.key).decode() == trial.result.weights_sha256
        archived = record._query("SELECT key, cell, replicate FROM archive ORDER BY replicate")
        assert [tuple(entry) for entry in archived] == [
            (spec.key, row.cell.digest, spec.replicate) for spec in specs[:3]
        ]
        assert record._query("PRAGMA integrity_check")[0][0] == "ok"
        assert record._query("PRAGMA foreign_key_check") == []
    after = (home / f"{NAME}.sqlite").read_bytes()
    with Record.open(home, asked()), Record.read(home, NAME) as record:
        assert shown(record) == before
    assert (home / f"{NAME}.sqlite").read_bytes() == after


def test_it_is_resumed_without_training_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_starts(*_: object, **__: object) -> None:
        pytest.fail("an executor was opened")

    monkeypatch.setattr(study, "open_executor", nothing_starts)
    words = f"task=temporal_order_6a task.T=10 execute=inline tracking=none study={NAME} replicates=3 cap=100000"
    settings = config.compose(words.split())
    assert study.run(settings.definition, home, settings.execute).left == 0


def test_a_record_of_the_first_format_too(home: Path) -> None:
    with Record.read(home, NAME) as record:
        before = shown(record)
    change(
        home, "ALTER TABLE rows DROP COLUMN first", "ALTER TABLE rows DROP COLUMN purpose", "PRAGMA user_version = 1"
    )
    with Record.read(home, NAME) as record:
        assert shown(record) == before
    with Record.open(home, asked()) as record:
        assert len(missing(record, asked().rows[0])) == 1


CONTRADICTIONS = {
    "another replicate": ("UPDATE trials SET replicate = 9 WHERE replicate = 2", "the key of a trial"),
    "another cell": ("UPDATE cells SET description = replace(description, '2560', '2561')", "the key of a cell"),
    "another seed": ("UPDATE study SET seed = '1998'", "the key of a trial"),
    "an archived key": ("UPDATE archive SET key = 'ab' WHERE replicate = 1", "the key of a trial"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_key_that_is_not_that_of_its_settings_is_refused(case: str, home: Path) -> None:
    statement, message = CONTRADICTIONS[case]
    before = change(home, statement)
    for opening in (lambda: Record.open(home, asked()), lambda: Record.read(home, NAME)):
        with pytest.raises(ValueError, match=rf"{NAME}\.sqlite: {message} is not .*recover study=NAME"):
            opening()
    assert (home / f"{NAME}.sqlite").read_bytes() == before


def open_and_die(home: Path, statement: str) -> None:
    connect = record_module.recordfile.connect

    def with_an_end(path: Path, mode: str) -> sqlite3.Connection:
        db = connect(path, mode)
        db.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
        db.set_trace_callback(lambda text: os.kill(os.getpid(), signal.SIGKILL) if text.startswith(statement) else None)
        return db

    record_module.recordfile.connect = with_an_end
    Record.open(home, asked())


@pytest.mark.parametrize("statement", ["UPDATE milestones", "UPDATE study", "COMMIT"])
def test_a_killed_upgrade_leaves_the_old_record(home: Path, statement: str) -> None:
    before = content(home / f"{NAME}.sqlite")
    driver = get_context("fork").Process(target=open_and_die, args=(home, statement))
    driver.start()
    driver.join()
    assert driver.exitcode == -signal.SIGKILL
    assert content(home / f"{NAME}.sqlite") == before
    with Record.open(home, asked()) as record:
        assert len(missing(record, asked().rows[0])) == 1


def test_an_old_key_is_answered_with_the_new_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "b583891a5f977b1a3a6b85bccad72239807be55ab74294958db9c5f5b68e9ce6"
    new = asked().rows[0].trials(asked().seed)[1].key
    for prefix in (key, key[:12]):
        assert main(["replay", prefix, f"home={home}", "tracking=none"]) == Exit.BAD_INPUT
        assert f"It is a key of an earlier release: the trial of study {NAME} now has {new}" in capsys.readouterr().err
    with Record.open(home, asked()) as record:
        assert (record.renewed(key), record.renewed("f" * 64)) == (new, None)
    assert main(["replay", "f" * 12, f"home={home}", "tracking=none"]) == Exit.BAD_INPUT
    assert "earlier release" not in capsys.readouterr().err


def test_a_default_that_has_changed_is_no_other_trial(home: Path) -> None:
    """A cell's description names all settings, so one whose default is another now is not taken for it."""
    Record.open(home, asked()).close()
    before = change(home, "UPDATE cells SET description = replace(description, '2560', '2561')")
    for opening in (lambda: Record.open(home, asked()), lambda: Record.read(home, NAME).definition()):
        with pytest.raises(ValueError, match="not recorded under its own digest"):
            opening()
    assert (home / f"{NAME}.sqlite").read_bytes() == before
