"""What all figures of matplotlib share: size, fonts, colours, axes, and the one way in which a file is written.

The same record gives the same file, byte for byte, whatever the user's matplotlib settings.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstm_search.spec import Row, counted, unit_of

WIDTHS = {"text": 6.0, "single": 3.5, "double": 7.2}
"""Inches: of a column of text; of one and two columns of a journal."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours that colour-blind readers can tell apart (Okabe & Ito 2008), the strongest contrasts first."""

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""Line styles: each is used with all colours before the next one is."""

GREY = "#666666"

PALE = "#bbbbbb"
"""The colour of what is not among the best."""

STYLE = {
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
    "lines.solid_capstyle": "butt",
    "text.parse_math": False,  # names are shown as they are, dollar signs included
    "savefig.dpi": 160,
    "pdf.fonttype": 42,  # letters as TrueType, which journals ask for, and which can be searched
    "svg.hashsalt": "lstm_search",  # the same names within the file every time
}

CENSORED: dict[str, Any] = {"marker": "|", "markersize": 8, "markeredgewidth": 1.2, "clip_on": False, "ls": "none"}
HERE: dict[str, Any] = {"marker": "D", "markersize": 5, "clip_on": False, "zorder": 4, "ls": "none"}
PRINTED: dict[str, Any] = HERE | {"markersize": 7.5, "markerfacecolor": "none", "zorder": 5}

DROPPED: dict[str, Any] = {
    "marker": "x",
    "markersize": 5,
    "markeredgewidth": 1.2,
    "clip_on": False,
    "zorder": 4,
    "ls": "none",
}


@dataclass(frozen=True)
class Figures:
    """How figures are written: the `format` (png, svg, pdf), the `width` (one of WIDTHS), whether learning `curves` are
    among them, and of rows that a search dropped, why (`dropped`)."""

    format: str = "png"
    width: str = "text"
    dropped: Mapping[str, str] = field(default_factory=dict)
    curves: bool = True


def ends(text: str, most: int) -> str:
    """A text of at most so many characters: its two ends, where it is too long."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - (most - most // 2 - 1) :]}"


def xlabel(rows: Sequence[Row]) -> str:
    """What the rows' trials count."""
    return counted(unit_of(rows))


def frame(axes: Any, *, short: bool = False) -> None:
    """Logarithmic sequences, with plain numbers at decades; on a `short` axis between them, too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    if short:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(plain))
        axis.set_minor_formatter(NullFormatter())


def ticks(low: float, high: float) -> list[float]:
    """Decades around `low` to `high`; where there are few, those of 1, 2 and 5 times a decade, two at the least."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if high >= 100 * low:
        return [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    steps = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    below = max(step for step in steps if step <= low)
    above = min(step for step in steps if step >= high and step > below)
    return [step for step in steps if below <= step <= above]


def plain(value: float, _position: int = 0) -> str:
    """1000 as 1k, 2500000 as 2.5M."""
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"


def handles(looks: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Entries of a legend: how a thing looks, by its label."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=label, **look) for label, look in looks.items()]


@contextlib.contextmanager
def figure(path: Path, width: str, height: float) -> Iterator[Any]:
    """A figure of that `height` in inches that is written to `path` in one go when it is complete."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]):
        drawn = Figure(figsize=(WIDTHS[width], height), layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn
        part = path.with_name(f".{path.stem}.part{path.suffix}")
        try:
            drawn.savefig(part, metadata=_METADATA.get(path.suffix))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


_METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
