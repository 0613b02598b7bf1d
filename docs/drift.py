"""What drift does to the state of a cell, and to the error that enters it: measured on nets as they start and end.

`python docs/drift.py` trains two studies (some minutes; again, it only draws), and renews docs/tables/drift.md
and docs/images/drift.svg. Each net of a study, with its first and with its last weights, is shown fresh sequences:
- s_c(t), the state of a cell, which nothing ever takes away from;
- y_out(t) h'(s_c(t)), by which an error that the output sends back to the cell at t is scaled as it enters the
  carrousel (section 3; appendix A.2). From there on it flows back unscaled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from pages import ROOT, renew

import lstm_search
from lstm_search.networks import Lstm1997
from lstm_search.record import Record
from lstm_search.spec import Outcome, Trial
from lstm_search.tasks import Adding, Task, VeryLongLag
from lstm_search.theory import H_KIND, first_weights, passage_of, slope

mpl.use("agg")
from matplotlib import pyplot as plt

mpl.rcParams["svg.hashsalt"] = "drift"  # the same file every time

PAGE, FIGURE = ROOT / "docs" / "tables" / "drift.md", ROOT / "docs" / "images" / "drift.svg"
HOME = ROOT / "studies"
BLOCK = re.compile(r"(<!-- drift: begin -->\n).*?(<!-- drift: end -->)", re.DOTALL)

STUDIES = {
    "drift-2c": "table=3 'rows=[q50-p50,q100-p100,q500-p500]' network.recurrent=all,cells,none replicates=8",
    "drift-adding": (
        "table=7 'rows=[T100,T500]' network.output=linear network.recurrent=all,cells,none "
        "network.cell_bias=random,none replicates=8 cap=300000"
    ),
}
DRAWN = {"drift-2c": "q500-p500", "drift-adding": "T500"}
COLOURS = {"all": "#D55E00", "cells": "#E69F00", "none": "#0072B2"}
SEQUENCES = 8


@dataclass(frozen=True)
class Seen:
    """What was seen of nets: states [step, sequence, net, cell], what scales errors that enter (alike), and the output
    weights of the cells [net, output, cell]."""

    s: np.ndarray
    entering: np.ndarray
    v: np.ndarray

    def states(self) -> np.ndarray:
        """By step, abs(s) of the cell that has drifted least: its median over nets and sequences."""
        return np.asarray(np.median(np.abs(self.s).min(axis=3), axis=(1, 2)))

    def factors(self) -> np.ndarray:
        """By step, the largest factor of a net's cells, for one that learns is enough: its median likewise."""
        return np.asarray(np.median(self.entering.max(axis=3), axis=(1, 2)))


def words(study: str) -> list[str]:
    """The overrides of a study."""
    return [*STUDIES[study].replace("'", "").split(), f"study={study}", f"home={HOME}", "tracking=none"]


def sequences(task: Task, rng: np.random.Generator) -> np.ndarray:
    """Input rows [step, sequence, input] of sequences of the shortest length."""
    if isinstance(task, VeryLongLag):
        symbols = rng.integers(0, task.p, (task.q + 3, SEQUENCES))
        symbols[0], symbols[1], symbols[-1] = task.p + 1, task.p + 2 + rng.integers(0, 2, SEQUENCES), task.p
        return np.eye(task.layout.inputs)[symbols]
    assert isinstance(task, Adding)  # noqa: S101  # this page has two tasks
    rows = np.stack([rng.uniform(-1, 1, (task.T, SEQUENCES)), np.zeros((task.T, SEQUENCES))], axis=-1)
    for i in range(SEQUENCES):
        first = rng.integers(10)
        second = rng.choice([pair for pair in range(task.T // 2 - 1) if pair != first])
        rows[[first, second], i, 1] = 1.0
    rows[[0, -1], :, 1] = -1.0
    return rows


def watch(network: Lstm1997, hidden: np.ndarray, output: np.ndarray, rows: np.ndarray) -> Seen:
    """Run nets (weights [net, unit, source] and [net, output, source]) over the sequences, learning nothing."""
    seen = passage_of(network, hidden, output, rows[:, :, None])
    y_out = np.repeat(seen.y_out, network.size, axis=-1)
    return Seen(seen.s, y_out * slope(H_KIND[network.h], seen.h), output[:, :, : network.cells])


def measured(study: str) -> dict[str, tuple[list[Trial], Seen, Seen]]:
    """By row: its trials, and what was seen of their nets before and after training."""
    found = {}
    with Record.read(HOME, study) as record:
        for row, trials in record.trials(curves=False).items():
            cell = trials[0].spec.cell
            assert isinstance(cell.network, Lstm1997)  # noqa: S101  # both tables have LSTM's rows only
            rows = sequences(cell.task, np.random.default_rng(0))
            nets = (
                [first_weights(trial.spec) for trial in trials],
                [tuple(record.arrays(trial.spec.key).values()) for trial in trials],
            )
            stacked = ([np.array(each) for each in zip(*some, strict=True)] for some in nets)
            before, after = (watch(cell.network, hidden, output, rows) for hidden, output in stacked)
            found[row] = list(trials), before, after
    return found


def lines(found: Mapping[str, Mapping[str, tuple[list[Trial], Seen, Seen]]]) -> list[str]:
    """The table, and the commands that train what it shows."""
    names = ("abs(s)", "y_out h'(s)", "abs(s), trained", "y_out h'(s), trained", "abs(v), trained")
    table = [f"| row | {' | '.join(names)} | solved |", "|" + "---|" * (len(names) + 2)]
    for rows in found.values():
        for row, (trials, before, after) in rows.items():
            solved = sum(trial.result.outcome == Outcome.SOLVED for trial in trials)
            ends = [float(values[-1]) for seen in (before, after) for values in (seen.states(), seen.factors())]
            cells = [f"{number:.2g}" if number < 10 else f"{number:.0f}" for number in (*ends, _weight(after))]
            table.append(f"| {row} | {' | '.join(cells)} | {solved}/{len(trials)} |")
    return [*table, "", *(f"    lstm-search run {STUDIES[study]} study={study} tracking=none" for study in STUDIES)]


def _weight(seen: Seen) -> float:
    """The largest weight from a net's cells to its outputs: its median over nets."""
    return float(np.median(np.abs(seen.v).max(axis=(1, 2))))


def plot(found: Mapping[str, Mapping[str, tuple[list[Trial], Seen, Seen]]]) -> None:
    """States and what scales entering errors, step by step, of nets as they start."""
    figure, panels = plt.subplots(2, 2, figsize=(8.0, 5.4), layout="constrained", sharex="col")
    titles = ("table 3, q = p = 500", "table 7, T = 500, linear output")
    for column, (study, name) in enumerate(DRAWN.items()):
        for row, (trials, before, _) in found[study].items():
            if not row.startswith(f"{name} "):
                continue
            network = trials[0].spec.cell.network
            assert isinstance(network, Lstm1997)  # noqa: S101  # see `measured`
            biased = network.cell_bias == "random"
            label = f"recurrent={network.recurrent}" + (f" cell_bias={network.cell_bias}" if column else "")
            style = {"color": COLOURS[network.recurrent], "linestyle": "--" if biased else "-", "label": label}
            for panel, values in zip(panels[:, column], (before.states(), before.factors()), strict=True):
                panel.plot(values, **style)
        panels[0, column].set_title(titles[column], loc="left", fontsize=9)
        panels[0, column].legend(frameon=False, fontsize=7)
        panels[1, column].set(xlabel="step", yscale="log", ylim=(1e-7, 1))
    panels[0, 0].set_ylabel("abs(s) of a net's least drifted cell")
    panels[1, 0].set_ylabel("y_out h'(s), largest of a net's cells")
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    """Train what is missing, then measure and plot."""
    for study in STUDIES:
        lstm_search.run(*words(study))
    found = {study: measured(study) for study in STUDIES}
    plot(found)
    renew(PAGE, BLOCK, lambda _: "\n".join([*lines(found), ""]))


if __name__ == "__main__":
    main()
