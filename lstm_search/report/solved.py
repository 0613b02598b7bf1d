"""The solved fraction against training sequences, as a figure. Pure functions of rows and trials."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_search import stats
from lstm_search.published import published_at
from lstm_search.report.canvas import (
    CENSORED,
    COLOURS,
    DASHES,
    DROPPED,
    GREY,
    HERE,
    PALE,
    PRINTED,
    Figures,
    ends,
    figure,
    frame,
    handles,
    xlabel,
)
from lstm_search.report.ranking import shown_of
from lstm_search.spec import Row, Trial


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
    dropped: bool = False

    @property
    def last(self) -> float:
        """Solved fraction at the end."""
        return float(self.fractions[-1]) if self.fractions.size else 0.0


def solved_fraction(
    rows: Sequence[Row],
    trials: Mapping[str, Sequence[Trial]],
    path: Path,
    how: Figures = Figures(),  # noqa: B008  (frozen)
) -> None:
    """Write the solved fraction against training sequences: one step curve a row and milestone (Kaplan-Meier).

    A tick marks where trials were censored, a diamond the mean of the successful trials at the final fraction: filled
    for these trials, open as printed in 1997. A cross ends the curve of a row that the search dropped. Of many rows
    the best are told apart, the others are grey. `path` ends in .png, .pdf or .svg, and is replaced in one go.
    """
    shown = shown_of(rows, trials, how.dropped)
    lines = lines_of(shown.rows, trials, how.dropped)
    others = [replace(line, colour=PALE) for line in lines_of(shown.others, trials, how.dropped)]
    below = how.width == "single" or max((len(line.label) for line in lines), default=0) > _LONGEST_BESIDE
    columns = 2 if how.width == "double" else 1
    more = 0.15 * math.ceil(len(lines) / columns) + 0.3 if below else 0.16 * max(0, len(lines) - 7)
    with figure(path, how.width, height=2.6 + more) as drawn:
        axes = drawn.subplots()
        limits = _reach([*lines, *others])
        for line in others:
            _plot_other(axes, line, limits)
        for line in lines:
            _plot_line(axes, line, limits)
        frame(axes, short=limits[1] < 100 * limits[0])
        axes.set_xlim(*limits)
        axes.set_xlabel(xlabel(rows))
        axes.set(ylabel="fraction of trials solved", ylim=(0, 1.06), yticks=(0, 0.25, 0.5, 0.75, 1))
        axes.set_yticklabels(("0", ".25", ".5", ".75", "1"))
        if below:
            looks = {ends(line.label, _LONGEST): {"color": line.colour, "ls": line.dashes} for line in lines}
            drawn.legend(handles=handles(looks), loc="outside lower left", fontsize=7, ncols=columns)
        else:
            _label(axes, lines)
        _explain(
            axes,
            [*lines, *others],
            f"{len(others)} others" if others else "",
            columns=2 if how.width == "single" else 4,
        )


_LONGEST, _LONGEST_BESIDE = 60, 36
"""Characters of a name in a column of a journal, and of one that stands beside its curve."""


def lines_of(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], dropped: Collection[str] = ()) -> list[Line]:
    """A line for each row and milestone."""
    pairs = [(row, stop.milestone) for row in rows for stop in row.cell.stop]
    return [
        _line(row, milestone, trials.get(row.name, ()), index, dropped=row.name in dropped)
        for index, (row, milestone) in enumerate(pairs)
    ]


def _line(row: Row, milestone: str, trials: Sequence[Trial], index: int, *, dropped: bool = False) -> Line:
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
    unfinished = "" if row.purpose == "race" else unfinished  # how many there are is up to the results
    return Line(
        label=f"{name}  {count}{' (dropped)' if dropped else unfinished}",
        colour=COLOURS[index % len(COLOURS)],
        dashes=DASHES[index // len(COLOURS) % len(DASHES)],
        times=times,
        fractions=fractions,
        censored=tuple(sorted(censored)),
        end=max([*reached, *censored], default=0),
        mean=stats.mean(reached),
        printed=mark,
        dropped=dropped,
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
    if line.dropped and line.end:
        axes.plot(line.end, line.last, color=line.colour, **DROPPED)
    if line.mean:
        axes.plot(line.mean, line.last, color=line.colour, **HERE)
    if line.printed:
        axes.plot(*line.printed, color=line.colour, **PRINTED)


def _plot_other(axes: Any, line: Line, limits: tuple[float, float]) -> None:
    """A row that is not among the best: its steps, and where it was dropped."""
    if line.end:
        x = np.concatenate(([line.times[0] if line.times.size else limits[0]], line.times, [line.end]))
        axes.step(x, np.concatenate(([0.0], line.fractions, [line.last])), where="post", color=PALE, linewidth=0.7)
        if line.dropped:
            axes.plot(line.end, line.last, color=PALE, **DROPPED)


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


def _explain(axes: Any, lines: Sequence[Line], others: str, columns: int) -> None:
    """The legend of the marks, and of the `others`, where there are some."""
    marks = {
        "mean of the successes": (HERE, any(line.mean for line in lines)),
        "as printed in 1997": (PRINTED, any(line.printed for line in lines)),
        "censored": (CENSORED, any(line.censored for line in lines)),
        "dropped by the search": (DROPPED, any(line.dropped for line in lines)),
        others: ({"color": PALE}, bool(others)),
    }
    entries = handles({label: {"color": GREY} | look for label, (look, used) in marks.items() if used})
    if entries:
        axes.legend(
            handles=entries,
            loc="lower left",
            bbox_to_anchor=(0, 1.02),
            ncols=columns,
            borderaxespad=0,
            handletextpad=0.1,
            columnspacing=1,
        )
