"""100,000 simulated trials on 1,000 simulated workers: the executor alone, and whole studies with their record.

python benchmarks/simulated.py [--workers 1000] [--cells 1000] [--replicates 100]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from lstm_search import config, study
from lstm_search.execute import SURFACES, Simulated
from lstm_search.spec import Row

SPACE = ("task=adding", "training.rate=tag(log,interval(0.05,5))", "network.init=tag(log,interval(0.01,1))")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=100)
    asked = parser.parse_args()
    words = [
        *SPACE,
        "search.max_trials=10000000",
        f"search.cells={asked.cells}",
        f"replicates={asked.replicates}",
        "tracking=none",
    ]
    words += ["execute=simulated", f"execute.workers={asked.workers}"]
    rows = config.compose([*words, "search=random"]).rows_ahead()
    for surface in SURFACES:
        print(f"executor alone, surface {surface}: {executor(rows, surface, asked.workers)}")
    for search in ("random", "race"):
        print(f"study, search={search}, surface smooth: {whole([*words, f'search={search}'])}")


def executor(rows: Sequence[Row], surface: str, workers: int) -> str:
    """Every trial of the rows, asked for as fast as the executor takes them."""
    waiting = (spec for row in rows for spec in row.trials(seed=1997))
    simulated = Simulated(SURFACES[surface], workers)
    trials = calls = solved = 0
    began = time.process_time()
    while (batch := list(islice(waiting, simulated.room))) or simulated.pending:
        simulated.submit(batch)
        finished = simulated.gather(study.SLICE)
        simulated.progress()
        trials, calls = trials + len(finished), calls + 1
        solved += sum(trial.result.outcome == "SOLVED" for trial in finished)
    spent = time.process_time() - began
    share = f"{100 * solved / trials:.0f} % solved"
    return (
        f"{trials:,} trials ({share}) in {calls:,} calls, {spent:.1f} s of a core; {simulated.now:,.0f} virtual seconds"
    )


def whole(words: list[str]) -> str:
    """A study from its first trial to its last, with its record on this machine's disk."""
    settings = config.compose(words)
    with tempfile.TemporaryDirectory(prefix="lstm-bench-") as home:
        began, busy = time.perf_counter(), time.process_time()
        ended = study.run(
            settings.definition, Path(home), settings.execute, space=settings.space, search=settings.search
        )
        spent, busy = time.perf_counter() - began, time.process_time() - busy
    trials = sum(counts.total() for counts in ended.outcomes.values())
    return f"{trials:,} trials in {spent:.1f} s, {busy:.1f} s of a core"


if __name__ == "__main__":
    main()
