"""How the program ends: its exit codes, and what a signal makes of it."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.refused import attempt

from lstm_search import config
from lstm_search.cli import dispatch as cli
from lstm_search.cli import plan
from lstm_search.cli.verbs import Verb
from lstm_search.execute import ClusterUnreachable, ExecuteSettings
from lstm_search.record import RecordFull, StudyLocked

pytestmark = pytest.mark.usefixtures("no_study")


def raising(error: BaseException) -> Callable[[Any], int]:
    def verb(_settings: object) -> int:
        raise error

    return verb


def library_error(_settings: object) -> int:
    return int.from_bytes(os.urandom(1) + bytes(errors_in_a_library()))


def errors_in_a_library() -> bytes:
    import json

    json.loads("{")  # a ValueError, raised outside the package
    return b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (config.ConfigError("training.rate=0"), 2),
        (PermissionError(errno.EACCES, "denied", "studies"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "studies/x.sqlite"), 4),
        (RecordFull(errno.ENOSPC, "disk full"), 4),
        (MemoryError("no memory"), 4),
        (StudyLocked("locked by process 12"), 6),
        (ClusterUnreachable("no cluster at 10.0.0.5:6379"), 8),
        (RuntimeError("broken"), 1),
        (OSError(errno.EIO, "input/output error"), 1),
        (KeyError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_exit_codes(
    error: BaseException, code: int, empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(empty))
    monkeypatch.setitem(cli.VERBS, "run", Verb("", raising(error)))
    found, message = attempt(["run", "table=9"], capsys)
    assert found == code
    logs = list(empty.iterdir())
    assert len(logs) == (code == 1)
    if code == 1:
        assert str(logs[0]) in message
        assert "Traceback" in logs[0].read_text()


def test_a_librarys_value_error_is_no_mistake_of_the_user(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(empty))
    monkeypatch.setitem(cli.VERBS, "run", Verb("", library_error))
    code, message = attempt(["run", "table=9"], capsys)
    assert code == 1
    assert "unexpected JSONDecodeError" in message


def test_only_what_this_package_raises_is_a_mistake_of_the_user(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(empty))
    calls: dict[int, Callable[[Any], int]] = {
        1: lambda _: len(plan._pairs([("a",)])),
        2: lambda _: ExecuteSettings(workers=0).workers or 0,
    }
    for expected, call in calls.items():
        monkeypatch.setitem(cli.VERBS, "run", Verb("", call))
        assert attempt(["run", "table=9"], capsys)[0] == expected


def test_a_termination_signal_unwinds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    unwound: list[str] = []

    def verb(_settings: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            unwound.append("closed")
        return 0

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(cli.VERBS, "run", Verb("", verb))
    monkeypatch.setitem(cli.VERBS, "ui", Verb("", verb))
    assert cli.main(["run", "table=9"]) == 143
    assert unwound == ["closed"]
    assert "finished trials are recorded" in capsys.readouterr().err
    assert cli.main(["ui", "table=9"]) == 143
    assert capsys.readouterr().err == "lstm-search: terminated\n", "it trains nothing"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "exit_of_it", [SystemExit(0), SystemExit(1), SystemExit(), RuntimeError("gone"), KeyboardInterrupt()]
)
def test_a_termination_signal_is_told_whatever_exit_a_library_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exit_of_it: BaseException
) -> None:
    def verb(_settings: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except SystemExit:
            raise exit_of_it from None  # Ray's core does so where a signal comes while it waits
        return 0

    monkeypatch.setitem(cli.VERBS, "run", Verb("", verb))
    assert cli.main(["run", "table=9"]) == 143
    assert "terminated; finished trials are recorded" in capsys.readouterr().err
