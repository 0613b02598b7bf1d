"""What a trial of about 10 ms costs beyond its own time in this project's driver: two workers, a Ray of this machine.

    python benchmarks/short_trials.py [--trials 500] [--width 1]

prints one line of JSON, as `peer_tune.py` does for Ray Tune: milliseconds a trial. The trials are those of table 7 at
T=100 under a small cap, trained by `lstm_search.worker.Worker`. The time that they take by themselves is measured
around the worker; whatever else the two processes do, and wait for, is overhead.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, Stop, Training, TrialSpec
from lstm_search.tasks import Adding
from lstm_search.worker import Progress, Worker, warm

CAPS = {1: 850, 16: 5900}  # by lanes: mean training sequences that take a processor 10 ms a trial
WORKERS = 2
WARM = 64  # trials at the start, and again at the end, that do not count: workers start, and run out of trials
CELL = Cell(Adding(T=100), Lstm1997(blocks=2, size=2), Training(rate=0.5), (Stop(),))

Mark = tuple[float, float, float]
"""A trial that ended, as the driver saw it: time then, processor time of the driver until then, seconds alone."""


class Timed:
    """A worker whose results tell how long it took for them, wherever the processor was meanwhile."""

    def __init__(self, width: int = 1) -> None:
        self._worker = Worker(width)
        self._spent = 0.0

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        """As `Worker.advance`; its time is shared among the trials that end."""
        begun = time.perf_counter()
        progress = self._worker.advance(new, seconds)
        self._spent += time.perf_counter() - begun
        if not progress.finished:
            return progress
        share, self._spent = self._spent / len(progress.finished), 0.0
        return replace(progress, finished=tuple(replace(result, seconds=share) for result in progress.finished))


def short_trial(replicate: int, width: int = 1) -> TrialSpec:
    """One of the trials. They differ in length by half, so that lanes do not end all at once."""
    return TrialSpec(CELL, replicate, seed=0, cap=CAPS[width] * (50 + 37 * replicate % 101) // 100)


def mark(seconds: float) -> Mark:
    """Of a trial that the driver just saw end."""
    return time.perf_counter(), time.process_time(), seconds


def told(marks: Sequence[Mark]) -> str:
    """JSON, milliseconds a trial: alone, overhead of a worker's time, processor time of the driver."""
    (begun, cpu, _), *counted = marks[WARM - 1 : -WARM]
    (ended, cpu_ended, _), trials = counted[-1], len(counted)
    alone = sum(seconds for *_, seconds in counted) / trials
    overhead = (ended - begun) * WORKERS / trials - alone
    parts = {"alone": alone, "overhead": overhead, "driver": (cpu_ended - cpu) / trials}
    return json.dumps({name: 1e3 * value for name, value in parts.items()})


def marks_of(trials: int, width: int) -> list[Mark]:
    """Runs so many trials, and those that do not count, as a study does."""
    from lstm_search.execute import ExecuteSettings, open_executor

    waiting = [short_trial(replicate, width) for replicate in range(trials + 2 * WARM)]
    marks: list[Mark] = []
    settings = ExecuteSettings(kind="local", workers=WORKERS, width=width)
    prepare = partial(warm, [(waiting[0], trials)], width)
    with open_executor(settings, {}, lambda *_: None, trainer=partial(Timed, width), prepare=prepare) as executor:
        while waiting or executor.pending:
            room = executor.room
            batch, waiting = waiting[:room], waiting[room:]
            executor.submit(batch)
            marks += [mark(finished.result.seconds) for finished in executor.gather(1.0)]
    return marks


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--width", type=int, default=1, choices=list(CAPS), help="lanes of a worker")
    given = parser.parse_args()
    print(told(marks_of(given.trials, given.width)))


if __name__ == "__main__":
    main()
