"""The kernels on a GPU beside one core of this machine and beside JAX on the same GPU. It takes lstm-search[gpu].

python benchmarks/gpu.py [PART ...] [--expected FILE] [--out FILE]: the parts are bits, core, close, speed, jax, bound
and race; without any, all. What is measured goes into the JSON file `--out`, from which docs/gpu.md has its figures.
`--expected`: where the SHA-256 of the CPU's trials are kept between two calls, so that they are trained once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lstm_search.simd import Gpu
    from lstm_search.spec import Row, TrialSpec
    from lstm_search.worker import Worker

HERE = Path(__file__).parent
LINES = (
    *(f"table={number}" for number in ("1", "2", "2b", "3", "4", "5", "6", "7", "8", "9")),
    *(f"recipe=best-{number}" for number in range(1, 10)),
    "recipe=one-set",
)
TRIALS, STEPS = 64, 20_000  # of a row whose bits are compared, and of each of its trials about
WIDTHS = (256, 4096, 65_536)
ENDLESS = 100_000_000  # training sequences
CLOSE = ((0, 0), (96, 45), (96, 133), (96, 221), (0, 88), (0, 133), (0, 221), (96, 0))  # rows held, rows shared
ALIKE = 2048  # lanes whose words the others get, where only time counts
RACE = (
    "task=temporal_order_6a search=race search.cells=4096 training.rate=tag(log,interval(0.01,3)) "
    "network.init=interval(0.05,0.5) replicates=4 search.blocks=[2,4] search.confirm=0 cap=20000 study=gpu-race "
    "tracking=none execute=inline execute.width=16384"
)
REPLAYED = 3
METRICS = (
    "gpu__time_duration.sum,sm__warps_active.avg.pct_of_peak_sustained_active,smsp__issue_active.avg.pct_of_peak_"
    "sustained_active,sm__pipe_fp64_cycles_active.avg.pct_of_peak_sustained_active,l1tex__t_sector_hit_rate.pct,"
    "lts__t_sector_hit_rate.pct,lts__throughput.avg.pct_of_peak_sustained_elapsed,dram__throughput.avg.pct_of_peak_"
    "sustained_elapsed,l1tex__throughput.avg.pct_of_peak_sustained_active"
)


def rows(*words: str) -> tuple[Row, ...]:
    """The rows that a command line selects."""
    from lstm_search import config

    return config.compose([*words, "execute=inline", "tracking=none"]).definition.rows


def compared(lines: Sequence[str]) -> dict[str, list[TrialSpec]]:
    """The trials of every row of LSTM whose bits are compared; prints what a GPU refuses."""
    from lstm_search.worker import refuse

    found: dict[str, list[TrialSpec]] = {}
    for line in lines:
        for row in rows(*line.split()):
            try:
                refuse([row.cell])
            except ValueError as error:
                print(f"{line}, {row.name}: refused ({error})", flush=True)
                continue
            cap = max(10, min(200, round(STEPS / row.cell.task.length)))
            found[f"{line}, {row.name}"] = replace(row, replicates=TRIALS, cap=cap, first=0).trials(1997)
    return found


def digests(worker: Worker, trials: Sequence[TrialSpec]) -> dict[str, list[Any]]:
    """What becomes of the trials, by key: outcome, sequences, steps, SHA-256 of the final weights."""
    found: dict[str, list[Any]] = {}
    new = list(trials)
    while len(found) < len(trials):
        for result in worker.advance(new, 1.0).finished:
            found[result.key] = [str(result.outcome), result.sequences, result.steps, result.weights_sha256]
        new = []
    return found


def expected(lines: Sequence[str], file: Path | None) -> dict[str, list[Any]]:
    """The same on this machine's processor, or from the file where it is there."""
    from lstm_search.worker import Worker

    if file and file.is_file():
        kept: dict[str, list[Any]] = json.loads(file.read_text())
        return kept
    found: dict[str, list[Any]] = {}
    for name, trials in compared(lines).items():
        found |= digests(Worker(), trials)
        print(f"{name}: trained on this machine's processor", flush=True)
    if file:
        file.write_text(json.dumps(found, separators=(",", ":")))
    return found


def bits(lines: Sequence[str], file: Path | None) -> dict[str, Any]:
    """How many trials of each row differ on the GPU, in half as many lanes as trials."""
    from lstm_search.worker import Worker

    known, worker = expected(lines, file), Worker(TRIALS // 2, "gpu")
    differ: dict[str, int] = {}
    for name, trials in compared(lines).items():
        began, found = time.perf_counter(), digests(worker, trials)
        differ[name] = sum(found[spec.key] != known[spec.key] for spec in trials)
        took = time.perf_counter() - began
        print(f"{name}: {differ[name]} of {len(trials)} trials differ from the CPU's ({took:.1f} s)", flush=True)
    return {"differ": differ, "rows": len(differ), "trials": TRIALS * len(differ)}


def adding(count: int) -> list[TrialSpec]:
    """Trials of table 7, T = 100, that never end."""
    (row,) = rows("table=7", "rows=T100")
    return replace(row, replicates=count, cap=ENDLESS, first=0).trials(1997)


def core() -> dict[str, float]:
    """Millions of trial-steps a second of one core of this machine, with a full pack."""
    from lstm_search.simd import full_width
    from lstm_search.worker import Pack, shape_of

    width = full_width()
    pack = Pack(shape_of(adding(1)[0].cell), width)
    for spec in adding(width):
        pack.add(spec)
    pack.advance()
    rates = []
    for _ in range(5):
        before, began = sum(run.steps for run in pack.runs if run), time.process_time()
        while time.process_time() - began < 1.0:
            pack.advance()
        steps = sum(run.steps for run in pack.runs if run) - before
        rates.append(steps / (time.process_time() - began) / 1e6)
    print(f"one core, {width} lanes: {max(rates):.1f} M trial-steps/s (best of 5: {rates})", flush=True)
    return {"lanes": width, "million": max(rates)}


def started(gpu: Gpu, width: int) -> Any:
    """A wide pack with a trial in each lane."""
    from lstm_search.worker import WidePack, shape_of

    trials, began = adding(width), time.perf_counter()
    pack = WidePack(shape_of(trials[0].cell), width, gpu)
    for spec in trials:
        pack.add(spec)
    while not pack.trained.all():
        pack.advance()
    print(f"{width} lanes: started after {time.perf_counter() - began:.1f} s", flush=True)
    return pack


def timed(pack: Any, seconds: float) -> float:
    """Millions of trial-steps a second by the clock, everything included."""
    pack.advance()
    before, began = pack.trained.sum(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        pack.advance()
    return float((pack.trained.sum() - before) / (time.perf_counter() - began) / 1e6)


def speed() -> dict[str, Any]:
    """Millions of trial-steps a second by the number of lanes."""
    from lstm_search.simd import Gpu

    gpu, found = Gpu(), {}
    for width in WIDTHS:
        pack = started(gpu, width)
        found[str(width)] = timed(pack, 3.0)
        print(f"{width} lanes: {found[str(width)]:.0f} M trial-steps/s", flush=True)
        del pack
    print(f"advance: {registers(gpu)}", flush=True)
    return {"million": found, "memory": registers(gpu)}


def alike(gpu: Gpu, width: int, words: Any) -> Any:
    """A wide pack all of whose lanes run, with the words [ALIKE, rows] of a smaller one again and again."""
    from lstm_search.worker import shape_of
    from lstm_search.worker.wide import WidePack

    pack = WidePack(shape_of(adding(1)[0].cell), width, gpu)
    for first in range(0, width, ALIKE):
        lanes = gpu.to_host(pack._every)[first : first + ALIKE]  # noqa: SLF001  (a benchmark looks inside)
        pack._write(gpu.to_device(lanes), words[: len(lanes)], 0)  # noqa: SLF001
    pack._active[:] = pack._learning[:] = True  # noqa: SLF001
    return pack


def kernel_ms(pack: Any, name: str, times: int = 5) -> float:
    """Milliseconds of one kernel on the GPU, the best of some."""
    from numba import cuda

    found = []
    for _ in range(times):
        for kernel in ("fill", "advance"):
            began, ended = cuda.event(), cuda.event()
            began.record()
            pack._launch[kernel](pack.width, pack._words, pack._data, pack.width)  # noqa: SLF001
            ended.record()
            ended.synchronize()
            if kernel == name:
                found.append(cuda.event_elapsed_time(began, ended))
    return float(min(found))


def close() -> dict[str, Any]:
    """What each choice of rows that are kept close brings, and whether the words of the lanes stay the same."""
    from lstm_search.simd import Gpu

    found: dict[str, Any] = {}
    words, digest = None, ""
    for held, shared in CLOSE:
        began, gpu = time.perf_counter(), Gpu(held, shared)
        if words is None:
            pack = started(gpu, ALIKE)
            words = pack._read(pack._every, 0, pack._rows)  # noqa: SLF001
        for width in WIDTHS[::-1]:
            pack = alike(gpu, width, words)
            least = {name: kernel_ms(pack, name) for name in ("advance", "fill")}
            after = hashlib.sha256(pack._read(gpu.to_device(np.arange(256)), 0, pack._rows).tobytes())  # noqa: SLF001
            digest = digest or after.hexdigest()
            figures = {
                "advance_ms": least["advance"],
                "fill_ms": least["fill"],
                "million": timed(pack, 0.7),
                "same": after.hexdigest() == digest,
            }
            found[f"{held}+{shared} {width}"] = figures
            print(f"held {held}, shared {shared}, {width} lanes: {figures}", flush=True)
            del pack
        print(f"{registers(gpu)}; {time.perf_counter() - began:.0f} s", flush=True)
    return found


def registers(gpu: Gpu) -> str:
    """What the compiler gave to a thread of `advance`."""
    compiled, shared = next(iter(gpu.kernels.values()))["advance"]
    (kernel,) = compiled.overloads.values()
    return f"{kernel.regs_per_thread} registers, {kernel.local_mem_per_thread} bytes of its own, {shared} a warp"


def jax() -> dict[str, str]:
    """JAX's vmap of the same net on the same GPU."""
    found = {}
    for width in WIDTHS:
        command = [sys.executable, str(HERE / "peer_jax.py"), str(width), "cuda"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        found[str(width)] = done.stdout.strip() or done.stderr[-300:]
        print(f"JAX, {width} trials: {found[str(width)]}", flush=True)
    return found


def bound() -> dict[str, str]:
    """What NVIDIA's profiler says of one block of 65,536 lanes."""
    command = ["ncu", "--clock-control", "none", "--kernel-name", "regex:advance", "--launch-skip", "60",
               "--launch-count", "1", "--metrics", METRICS, sys.executable, __file__, "profiled"]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    print(done.stdout[-3500:], done.stderr[-500:], flush=True)
    return {"ncu": done.stdout[-3500:]}


def profiled() -> dict[str, float]:
    """What `bound` looks at."""
    from lstm_search.simd import Gpu

    pack = started(Gpu(), WIDTHS[-1])
    return {"million": timed(pack, 1.0)}


def race() -> dict[str, Any]:
    """A race of 4,096 cells on the GPU, and some of its trials again on the CPU."""
    from lstm_search import cli
    from lstm_search.record import Record

    home = Path(os.environ.get("OUT", "studies"))
    words, began = [*RACE.split(), f"home={home}"], time.perf_counter()
    code = cli.main(["run", *words, "execute.device=gpu", "format=csv"])
    took = time.perf_counter() - began
    with Record.read(home, "gpu-race") as record:
        trials = [trial for some in record.trials(curves=False).values() for trial in some]
        outcomes = {str(trial.result.outcome) for trial in trials}
    solved = [trial for trial in trials if trial.result.outcome == "SOLVED"] or trials
    chosen = sorted(solved, key=lambda trial: trial.result.sequences)[:: max(1, len(solved) // REPLAYED)][:REPLAYED]
    codes = [cli.main(["replay", trial.result.key, "study=gpu-race", f"home={home}"]) for trial in chosen]
    cells, steps = len({trial.spec.cell.digest for trial in trials}), sum(trial.result.steps for trial in trials)
    print(
        f"race: exit code {code}, {cells} cells, {len(trials)} trials ({', '.join(outcomes)}), {steps:.2e} steps in "
        f"{took:.0f} s; replayed on the CPU: {codes} (0: the same to the last bit)",
        flush=True,
    )
    return {"seconds": took, "cells": cells, "trials": len(trials), "steps": steps, "replays": codes}


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"bits": bits, "core": core, "close": close, "speed": speed, "jax": jax, "bound": bound, "race": race}
    parser.add_argument("parts", nargs="*", choices=[*parts, "profiled", "expected"], default=list(parts))
    parser.add_argument("--lines", nargs="+", default=LINES, help="such as table=7, or 'table=3 rows=[q50-p50]'")
    parser.add_argument("--expected", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    lines, measured = given.lines, {}
    for part in given.parts:
        if part == "expected":
            expected(lines, given.expected)
        elif part == "bits":
            measured[part] = bits(lines, given.expected)
        else:
            measured[part] = {**parts, "profiled": profiled}[part]()  # type: ignore[operator]  # of several types
    if given.out:
        given.out.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
