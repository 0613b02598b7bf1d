"""Stand-ins for the tests of execution: trials that misbehave on demand, and workers played by a script."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lstm_search.execute.crew import Answer, Fault
from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, Outcome, Stop, Training, TrialResult, TrialSpec
from lstm_search.tasks import Adding
from lstm_search.worker.trial import Progress

CELL = Cell(Adding(), Lstm1997(), Training(), (Stop(),))

# How a trial behaves is written in its cap.
FINE, DIES, RAISES, HANGS, NEVER_ENDS, NO_MEMORY, EATS_MEMORY = 1, 2, 3, 4, 5, 6, 7


def trials(count: int, behaviour: int = FINE, first: int = 0) -> list[TrialSpec]:
    return [TrialSpec(CELL, replicate, 1, behaviour) for replicate in range(first, first + count)]


def result(spec: TrialSpec) -> TrialResult:
    """What a trial that behaves comes to, wherever and whenever it runs."""
    return TrialResult(spec.key, Outcome.SOLVED, sequences=int(spec.key[:6], 16), steps=spec.replicate)


class FakeTrainer:
    """Trains `lanes` trials side by side, each for `seconds`, and writes down every trial it begins."""

    def __init__(self, lanes: int = 4, seconds: float = 0.01, log: Path | None = None) -> None:
        self.lanes, self.seconds, self.log = lanes, seconds, log
        self.queue: list[TrialSpec] = []
        self.ends: dict[str, float] = {}

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        self.queue += new
        deadline = time.monotonic() + seconds
        finished: list[TrialResult] = []
        while not finished and time.monotonic() < deadline:
            self._begin()
            finished = self._ended()
            time.sleep(min(0.001, self.seconds))
        return Progress(tuple(finished), {spec.key: 1 for spec in self.queue[: self.lanes]})

    def _begin(self) -> None:
        for spec in self.queue[: self.lanes]:
            if spec.key not in self.ends:
                self.ends[spec.key] = time.monotonic() + self.seconds
                self._note(spec)
                _misbehave(spec)

    def _note(self, spec: TrialSpec) -> None:
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{spec.replicate}\n")

    def _ended(self) -> list[TrialResult]:
        now = time.monotonic()
        done = [spec for spec in self.queue[: self.lanes] if now >= self.ends[spec.key] and spec.cap != NEVER_ENDS]
        self.queue = [spec for spec in self.queue if spec not in done]
        return [result(spec) for spec in done]


def _misbehave(spec: TrialSpec) -> None:
    if spec.cap == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    if spec.cap == RAISES:
        raise ZeroDivisionError(f"replicate {spec.replicate}")
    if spec.cap == NO_MEMORY:
        raise MemoryError
    if spec.cap == EATS_MEMORY:
        _reserve(2**40)
    if spec.cap == HANGS:
        time.sleep(3600)


def _reserve(size: int) -> None:
    """More memory than there is, unused: the machine would give it, only a limit refuses."""
    no_reserve = 0x4000  # Linux; the module names it from Python 3.13 on
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve).close()
    except OSError as error:
        raise MemoryError from error


@dataclass
class Prepare:
    """Writes down who prepares and when it is done; takes long enough that two at once would be seen."""

    log: Path

    def __call__(self) -> None:
        for event in ("begin", "end"):
            with self.log.open("a") as log:
                log.write(f"{event} {os.getpid()}\n")
            time.sleep(0.3)


@dataclass
class ScriptedPool:
    """Workers that exist on paper. Every wait is one slice of a clock of its own; `fault(specs)` is asked after each
    what became of a worker that holds these trials: None for nothing, a fault, or HANG for no answer."""

    size: int
    fault: Callable[[list[TrialSpec]], Fault | str | None] = lambda _: None
    slices: int = 2
    now: float = 0.0
    held: dict[int, dict[TrialSpec, int]] = field(default_factory=dict)
    outstanding: dict[int, str] = field(default_factory=dict)
    given: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    together: list[set[int]] = field(default_factory=list)
    starts: int = 0
    asked: list[float] = field(default_factory=list)  # seconds of each slice

    def clock(self) -> float:
        return self.now

    def start(self, seat: int) -> None:
        self.starts += 1
        self.held[seat] = {}
        self.outstanding[seat] = "start"

    def call(self, seat: int, specs: Sequence[TrialSpec], seconds: float) -> None:
        assert seat not in self.outstanding, "one call at a time"
        assert seconds > 0
        self.asked.append(seconds)
        self.given.append((seat, tuple(spec.replicate for spec in specs)))
        self.held[seat].update(dict.fromkeys(specs, 0))
        self.together.append({spec.replicate for spec in self.held[seat]})
        self.outstanding[seat] = "advance"

    def wait(self, seconds: float) -> list[Answer]:
        del seconds
        self.now += 0.5
        answers = [self._answer(seat, call) for seat, call in list(self.outstanding.items())]
        return [answer for answer in answers if answer is not None]

    def retire(self, seat: int) -> None:
        self.outstanding.pop(seat, None)

    def _answer(self, seat: int, call: str) -> Answer | None:
        held = self.held[seat]
        fault = self.fault(list(held))
        if fault == "HANG":
            return None
        del self.outstanding[seat]
        if isinstance(fault, Fault):
            return Answer(seat, fault=fault)
        if call == "start":
            return Answer(seat)
        for spec in held:
            held[spec] += 1
        done = [spec for spec, slices in held.items() if slices >= self.slices and spec.cap != NEVER_ENDS]
        for spec in done:
            del held[spec]
        return Answer(
            seat,
            Progress(tuple(result(spec) for spec in done), {spec.key: n for spec, n in held.items()}),
        )
