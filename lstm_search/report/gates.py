"""What nets do with their gates over one sequence, as a figure. Pure functions of what `theory` has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstm_search.report.canvas import COLOURS, DASHES, GREY, WIDTHS, Figures, figure, handles
from lstm_search.report.layout import aligned
from lstm_search.theory import Blocks, Example, Passage

MOST_NAMED = 7
"""Blocks and outputs that are told apart by colours; of more the lines are thin, and have no names."""


@dataclass(frozen=True)
class Shown:
    """A net and what it did over a sequence: its title, the sequence, its marks (what stands at which step). Where the
    task has classes, their names, and the mean state of each cell by class [T + 1, classes, C], last at the last step.
    """

    title: str
    network: Blocks
    seen: Passage
    example: Example
    marks: Mapping[int, str]
    classes: Sequence[str] = ()
    means: np.ndarray | None = None


def draw_gates(nets: Sequence[Shown], path: Path, how: Figures = Figures()) -> None:  # noqa: B008  (frozen)
    """Write states, gates, cell outputs and outputs over the steps of a sequence, a column for each net; where a net
    forgets also what is kept, and for a task with classes how far their mean states are apart. The same nets give the
    same bytes."""
    absent = {_APART} if any(net.means is None for net in nets) else set()
    absent |= {_FORGET} if all((net.seen.y_f == 1.0).all() for net in nets) else set()
    rows = [name for name in _ROWS if name not in absent]
    with figure(path, how.width, height=0.7 + 0.95 * len(rows)) as drawn:
        panels = drawn.subplots(len(rows), len(nets), sharex="col", sharey="row", squeeze=False)
        for column, net in zip(panels.T, nets, strict=True):
            for panel, name in zip(column, rows, strict=True):
                _ROWS[name](panel, net)
                for t in net.marks:
                    panel.axvline(t, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
            _name_marks(column[0], net, WIDTHS[how.width] / len(nets))
            column[-1].set_xlabel("step")
        for panel, name in zip(panels[:, 0], rows, strict=True):
            panel.set_ylabel(name, fontsize=7.5)
        drawn.align_ylabels(panels[:, 0])
        drawn.legend(handles=handles(_looks(nets)), loc="outside lower center", ncols=4, fontsize=7)


def _name_marks(panel: Any, net: Shown, inches: float) -> None:
    """The title of a column, and between it and the panel what stands at the marked steps, as far as there is room."""
    panel.set_title(net.title, fontsize=8, pad=16)
    room, last = 0.35 * len(net.example.x) / inches * max(map(len, net.marks.values()), default=0) / 4, -np.inf
    for t, name in net.marks.items():
        if t - last >= room:
            panel.annotate(
                name, (t, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                ha="center", fontsize=7,
            )  # fmt: skip
            last = t


def _look(net: Shown, cell: int) -> dict[str, Any]:
    """How the line of a cell looks: its block has a colour, and its place in the block a style."""
    j, i = divmod(cell, net.network.size)
    width = 1.2 if net.network.blocks <= MOST_NAMED else 0.6
    return {"color": COLOURS[j % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)], "linewidth": width}


def _of_cells(panel: Any, net: Shown, values: np.ndarray) -> None:
    for cell in range(net.network.cells):
        panel.plot(values[:, cell], **_look(net, cell))


def _of_gates(panel: Any, net: Shown, values: np.ndarray) -> None:
    for j in range(net.network.blocks):
        panel.plot(values[:, j], **_look(net, j * net.network.size))
    panel.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1))


def _outputs(panel: Any, net: Shown) -> None:
    """Outputs, each in a grey of its own, and dots for targets."""
    outputs = net.seen.y.shape[1]
    for k in range(outputs):
        panel.plot(net.seen.y[:, k], **_grey(k, outputs))
        panel.plot(net.example.target[:, k], **_TARGET | {"color": _grey(k, outputs)["color"]})


def _grey(k: int, outputs: int) -> dict[str, Any]:
    """How the line of an output looks."""
    return {"color": str(0.75 * k / max(outputs - 1, 1)), "linewidth": 1.0 if outputs <= MOST_NAMED else 0.6}


_TARGET: dict[str, Any] = {"marker": "o", "markersize": 3.5, "ls": "none", "markerfacecolor": "none", "clip_on": False}


def _apart(panel: Any, net: Shown) -> None:
    if net.means is not None:
        _of_cells(panel, net, apart(net.means[:-1]))
    panel.set_ylim(bottom=0)


def apart(means: np.ndarray) -> np.ndarray:
    """The largest distance between the mean states of two classes, of each cell: means [.., classes, C]."""
    return np.asarray(np.nanmax(means, axis=-2) - np.nanmin(means, axis=-2))


_APART = "classes apart, s"
_FORGET = "forget gates"
_ROWS: Mapping[str, Callable[[Any, Shown], None]] = {
    "states s": lambda panel, net: _of_cells(panel, net, net.seen.s),
    "input gates": lambda panel, net: _of_gates(panel, net, net.seen.y_in),
    _FORGET: lambda panel, net: _of_gates(panel, net, net.seen.y_f),
    "output gates": lambda panel, net: _of_gates(panel, net, net.seen.y_out),
    "cell outputs": lambda panel, net: _of_cells(panel, net, net.seen.y_c),
    "outputs": _outputs,
    _APART: _apart,
}


def _looks(nets: Sequence[Shown]) -> dict[str, dict[str, Any]]:
    """The entries of the legend: those of the net with the most cells."""
    most = max(nets, key=lambda net: net.network.cells)
    network, outputs = most.network, nets[0].seen.y.shape[1]
    cells = range(network.cells if network.blocks <= MOST_NAMED else 0)
    looks = {_name_of(network, c): _look(most, c) for c in cells}
    names = [f"output {name}" for name in nets[0].classes] if 1 < outputs <= MOST_NAMED + 1 else ["output"]
    looks |= {name: _grey(k, outputs) for k, name in enumerate(names or ["output"])}
    return looks | {"target": _TARGET | {"color": "black"}}


def _name_of(network: Blocks, cell: int) -> str:
    j, i = divmod(cell, network.size)
    return f"block {j + 1}, cell {i + 1}" if network.size > 1 else f"block {j + 1}"


def class_table(net: Shown) -> str:
    """Which cell carries which class, in Markdown: mean states at the last step, and how far the furthest are apart."""
    assert net.means is not None  # noqa: S101  # of a task with classes
    last, head = net.means[-1], ["cell", *net.classes, "apart"]
    lines = [
        [_name_of(net.network, c), *(f"{s:.2f}" for s in last[:, c]), f"{apart(last)[c]:.2f}"]
        for c in range(last.shape[1])
    ]
    return "\n".join([*aligned([head, *lines]), ""])
