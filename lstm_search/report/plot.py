"""Records as figures: solved fraction and learning curves over training sequences. Pure functions of rows and trials.

The same record gives the same file, byte for byte, whatever the user's matplotlib settings.
"""

from __future__ import annotations

import contextlib
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_search import stats
from lstm_search.published import published_at
from lstm_search.spec import BROKEN, CurvePoint, Outcome, Row, Trial, TrialResult, counted, unit_of

WIDTH = 6.0
"""Inches: the width of a text column."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours that colour-blind readers can tell apart (Okabe & Ito 2008), the strongest contrasts first."""

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""Line styles: each is used with all colours before the next one is."""

MOST = 24
"""Rows that one figure shows at most; of a larger sweep the table shows all."""

GREY = "#666666"

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
    "savefig.dpi": 200,
}

CENSORED: dict[str, Any] = {"marker": "|", "markersize": 8, "markeredgewidth": 1.2, "clip_on": False, "ls": "none"}
HERE: dict[str, Any] = {"marker": "D", "markersize": 5, "clip_on": False, "zorder": 4, "ls": "none"}
PRINTED: dict[str, Any] = HERE | {"markersize": 7.5, "markerfacecolor": "none", "zorder": 5}

TRIAL: dict[str, Any] = {"color": COLOURS[0], "linewidth": 0.5, "alpha": 0.45}
MEDIAN: dict[str, Any] = {"color": "black", "linewidth": 1.6}
SOLVED: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "markersize": 2.2, "clip_on": False, "ls": "none"}
MISSED: dict[str, Any] = CENSORED | {"color": COLOURS[1], "markersize": 5, "markeredgewidth": 0.9}


@dataclass(frozen=True)
class Line:
    """A row at one milestone as a step curve: from each of `times` (n_steps,) on, the solved fraction is that of
    `fractions` (n_steps,)."""

    label: str
    colour: str
    dashes: Any
    times: NDArray[np.float64]
    fractions: NDArray[np.float64]
    censored: tuple[int, ...]
    end: int
    mean: float | None
    printed: tuple[float, float] | None

    @property
    def last(self) -> float:
        """Solved fraction at the end."""
        return float(self.fractions[-1]) if self.fractions.size else 0.0


def write_figures(
    rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], folder: Path, prefix: str = "", *, curves: bool = True
) -> list[Path]:
    """Write the figures of a study into `folder` as PNG, the learning curves only where `curves`; their paths."""
    figures = {"solved_fraction": solved_fraction} | ({"learning_curves": learning_curves} if curves else {})
    paths = {folder / f"{prefix}{name}.png": figure for name, figure in figures.items()}
    for path, figure in paths.items():
        figure(rows, trials, path)
    return list(paths)


def solved_fraction(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], path: Path) -> None:
    """Write the solved fraction against training sequences: one step curve a row and milestone (Kaplan-Meier).

    A tick marks where trials were censored, a diamond the mean of the successful trials at the final fraction: filled
    for these trials, open as printed in 1997. `path` ends in .png, .pdf or .svg, and is replaced in one go.
    """
    lines = _lines(rows[:MOST], trials)
    with _figure(path, height=2.6 + 0.16 * max(0, len(lines) - 7)) as figure:
        axes = figure.subplots()
        limits = _reach(lines)
        for line in lines:
            _plot_line(axes, line, limits)
        _frame(axes, short=limits[1] < 100 * limits[0])
        axes.set_xlim(*limits)
        axes.set_xlabel(_xlabel(rows))
        axes.set(ylabel="fraction of trials solved", ylim=(0, 1.06), yticks=(0, 0.25, 0.5, 0.75, 1))
        axes.set_yticklabels(("0", ".25", ".5", ".75", "1"))
        _label(axes, lines)
        _explain(axes, lines)


def learning_curves(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], path: Path) -> None:
    """Write the training error against training sequences, one panel a row: a thin line a trial, their median in bold.

    A trial ends in a dot where it was solved, at the error of its test, and in a tick where it was censored. The median
    at a checkpoint is over the trials that are still training there; it ends where fewer than half of the row's are.
    """
    shown = rows[:MOST]
    columns = min(len(shown), 3) or 1
    lines = math.ceil(len(shown) / columns) or 1
    results = [_valid(row.finished(trials.get(row.name, ()))) for row in shown]
    titles = [_title(row.name, len(some), 66 // columns) for row, some in zip(shown, results, strict=True)]
    tallest = max((title.count("\n") for title in titles), default=0)
    with _figure(path, height=0.9 + (1.9 + 0.12 * tallest) * lines) as figure:
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        _fill(panels, titles, results)
        for panel in panels[max(0, len(shown) - columns) : len(shown)]:
            panel.tick_params(labelbottom=True)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        figure.supxlabel(_xlabel(rows), fontsize=STYLE["font.size"])
        figure.supylabel("mean training error", fontsize=STYLE["font.size"])
        unused = {"solved", "censored"} - {_ending(result) for some in results for result in some}
        looks = {label: look for label, look in LOOKS.items() if label not in unused}
        figure.legend(handles=_handles(looks), loc="outside upper left", ncols=len(LOOKS), columnspacing=1)


LOOKS: dict[str, dict[str, Any]] = {
    "one trial": TRIAL,
    "median of those still training": MEDIAN,
    "solved": SOLVED,
    "censored": MISSED,
}


def _ending(result: TrialResult) -> str:
    return "solved" if result.outcome == Outcome.SOLVED else "censored"


def _lines(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]]) -> list[Line]:
    pairs = [(row, stop.milestone) for row in rows for stop in row.cell.stop]
    return [_line(row, milestone, trials.get(row.name, ()), index) for index, (row, milestone) in enumerate(pairs)]


def _line(row: Row, milestone: str, trials: Sequence[Trial], index: int) -> Line:
    results = row.finished(trials)
    reached, censored = row.times(results, milestone)
    times, fractions = stats.solved_curve(reached, censored)
    printed = published_at(row.table, row.published, milestone)
    mark = None
    if printed and printed.mean_sequences and printed.successes is not None and printed.trials:
        mark = (printed.mean_sequences, printed.successes / printed.trials)
    name = row.name if milestone == "solved" else f"{row.name} {milestone}"
    count = f"{len(reached)}/{len(reached) + len(censored)}"
    unfinished = f" (unfinished: {len(results)} of {row.replicates})" if len(results) < row.replicates else ""
    return Line(
        label=f"{name}  {count}{unfinished}",
        colour=COLOURS[index % len(COLOURS)],
        dashes=DASHES[index // len(COLOURS) % len(DASHES)],
        times=times,
        fractions=fractions,
        censored=tuple(sorted(censored)),
        end=max([*reached, *censored], default=0),
        mean=stats.mean(reached),
        printed=mark,
    )


def _plot_line(axes: Any, line: Line, limits: tuple[float, float]) -> None:
    if line.end:
        start = line.times[0] if line.times.size else limits[0]
        x = np.concatenate(([start], line.times, [line.end]))
        y = np.concatenate(([0.0], line.fractions, [line.last]))
        axes.step(x, y, where="post", color=line.colour, linestyle=line.dashes, linewidth=1.6, clip_on=False)
        axes.plot((line.end, limits[1]), (line.last, line.last), ":", color=line.colour, linewidth=0.8, alpha=0.7)
    for time in set(line.censored):
        solved = line.fractions[line.times <= time]
        axes.plot(time, solved[-1] if solved.size else 0.0, color=line.colour, **CENSORED)
    if line.mean:
        axes.plot(line.mean, line.last, color=line.colour, **HERE)
    if line.printed:
        axes.plot(*line.printed, color=line.colour, **PRINTED)


def _reach(lines: Sequence[Line]) -> tuple[float, float]:
    """Limits of the axis: all steps, ends and printed means, with a margin."""
    seen = [time for line in lines for time in (*line.times, *line.censored, *(line.printed or ())[:1])]
    return (0.6 * min(seen), 1.15 * max(seen)) if seen else (1e3, 1e6)


def _label(axes: Any, lines: Sequence[Line]) -> None:
    """Names to the right of the axes, each as near to the end of its curve as the others allow."""
    gap = 1.06 / max(12, len(lines))
    heights = _spread([line.last for line in lines], gap)
    for line, height in zip(lines, heights, strict=True):
        axes.annotate(
            line.label,
            (1.02, height),
            xycoords=("axes fraction", "data"),
            color=line.colour,
            va="center",
            annotation_clip=False,
        )


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """`heights` moved apart to at least `gap`, none below 0; equal ones in their given order from the top down."""
    placed, ceiling, floor = list(heights), math.inf, 0.0
    downward = sorted(range(len(heights)), key=lambda index: -heights[index])
    for index in downward:
        placed[index] = min(heights[index], ceiling)
        ceiling = placed[index] - gap
    for index in reversed(downward):
        placed[index] = max(placed[index], floor)
        floor = placed[index] + gap
    return placed


def _explain(axes: Any, lines: Sequence[Line]) -> None:
    marks = {
        "mean of the successes": (HERE, any(line.mean for line in lines)),
        "as printed in 1997": (PRINTED, any(line.printed for line in lines)),
        "censored": (CENSORED, any(line.censored for line in lines)),
    }
    handles = _handles({label: {"color": GREY} | look for label, (look, used) in marks.items() if used})
    if handles:
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, 1.02),
            ncols=3,
            borderaxespad=0,
            handletextpad=0.1,
            columnspacing=1,
        )


def _handles(looks: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Entries of a legend: how a thing looks, by its label."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=label, **look) for label, look in looks.items()]


def _title(name: str, n: int, width: int) -> str:
    """Name and number of trials in at most three lines of `width` characters; a long name keeps its two ends."""
    text = f"{' '.join(name.split())}  n\u00a0=\u00a0{n}"
    lines = textwrap.wrap(text, width)
    if len(lines) > 3:
        tail = f"…{text[1 - 2 * width :]}"
        lines = [lines[0], tail[:width], tail[width:]]
    return "\n".join(lines)


def _valid(results: Sequence[TrialResult]) -> list[TrialResult]:
    return [result for result in results if result.outcome not in BROKEN]


def _fill(panels: Sequence[Any], titles: Sequence[str], rows: Sequence[Sequence[TrialResult]]) -> None:
    """Plot the trials of each row into its panel; the panels share their axes."""
    errors = [point.error for results in rows for result in results for point in result.curve if _shows(point)]
    errors += [_last_error(result, errors[-1]) for results in rows for result in results if errors]
    if errors:
        ticks = _ticks(min(errors), max(errors))
        panels[0].set_yscale("log")
        panels[0].set_ylim(0.9 * min(*ticks, *errors), 1.1 * max(*ticks, *errors))
        panels[0].set_yticks(ticks)
    for panel, title, results in zip(panels, titles, rows, strict=False):
        _curves(panel, results)
        _frame(panel)
        panel.set_title(title, fontsize=7)


def _curves(panel: Any, results: Sequence[TrialResult]) -> None:
    curves = [(result, curve) for result in results if (curve := _points(result)).size]
    for result, curve in curves:
        end, error = _end(result), _last_error(result, float(curve[-1, 1]))
        panel.plot([*curve[:, 0], end], [*curve[:, 1], error], **TRIAL)
        panel.plot(end, error, **LOOKS[_ending(result)])
    if curves:
        panel.plot(*_median([curve for _, curve in curves], len(results)), **MEDIAN)
    else:
        panel.text(0.5, 0.5, "no trial yet", color=GREY, ha="center", transform=panel.transAxes)


def _end(result: TrialResult) -> int:
    """Training sequences after which the trial was solved or censored."""
    solved = result.outcome == Outcome.SOLVED
    return max(there.sequences for there in result.milestones) if solved else result.sequences


def _last_error(result: TrialResult, seen: float) -> float:
    """The error where a trial ended: of its test if it was solved and tested, else that seen at its last checkpoint."""
    tested = result.outcome == Outcome.SOLVED and result.milestones[-1].test_sequences
    error = result.milestones[-1].test_error if tested else seen
    return error if 0 < error < math.inf else seen


def _ticks(low: float, high: float) -> list[float]:
    """Decades around `low` to `high`; where there are few, those of 1, 2 and 5 times a decade, two at the least."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if high >= 100 * low:
        return [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    steps = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    below = max(step for step in steps if step <= low)
    above = min(step for step in steps if step >= high and step > below)
    return [step for step in steps if below <= step <= above]


def _shows(point: CurvePoint) -> bool:
    """Whether logarithmic axes can show the point."""
    return point.sequences > 0 and 0 < point.error < math.inf


def _points(result: TrialResult) -> NDArray[np.float64]:
    """The learning curve (n_points, 2) of sequences and error, without what a logarithmic axis cannot show."""
    shown = [(point.sequences, point.error) for point in result.curve if _shows(point)]
    return np.array(shown, float)


def _median(curves: Sequence[NDArray[np.float64]], trials: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Checkpoints of `curves` (n_points, 2) that at least half of `trials` have, and the median error of those there.

    A trial that has ended is left out from there on. Its last error, carried on, would look like the error of a trial
    that stopped learning.
    """
    grid = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
    errors = np.array([_between(grid, curve) for curve in curves])
    common = 2 * np.count_nonzero(~np.isnan(errors), axis=0) >= trials
    return grid[common], np.nanmedian(errors[:, common], axis=0)


def _between(grid: NDArray[np.float64], curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """The errors of a curve at `grid`; not-a-number before its first and after its last point."""
    return np.interp(np.log(grid), np.log(curve[:, 0]), curve[:, 1], left=np.nan, right=np.nan)


def _xlabel(rows: Sequence[Row]) -> str:
    return counted(unit_of(rows)) + (f" (first {MOST} of {len(rows)} rows)" if len(rows) > MOST else "")


def _frame(axes: Any, *, short: bool = False) -> None:
    """Logarithmic sequences, with plain numbers at decades; on a `short` axis between them, too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    if short:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_short))
        axis.set_minor_formatter(NullFormatter())


def _short(value: float, _position: int = 0) -> str:
    """1000 as 1k, 2500000 as 2.5M."""
    for unit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"


@contextlib.contextmanager
def _figure(path: Path, height: float) -> Iterator[Any]:
    """A figure WIDTH x `height` inches that is written to `path` in one go when it is complete."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        part = path.with_name(f".{path.stem}.part{path.suffix}")
        try:
            figure.savefig(part, metadata=_METADATA.get(path.suffix))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


_METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
