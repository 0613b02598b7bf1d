"""Every connection to PostgreSQL is ended, again and again, while a study is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.faults import ALL, Held, scaled
from helpers.published import ROWS, study, trial
from helpers.shown import runs, shown, study_shown, synced
from helpers.stack import PROGRAMS, Stack
from helpers.waiting import PATIENCE, until

from lstm_search.spec import Outcome
from lstm_search.tracking import CellView, Tracker, TrackingFailed
from lstm_search.tracking.projection import error_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL server here (Debian: apt-get install postgresql)"),
]

TRIALS = scaled(300, 30)
APART = 5.0

END = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'mlflow'"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("stack"))
    with made.postgres():
        made.once("schema")
        yield made


HOSTILE = [
    "", " ", "a\0b", "a\nb", "\r\n", "\t", "\x01\x1b[31m", "\x7f", "\u202eabc", "\ufeffx", "e\u0301", "\u00e9",
    "\uff41", "\u0661", "\U0001f600", "\\udcff", "'; DROP TABLE runs; --", '"', "\\", "\\x00", "%s%n", "$1", ":name",
    "{0.__class__}", "${oc.env:HOME}", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "../../x", "/etc/passwd",
    "a/b", "~", "-rf", "NULL", "null", "NaN", "0", "`touch x`", "x" * 251, "y" * 10_000, "\U0001f600" * 300,
]  # fmt: skip


def address(stack: Stack, user: str, secret: str) -> str:
    return f"postgresql://{user}:{secret}@127.0.0.1:{stack.ports['postgres']}/mlflow"


def password(stack: Stack) -> str:
    return stack.secret("postgres-pgpass").rpartition(":")[2]


@pytest.mark.parametrize("way", ["directly", "by a server"])
def test_every_connection_is_ended(
    way: str, stack: Stack, tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    psycopg = pytest.importorskip("psycopg")
    uri = address(stack, "mlflow", password(stack))
    name, ended = f"ended-{way.replace(' ', '-')}", 0
    with stack.mlflow(logins=False) if way == "by a server" else nullcontext():
        ended_study = study_shown(tmp_path, name, stack.address if way == "by a server" else uri, TRIALS)
        with (
            ended_study.started() as process,
            closing(
                psycopg.connect(address(stack, "postgres", stack.secret("postgres-password")), autocommit=True)
            ) as db,
        ):
            until(lambda: runs(uri, name))
            while process.poll() is None:
                ended += db.execute(END).fetchone()[0]
                time.sleep(APART)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert synced(ended_study) == 0
    came = ended_study.came_of(
        f"every connection to PostgreSQL ended each {APART:g} s, {way}", ended, undisturbed(TRIALS)
    )
    held(shown(ended_study, uri, came), 0)


LONGEST = 7_496
"""Characters of an error that MLflow shows."""


def kept(text: str) -> tuple[str, ...]:
    """What MLflow shall make of a text: three runs are written, nothing the second time, and nothing is missing; it is
    the tag and the param of a row as it is, but for the character 0, which PostgreSQL takes in no text; and the error
    of a trial, in which that one is written in two, and which is cut where it is long."""
    row, error = named(text), text.replace("\0", "\\0")
    return ("3", "0", "0", row, row, error if len(error) <= LONGEST else f"{error[:LONGEST]}\n\n(cut here)")


def named(text: str) -> str:
    """A text as the name of a row, which comes to MLflow from a record that was checked."""
    return text.replace("\0", "")[:251]


def taken(tracker: Tracker, number: int, text: str) -> tuple[str, ...]:
    """What MLflow makes of a text that a trial said as it broke, and that is the name of a row."""
    row = replace(ROWS[0], name=named(text))
    broken = trial(row, 0, Outcome.FAILED, error=text)
    view = study(f"hostile-{number}", (0, 0), cells=[CellView(row, [broken])], artifacts={})
    try:
        written = tracker.sync(view), tracker.sync(view), tracker.unpublished(view)
    except TrackingFailed:
        return ("refused",)
    (stored,) = [run for run in tracker.stored(view.name) if run.kind == "trial"]
    return (*map(str, written), stored.tags["lstm_search.row"], stored.params["row"], error_of(stored.tags))


def test_hostile_text_is_kept_as_it_is_by_sqlite_and_postgresql(stack: Stack, tmp_path: Path) -> None:
    """None is refused."""
    pytest.importorskip("psycopg")
    both = Tracker(None, tmp_path), Tracker(address(stack, "mlflow", password(stack)), tmp_path)
    for number, text in enumerate(HOSTILE):
        for tracker in both:
            assert taken(tracker, number, text) == kept(text), (tracker.uri, ascii(text))
