"""Nets watched as they learn: what docs/theory.md draws of drift, of abused cells and of flat spots.

Some trials of the recorded studies are trained again, up to so many sequences each (a minute or two), and shown
sequences without learning. A cap is no part of a trial's identity, so these are the same nets, earlier.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from drift import sequences, watch
from pages import ROOT

from lstm_search.config import compose
from lstm_search.record import unpacked
from lstm_search.spec import Cell, TrialSpec
from lstm_search.tasks import LongLag
from lstm_search.theory import Example, examples, passage_of
from lstm_search.worker import Worker

mpl.use("agg")
from matplotlib import pyplot as plt

mpl.rcParams["svg.hashsalt"] = "learning"  # the same figure is the same file

IMAGES = ROOT / "docs" / "images"
STAGES = (30, 100, 300, 1000, 3000, 10_000, 30_000)
"""After how many training sequences nets are looked at."""

NETS, SHOWN, SOON = 8, 50, 5
"""Nets of a row, sequences that each is shown, and the stages at which a cell is abused: up to 3,000 sequences."""

RED, AMBER, GREEN, BLUE = "#D55E00", "#E69F00", "#009E73", "#0072B2"

Net = tuple[np.ndarray, np.ndarray]
"""Hidden and output weights."""


def first_trials(words: str) -> dict[str, list[TrialSpec]]:
    """By row, the first trials of the study that `words` train."""
    asked = compose(shlex.split(words))
    seed = asked.definition.seed
    return {row.name: [TrialSpec(row.cell, i, seed, row.cap) for i in range(NETS)] for row in asked.rows_ahead()}


def early(trials: Sequence[TrialSpec], cap: int) -> list[Net]:
    """The nets of the trials after `cap` sequences, or as they ended if that was before."""
    new = [TrialSpec(trial.cell, trial.replicate, trial.seed, min(cap, trial.cap)) for trial in trials]
    found: dict[str, bytes] = {}
    worker, waiting = Worker(), new
    while len(found) < len(new):
        found.update((result.key, result.weights) for result in worker.advance(waiting, 0.5).finished)
        waiting = []
    return [tuple(unpacked(found[trial.key]).values()) for trial in trials]


def stacked(nets: Sequence[Net]) -> tuple[np.ndarray, np.ndarray]:
    """Their weights [net, unit, source] and [net, output, source]."""
    hidden, output = (np.array(each) for each in zip(*nets, strict=True))
    return hidden, output


def draw_drift(studies: Mapping[str, str]) -> None:
    """What scales an error as it enters: over a sequence as nets start, and at the trigger as they learn."""
    rows = {row: trials for words in studies.values() for row, trials in first_trials(words).items()}
    figure, (over_steps, over_training) = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained", sharey=True)
    for row, colour, label in (
        ("q100-p100 recurrent=all", RED, "as printed"),
        ("q100-p100", AMBER, "input gates start at -3"),
        ("q100-p100 recurrent=none", BLUE, "no recurrence"),
    ):
        cell: Any = rows[row][0].cell
        shown = sequences(cell.task, np.random.default_rng(0))
        seen = [watch(cell.network, *stacked(early(rows[row], cap)), shown).factors() for cap in STAGES]
        over_steps.plot(seen[0], color=colour, label=label)
        over_training.plot(STAGES, [factors[-1] for factors in seen], "o-", color=colour)
    over_steps.set(yscale="log", xlabel="step", ylabel="y_out h'(s), largest of a net's cells")
    titled(over_steps, f"over a sequence, after {STAGES[0]} sequences")
    over_training.set(xscale="log", xlabel="training sequences")
    over_training.set_title("at the trigger, as nets learn", loc="left", fontsize=9)
    figure.savefig(IMAGES / "drift-learning.svg", metadata={"Date": None})


def titled(panel: Any, title: str, legend: str = "best") -> None:
    """A title on the left, and a legend."""
    panel.set_title(title, loc="left", fontsize=9)
    panel.legend(frameon=False, fontsize=8, loc=legend)


def sent(cell: Cell, net: Net, x: np.ndarray) -> np.ndarray:
    """What the cells of a net send to the outputs [T, K], step by step."""
    network: Any = cell.network
    first = x.shape[1] if network.direct else 0
    return np.asarray(passage_of(network, *net, x).y_c @ net[1][:, first : first + network.cells].T)


def of_two_classes(cell: Cell, net: Net) -> tuple[float, float]:
    """Of what the cell of task 2a sends: the part that both classes have in common, and that which tells them apart."""
    assert isinstance(cell.task, LongLag)  # noqa: S101  # this is about its two sequences
    p = cell.task.p
    x, y = (sent(cell, net, np.eye(p + 1)[[p - 1 + k, *range(p - 1), p - 1 + k]]) for k in (0, 1))
    return _size(x + y) / 2, _size(x - y) / 2


def of_all_steps(cell: Cell, net: Net, shown: Sequence[np.ndarray]) -> tuple[float, float]:
    """Of what the cells send: the part that is the same at all steps, and the rest."""
    found = np.concatenate([sent(cell, net, x) for x in shown])
    mean = found.mean(axis=0)
    return _size(mean), _size(found - mean)


def _size(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def draw_abuse(studies: Mapping[str, str]) -> None:
    """What cells send to outputs as nets learn: what is constant of it, and what is memory."""
    figure, (lag, grammar) = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    late, start = first_trials(studies["abuse-2a"]), first_trials(studies["abuse"])
    for row, colour, label in (
        ("lstm-p100 growth=none", RED, "cell from the start"),
        ("lstm-p100 growth=plateau", BLUE, "joins in later (until then: first weights)"),
    ):
        draw_parts(lag, late[row], of_two_classes, colour, label)
    for row, colour, label in (
        ("lstm-3x2-0.2 output_gate_bias=[]", RED, "biases of output gates random"),
        ("lstm-3x2-0.2 output_gate_bias=[-1,-2,-3]", BLUE, "biases -1, -2, -3"),
    ):
        shown = [one.x for one in examples(start[row][0], SHOWN)]
        draw_parts(grammar, start[row], partial(of_all_steps, shown=shown), colour, label)
    for panel, title, legend in (
        (lag, "task 2a: common to classes, apart (dashed)", "upper right"),
        (grammar, "Reber: constant, the rest (dashed)", "lower right"),
    ):
        panel.set(xscale="log", yscale="log", xlabel="training sequences")
        titled(panel, title, legend)
    lag.set(ylabel="sent by cells to outputs\n(root mean square)", ylim=(3e-4, 3e3))
    figure.savefig(IMAGES / "abuse.svg", metadata={"Date": None})


def draw_parts(
    panel: Any, trials: Sequence[TrialSpec], parts: Callable[[Cell, Net], tuple[float, float]], colour: str, label: str
) -> None:
    """Two parts of what cells send, as nets learn: medians over nets."""
    cell = trials[0].cell
    found = np.array([np.median([parts(cell, net) for net in early(trials, cap)], axis=0) for cap in STAGES[:SOON]])
    panel.plot(STAGES[:SOON], found[:, 0], "o-", color=colour, label=label)
    panel.plot(STAGES[:SOON], found[:, 1], "o--", color=colour, markersize=3)


def flattest(cell: Cell, net: Net, shown: Sequence[Example]) -> float:
    """The f' of that output which is farthest on the wrong side: the least one that should name what follows."""
    network: Any = cell.network
    least = 0.5
    for one in shown:
        steps = np.flatnonzero(~np.isnan(one.target[:, 0]))
        y = passage_of(network, *net, one.x).y[steps, one.target[steps].argmax(axis=1)]
        least = min(least, float(y.min()))
    return least * (1 - least)


def draw_flat(studies: Mapping[str, str]) -> None:
    """The error signal against the output, and how flat it gets where outputs are wrong, as nets learn."""
    figure, (signals, slopes) = plt.subplots(1, 2, figsize=(8.0, 3.2), layout="constrained")
    rows, y = first_trials(studies["flat-spots"]), np.linspace(0, 1, 201)
    for row, target, added, colour, label in (
        ("targets=[0,1] slope_added=0", 1.0, 0.0, RED, "target 1"),
        ("targets=[0.05,0.95] slope_added=0", 0.95, 0.0, BLUE, "target .95"),
        ("targets=[0,1] slope_added=0.05", 1.0, 0.05, GREEN, "target 1, .05 added to f'"),
    ):
        signals.plot(y, (target - y) * (y * (1 - y) + added), color=colour, label=label)
        trials = rows[f"lstm-3x2-0.5 {row}"]
        shown = examples(trials[0], SHOWN)
        found = [[flattest(trials[0].cell, net, shown) for net in early(trials, cap)] for cap in STAGES]
        slopes.plot(STAGES, found, color=colour, alpha=0.4, linewidth=0.7)
        slopes.plot(STAGES, np.median(found, axis=1), "o-", color=colour)
    signals.axhline(0, color="black", linewidth=0.6)
    signals.set(xlabel="output", ylabel="error signal", ylim=(-0.01, 0.25))
    titled(signals, "error signal of an output that should be 1", "upper right")
    slopes.set(xscale="log", yscale="log", xlabel="training sequences", ylabel="f' (thin: each net)", ylim=(1e-5, 0.3))
    slopes.set_title("f' of the output farthest on the wrong side, median", loc="left", fontsize=9)
    figure.savefig(IMAGES / "flat-spots.svg", metadata={"Date": None})
