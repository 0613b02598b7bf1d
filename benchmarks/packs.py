"""What a step takes a pack, by its number of lanes, on one core.

python benchmarks/packs.py [--rounds N]: packs of one lane, and of a quarter, half and all of the processor's width,
take turns; times are of the processor, checks included. Where what a step goes through does not fit into the
first-level cache, a worker takes two packs of half the width instead of one (`worker.shape.most_lanes`); the last
column says what that takes, as a share of the time of one.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median
from typing import TYPE_CHECKING

from bench import CORES, rows, spread

if TYPE_CHECKING:
    from lstm_search.spec import Cell

EIGHT = ",".join(4 * ["-3", "-6"])
CELLS = {
    "table 7, T100": ("table=7", "rows=T100"),
    "the same with 4 blocks": ("table=7", "rows=T100", "network.blocks=4", "network.input_gate_bias=[-3,-6,-3,-6]"),
    "the same with 8 blocks": ("table=7", "rows=T100", "network.blocks=8", f"network.input_gate_bias=[{EIGHT}]"),
    "table 9, 6a": ("table=9", "rows=6a"),
    "table 9, 6b": ("table=9", "rows=6b"),
    "table 1, lstm-4x1-0.1": ("table=1", "rows=lstm-4x1-0.1"),
    "table 1, lstm-3x2-0.5": ("table=1", "rows=lstm-3x2-0.5"),
}
STEPS = 40_000  # of a pack in a round, about


def step_ns(cell: Cell, lanes: int) -> float:
    """Ns that a step takes a pack with a trial in each of its lanes."""
    from lstm_search.spec import TrialSpec
    from lstm_search.worker.pack import Pack
    from lstm_search.worker.shape import shape_of

    pack = Pack(shape_of(cell), lanes)
    for replicate in range(lanes):
        pack.add(TrialSpec(cell, replicate, seed=0, cap=10**9))
    pack.advance()  # compiles
    began, start = max(run.steps for run in pack.runs if run), time.process_time()
    while (steps := max(run.steps for run in pack.runs if run) - began) < STEPS:
        pack.advance()
    return 1e9 * (time.process_time() - start) / steps


def touched(cell: Cell, lanes: int) -> float:
    """KB that every step of so many lanes goes through."""
    from lstm_search.worker.shape import shape_of

    shape = shape_of(cell)
    state = shape.kernels.new_state(lanes, shape.variant, shape.layout.outputs)
    return shape.kernels.touched(state) / 1024 if shape.kernels.touched else 0.0


def lines(rounds: int) -> list[str]:
    """What was measured, in Markdown."""
    from lstm_search.simd import full_width

    full = full_width()
    widths = (1, full // 4, full // 2, full)
    head = ["net", f"KB a step, {full} lanes", *(f"ns a step, {lanes} lanes" for lanes in widths), "two halves / one"]
    found = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, words in CELLS.items():
        (row,) = rows(*words)
        ns: dict[int, list[float]] = {lanes: [] for lanes in widths}
        for _ in range(rounds):
            for lanes in widths:
                ns[lanes].append(step_ns(row.cell, lanes))
        ratios = [2 * half / whole for half, whole in zip(ns[full // 2], ns[full], strict=True)]
        medians = [f"{median(ns[lanes]):.0f}" for lanes in widths]
        figures = [f"{touched(row.cell, full):.0f}", *medians, spread(ratios, 2)]
        found.append(f"| {name} | {' | '.join(figures)} |")
    return found


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    if CORES:
        os.sched_setaffinity(0, {max(CORES)})
    print("\n".join(lines(chosen.rounds)))


if __name__ == "__main__":
    main()
