"""Time and memory as nets grow: LSTM, RTRL and BPTT on the adding problem, measured on one core.

python benchmarks/complexity.py [--rounds N] [--write]: with --write, the table of docs/benchmarks.md and the figure
docs/images/complexity.svg are renewed. Times are of the processor, memory is what a trial's arrays hold.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import Bptt, Lstm1997, Rtrl
from lstm_search.spec import Cell, Stop, Training, TrialSpec
from lstm_search.tasks import Adding
from lstm_search.worker import Worker, shape_of

ROOT = Path(__file__).parent.parent
DOCUMENT, FIGURE = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "images" / "complexity.svg"
BLOCK = re.compile(r"(<!-- complexity: begin -->\n).*?(<!-- complexity: end -->)", re.DOTALL)
STOP = Stop(max_wrong=0, test_sequences=0)
LANES = 8
T = 20
"""Shortest sequence while nets grow."""

UNITS = {"LSTM": (6, 12, 24, 48, 96, 192), "RTRL": (6, 12, 24, 48), "BPTT": (6, 12, 24, 48)}
"""Hidden units. Of LSTM: blocks of one cell and two gates."""

LENGTHS = (25, 50, 100, 200, 400, 800)
COLOURS = {"LSTM": "#0072B2", "RTRL": "#D55E00", "BPTT": "#009E73"}


class Measured(NamedTuple):
    """Of one trial: weights, ns a time step (median of the rounds), bytes of its arrays."""

    weights: int
    ns: float
    bytes: float


def cell(kind: str, units: int, length: int = T) -> Cell:
    """A net with so many hidden units, each of which sees all others."""
    network: Any
    if kind == "LSTM":
        network = Lstm1997(blocks=units // 3, size=1)
    elif kind == "RTRL":
        network = Rtrl(units, "layered", bias=True)
    else:
        network = Bptt(units, "layered", bias=True, history=length + length // 10)
    return Cell(Adding(length), network, Training(0.1), (STOP,))


def measure(asked: Cell, steps: int, rounds: int) -> Measured:
    """Train for about `steps` time steps a trial, in each of the rounds."""
    trained(asked, 2)  # compiled, and warm
    layout, shape, kernels = asked.task.layout, shape_of(asked), asked.network.kernels
    state = kernels.new_state(LANES, shape.variant, layout.outputs)
    ns = [trained(asked, max(3, round(steps / asked.task.length))) for _ in range(rounds)]
    held = sum(array.nbytes for array in kernels.lanes_last(state)) / LANES
    return Measured(asked.network.n_weights(layout.inputs, layout.outputs), median(ns), held)


def trained(asked: Cell, sequences: int) -> float:
    """Ns a trial and time step of LANES trials side by side."""
    worker, steps, left = Worker(LANES), 0, LANES
    new = [TrialSpec(asked, replicate, seed=0, cap=sequences) for replicate in range(LANES)]
    start = time.process_time()
    while left:
        finished = worker.advance(new, 0.5).finished
        steps, left, new = steps + sum(result.steps for result in finished), left - len(finished), []
    return 1e9 * (time.process_time() - start) / steps


def slope(x: list[float], y: list[float]) -> float:
    """Exponent of y ~ x^slope, from the last three points."""
    return float(np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)[0])


def grow(rounds: int) -> dict[str, list[Measured]]:
    """Every kind of net at every number of hidden units."""
    found: dict[str, list[Measured]] = {kind: [] for kind in COLOURS}
    for kind, sizes in UNITS.items():
        for units in sizes:
            steps = 3000 if kind != "RTRL" else max(200, 10**8 // units**4)
            print(f"{kind} with {units} hidden units", file=sys.stderr)
            found[kind].append(measure(cell(kind, units), steps, rounds))
    return found


def lengthen(rounds: int) -> dict[str, list[Measured]]:
    """Every kind of net of twelve hidden units at every length of sequences."""
    steps = {"LSTM": 5000, "BPTT": 5000, "RTRL": 2000}
    print(f"sequences of {LENGTHS[0]} to {LENGTHS[-1]} steps", file=sys.stderr)
    return {
        kind: [measure(cell(kind, 12, length), max(steps[kind], 3 * length), rounds) for length in LENGTHS]
        for kind in COLOURS
    }


def lines(grown: dict[str, list[Measured]], longer: dict[str, list[Measured]], rounds: int) -> list[str]:
    """What was measured, in Markdown."""
    found = [
        f"`python benchmarks/complexity.py --rounds {rounds} --write`: adding problem, one core, median of the rounds.",
        "",
        "| net | hidden units | weights | ns a step | ns a step and weight | bytes a trial | bytes a weight |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, all_of in grown.items():
        for units, one in zip(UNITS[kind], all_of, strict=True):
            per = f"{one.ns / one.weights:,.2f} | {one.bytes:,.0f} | {one.bytes / one.weights:,.0f}"
            found.append(f"| {kind} | {units} | {one.weights:,} | {one.ns:,.0f} | {per} |")
    found += ["", "Exponents, from the last three sizes (time a step ~ units^a, time a step and weight ~ weights^b,"]
    found += [
        "memory ~ units^c; memory ~ length^d with twelve units):",
        "",
        "| net | a | b | c | d |",
        "|---|---|---|---|---|",
    ]
    for kind, all_of in grown.items():
        sizes, weights = [float(n) for n in UNITS[kind]], [float(one.weights) for one in all_of]
        ns, held = [one.ns for one in all_of], [one.bytes for one in all_of]
        per_weight = [one.ns / one.weights for one in all_of]
        lengths = slope([float(n) for n in LENGTHS], [one.bytes for one in longer[kind]])
        exponents = (slope(sizes, ns), slope(weights, per_weight), slope(sizes, held), lengths)
        found.append(f"| {kind} | {' | '.join(f'{exponent:.2f}' for exponent in exponents)} |")
    return found


def draw(grown: dict[str, list[Measured]], longer: dict[str, list[Measured]]) -> None:
    """Time a step, time a step and weight, memory against units; memory against length."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(8, 5.6), layout="constrained")
    for kind, colour in COLOURS.items():
        look: dict[str, Any] = {"color": colour, "marker": "o", "label": kind}
        all_of, weights = grown[kind], [one.weights for one in grown[kind]]
        panels[0, 0].plot(UNITS[kind], [one.ns for one in all_of], **look)
        panels[0, 1].plot(weights, [one.ns / one.weights for one in all_of], **look)
        panels[1, 0].plot(UNITS[kind], [one.bytes for one in all_of], **look)
        panels[1, 1].plot(LENGTHS, [one.bytes for one in longer[kind]], **look)
    first, last = grown["RTRL"][0], np.array(UNITS["RTRL"], float)
    panels[0, 0].plot(last, first.ns * (last / last[0]) ** 4, ":", color="#666666", label="as units$^4$")
    for panel, x, y in (
        (panels[0, 0], "hidden units", "ns a step"),
        (panels[0, 1], "weights", "ns a step and weight"),
        (panels[1, 0], "hidden units", "bytes a trial"),
        (panels[1, 1], "steps of a sequence (12 hidden units)", "bytes a trial"),
    ):
        panel.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    for panel, ticks in ((panels[0, 0], UNITS["LSTM"]), (panels[1, 0], UNITS["LSTM"]), (panels[1, 1], LENGTHS)):
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    panels[0, 0].legend(frameon=False)
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    """Measure, print, and with --write renew the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--write", action="store_true")
    chosen = options.parse_args()
    grown, longer = grow(chosen.rounds), lengthen(chosen.rounds)
    text = "\n".join(lines(grown, longer, chosen.rounds))
    print(text)
    if chosen.write:
        draw(grown, longer)
        page = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(BLOCK.sub(lambda block: f"{block[1]}{text}\n{block[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
