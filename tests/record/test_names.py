"""Names of studies and folders that hold them: refused, or taken as they are."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.records import ROW_6A, TABLE_9, batch

from lstm_search.record import HomeUnwritable, Record, UnknownStudy, check_name, delete_study, studies
from lstm_search.record import record as record_module

HOSTILE = [
    "", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "a\0b", "a\nb", "a\n", " a", "a b", "-rf", ".hidden", "=cmd()",
    "a'; DROP TABLE trials; --", "<script>", "${oc.env:X}", "%2e%2e", "a:b", "a*b", "a?b", "~", "\u00e9t\u00e9",
    "\U0001f600", "\u202eabc", "x" * 101, "x" * 251, "mlflow", "MLflow", "artifacts", "\u0661", "\uff41",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_and_makes_no_file(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    for attempt in (
        lambda: Record.open(home, replace(TABLE_9, name=name)),
        lambda: Record.read(home, name),
        lambda: delete_study(home, name),
    ):
        with pytest.raises(ValueError, match="study="):
            attempt()
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", ["table_9", "a", "9", "T=100".replace("=", "-"), "A.b_c-d", "x" * 100])
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("folder", ["two words", "quo'te\"s", "new\nline", "?mode=ro#x", "%41", "caf\u00e9"])
def test_a_nasty_home_holds_its_studies(tmp_path: Path, folder: str) -> None:
    home = tmp_path / folder
    with Record.open(home, TABLE_9) as record:
        record.add(batch(ROW_6A.trials(7)[:1]))
    assert studies(home) == ["table_9"]
    with Record.read(home, "table_9") as record:
        assert len(record.trials()["6a"]) == 1
    delete_study(home, "table_9")
    assert list(home.iterdir()) == []


def test_what_a_study_leaves_is_for_its_owner_alone(tmp_path: Path) -> None:
    home, before = tmp_path / "home", os.umask(0)
    try:
        with Record.open(home, TABLE_9) as record:
            record.add(batch(ROW_6A.trials(7)[:1]))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir())}
    assert modes == {"home": 0o700, "table_9.sqlite": 0o600, "table_9.lock": 0o600}


def test_what_was_opened_for_others_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Record.open(tmp_path, TABLE_9).close()
    (tmp_path / "table_9.sqlite").chmod(0o644)
    with Record.open(tmp_path, TABLE_9) as record:
        record.add(batch(ROW_6A.trials(7)[:1]))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, tmp_path / "table_9.sqlite")] == [0o755, 0o644]


def test_records_of_others_in_a_shared_home_stand_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("table_9", "hers"):
        Record.open(tmp_path, replace(TABLE_9, name=name)).close()
    monkeypatch.setattr(os, "access", lambda path, _: path.name != "hers.sqlite")
    assert studies(tmp_path) == ["table_9"]
    with pytest.raises(ValueError, match=r"study=hers: .*hers.sqlite is closed to you; its owner can open it"):
        Record.read(tmp_path, "hers")


def test_an_unknown_study_is_answered_with_those_there_are(tmp_path: Path) -> None:
    for name in ("table_9", "sweep"):
        Record.open(tmp_path, replace(TABLE_9, name=name)).close()
    (tmp_path / "other.sqlite").write_bytes(b"no database")
    sqlite3.connect(tmp_path / "foreign.sqlite").execute("CREATE TABLE x (y)").connection.close()
    assert studies(tmp_path) == ["sweep", "table_9"]
    with pytest.raises(UnknownStudy, match="recorded there: sweep, table_9"):
        Record.read(tmp_path, "table_8")
    for other in ("other", "foreign"):
        with pytest.raises(ValueError, match=f"{other}.sqlite is no record of a study"):
            Record.read(tmp_path, other)
    with pytest.raises(UnknownStudy, match="none yet"):
        Record.read(tmp_path / "nowhere", "table_9")
    for occupied in ("other", "foreign"):
        with pytest.raises(ValueError, match="is no"):
            Record.open(tmp_path, replace(TABLE_9, name=occupied))


def test_a_record_of_another_release_is_refused(tmp_path: Path) -> None:
    Record.open(tmp_path, TABLE_9).close()
    sqlite3.connect(tmp_path / "table_9.sqlite").execute("PRAGMA user_version = 77").connection.close()
    with pytest.raises(ValueError, match="has format 77"):
        Record.read(tmp_path, "table_9")


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(HomeUnwritable, match="home=DIR"):
            Record.open(home, TABLE_9)


def test_a_record_without_write_permission_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Record.open(tmp_path, TABLE_9) as record:
        record.add(batch(ROW_6A.trials(7)[:1]))
    monkeypatch.setattr(record_module.os, "access", lambda _, mode: mode != os.W_OK)  # root may write anywhere
    with Record.read(tmp_path, "table_9") as record:
        assert len(record.trials()["6a"]) == 1
