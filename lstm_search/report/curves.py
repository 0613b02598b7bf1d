"""Learning curves as a figure, one panel a row. Pure functions of rows and trials."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lstm_search.report.canvas import (
    CENSORED,
    COLOURS,
    GREY,
    STYLE,
    WIDTHS,
    Figures,
    figure,
    frame,
    handles,
    ticks,
    xlabel,
)
from lstm_search.report.ranking import MOST, shown_of
from lstm_search.spec import BROKEN, CurvePoint, Outcome, Row, Trial, TrialResult

TRIAL: dict[str, Any] = {"color": COLOURS[0], "linewidth": 0.5, "alpha": 0.45}
MEDIAN: dict[str, Any] = {"color": "black", "linewidth": 1.6}
SOLVED: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "markersize": 2.2, "clip_on": False, "ls": "none"}
MISSED: dict[str, Any] = CENSORED | {"color": COLOURS[1], "markersize": 5, "markeredgewidth": 0.9}


MOST_DRAWN = 1000
"""Trials of a row that are drawn. More lines are one blot, and of tens of thousands each snapshot of a study that is
trained would take hundreds of megabytes."""

_HEIGHTS = {"text": 1.9, "single": 1.2, "double": 1.7}
"""Inches of a panel, by the figure's width: twelve fit on a page."""


def learning_curves(
    rows: Sequence[Row],
    trials: Mapping[str, Sequence[Trial]],
    path: Path,
    how: Figures = Figures(),  # noqa: B008  (frozen)
) -> None:
    """Write the training error against training sequences, one panel a row: a thin line a trial, their median in bold.

    A trial ends in a dot where it was solved, at the error of its test, and in a tick where it was censored. The median
    at a checkpoint is over the trials that are still training there; it ends where fewer than half of the row's are. Of
    many rows the best have a panel each, and the medians of all others share the last one. Of more than MOST_DRAWN
    trials of a row so many are drawn, and the median is theirs; the title of the row's panel says so.
    """
    shown = shown_of(rows, trials, how.dropped, MOST if len(rows) <= MOST else MOST - 1)
    results: list[Sequence[TrialResult]] = [valid(row.finished(trials.get(row.name, ()))) for row in shown.rows]
    count = len(shown.rows) + bool(shown.others)
    columns = min(count, 2 if how.width == "single" else 3) or 1
    lines = math.ceil(count / columns) or 1
    letters = round(11 * WIDTHS[how.width]) // columns
    titles = [_titled(row, some, letters, how) for row, some in zip(shown.rows, results, strict=True)]
    tallest = max((title.count("\n") for title in titles), default=0)
    results = [drawn_of(some) for some in results]
    with figure(path, how.width, height=0.9 + (_HEIGHTS[how.width] + 0.12 * tallest) * lines) as drawn:
        panels = drawn.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        _fill(panels, titles, results)
        if shown.others:
            others = [drawn_of(valid(row.finished(trials.get(row.name, ())))) for row in shown.others]
            _fill_others(panels[count - 1], others)
        for panel in panels[max(0, count - columns) : count]:
            panel.tick_params(labelbottom=True)
        for panel in panels[count:]:
            panel.set_visible(False)
        drawn.supxlabel(xlabel(rows), fontsize=STYLE["font.size"])
        drawn.supylabel("mean training error", fontsize=STYLE["font.size"])
        unused = {"solved", "censored"} - {_ending(result) for some in results for result in some}
        looks = {label: look for label, look in LOOKS.items() if label not in unused}
        wide = 2 if how.width == "single" else len(LOOKS)
        drawn.legend(handles=handles(looks), loc="outside upper left", ncols=wide, columnspacing=1)


def _titled(row: Row, results: Sequence[TrialResult], width: int, how: Figures) -> str:
    return _title(row.name + (" (dropped)" if row.name in how.dropped else ""), len(results), width)


def _fill_others(panel: Any, rows: Sequence[Sequence[TrialResult]]) -> None:
    """The medians of the rows that have no panel of their own."""
    for results in rows:
        curves = [curve for result in results if (curve := points(result)).size]
        if curves:
            panel.plot(*median(curves, len(results)), color=GREY, linewidth=0.6, alpha=0.6)
    frame(panel)
    panel.set_title(f"{len(rows)} other rows: their medians", fontsize=7)


LOOKS: dict[str, dict[str, Any]] = {
    "one trial": TRIAL,
    "median of those still training": MEDIAN,
    "solved": SOLVED,
    "censored": MISSED,
}


def _ending(result: TrialResult) -> str:
    return "solved" if result.outcome == Outcome.SOLVED else "censored"


def _title(name: str, n: int, width: int) -> str:
    """Name and number of trials in at most three lines of `width` characters; a long name keeps its two ends."""
    some = f", {MOST_DRAWN}\u00a0drawn" if n > MOST_DRAWN else ""
    text = f"{' '.join(name.split())}  n\u00a0=\u00a0{n}{some}"
    lines = textwrap.wrap(text, width)
    if len(lines) > 3:
        tail = f"…{text[1 - 2 * width :]}"
        lines = [lines[0], tail[:width], tail[width:]]
    return "\n".join(lines)


def valid(results: Sequence[TrialResult]) -> list[TrialResult]:
    """The results without those of broken trials."""
    return [result for result in results if result.outcome not in BROKEN]


def drawn_of(results: Sequence[TrialResult]) -> Sequence[TrialResult]:
    """The results that are drawn: all, or MOST_DRAWN of them at even distances."""
    if len(results) <= MOST_DRAWN:
        return results
    return [results[place] for place in np.linspace(0, len(results) - 1, MOST_DRAWN).round().astype(int)]


def _fill(panels: Sequence[Any], titles: Sequence[str], rows: Sequence[Sequence[TrialResult]]) -> None:
    """Plot the trials of each row into its panel; the panels share their axes."""
    errors = [point.error for results in rows for result in results for point in result.curve if _shows(point)]
    errors += [last_error(result, errors[-1]) for results in rows for result in results if errors]
    if errors:
        marks = ticks(min(errors), max(errors))
        panels[0].set_yscale("log")
        panels[0].set_ylim(0.9 * min(*marks, *errors), 1.1 * max(*marks, *errors))
        panels[0].set_yticks(marks)
    for panel, title, results in zip(panels, titles, rows, strict=False):
        _curves(panel, results)
        frame(panel)
        panel.set_title(title, fontsize=7)


def _curves(panel: Any, results: Sequence[TrialResult]) -> None:
    curves = [(result, curve) for result in results if (curve := points(result)).size]
    for result, curve in curves:
        last, error = end(result), last_error(result, float(curve[-1, 1]))
        panel.plot([*curve[:, 0], last], [*curve[:, 1], error], **TRIAL)
        panel.plot(last, error, **LOOKS[_ending(result)])
    if curves:
        panel.plot(*median([curve for _, curve in curves], len(results)), **MEDIAN)
    else:
        panel.text(0.5, 0.5, "no trial yet", color=GREY, ha="center", transform=panel.transAxes)


def end(result: TrialResult) -> int:
    """Training sequences after which the trial was solved or censored."""
    solved = result.outcome == Outcome.SOLVED
    return max(there.sequences for there in result.milestones) if solved else result.sequences


def last_error(result: TrialResult, seen: float) -> float:
    """The error where a trial ended: of its test if it was solved and tested, else that seen at its last checkpoint."""
    tested = result.outcome == Outcome.SOLVED and result.milestones[-1].test_sequences
    error = result.milestones[-1].test_error if tested else seen
    return error if 0 < error < math.inf else seen


def _shows(point: CurvePoint) -> bool:
    """Whether logarithmic axes can show the point."""
    return point.sequences > 0 and 0 < point.error < math.inf


def points(result: TrialResult) -> NDArray[np.float64]:
    """The learning curve (n_points, 2) of sequences and error, without what a logarithmic axis cannot show."""
    shown = [(point.sequences, point.error) for point in result.curve if _shows(point)]
    return np.array(shown, float).reshape(-1, 2)


def median(curves: Sequence[NDArray[np.float64]], trials: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
