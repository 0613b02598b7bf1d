"""The figure of docs/reproduction.md: printed against measured numbers of training sequences, a point a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from lstm_search.published import Published
from lstm_search.report import Summary

mpl.use("agg")
from matplotlib import pyplot as plt

mpl.rcParams["svg.hashsalt"] = "reproduction"  # the same figure is the same file

MARKS = {"as written": ("o", "#999999"), "best readings": ("s", "#0072B2")}
"""The mark and the colour of each way."""

SPAN = (3e3, 6e6)


def draw(path: Path, lines: Sequence[Published], ways: Mapping[str, Mapping[tuple[str, str], Summary]]) -> None:
    """Write the figure: of each line the mean of the successful trials with its 95 % interval, against the printed
    mean, on logarithmic axes. Lines of which no trial was solved are marked at the upper edge. Filled marks are
    consistent with the print."""
    figure, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    axes.plot(SPAN, SPAN, color="black", linewidth=0.8)
    for way, found in ways.items():
        mark, colour = MARKS[way]
        for line in lines:
            row = found.get((line.table, line.row))
            if row and row.finished:
                _point(axes, line, row, mark, colour)
        axes.plot([], [], mark, color=colour, label=way)
    axes.plot(
        [],
        [],
        "s",
        markerfacecolor="none",
        markeredgecolor="black",
        label="open: differs from the print;\nat the upper edge: none was solved",
    )
    axes.set(xscale="log", yscale="log", xlim=SPAN, ylim=SPAN, aspect="equal")
    axes.set(xlabel="printed mean (training sequences)", ylabel="measured mean, with its 95 % interval")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _point(axes: mpl.axes.Axes, line: Published, row: Summary, mark: str, colour: str) -> None:
    """One line. Without a success it has no mean: it stands at the upper edge."""
    x = line.mean_sequences
    if x is None:
        return
    fill = colour if row.verdict == "consistent" else "none"
    style: dict[str, Any] = {"marker": mark, "color": colour, "markerfacecolor": fill, "markersize": 6, "linewidth": 1}
    if row.mean is None:
        axes.plot([x], [SPAN[1]], clip_on=False, **style)
        return
    low, high = row.mean_interval or (row.mean, row.mean)
    axes.errorbar([x], [row.mean], [[max(row.mean - low, 0)], [max(high - row.mean, 0)]], **style)
