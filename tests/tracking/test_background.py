"""Publishing in the background delays nobody, tries again, and says what is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.program import free_port
from helpers.published import stored, study
from helpers.waiting import PATIENCE, until

from lstm_search.tracking import BackgroundTracker, StudyView, Tracker, TrackingFailed
from lstm_search.tracking.experiment import NotMade

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


def test_the_background_publishes_a_growing_study(tracker: Tracker) -> None:
    recorded = [1, 0]
    passes = []

    def snapshot() -> StudyView:
        passes.append(tuple(recorded))
        return study("growing", (recorded[0], recorded[1]))

    background = BackgroundTracker(tracker, snapshot, pytest.fail, pause=0.01)
    for counts in [(1, 0), (2, 0), (3, 1), (3, 2)]:
        recorded[:] = counts
        background.notify()
    assert background.close(PATIENCE)
    assert background.error == ""
    assert passes[-1] == (3, 2)
    assert len(stored(tracker, "growing")) == 8
    assert tracker.sync(study("growing")) == 0


def test_what_drawing_takes_counts_towards_the_pause(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, drawn = [0.0], []

    def draw() -> dict[str, bytes]:
        drawn.append(clock[0])
        clock[0] += 7.0
        return {"a.png": b"a"}

    monkeypatch.setattr("lstm_search.tracking.background.time.monotonic", lambda: clock[0])
    background = BackgroundTracker(
        tracker, lambda: study("drawn", late=[draw], depicted="now"), pytest.fail, pause=0.01
    )
    monkeypatch.setattr(tracker, "sync", lambda *_: 0)
    assert background._publish() == pytest.approx(20 * 7.0)
    assert background._publish() == pytest.approx(0.01), "what is drawn shows nothing new"
    assert len(drawn) == 1
    assert background.close(PATIENCE)


def test_at_the_end_nothing_is_drawn_before_the_trials_are_published(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    background = BackgroundTracker(
        tracker, lambda: study("closed", late=[lambda: pytest.fail("drawn")], depicted="now"), pytest.fail, pause=0.01
    )
    monkeypatch.setattr(tracker, "sync", lambda *_: 0)
    background._closing.set()
    assert background._publish() is not None
    assert background.close(PATIENCE)


def test_what_cannot_be_drawn_is_no_fault_of_mlflow(tracker: Tracker) -> None:
    def draw() -> dict[str, bytes]:
        raise ValueError("no font")

    background = BackgroundTracker(tracker, lambda: study("undrawn", late=[draw]), pytest.fail, pause=0.01)
    background.notify()
    until(lambda: background.error)
    assert "figures and page cannot be made: no font" in background.error
    assert tracker.uri not in background.error
    assert len(stored(tracker, "undrawn")) == 8, "its trials are published all the same"
    assert not background.close(1)
    with pytest.raises(NotMade):
        tracker.sync(study("undrawn", late=[draw]))


def test_a_server_that_is_down_delays_nobody_and_is_reported_once(tmp_path: Path) -> None:
    warnings: list[str] = []
    tracker = Tracker(f"http://127.0.0.1:{free_port()}", tmp_path)
    background = BackgroundTracker(tracker, lambda: study("down"), warnings.append, pause=0.01, patience=0.0)
    background.notify()
    until(lambda: warnings)
    assert not background.close(3)
    assert len(warnings) == 1
    assert tracker.uri in warnings[0]
    assert tracker.uri in background.error


def test_the_background_tries_again_until_it_succeeds(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = iter([True, True])
    sync = tracker.sync

    def sometimes(view: StudyView, stop: Callable[[], bool]) -> int:
        if next(fails, False):
            raise TrackingFailed("not now")
        return sync(view, stop)

    monkeypatch.setattr(tracker, "sync", sometimes)
    background = BackgroundTracker(tracker, lambda: study("retried"), pytest.fail, pause=0.01)
    background.notify()
    assert background.close(PATIENCE)
    assert len(stored(tracker, "retried")) == 8


def test_the_end_of_a_study_catches_up_soon_after_a_long_lock(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is locked for the first nine tries, on a clock that shows the pauses alone."""
    waited: list[float] = []

    def locked(view: StudyView, stop: Callable[[], bool]) -> int:
        if len(waited) < 9:
            raise TrackingFailed("database is locked")
        return sync(view, stop)

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    sync = tracker.sync
    monkeypatch.setattr(tracker, "sync", locked)
    background = BackgroundTracker(tracker, lambda: study("locked"), lambda _: None, pause=0.01)
    monkeypatch.setattr(background._stop, "wait", wait)
    assert background.close(PATIENCE)
    assert sum(waited) < 30, "as the wait grew before, 181 s"


def test_replies_that_get_lost_now_and_then_do_not_make_it_slow(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pass gets one trial further than the last, on a clock that shows the pauses alone."""
    waited: list[float] = []
    views: list[StudyView] = []

    def snapshot() -> StudyView:
        views.append(study("lossy"))
        return views[-1]

    def lossy(_view: StudyView, stop: Callable[[], bool]) -> int:
        for _ in range(len(waited) + 1):
            stop()
        if len(waited) < 9:
            raise TrackingFailed("the reply was lost")
        return 9

    monkeypatch.setattr(tracker, "sync", lossy)
    background = BackgroundTracker(tracker, snapshot, lambda _: None, pause=0.01)
    for event in (background._stop, background._closing):
        monkeypatch.setattr(event, "wait", waited.append)
    background.notify()
    until(lambda: len(waited) > 8)
    assert len(views) == 1, "each takes seconds, in which the next reply may be lost"
    assert background.close(PATIENCE)
    assert waited[:9] == [1.0] * 9, "as the wait grew before, 181 s"
    assert len(views) == 2


def test_the_background_leaves_no_run_open_where_it_is_stopped(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped in the middle of its first pass, with no time left for the rest."""
    begun, sync = threading.Event(), tracker.sync

    def slow(view: StudyView, stop: Callable[[], bool]) -> int:
        begun.set()
        until(stop)
        return sync(view, stop)

    monkeypatch.setattr(tracker, "sync", slow)
    background = BackgroundTracker(tracker, lambda: study("cut"), pytest.fail, pause=0.01)
    background.notify()
    assert begun.wait(PATIENCE)
    assert not background.close(0)
    until(lambda: not background._thread.is_alive())
    assert {run.info.status for run in stored(tracker, "cut").values()} == {"FINISHED"}
    assert sync(study("cut")) > 0


def test_an_error_of_ones_own_is_no_success(tracker: Tracker) -> None:
    def snapshot() -> StudyView:
        raise RuntimeError("the record is gone")

    background = BackgroundTracker(tracker, snapshot, pytest.fail, pause=0.01)
    background.notify()
    until(lambda: background.error)
    assert not background.close(0.5)
    assert "the record is gone" in background.error


@pytest.mark.parametrize(("fails", "published"), [(False, True), (True, False)])
def test_its_end_waits_as_long_as_there_is_headway(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, *, fails: bool, published: bool
) -> None:
    told: list[str] = []

    def slow(_view: StudyView, stop: Callable[[], bool]) -> int:
        for place in range(80):
            if stop() or (fails and place == 20):
                raise TrackingFailed("not this one")
            time.sleep(0.1)
        return 80

    monkeypatch.setattr(tracker, "sync", slow)
    background = BackgroundTracker(tracker, lambda: study("slow"), lambda _: None, pause=0.01)
    background.notify()
    assert background.close(5, tell=told.append) is published  # all of it takes eight seconds
    assert told == ["all trials are recorded; MLflow is still being brought up to date"]
