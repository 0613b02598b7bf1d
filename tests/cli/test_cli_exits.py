"""How the program ends: its exit codes, and what a signal makes of it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.refused import attempt
from helpers.waiting import PATIENCE

from lstm_search import config
from lstm_search.cli import dispatch as cli
from lstm_search.cli import plan
from lstm_search.cli.shell import say
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


@pytest.mark.parametrize(("number", "said"), [(signal.SIGTERM, "terminated"), (signal.SIGHUP, "hung up")])
def test_a_signal_that_ends_the_program_unwinds(
    number: signal.Signals, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unwound: list[str] = []

    def verb(_settings: object) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            unwound.append("closed")
        return 0

    before = signal.getsignal(number)
    monkeypatch.setitem(cli.VERBS, "run", Verb("", verb))
    monkeypatch.setitem(cli.VERBS, "ui", Verb("", verb))
    assert cli.main(["run", "table=9"]) == 128 + number
    assert unwound == ["closed"]
    assert f"lstm-search: {said}; finished trials are recorded" in capsys.readouterr().err
    assert cli.main(["ui"]) == 128 + number
    assert capsys.readouterr().err == f"lstm-search: {said}\n", "it trains nothing"
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def verb(_settings: object) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    monkeypatch.setitem(cli.VERBS, "run", Verb("", verb))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert cli.main(["run", "table=9"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "exit_of_it", [SystemExit(0), SystemExit(1), SystemExit(), RuntimeError("gone"), KeyboardInterrupt()]
)
def test_a_signal_is_told_whatever_exit_a_library_makes_of_it(
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exit_of_it: BaseException,
) -> None:
    def verb(_settings: object) -> int:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        except (SystemExit, KeyboardInterrupt):
            raise exit_of_it from None  # Ray's core does so where a signal comes while it waits
        return 0

    monkeypatch.setitem(cli.VERBS, "run", Verb("", verb))
    assert cli.main(["run", "table=9"]) == 128 + number
    assert "ed; finished trials are recorded" in capsys.readouterr().err


LOADING = """
import signal
import sys

class Finder:
    def find_spec(self, name, *_):
        if name == "hydra":
            try:
                signal.raise_signal(signal.{number})
            except KeyboardInterrupt:
                raise ImportError("as some libraries do") from None

sys.meta_path.insert(0, Finder())
from lstm_search.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interruption_while_libraries_are_loaded_is_one_line(number: signal.Signals) -> None:
    command = [sys.executable, "-c", LOADING.format(number=number.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (128 + number, "lstm-search: interrupted; nothing was begun\n")


def test_a_long_message_is_shown_without_its_middle(capsys: pytest.CaptureFixture[str]) -> None:
    code, message = attempt(["run", f"recipe={15_000 * 'x'}"], capsys)
    assert code == 2
    assert len(message) < 1000
    assert "recipe=xxx" in message
    assert "xxx: no such recipe" in message
    say("\u202e" * 300)
    say("word " * 3000)
    assert max(map(len, capsys.readouterr().err.splitlines())) < 1000
