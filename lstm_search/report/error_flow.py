"""How errors are scaled on their way back, as a table and as a figure. Pure functions of the curves of `theory`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_search.report.canvas import COLOURS, GREY, STYLE, Figures, figure, handles
from lstm_search.report.layout import aligned
from lstm_search.theory import Curve, Panels

LOWEST, HIGHEST = -40, 20
"""Decades that the figure shows: what is beyond them is as good as nothing, or past all bounds."""


def flow_table(panels: Panels, lags: Sequence[int]) -> str:
    """The factors at these lags as a table of Markdown; under a curve its bound, where there is one."""
    head = ["net", "error flow", *(f"lag {q:,}" for q in lags)]
    lines = [[title, *line] for title, curves in panels.items() for curve in curves for line in _lines(curve, lags)]
    return "\n".join([*aligned([head, *lines]), ""])


def _lines(curve: Curve, lags: Sequence[int]) -> Iterator[list[str]]:
    yield [curve.name, *(power_of_ten(curve.factor[q - 1]) for q in lags)]
    if curve.bound is not None:
        yield ["bound n tau^q", *(power_of_ten(curve.bound[q - 1]) for q in lags)]


def power_of_ten(exponent: float) -> str:
    """10 to this power in few letters, however small or large it is."""
    if exponent == -math.inf:
        return "0"
    if abs(exponent) < 4:
        return f"{10**exponent:.3g}"
    whole = math.floor(round(exponent, 2))
    return f"{10 ** (exponent - whole):.1f}e{whole:+d}"


def flow_csv(panels: Panels, lags: Sequence[int]) -> str:
    """One line a curve and lag. Factors and bounds are there as logarithms, too: many are below the smallest number."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("net", "error_flow", "lag", "factor", "log10_factor", "bound", "log10_bound"))
    for title, curves in panels.items():
        for curve in curves:
            for q in lags:
                bound = None if curve.bound is None else float(curve.bound[q - 1])
                lines.writerow((title, curve.name, q, *_both(float(curve.factor[q - 1])), *_both(bound)))
    return text.getvalue()


def _both(exponent: float | None) -> tuple[str, str]:
    """A number and its logarithm; of a bound that there is not, nothing."""
    return ("", "") if exponent is None else (power_of_ten(exponent), repr(exponent))


def draw_flow(panels: Panels, path: Path, how: Figures = Figures()) -> None:  # noqa: B008  (frozen)
    """Write the factors against the lag, one panel beside the other; bounds are dashed. Same curves, same bytes."""
    most = max(len(curves) for curves in panels.values())
    columns = 1 if how.width == "single" else len(panels)
    rows = -(-len(panels) // columns)
    with figure(path, how.width, height=rows * (2.7 + 0.14 * most)) as drawn:
        axes = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, (title, curves) in zip(axes, panels.items(), strict=True):
            _fill(panel, title, curves)
        _scale(axes, panels)
        drawn.supylabel("factor by which an error is scaled", fontsize=STYLE["font.size"])


BOUND: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (3, 2))}


def _fill(panel: Any, title: str, curves: Sequence[Curve]) -> None:
    """The curves of a panel; where they lie on each other, the later ones are thinner."""
    looks: dict[str, dict[str, Any]] = {}
    for i, (curve, colour) in enumerate(zip(curves, COLOURS, strict=False)):
        lags = np.arange(1, len(curve.factor) + 1)
        looks[curve.name] = {"color": colour, "linewidth": max(2.6 - 0.4 * i, 1.0)}
        panel.plot(lags, curve.factor, **looks[curve.name])
        if curve.bound is not None:
            panel.plot(lags, curve.bound, color=colour, **BOUND)
    if any(curve.bound is not None for curve in curves):
        looks["bound n τ^q, same colour"] = BOUND | {"color": GREY}
    panel.axhline(0.0, color=GREY, linewidth=0.5, zorder=0)
    panel.set_title(title)
    panel.set_xlabel("lag q (time steps)")
    below = {"loc": "upper left", "bbox_to_anchor": (-0.06, -0.24), "borderaxespad": 0}
    panel.legend(handles=handles(looks), fontsize=6.5, handlelength=1.6, **below)


def _scale(axes: Sequence[Any], panels: Panels) -> None:
    """One scale for all panels: decades of the factor, and of the lag."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    every = np.concatenate([curve.factor for curves in panels.values() for curve in curves])
    seen = every[np.isfinite(every)]
    low = max(LOWEST, math.floor(seen.min(initial=0.0)) - 1)
    high = min(HIGHEST, math.ceil(seen.max(initial=0.0)) + 1)
    for panel in axes:
        panel.tick_params(labelbottom=True)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(numticks=9))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda q, _: f"{q:,.0f}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"10{f'{power:g}'.translate(_RAISED)}"))
        panel.set_ylim(low, high)


_RAISED = str.maketrans("-0123456789.", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·")
"""Superscripts of the letters of a number."""
