"""Time per trial and time step on one core: this project's kernel beside C programs and other frameworks.

python benchmarks/bench.py [--rounds N] [--write]; PEERS=1 in the environment adds JAX and PyTorch, installed into
.peers/ from peers.txt. All train the adding problem at T=100 with the 93 weights of table 7, one contestant after the
other in every round. Times are of the processor: what other programs take meanwhile does not count.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lstm_search.spec import Cell, Row, TrialResult

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = ROOT / ".peers"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
MARKERS = "<!-- measured: begin -->", "<!-- measured: end -->"
FLAGS = ["-O3", "-march=native"]
TRIALS, SEQUENCES = 64, 10_000  # of the kernel's run: several to a lane, so that refilling counts
OURS = "this project's kernel"
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


class Figure(NamedTuple):
    """One run: ns per trial and time step, and what shows that it learned."""

    ns: float
    evidence: str


def project(trials: int = TRIALS, sequences: int = SEQUENCES) -> Figure:
    """The kernel as a study runs it: task, draws, stop rule, learning curve and refilling of lanes included."""
    (row,) = rows("table=7", "rows=T100")
    finished, took = trained(row.cell, trials, sequences)
    errors = [[result.curve[i].error for result in finished if result.curve] for i in (0, -1)]
    first, last = (sum(error) / max(len(error), 1) for error in errors)
    evidence = f"mean error {first:.5f} at first, {last:.5f} after {sequences} sequences a trial"
    return Figure(1e9 * took / sum(result.steps for result in finished), evidence)


def rows(*overrides: str) -> tuple[Row, ...]:
    """The rows that a command line selects."""
    from lstm_search import config

    return tuple(config.compose([*overrides, "execute=inline", "tracking=none"]).rows_ahead())


def trained(cell: Cell, trials: int, sequences: int) -> tuple[list[TrialResult], float]:
    """What becomes of trials of a cell in one worker, and the seconds of processor time that they take."""
    from lstm_search.spec import TrialSpec
    from lstm_search.worker import Worker

    worker = Worker()
    finished: list[TrialResult] = []
    waiting = [TrialSpec(cell, replicate, seed=0, cap=sequences) for replicate in range(trials)]
    start = time.process_time()
    while len(finished) < trials:
        finished += worker.advance(waiting, 0.5).finished
        waiting = []
    return finished, time.process_time() - start


TABLES = ("1", "2", "2b", "3", "4", "5", "6", "7", "8", "9")
LAGS = ("q1000-p50", "q1000-p1000")
"""Rows of table 3 that differ in the number of symbols only: 54 inputs, and 1,004."""


def per_task(rounds: int) -> list[str]:
    """Markdown: a line for the first row of every table and for the two of LAGS, which take turns in every round."""
    from lstm_search.worker import demand, warm

    lag_rows = {f"table 3, {row.name}": row for row in rows("table=3", f"rows=[{','.join(LAGS)}]")}
    chosen = {f"table {table}, {(row := rows(f'table={table}')[0]).name}": row for table in TABLES} | lag_rows
    ns: dict[str, list[float]] = {name: [] for name in chosen}
    for row in chosen.values():
        warm(demand([row]))
    for number in range(rounds):
        for name, row in chosen.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
            finished, took = trained(row.cell, 16, max(100, round(2e5 / row.cell.task.length)))
            ns[name].append(1e9 * took / sum(result.steps for result in finished))
    lines = ["| row | ns per trial-step |", "|---|---|", *(f"| {name} | {spread(of, 1)} |" for name, of in ns.items())]
    few, many = (ns[f"table 3, {name}"] for name in LAGS)
    ratio = spread([theirs / mine for mine, theirs in zip(few, many, strict=True)], 2)
    return [*lines, "", f"1,004 inputs cost {ratio} times what 54 cost (table 3, {LAGS[1]} and {LAGS[0]})."]


def program(*command: str | Path) -> Figure:
    """A run of a program that prints `1.234 ns per trial-step; evidence`."""
    printed = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    found = re.fullmatch(r"([\d.]+) ns per trial-step; (.*)\n", printed)
    if not found:
        raise ValueError(f"{command[0]} printed {printed!r}, not '1.234 ns per trial-step; ...'")
    return Figure(float(found[1]), found[2])


def compiled(name: str, folder: Path) -> Path:
    """`name`.c as a program in `folder`."""
    binary = folder / name
    subprocess.run(["gcc", *FLAGS, str(HERE / f"{name}.c"), "-o", str(binary), "-lm"], check=True)
    return binary


def peers() -> dict[str, Callable[[], Figure]]:
    """JAX and PyTorch in their own environment, made on first use."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        print("installing the peers into .peers/ (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(HERE / "peers.txt")], check=True)
    jax = {f"JAX jit + vmap, {n} trials": partial(program, python, HERE / "peer_jax.py", str(n)) for n in (16, 64, 256)}
    return {**jax, "PyTorch nn.LSTM on line": partial(program, python, HERE / "peer_torch.py")}


def compile_seconds() -> tuple[float, float]:
    """From the start of a new process to its first trial trained: with an empty kernel cache, and with a filled one."""
    with tempfile.TemporaryDirectory() as cache:
        return first_trial_seconds(cache), first_trial_seconds(cache)


def first_trial_seconds(cache: str) -> float:
    """The same with the kernel cache in the folder `cache`."""
    start = time.perf_counter()
    environment = {**os.environ, "LSTM_SEARCH_CACHE": cache}
    subprocess.run([sys.executable, __file__, "--first-trial"], check=True, env=environment)
    return time.perf_counter() - start


def spread(values: list[float], digits: int) -> str:
    """Median (least-greatest)."""
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def table(figures: dict[str, list[Figure]]) -> list[str]:
    """Markdown: a line for each contestant; ratios are taken within a round."""
    ours = [figure.ns for figure in figures[OURS]]
    lines = ["| | ns per trial-step | times the kernel's | error |", "|---|---|---|---|"]
    for name, runs in figures.items():
        ns = [figure.ns for figure in runs]
        ratios = spread([theirs / mine for theirs, mine in zip(ns, ours, strict=True)], 2)
        lines.append(f"| {name} | {spread(ns, 1)} | {ratios} | {runs[-1].evidence} |")
    return lines


def processor() -> str:
    """Its name, and the widest vectors that matter here."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    vectors = next((label for flag, label in (("avx512dq", "AVX-512"), ("avx2", "AVX2")) if flag in text), "")
    return " ".join(filter(None, [name[1] if name else platform.machine(), vectors]))


def output_of(*command: str) -> str:
    """First line of what a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]


def versions(with_peers: bool) -> str:
    """Compilers and libraries that took part."""
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {version(name)}" for name in ("numba", "llvmlite", "numpy")]
    found.append(output_of("gcc", "--version"))
    if with_peers:
        asked = 'from importlib.metadata import version as v; print(f\'jax {v("jax")}, torch {v("torch")}\')'
        found.append(output_of(str(PEERS / "bin" / "python"), "-c", asked))
    return ", ".join(found)


def measure(rounds: int, with_peers: bool) -> dict[str, list[Figure]]:
    """All contestants in turn, `rounds` times."""
    with tempfile.TemporaryDirectory() as folder:
        contestants: dict[str, Callable[[], Figure]] = {
            OURS: project,
            "hand-written SIMD C, 16 lanes": partial(program, compiled("simd", Path(folder)), "100000000"),
            "scalar C": partial(program, compiled("scalar", Path(folder)), "15000000"),
            **(peers() if with_peers else {}),
        }
        project()  # compiles, for every width that a pack narrows to
        figures: dict[str, list[Figure]] = {name: [] for name in contestants}
        for number in range(rounds):
            for name, run in contestants.items():
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                figures[name].append(run())
    return figures


def report(rounds: int, with_peers: bool) -> str:
    """Measures, and tells as markdown what came out and under what conditions."""
    figures = measure(rounds, with_peers)
    cold, warm = compile_seconds()
    command = f"{'PEERS=1 ' if with_peers else ''}python benchmarks/bench.py --rounds {rounds}"
    starts = f"{cold:.1f} s with an empty kernel cache, {warm:.1f} s with a filled one"
    return "\n".join(
        [
            f"`{command}` on one core of {processor()}; C by gcc {' '.join(FLAGS)}. {versions(with_peers)}.",
            f"Median (least-greatest) of {rounds} rounds.",
            "",
            *table(figures),
            "",
            f"From the start of a process to its first trial trained: {starts}.",
            "",
            "### Every experiment",
            "The first row of every table, as written, sixteen trials at the start of their training, checks included.",
            "",
            *per_task(rounds),
            "",
            "### The driver's share",
            "What the driver and Ray cost a trial, two workers on two cores (`python benchmarks/overhead.py`):",
            "",
            "```",
            overhead(),
            "```",
        ]
    )


def overhead() -> str:
    """What `overhead.py` prints, on all cores."""
    if CORES:
        os.sched_setaffinity(0, CORES)
    command = [sys.executable, str(HERE / "overhead.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(measured: str) -> None:
    """Puts what was measured between the markers of docs/benchmarks.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = (text.index(marker) for marker in MARKERS)
    DOCUMENT.write_text(f"{text[:begin]}{MARKERS[0]}\n{measured}\n{text[end:]}", encoding="utf-8")


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5, help="how often each contestant runs")
    arguments.add_argument("--write", action="store_true", help="put the report into docs/benchmarks.md")
    arguments.add_argument("--first-trial", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.first_trial:
        project(sequences=10)
        return
    if not shutil.which("gcc"):
        sys.exit("bench: needs gcc, to compile the C programs it measures against")
    if CORES:
        os.sched_setaffinity(0, {max(CORES)})
    text = report(chosen.rounds, with_peers=os.environ.get("PEERS") == "1")
    print(text)
    if chosen.write:
        write(text)


if __name__ == "__main__":
    main()
