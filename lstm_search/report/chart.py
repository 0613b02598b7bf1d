"""Figures of a page: made with plotly, shown by its JavaScript, each with a sentence that says what is to be seen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lstm_search.report import canvas
from lstm_search.report.layout import number

COLOURS = (*canvas.COLOURS[:-1], "#9467bd")
"""The colours of figures on paper, with purple for black: the page may be black."""

DASHES = ("solid", "dash", "dot")

GREY = "#9a9a9a"

BEST_TO_WORST = ((0.0, COLOURS[1]), (0.5, "#b8a58a"), (1.0, COLOURS[0]))
"""A scale of colours that shows on white and on black."""

LONGEST = 44
"""Characters of a name in a legend."""


@dataclass(frozen=True)
class Chart:
    """A figure: its place in the page, its caption, what is to be seen (`alt`), traces and layout, `height` in pixels,
    and whether it is one of several in a row (`small`), or wider than a telephone (`wide`)."""

    anchor: str
    caption: str
    alt: str
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 420
    small: bool = False
    wide: bool = False

    def plain(self) -> dict[str, Any]:
        """The figure as plotly writes it, checked; its look comes with the page."""
        from plotly.graph_objects import Figure

        margin = {"l": 10, "r": 10, "t": 10, "b": 10}
        layout = {"margin": margin, "height": self.height, "hovermode": "closest", **self.layout}
        figure = Figure(list(self.traces), layout, skip_invalid=False)
        figure.layout.template = None
        found: dict[str, Any] = json.loads(figure.to_json())
        return found


def looks() -> dict[str, Any]:
    """The templates of plotly for a light and a dark page."""
    import plotly.io as pio

    found = {}
    for name, base in (("light", "plotly_white"), ("dark", "plotly_dark")):
        look = pio.templates[base].to_plotly_json()
        look["layout"] |= {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
        look["layout"]["font"] = {"family": "system-ui, sans-serif", "size": 13, "color": _INK[name]}
        found[name] = {"layout": look["layout"]}
    return found


_INK = {"light": "#1a1a1a", "dark": "#e6e6e6"}


def safe(text: str) -> str:
    """`text` as plotly shows it, which otherwise takes tags."""
    return escape(" ".join(text.split()), quote=False)


def short(text: str, most: int = LONGEST) -> str:
    """A name that fits: its two ends, where it is too long."""
    return safe(canvas.ends(" ".join(text.split()), most))


def axis(title: str, *, log: tuple[float, float] | None = None, **more: Any) -> dict[str, Any]:
    """An axis; with `log` a logarithmic one that shows these two numbers and all between, with ticks that can be read:
    plotly's own would be 2 and 5 for 2,000 and 0.05."""
    found: dict[str, Any] = {"title": {"text": safe(title)}, "automargin": True, **more}
    if log is None:
        return found
    low, high = log
    marks = canvas.ticks(low, high)
    marked = {"tickmode": "array", "tickvals": marks, "ticktext": [compact(mark) for mark in marks]}
    shown = [math.log10(min(low, marks[0])) - 0.03, math.log10(max(high, marks[-1])) + 0.03]
    return {"type": "log", "range": shown, **marked, **found}


def legend_below() -> dict[str, Any]:
    """A legend under a figure."""
    return {
        "orientation": "h",
        "y": -0.18,
        "yanchor": "top",
        "x": 0,
        "xanchor": "left",
        "font": {"size": 12},
        "traceorder": "normal",
    }


def compact(value: float | None) -> str:
    """A number in few letters: 4.3k, 1.2M."""
    if value is None or not math.isfinite(value):
        return "-" if value is None else "no success"
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{suffix}"
    return f"{value:.3g}"


def told(value: float | None) -> str:
    """A number in a sentence."""
    if value is None or not math.isfinite(value) or value >= 100:
        return number(value)
    return f"{value:.3g}"
