"""What later nets, the exact gradient and optimizers buy on six of the paper's tasks (docs/tables/beyond.md).

`python docs/beyond.py` trains what is missing, `python docs/beyond.py report` writes the page from the records. Each
change is made to the same net, that of recipe one-set, and each is tuned by a race of its own: ten candidates, five
learning rates and two values of what holds its memory at first, on the same seeds and at the same error budget. The
best is trained again on twenty fresh replicates.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from pages import ROOT, markdown, printed

import lstm_search
from lstm_search.record import studies
from lstm_search.stats import Times, ert_p, expected_running_time, holm, ratio_interval

mpl.use("agg")
from matplotlib import pyplot as plt

mpl.rcParams["svg.hashsalt"] = "beyond"  # the same figure is the same file

PAGE, FIGURE = ROOT / "docs" / "tables" / "beyond.md", ROOT / "docs" / "images" / "beyond.svg"
COLOUR, SPAN = "#0072B2", (0.015, 60.0)


FRESH = 1_000_000
"""The number of the first fresh replicate (`search.fresh_from`)."""

CONFIRMED = 20
"""So many fresh replicates has the best of a race (`search.confirm`)."""

NONE = pd.DataFrame({"key": [], "replicate": []})
"""The trials of a study that has not begun."""

LEVEL = 0.05

HELD = {
    "network.init": "first weights up to",
    "network.forget_gate_bias": "forget bias",
    "network.input_gate_bias": "input bias",
    "network.update_gate_bias": "update bias",
}
"""What the axes are called that say what holds a net's memory at first."""

INTRODUCTION = """# What each change to the net of 1997 buys
The net of 1997 with the readings of [one set](../reproduction.md), and with one change after the other: later forms of
the net, the exact gradient, optimizers, and gated recurrent units of about as many weights. Each was tuned by a race of
its own, ten candidates (five learning rates, two values of what holds the memory at first) on the same twenty
replicates at the same error budget; the best was trained again on twenty fresh ones. `python docs/beyond.py` trains it
({hours:.1f} core-hours), `python docs/beyond.py report` writes this page. Fresh trials that were solved, and the
expected running time (all sequences spent for one success) divided by that of the net of 1997:"""

NOTE = """\\* differs from the net of 1997: permutation test of equal expected running times, two-sided, below 5 %
after Holm's correction over the ten changes of a task. Below 1 is faster. Sequences are counted, not seconds: a step of
the exact gradient costs more. A change was tuned in ten places only; what is slow here may be fast elsewhere. Trials
end at a cap, given with the commands. Ratios stand with 95 % bootstrap intervals below."""


class Task(NamedTuple):
    """One of the tasks: its words, its cap, the readings for its targets, and around what rates are tried."""

    title: str
    words: str
    cap: int
    real: bool  # whether its targets are real numbers
    blocks: int
    units: int  # of a GRU, so that it has about as many weights
    rate: float  # the paper's


LAG = "2c: q=p=100"

TASKS = {
    "reber": Task("1: Reber", "task=embedded_reber", 50_000, real=False, blocks=4, units=6, rate=0.5),
    "6a": Task("6a: order of two", "task=temporal_order_6a", 150_000, real=False, blocks=2, units=4, rate=0.5),
    "adding-100": Task("4: adding, T=100", "task=adding task.T=100", 200_000, real=True, blocks=2, units=4, rate=0.5),
    "2c": Task(LAG, "task=very_long_lag_2c task.q=100 task.p=100", 150_000, real=False, blocks=2, units=2, rate=0.01),
    "6b": Task("6b: order of three", "task=temporal_order_6b", 600_000, real=False, blocks=3, units=6, rate=0.1),
    "adding-500": Task("4: adding, T=500", "task=adding task.T=500", 250_000, real=True, blocks=2, units=4, rate=0.5),
}

BLOCKS = (
    "network.direct=true network.output_bias=true network.cell_bias=none network.h=double network.recurrent_to=gates"
)
"""The readings of recipe one-set."""


class Change(NamedTuple):
    """A net or an optimizer, and what is tried beside rates: two start values of what holds its memory."""

    title: str
    words: str
    held: str
    optimizer: str = "descent"


INIT = "network.init=0.1,0.3"
FORGET = "network.forget_gate_bias='[{four}],[{seven}]' network.gates_biased=true"
COUPLED = "network.input_gate_bias='[{minus_four}],[{minus_seven}]' network.gates_biased=true"
UPDATE = "network.update_gate_bias=4,7"

CHANGES = {
    "1997": Change("the net of 1997", "network=lstm1997", INIT),
    "momentum": Change("momentum", "network=lstm1997", INIT, "momentum"),
    "adam": Change("Adam", "network=lstm1997", INIT, "adam"),
    "full": Change("full gradient", "network=lstm1997 network.gradient=full", INIT),
    "forget": Change("forget gates", "network=lstm2000", FORGET),
    "peepholes": Change("forget gates, peepholes", "network=lstm2000 network.peepholes=true", FORGET),
    "coupled": Change("forget = 1 - input gate", "network=lstm2000 network.forget=coupled", COUPLED),
    "forget-full": Change("forget gates, full gradient", "network=lstm2000 network.gradient=full", FORGET),
    "today": Change("forget gates, full gradient, Adam", "network=lstm2000 network.gradient=full", FORGET, "adam"),
    "gru": Change("GRU", "network=gru", UPDATE),
    "gru-adam": Change("GRU, Adam", "network=gru", UPDATE, "adam"),
}

RATES = {"descent": (0.1, 0.3, 1, 3, 10), "momentum": (0.01, 0.03, 0.1, 0.3, 1)}
"""Times the paper's rate. Momentum makes steps ten times as long; rates of Adam do not depend on the task's."""


def rates(task: Task, optimizer: str) -> list[float]:
    """The learning rates of the candidates."""
    if optimizer == "adam":
        return [0.001, 0.003, 0.01, 0.03, 0.1]
    return [float(f"{task.rate * factor:.4g}") for factor in RATES[optimizer]]


def command(name: str, change: str) -> str:
    """The words of a race."""
    task, made = TASKS[name], CHANGES[change]
    many = {"four": 4, "seven": 7, "minus_four": -4, "minus_seven": -7}
    held = made.held.format(**{key: ",".join([str(value)] * task.blocks) for key, value in many.items()})
    readings = "network.output=linear" if task.real else "training.targets=[0.05,0.95]"
    if "gru" in change:
        readings += f" network.hidden={task.units}"
    else:
        readings += f" {BLOCKS}"
    if made.optimizer != "descent":
        readings += f" training.optimizer={made.optimizer}"
    tried = ",".join(f"{rate:g}" for rate in rates(task, made.optimizer))
    return (
        f"run recipe=beyond {task.words} {made.words} {readings} training.rate={tried} {held} cap={task.cap} "
        f"study=beyond-{name}-{change}"
    )


def train() -> None:
    """Train what is missing, a race on each core."""
    asked = [f"{command(name, change)} execute=inline tracking=none" for name in TASKS for change in CHANGES]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for words, table in zip(asked, pool.map(printed, asked), strict=True):
            print(f"lstm-search {words}\n{table}", flush=True)


class Tuned(NamedTuple):
    """What came of a race."""

    chosen: str  # the settings of the best candidate that were tried
    times: Times  # of its trials on fresh replicates: training sequences of the solved ones, and of the others
    seconds: float  # of a core, for all trials

    @property
    def solved(self) -> str:
        """Solved trials of all."""
        return f"{len(self.times[0])}/{len(self.times[0]) + len(self.times[1])}"


def tuned(name: str, change: str) -> Tuned:
    """The race of a change on a task, as it is recorded."""
    study, home = f"beyond-{name}-{change}", ROOT / "studies"
    trials = lstm_search.open_study(study, home=str(home)).trials() if study in studies(home) else NONE
    trials = trials.drop_duplicates("key", keep="last")
    fresh = trials[trials["replicate"] >= FRESH]
    if len(fresh) < CONFIRMED:
        raise SystemExit(f"{study} is not finished: `python docs/beyond.py` trains what is missing")
    spent = {solved: [float(value) for value in some["sequences"]] for solved, some in fresh.groupby(_solved(fresh))}
    return Tuned(_chosen(change, fresh), (spent.get(True, []), spent.get(False, [])), float(trials["seconds"].sum()))


def _solved(trials: pd.DataFrame) -> pd.Series:
    return trials["outcome"] == "SOLVED"


def _chosen(change: str, fresh: pd.DataFrame) -> str:
    """The values of the axes: learning rate and what holds the memory."""
    key = CHANGES[change].held.partition("=")[0]
    held = str(fresh[key].iloc[0]).strip("[]").split(",")[0]
    return f"rate {fresh['training.rate'].iloc[0]:g}, {HELD[key]} {held}"


def ratio(first: Times, second: Times) -> tuple[float, float, float] | None:
    """ERT of the first over that of the second, with its interval; None where one of them never solved."""
    if not first[0] or not second[0]:
        return None
    ert, other = (sum(map(sum, times)) / len(times[0]) for times in (first, second))
    return ert / other, *ratio_interval(first, second)


def _told(first: Times, second: Times) -> str:
    found = ratio(first, second)
    if found is None:
        return "none solved" if second[0] else "-"
    return "{} [{} to {}]".format(*map(_short, found))


def _short(number: float) -> str:
    if math.isinf(number):
        return "inf"
    return f"{number:.2f}" if number < 10 else f"{number:.0f}"


def differing(found: Mapping[str, Tuned]) -> dict[str, float]:
    """By change, p of equal expected running times with the net of 1997, after Holm's correction."""
    plain, others = found["1997"].times, [change for change in CHANGES if change != "1997"]
    tests = [min(1.0, 2 * min(ert_p(found[c].times, plain), ert_p(plain, found[c].times))) for c in others]
    return dict(zip(others, holm(tests), strict=True))


def lines(found: Mapping[str, Tuned]) -> list[tuple[str, ...]]:
    """What each change came to on a task, beside the net of 1997."""
    plain, p = found["1997"].times, differing(found)
    return [
        (
            CHANGES[change].title,
            each.chosen,
            each.solved,
            _sequences(expected_running_time(*each.times)),
            "1" if change == "1997" else _told(each.times, plain),
            "-" if change == "1997" else f"{p[change]:.2g}",
            f"{each.seconds:,.0f}",
        )
        for change, each in found.items()
    ]


def _sequences(ert: float | None) -> str:
    return f"{ert:,.0f}" if ert and math.isfinite(ert) else "-"


def report() -> None:
    """Write the page."""
    all_found = {name: {change: tuned(name, change) for change in CHANGES} for name in TASKS}
    of_tasks = {name: lines(found) for name, found in all_found.items()}
    cells = [
        (titles[0][0], *(f"{line[2]}, {line[4].partition(' [')[0]}{'*' if _sure(line[5]) else ''}" for line in titles))
        for titles in zip(*of_tasks.values(), strict=True)
    ]
    hours = sum(float(line[6].replace(",", "")) for found in of_tasks.values() for line in found) / 3600
    head = ("change", "settings chosen", "solved", "ERT", "ratio to 1997", "p", "core-seconds")
    parts = [
        INTRODUCTION.format(hours=hours),
        markdown(("change", *(task.title for task in TASKS.values())), cells),
        NOTE,
        "![Ratios with their intervals](../images/beyond.svg)",
    ]
    for name, found in of_tasks.items():
        commands = "\n".join(f"    lstm-search {command(name, change)}" for change in CHANGES)
        parts += [f"## {TASKS[name].title}", markdown(head, found), commands]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    draw(all_found)


def draw(found: Mapping[str, Mapping[str, Tuned]]) -> None:
    """The figure: of each change on each task the ratio of expected running times, with its interval. Filled marks
    differ from the net of 1997; a triangle at an edge: beyond it; a cross at the right edge: none solved."""
    figure, panels = plt.subplots(2, 3, figsize=(8.4, 5.4), sharex=True, sharey=True, layout="constrained")
    changes = [change for change in CHANGES if change != "1997"]
    for panel, (name, of_task) in zip(panels.flat, found.items(), strict=True):
        p = differing(of_task)
        panel.axvline(1.0, color="black", linewidth=0.8)
        for place, change in enumerate(changes):
            _point(panel, place, ratio(of_task[change].times, of_task["1997"].times), sure=p[change] < LEVEL)
        panel.set(title=TASKS[name].title, xscale="log", xlim=SPAN)
        panel.set_yticks(range(len(changes)), [CHANGES[change].title for change in changes])
    panels[0, 0].invert_yaxis()
    figure.supxlabel("sequences for one success, as a ratio to the net of 1997 (95 % interval); filled: differs from 1")
    figure.savefig(FIGURE, metadata={"Date": None})
    plt.close(figure)


def _point(panel: mpl.axes.Axes, place: int, found: tuple[float, float, float] | None, *, sure: bool) -> None:
    if found is None:
        panel.plot([0.8 * SPAN[1]], [place], "x", color=COLOUR)
        return
    middle, low, high = found
    panel.plot([low, min(high, SPAN[1])], [place, place], color=COLOUR, linewidth=1)
    mark = ">" if middle > SPAN[1] else "<" if middle < SPAN[0] else "o"
    at = min(max(middle, SPAN[0]), SPAN[1])
    panel.plot([at], [place], mark, color=COLOUR, markerfacecolor=COLOUR if sure else "white", clip_on=False)


def _sure(p: str) -> bool:
    return p != "-" and float(p) < LEVEL


if __name__ == "__main__":
    if sys.argv[1:] == ["report"]:
        report()
    else:
        train()
