"""What a second worker brings, and what it costs a study to be shown in MLflow. Run by `make bench-cluster`.

1. Efficiency: the trials of row 6a by one worker and by two, in turns. The ratio is that of the times, halved.
2. Throughput: row 6a on two workers, recorded only, and beside an MLflow server over PostgreSQL on the same machine, as
   docker-compose.yml starts both, without and with logins.
3. Projection: the time in which `sync` brings a recorded study into that server.

PostgreSQL is Debian's package.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from overhead import drain

from lstm_search import config
from lstm_search.execute import ExecuteSettings, open_executor
from lstm_search.spec import TrialSpec
from lstm_search.worker import demand, warm

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from helpers.stack import Stack  # type: ignore[import-not-found]  # the compose file's services on loopback

ROW = ("table=9", "rows=6a")


def efficiency(trials: int) -> float:
    """Of two workers: the time that one takes, over twice the time that two take."""
    rows = config.compose([*ROW, f"replicates={trials}"]).rows_ahead()
    specs = [TrialSpec(rows[0].cell, replicate, 1, rows[0].cap) for replicate in range(trials)]
    seconds = [_drained(specs, workers, partial(warm, demand(rows))) for workers in (1, 2)]
    return seconds[0] / (2 * seconds[1])


def _drained(specs: Sequence[TrialSpec], workers: int, prepare: partial[None]) -> float:
    settings = ExecuteSettings(kind="local", workers=workers)
    with open_executor(settings, {}, lambda *_: None, prepare=prepare) as executor:
        drain(executor, [TrialSpec(spec.cell, spec.replicate, 0, 1) for spec in specs[: 32 * workers]])  # all are there
        began = time.perf_counter()
        drain(executor, list(specs))
        return time.perf_counter() - began


def lstm(home: Path, *words: str, **variables: str) -> None:
    """`lstm-search WORDS`, which must succeed; 3 means that MLflow lags, and that is measured here."""
    command = [sys.executable, "-m", "lstm_search", *words, f"home={home}"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 3}:
        raise SystemExit(f"{' '.join(words)}: {done.stderr[-2000:]}")


def rate(home: Path) -> float:
    """Trials a second, from the first that was recorded to the last."""
    with closing(sqlite3.connect(home / "table-9.sqlite")) as db:
        times = sorted(datetime.fromisoformat(row[0]) for row in db.execute("SELECT finished_at FROM trials"))
    return (len(times) - 1) / (times[-1] - times[0]).total_seconds()


@contextmanager
def server(*, logins: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """An empty MLflow server over PostgreSQL: its address, and what a client of it has in its environment."""
    with tempfile.TemporaryDirectory(prefix="lstm-bench-") as folder, ExitStack() as services:
        stack = Stack(Path(folder))
        services.enter_context(stack.postgres())
        stack.once("schema")
        services.enter_context(stack.mlflow(logins=logins))
        password = stack.secret("mlflow-admin-password")
        login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
        yield stack.address, login if logins else {}


def shown(trials: int) -> dict[str, float]:
    """Throughput beside a server, over that without one; seconds in which the study is projected afterwards."""
    words, found = (*ROW, f"replicates={trials}", "execute.workers=2"), dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="lstm-bench-") as folder:
        alone = Path(folder, "alone")
        lstm(alone, "run", *words, "tracking=none")
        for name, logins in (("without logins", False), ("with logins", True)):
            beside = Path(folder, name)
            with server(logins=logins) as (address, login):
                lstm(beside, "run", *words, f"tracking.uri={address}", "tracking.wait=0", **login)
            with server(logins=logins) as (address, login):
                began = time.perf_counter()
                lstm(alone, "sync", "study=table-9", f"tracking.uri={address}", **login)
                found[f"projected {name}, s"] = time.perf_counter() - began
            found[f"throughput {name}"] = rate(beside) / rate(alone)
    return found


def told(values: Sequence[float]) -> str:
    """The median of the rounds, the least and the greatest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    """Print every figure: the median of the rounds, and the least and the greatest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400, help="of the efficiency")
    parser.add_argument(
        "--shown", type=int, default=1000, help="trials of the study that MLflow shows; 0 leaves it out"
    )
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} before; {given.rounds} rounds")
    values = [efficiency(given.trials) for _ in range(given.rounds)]
    print(f"efficiency of two workers, 6a with {given.trials} replicates: {told(values)}", flush=True)
    if given.shown:
        rounds = [shown(given.shown) for _ in range(given.rounds)]
        for name in rounds[0]:
            print(f"{name}, {given.shown} trials: {told([found[name] for found in rounds])}")


if __name__ == "__main__":
    main()
