"""Publishing from a thread of its own, for which nothing ever waits."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

from lstm_search.tracking.address import without_password
from lstm_search.tracking.projection import Status, StudyView
from lstm_search.tracking.tracker import Tracker

QUIET = 5.0
"""Seconds that the end of a study waits before it says what for."""

SOON = 3.0
"""Seconds after which the end of a study tries again what failed: somebody waits for it, and not for long."""


class BackgroundTracker:
    """Publishes a growing study from a thread of its own; nothing ever waits for it before `close`.

    The record is the queue: `notify` only says that there is news, and the thread asks `snapshot` for all that is
    recorded. However far MLflow lags, nothing piles up in memory. Many results between two passes make one pass, and
    a pass begins only when the last snapshot's cost is a twentieth of the time since.
    """

    def __init__(
        self,
        tracker: Tracker,
        snapshot: Callable[[], StudyView],
        warn: Callable[[str], None],
        *,
        pause: float = 2.0,
        patience: float = 40.0,
    ) -> None:
        """`warn` gets one line, once, when publishing has failed for `patience` seconds."""
        self.error = ""
        self._tracker, self._snapshot, self._warn = tracker, snapshot, warn
        self._pause, self._patience = pause, patience
        self._failing_since: float | None = None
        self._published, self._study, self._depicted = False, "", ""
        self._view: StudyView | None = None
        self._due = pause
        self._furthest, self._moved = -1, -math.inf
        self._ended: Status = "KILLED"
        # requests silences this itself at import, but MLflow is imported in our thread while another imports Ray, and
        # both save and restore the filters; one that was there before survives that.
        warnings.filterwarnings("ignore", "SOCKS support in urllib3", module=r"urllib3\.contrib\.socks")
        self._news, self._closing, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that the record has grown. Returns at once."""
        self._news.set()

    def close(self, wait: float, status: Status = "KILLED", tell: Callable[[str], None] | None = None) -> bool:
        """Publish what is left, for `wait` seconds at most; whether all is published. `error` says why not. The study
        ended with `status`. With `tell`, which hears of a longer wait, it goes on while MLflow takes a further trial
        every `wait` seconds."""
        self._ended = status
        self._closing.set()
        self._news.set()
        self._await(wait, tell)
        if self._published:
            return True
        self._stop.set()
        self._thread.join(5)  # so that the run being written, and all that are shown as running, are ended
        self.error = self.error or f"MLflow at {without_password(self._tracker.uri)} has taken nothing for {wait:g} s"
        return False

    def _await(self, wait: float, tell: Callable[[str], None] | None) -> None:
        began = time.monotonic()
        if tell is not None:
            self._thread.join(min(wait, QUIET))
            if self._thread.is_alive():
                tell("all trials are recorded; MLflow is still being brought up to date")
        while self._thread.is_alive():
            last = began if tell is None else max(began, self._moved)
            if (left := last + wait - time.monotonic()) <= 0:
                return
            self._thread.join(min(left, 1.0))

    def _work(self) -> None:
        backoff, closing = 1.0, False
        while not self._stop.is_set():
            if self._view is None:
                self._news.wait()
            closed, closing = closing, self._closing.is_set()  # looked at before what is recorded is
            if closing and not closed:
                self._view = None
            before = self._furthest
            pause = self._publish()
            if pause is None:
                backoff = self._wait(backoff, closing=closing, headway=self._furthest > before)
            elif closing:
                self._published = True
                return
            else:
                backoff = 1.0
                self._closing.wait(pause)
        with suppress(Exception):  # what is shown as running is corrected by the next sync
            if self._study:
                self._tracker.settle(self._study, self._ended)

    def _wait(self, backoff: float, *, closing: bool, headway: bool) -> float:
        """Wait after a pass that failed; how long after the next one. One that got on is repeated soon, with the view
        that there is: to make another takes seconds, in which the next reply may be lost."""
        if headway:
            backoff = 1.0
        elif not closing:
            self._view = None
        if self._view is None:
            self._news.set()
        (self._stop if closing else self._closing).wait(min(backoff, SOON) if closing else backoff)
        return min(2 * backoff, 30.0)

    def _publish(self) -> float | None:
        """One pass; the seconds to pause after it, or None where it failed or was stopped."""
        began = time.monotonic()
        try:
            if self._view is None:
                self._news.clear()
                self._view = self._snapshot()
                if not self._closing.is_set():  # at the end trials come first, and what is drawn last
                    self._draw(self._view)
                self._due = max(self._pause, 20 * (time.monotonic() - began))
            self._study = self._view.name
            self._tracker.sync(self._view, self._stopped(count()))
            self._depicted = self._view.depicted
        except Exception as error:  # noqa: BLE001  (whatever happens here must not reach the study)
            self._remember(error, began)
            return None
        self.error, self._failing_since, self._view = "", None, None
        return None if self._stop.is_set() else self._due

    def _draw(self, view: StudyView) -> None:
        """Make what takes seconds, where it shows something new: as a part of the snapshot, whose cost decides when
        the next one is due. The view keeps it. What cannot be made is told after the trials are published."""
        for make in view.late if view.depicted != self._depicted else ():
            with suppress(Exception):
                make()

    def _stopped(self, trials: Iterator[int]) -> Callable[[], bool]:
        """What a pass asks before each trial whether it shall stop. It has made headway when it asks for a trial that
        none has come to; one that fails again at the same place has not."""

        def stopped() -> bool:
            place = next(trials)
            if place > self._furthest:
                self._furthest, self._moved = place, time.monotonic()
            return self._stop.is_set()

        return stopped

    def _remember(self, error: Exception, began: float) -> None:
        self.error = str(error)
        self._failing_since = self._failing_since or began
        if time.monotonic() - self._failing_since >= self._patience:
            self._warn(f"not published yet, tried again: {error}")
            self._patience = math.inf
