"""What gates are for: the naive constant error carrousel beside LSTM, where one weight must serve opposite ends.

`python docs/conflict.py` trains six studies (four minutes; again, it only draws), and renews the table of
docs/tables/conflict.md and docs/images/conflict.svg. Two tasks for section 3.2's two conflicts, and one with both:
- input weight: the two-sequence problem (3a), whose first elements are to be stored, and all others to be ignored;
- output weight: task 2b, where what is stored is to be retrieved at the last step, and to leave others undisturbed;
- both: the embedded Reber grammar, where the second symbol is needed at the end, and all steps between ask for others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from pages import ROOT, renew

import lstm_search
from lstm_search.record import Record

mpl.use("agg")
from matplotlib import pyplot as plt

mpl.rcParams["svg.hashsalt"] = "conflict"  # the same figure is the same file

PAGE, FIGURE = ROOT / "docs" / "tables" / "conflict.md", ROOT / "docs" / "images" / "conflict.svg"
HOME = ROOT / "studies"
BLOCK = re.compile(r"(<!-- measured: begin -->\n).*?(<!-- measured: end -->)", re.DOTALL)

LENGTHS, LAGS = (5, 10, 20, 50, 100), (5, 10, 20)
GATED = (
    "network.blocks=3 network.size=2 network.g=bipolar network.h=bipolar network.recurrent=all network.growth=none "
    "network.output_gates=true network.gates_biased=true network.cell_bias=random network.output_bias=true"
)
INPUT = f"task=two_sequence_3a cap=100000 task.T={','.join(map(str, LENGTHS))}"
OUTPUT = f"task=long_lag_2b stop.window=1000 cap=60000 task.p={','.join(map(str, LAGS))}"
BOTH = "task=embedded_reber cap=200000 training.update=step"
STUDIES = {
    "conflict-input-carrousel": f"{INPUT} network=carrousel training.rate=1,0.1,0.01",
    "conflict-input-lstm": INPUT,
    "conflict-output-carrousel": f"{OUTPUT} network=carrousel network.wiring=direct training.rate=0.5,0.2,0.05,0.01",
    "conflict-output-lstm": f"{OUTPUT} {GATED} training.rate=0.5,0.2,0.05",
    "conflict-both-carrousel": f"{BOTH} network=carrousel network.hidden=6 network.wiring=direct "
    "training.rate=0.5,0.1,0.02,0.005",
    "conflict-both-lstm": f"{BOTH} network.output_bias=true network.recurrent=cells network.recurrent_init=zero "
    "training.rate=0.5,0.2,0.1,0.05",
}
COLOURS = {"carrousel": "#D55E00", "lstm": "#0072B2"}
NAMES = {"carrousel": "naive carrousel", "lstm": "LSTM"}


def words(study: str) -> list[str]:
    """The overrides of a study."""
    return [*STUDIES[study].split(), f"study={study}", f"home={HOME}", "tracking=none", "execute=inline"]


def solved(study: str) -> dict[str, tuple[int, int, float]]:
    """By row: trials solved, trials, and all sequences spent for one success."""
    lines = lstm_search.open_study(*words(study)).trials()
    last = lines.drop_duplicates("key", keep="last")  # the last milestone's line comes last
    counts = {}
    for row, trials in last.groupby("row", sort=False):
        k, spent = int((trials["outcome"] == "SOLVED").sum()), int(trials["sequences"].sum())
        counts[row] = k, len(trials), spent / k if k else math.inf
    return counts


def best(study: str, lags: Sequence[int]) -> list[tuple[str, int, int, float]]:
    """At each lag, the row of the learning rate with the fewest sequences for one success."""
    rows = [(row, *counts) for row, counts in solved(study).items()]
    return [least(row for row in rows if int(re.findall(r"\d+", row[0])[0]) == lag) for lag in lags]


def least(rows: Iterable[tuple[str, int, int, float]]) -> tuple[str, int, int, float]:
    """The row with the fewest sequences for one success."""
    return min(rows, key=lambda row: row[3])


def weights(study: str, row: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The final weights of the row's trials."""
    with Record.read(HOME, study) as record:
        keys = [trial.spec.key for trial in record.trials(curves=False)[row]]
        found = [record.arrays(key) for key in keys]
    return [(arrays["hidden"], arrays["output"]) for arrays in found]


def input_pulls(T: int, N: int = 3, sequences: int = 2000) -> np.ndarray:
    """Mean pull on the input weights of each trained net [trials, 2], by the steps to store, and by those to ignore."""
    rng, found = np.random.default_rng(0), []
    for hidden, output in weights("conflict-input-carrousel", f"T={T},rate=0.1"):
        pulls = np.zeros(2)
        for _ in range(sequences):
            x = rng.normal(0, np.sqrt(0.2), rng.integers(T, T + T // 10 + 1))
            target = float(rng.integers(2))
            x[:N] = 2 * target - 1
            y = 1 / (1 + np.exp(-output[0] @ (hidden[:, 0] * x.sum())))
            back = (target - y) * y * (1 - y) * (output[0] @ hidden[:, 0])  # along the weights: longer, or shorter
            pulls += back * x[:N].sum(), back * x[N:].sum()
        found.append(pulls / sequences)
    return np.array(found)


def output_pulls(p: int, sequences: int = 2000) -> np.ndarray:
    """Mean pull on the output weights of the symbol to remember [trials, 2], by the last step and by the others."""
    rng, found = np.random.default_rng(0), []
    for hidden, output in weights("conflict-output-carrousel", f"p={p},rate=0.2"):
        n, pulls = len(hidden), np.zeros(2)
        for _ in range(sequences):
            first = p - 1 + rng.integers(2)
            symbols = np.array([first, *rng.integers(0, p - 1, p - 1)])
            s = np.cumsum(hidden[:, symbols], axis=1)  # [n, steps]
            direct, V = output[first, : p + 1], output[first, p + 1 : p + 1 + n]
            y = 1 / (1 + np.exp(-(direct[symbols] + V @ s)))
            target = np.arange(p) == p - 1
            pull = (target - y) * y * (1 - y) * (V @ s)
            pulls += pull[-1], pull[:-1].sum()
        found.append(pulls / sequences)
    return np.array(found)


def plot(pulls: dict[str, np.ndarray]) -> None:
    """Sequences for one success against the lag, and below what pulls at a weight of the carrousel."""
    figure, panels = plt.subplots(2, 2, figsize=(8.0, 5.4), layout="constrained")
    for panel, kind, lags, label in (
        (panels[0, 0], "input", LENGTHS, "shortest length T (task 3a)"),
        (panels[0, 1], "output", LAGS, "lag p (task 2b)"),
    ):
        for net, colour in COLOURS.items():
            spent = [row[3] for row in best(f"conflict-{kind}-{net}", lags)]
            panel.plot(lags, spent, "o-", color=colour, label=NAMES[net], clip_on=False)
        panel.set(xscale="log", yscale="log", xlabel=label, ylabel="sequences for one success", ylim=(100, 1e6))
        panel.set_xticks(lags, [str(lag) for lag in lags])
        panel.minorticks_off()
        panel.set_title(f"{kind} weight", loc="left", fontsize=9)
    panels[0, 0].legend(frameon=False, loc="upper left")
    names = ("steps to store", "steps to ignore")
    bars(panels[1, 0], pulls["input"], names, "carrousel, T = 20: pull on input weights")
    bars(panels[1, 1], pulls["output"], ("last step", "all others"), "carrousel, p = 10: pull on output weights")
    figure.savefig(FIGURE, metadata={"Date": None})


def bars(panel: Any, pulls: np.ndarray, names: Sequence[str], title: str) -> None:
    """The two pulls of each trial."""
    trials = np.arange(1, len(pulls) + 1)
    panel.bar(trials, pulls[:, 0], color="#009E73", label=names[0])
    panel.bar(trials, pulls[:, 1], color="#CC79A7", label=names[1])
    panel.plot(trials, pulls.sum(axis=1), "k_", label="their sum")
    panel.axhline(0, color="black", linewidth=0.6)
    reach = 1.6 * np.abs(pulls).max()
    panel.set(xlabel="trial", ylabel="mean pull (shorter < 0 < longer)", xticks=trials, ylim=(-reach, reach))
    panel.set_title(title, loc="left", fontsize=9)
    panel.legend(frameon=False, ncols=3, fontsize=7, loc="upper left", columnspacing=0.8, handlelength=1.2)


def lines(pulls: dict[str, np.ndarray]) -> list[str]:
    """The table of what was measured, and the commands that train it."""
    found = ["| task | lag | naive carrousel | LSTM |", "|---|---|---|---|"]
    for kind, task, lags in (("input", "two sequences (3a), T", LENGTHS), ("output", "2b, p", LAGS)):
        nets = zip(*(best(f"conflict-{kind}-{net}", lags) for net in COLOURS), strict=True)
        found += [f"| {task} | {lag} | {' | '.join(map(_told, rows))} |" for lag, rows in zip(lags, nets, strict=True)]
    both = (solved(f"conflict-both-{net}") for net in COLOURS)
    cells = (_told(least((row, *counts) for row, counts in rows.items())) for rows in both)
    found.append(f"| embedded Reber | - | {' | '.join(cells)} |")
    means = {kind: each.mean(axis=0) for kind, each in pulls.items()}
    found += ["", "Mean pull on the weights of the carrousels, over the trials:"]
    store, ignore = means["input"]
    found += [f"- input weights at T=20: {store:+.2g} by the steps to store, {ignore:+.2g} by those to ignore"]
    last, others = means["output"]
    found += [f"- output weights at p=10: {last:+.2g} by the last step, {others:+.2g} by all others"]
    return [*found, "", *(f"    lstm-search run {STUDIES[study]} study={study} tracking=none" for study in STUDIES)]


def _told(row: tuple[str, int, int, float]) -> str:
    name, k, n, spent = row
    rate = f" (rate {name.partition('rate=')[2]})" if k and "rate" in name else ""
    return f"{k}/{n}" + (f", {spent:,.0f}{rate}" if k else "")


def main() -> None:
    """Train what is missing, then measure and plot."""
    for study in STUDIES:
        lstm_search.run(*words(study))
    pulls = {"input": input_pulls(20), "output": output_pulls(10)}
    plot(pulls)
    renew(PAGE, BLOCK, lambda _: "\n".join([*lines(pulls), ""]))


if __name__ == "__main__":
    main()
