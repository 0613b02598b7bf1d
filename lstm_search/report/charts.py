"""What trials come to over training, as figures of a page: solved fractions, and learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lstm_search.report import curves as plotted
from lstm_search.report.chart import COLOURS, DASHES, GREY, Chart, axis, legend_below, safe, short
from lstm_search.report.ranking import shown_of
from lstm_search.report.solved import Line, lines_of
from lstm_search.spec import Outcome, Row, Trial, TrialResult, counted, unit_of

Trials = Mapping[str, Sequence[Trial]]
Traces = list[dict[str, Any]]

MOST_POINTS = 60
"""Points of a trial's learning curve that are drawn; between them nothing is to be seen at this size."""


def solved_chart(rows: Sequence[Row], trials: Trials, dropped: Mapping[str, str]) -> Chart | None:
    """Solved fraction against training sequences, a step curve a row and milestone; None while there is no trial."""
    shown = shown_of(rows, trials, dropped)
    lines = [line for line in lines_of(shown.rows, trials, dropped) if line.end]
    others = [line for line in lines_of(shown.others, trials, dropped) if line.end]
    if not lines:
        return None
    traces = [trace for index, line in enumerate(lines) for trace in _line(line, index)]
    traces += [_other(line, first=index == 0, count=len(others)) for index, line in enumerate(others)]
    unit = counted(unit_of(rows))
    end = max(lines, key=lambda line: (line.last, -line.end))
    alt = (
        f"Each curve rises from 0 by a step where a trial was solved. The highest is that of {end.label}: it ends at "
        f"{100 * end.last:.0f} %. A diamond is the mean of the successful trials, an open one that printed in 1997"
        + (f"; {shown.which} are in colour, the others grey." if others else ".")
        if end.last
        else "No trial was solved: every curve stays at 0 to the last trial that was censored."
    )
    layout = {
        "xaxis": axis(unit, log=_reach([*lines, *others])),
        "yaxis": axis("fraction of trials solved", range=[0, 1.04], tickformat=".0%"),
        "legend": legend_below(),
    }
    return Chart("solved", "Solved fraction", alt, traces, layout, 340 + 24 * (len(lines) + bool(others)))


def _reach(lines: Sequence[Line]) -> tuple[float, float]:
    times = [float(time) for line in lines for time in (*line.times, line.end, *(line.printed or ())[:1])]
    return min(times), max(times)


def _line(line: Line, index: int) -> Traces:
    colour, dash = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
    x, y = _steps(line)
    common = {"legendgroup": str(index), "name": short(line.label), "hoverinfo": "text"}
    traces: Traces = [
        {
            **common,
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "text": _told(line, x, y),
            "line": {"shape": "hv", "color": colour, "dash": dash, "width": 2},
        }
    ]
    marks = [
        (line.mean, line.last, "diamond", "mean of the successes"),
        *([(*line.printed, "diamond-open", "as printed in 1997")] if line.printed else []),
        *([(float(line.end), line.last, "x", "dropped by the search")] if line.dropped else []),
    ]
    for at, height, symbol, meaning in marks:
        if at:
            text = f"{safe(line.label)}<br>{meaning}: {at:,.0f}"
            marker = {"symbol": symbol, "size": 10, "color": colour}
            more = {"type": "scatter", "mode": "markers", "marker": marker, "showlegend": False, "cliponaxis": False}
            traces.append({**common, **more, "x": [at], "y": [height], "text": [text]})
    return traces


def _steps(line: Line) -> tuple[list[float], list[float]]:
    start = float(line.times[0]) if line.times.size else 0.6 * line.end
    x = [start, *map(float, line.times), float(line.end)]
    return x, [0.0, *(round(float(value), 4) for value in line.fractions), round(line.last, 4)]


def _told(line: Line, x: Sequence[float], y: Sequence[float]) -> list[str]:
    return [f"{safe(line.label)}<br>{100 * b:.0f} % after {a:,.0f}" for a, b in zip(x, y, strict=True)]


def _other(line: Line, *, first: bool, count: int) -> dict[str, Any]:
    x, y = _steps(line)
    look = {"shape": "hv", "color": GREY, "width": 1}
    more = {"name": f"{count} others", "legendgroup": "others", "showlegend": first, "opacity": 0.5}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": look, "hoverinfo": "skip", **more}


def learning_charts(rows: Sequence[Row], trials: Trials, dropped: Mapping[str, str]) -> list[Chart]:
    """Training error against training sequences: a figure a row, of many rows the best; none without curves. Of very
    many trials of a row some are drawn (`curves.MOST_DRAWN`)."""
    shown = shown_of(rows, trials, dropped)
    found = [(row, plotted.valid(row.finished(trials.get(row.name, ())))) for row in shown.rows]
    found = [(row, some) for row, some in found if any(plotted.points(one).size for one in plotted.drawn_of(some))]
    if not found:
        return []
    drawn = [one for _, some in found for one in plotted.drawn_of(some)]
    errors = [error for one in drawn for error in plotted.points(one)[:, 1:].ravel()]
    ends = [plotted.end(one) for one in drawn]
    begins = [points for one in drawn for points in plotted.points(one)[:1, 0]]
    layout = {
        "xaxis": axis(counted(unit_of(rows)), log=(min(begins), max(ends))),
        "yaxis": axis("mean training error", log=(min(errors), max(errors))),
        "showlegend": False,
    }
    return [_learning(index, row, some, layout, dropped) for index, (row, some) in enumerate(found)]


def _learning(
    index: int, row: Row, results: Sequence[TrialResult], layout: Mapping[str, Any], dropped: Mapping[str, str]
) -> Chart:
    some = plotted.drawn_of(results)
    drawn = [(one, points) for one in some if (points := plotted.points(one)).size]
    x: list[float | None] = []
    y: list[float | None] = []
    for one, points in drawn:
        every = max(1, math.ceil(len(points) / MOST_POINTS))
        x += [*map(float, points[::every, 0]), float(plotted.end(one)), None]
        y += [*(_rounded(error) for error in points[::every, 1]), _last(one, points), None]
    times, errors = plotted.median([points for _, points in drawn], len(some))
    thin = {"color": COLOURS[0], "width": 0.8}
    traces: Traces = [
        {"x": x, "y": y, "line": thin, "opacity": 0.5, "name": "one trial", "hoverinfo": "skip"},
        {
            "x": times.tolist(),
            "y": [*map(_rounded, errors)],
            "line": {"color": COLOURS[1], "width": 3},
            "name": "median",
        },
    ]
    for name, symbol, solved in (("solved", "circle", True), ("censored", "line-ns-open", False)):
        marked = [(one, points) for one, points in drawn if (one.outcome == Outcome.SOLVED) == solved]
        ends = {"x": [plotted.end(one) for one, _ in marked], "y": [_last(*pair) for pair in marked]}
        traces.append({**ends, "mode": "markers", "name": name, "marker": {"symbol": symbol, "color": COLOURS[0]}})
    traces = [{"type": "scatter", "mode": "lines", **trace} for trace in traces if trace["x"]]
    count = sum(one.outcome == Outcome.SOLVED for one in results)
    latest = max(plotted.end(one) for one in results)
    alt = f"{count} of {len(results)} trials solved; the longest had {latest:,} {row.unit}."
    caption = row.name + (f" ({dropped[row.name]})" if row.name in dropped else "")
    caption += f", {len(some)} of {len(results)} trials drawn" if len(some) < len(results) else ""
    return Chart(f"curve-{index}", caption, alt, traces, layout, 300, small=True)


def _last(result: TrialResult, points: Any) -> float:
    return _rounded(plotted.last_error(result, float(points[-1, 1])))


def _rounded(value: float) -> float:
    """Four digits: more are not seen, and make the page large."""
    return float(f"{value:.4g}")
