"""What the driver and Ray cost a trial: many short trials on two workers, against the time these take by themselves.

Each trial is `--seconds` of a busy core and nothing else. Of a worker's sixteen lanes one ends every `--seconds`, as
with trials in every stage of their training; a worker whose lane stays empty reports. The report, the way to the
driver, the refill and the way back are the overhead.

    python benchmarks/overhead.py [--trials 10000] [--seconds 0.01] [--workers 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial

from lstm_search.execute import ExecuteSettings, Executor, open_executor
from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, Outcome, Stop, Training, TrialResult, TrialSpec
from lstm_search.tasks import Adding
from lstm_search.worker import Progress

LANES = 16
WEIGHTS = bytes(1000)  # about what the archive of a small net's weights takes


class BusyTrainer:
    """Burns `cost` seconds a trial, one trial after the other."""

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.held: list[TrialSpec] = []

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        """Train until the slice is over or a lane has nothing left to train."""
        self.held += new
        begun = now = time.perf_counter()
        done: list[TrialResult] = []
        while now < begun + seconds and (not done or len(self.held) >= LANES):
            end = now + self.cost
            while now < end:
                now = time.perf_counter()
            key = self.held.pop(0).key
            done.append(TrialResult(key, Outcome.SOLVED, sequences=1, steps=1, weights=WEIGHTS, seconds=self.cost))
        return Progress(tuple(done), {spec.key: 1 for spec in self.held[:LANES]})


def drain(executor: Executor, specs: list[TrialSpec]) -> None:
    """Run all of `specs`, as a study does."""
    position = 0
    while position < len(specs) or executor.pending:
        batch = specs[position : position + executor.room]
        position += len(batch)
        executor.submit(batch)
        executor.gather(1.0)


def main() -> None:
    """Print wall time, the time the trials alone take, and the difference a trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.01)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    cell = Cell(Adding(), Lstm1997(), Training(), (Stop(),))
    specs = [TrialSpec(cell, replicate, 1, 1) for replicate in range(given.trials + 32 * given.workers)]
    settings = ExecuteSettings(kind="local", workers=given.workers)
    with open_executor(settings, {}, lambda *_: None, trainer=partial(BusyTrainer, given.seconds)) as executor:
        drain(executor, specs[given.trials :])  # until every worker is there
        begun, cpu = time.perf_counter(), time.process_time()
        drain(executor, specs[: given.trials])
        wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    alone = given.trials * given.seconds / given.workers
    overhead = (wall - alone) * given.workers / given.trials
    print(f"{given.trials} trials of {1e3 * given.seconds:g} ms on {given.workers} workers")
    print(f"wall {wall:.2f} s, trials alone {alone:.2f} s")
    print(f"driver {1e3 * cpu / given.trials:.2f} ms of processor time a trial")
    print(f"overhead {1e3 * overhead:.2f} ms of a worker's time a trial")


if __name__ == "__main__":
    main()
