"""What a search found over its axes, as figures of a page: the objective against each, over two of them, over all, and
how much each matters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lstm_search.checks import are_numbers, written
from lstm_search.report.chart import BEST_TO_WORST, COLOURS, GREY, Chart, axis, compact, legend_below, safe, told
from lstm_search.report.standings import Standing
from lstm_search.spec import points_of

MOST_AXES = 12
"""Axes that have a figure of their own."""

MOST_VALUES = 25
"""Values of an axis up to which a heat map has a column for each."""


class Cells(NamedTuple):
    """Candidates with a trial: their settings by axis, what each competes by, and its `meaning`. `heights`: where each
    is drawn, those without a success above all others. `lower`: the least is the best; `log`: its scale is
    logarithmic."""

    standings: Sequence[Standing]
    points: Sequence[Mapping[str, Any]]
    worths: Sequence[float]
    heights: Sequence[float]
    meaning: str
    lower: bool
    log: bool

    @property
    def axes(self) -> list[str]:
        """The axes that have more than one value."""
        keys = list(dict.fromkeys(key for point in self.points for key in point))
        return [key for key in keys if len({written(point.get(key)) for point in self.points}) > 1]

    def values(self, key: str) -> list[Any]:
        """The values of an axis, one a cell: numbers where all are, else words."""
        found = [point.get(key) for point in self.points]
        return found if are_numbers(found) else [written(value) for value in found]

    @property
    def levels(self) -> list[float]:
        """The heights as they are coloured: logarithms of times."""
        return [math.log10(height) if self.log else height for height in self.heights]

    @property
    def texts(self) -> list[str]:
        """What is said of each cell under the pointer."""
        return [
            f"{safe(one.candidate.name)}<br>{safe(self.meaning)}: {told(worth)}<br>{_counts(one)}<br>{safe(one.place)}"
            for one, worth in zip(self.standings, self.worths, strict=True)
        ]


def cells_of(standings: Sequence[Standing], meaning: str) -> Cells | None:
    """The candidates that have trials; None where there are less than two, or none with a finite figure."""
    points = points_of([one.candidate for one in standings])
    some = [(one, point, one.worth) for one, point in zip(standings, points, strict=True) if one.worth is not None]
    finite = [worth for *_, worth in some if math.isfinite(worth)]
    if len(some) < 2 or not finite:
        return None
    log = meaning.startswith("ERT") and min(finite) > 0
    top = 2 * max(finite)
    heights = [worth if math.isfinite(worth) else top for *_, worth in some]
    lower = meaning.startswith(("ERT", "distance"))
    return Cells([a for a, *_ in some], [b for _, b, _ in some], [c for *_, c in some], heights, meaning, lower, log)


def axis_charts(cells: Cells, importances: Mapping[str, float]) -> list[Chart]:
    """The objective against each axis, the axis that matters most first."""
    keys = sorted(cells.axes, key=lambda key: -importances.get(key, 0))[:MOST_AXES]
    return [_axis_chart(cells, key, index) for index, key in enumerate(keys)]


def _axis_chart(cells: Cells, key: str, index: int) -> Chart:
    x = _shown(cells.values(key))
    traces = []
    for name, look in LOOKS.items():
        chosen = [i for i, one in enumerate(cells.standings) if _look(one, cells.worths[i]) == name]
        if chosen:
            marks = {"x": [x[i] for i in chosen], "y": [cells.heights[i] for i in chosen]}
            more = {"text": [cells.texts[i] for i in chosen], "hoverinfo": "text", "cliponaxis": False}
            traces.append({"type": "scatter", "mode": "markers", "name": name, "marker": look, **marks, **more})
    best = _best(cells, range(len(x)))
    found = f"{told(cells.worths[best])} at {key}={written(cells.points[best].get(key))}"
    alt = f"The best is {found}. {_by_value(cells, key)}"
    layout = {
        "xaxis": _scale(key, x),
        "yaxis": axis(cells.meaning, log=(min(cells.heights), max(cells.heights)) if cells.log else None),
        "legend": legend_below(),
    }
    return Chart(f"axis-{index}", f"{cells.meaning} against {key}", alt, traces, layout, 380, small=True)


LOOKS = {
    "leader and finalists": {"symbol": "star", "size": 13, "color": COLOURS[1]},
    "cell": {"symbol": "circle", "size": 9, "color": COLOURS[0], "opacity": 0.8},
    "dropped": {"symbol": "x", "size": 7, "color": GREY},
    "no success": {"symbol": "triangle-up-open", "size": 9, "color": COLOURS[3]},
}


def _look(one: Standing, worth: float) -> str:
    if not math.isfinite(worth):
        return "no success"
    if one.candidate.dropped:
        return "dropped"
    chosen = any(row.purpose != "report" for row in one.candidate.rows)
    return "leader and finalists" if chosen and ("leader" in one.place or "finalist" in one.place) else "cell"


def _best(cells: Cells, among: Iterable[int]) -> int:
    return (min if cells.lower else max)(among, key=lambda i: cells.heights[i])


def _by_value(cells: Cells, key: str) -> str:
    """The best of each value of an axis, in a sentence; empty where the values are many."""
    values = cells.values(key)
    known = _sorted(values)
    if len(known) > 8:
        return ""
    best = {value: _best(cells, [i for i, other in enumerate(values) if other == value]) for value in known}
    return "The best at " + ", ".join(f"{written(value)}: {told(cells.worths[i])}" for value, i in best.items()) + "."


def _sorted(values: Sequence[Any]) -> list[Any]:
    return sorted(set(values))


def _shown(values: Sequence[Any]) -> list[Any]:
    """Numbers as they are; words without what the page would take for tags."""
    return [safe(value) if isinstance(value, str) else value for value in values]


def _scale(key: str, values: Sequence[Any]) -> dict[str, Any]:
    """The horizontal axis: of numbers that span more than a decade logarithmic, of words in columns."""
    if not are_numbers(values):
        return axis(key, type="category", categoryorder="array", categoryarray=_sorted(values))
    known = _sorted(values)
    log = (known[0], known[-1]) if known[0] > 0 and known[-1] >= 10 * known[0] else None
    ticks = {"tickmode": "array", "tickvals": known, "ticktext": [written(value) for value in known]}
    return axis(key, log=log, **(ticks if len(known) <= 8 else {}))


def map_chart(cells: Cells, importances: Mapping[str, float]) -> Chart | None:
    """The objective over two axes, the two that matter most where there are more; None for a single axis."""
    keys = sorted(cells.axes, key=lambda key: -importances.get(key, 0))[:2]
    if len(keys) < 2:
        return None
    across, up = (cells.values(key) for key in keys)
    known = set(zip(across, up, strict=True))
    columns, lines = _sorted(across), _sorted(up)
    full = 2 * len(known) >= len(columns) * len(lines)
    best = _best(cells, range(len(across)))
    at = ", ".join(f"{key}={written(cells.points[best].get(key))}" for key in keys)
    caption, alt = f"{cells.meaning} over {keys[0]} and {keys[1]}", f"The best, {told(cells.worths[best])}, is at {at}."
    if not full or max(len(columns), len(lines)) > MOST_VALUES:
        layout = {"xaxis": _scale(keys[0], across), "yaxis": _scale(keys[1], up)}
        return Chart("map", f"{caption}, a dot a cell", alt, _scattered(cells, across, up), layout, 460)
    rest = ", the best over the other axes" if len(cells.axes) > 2 else ""
    layout = {"xaxis": _words(keys[0], columns), "yaxis": _words(keys[1], lines)}
    height = 180 + 36 * min(12, max(6, len(lines)))
    return Chart("map", f"{caption}{rest}", alt, _heat(cells, across, up), layout, height)


def _words(key: str, values: Sequence[Any]) -> dict[str, Any]:
    return axis(key, type="category", categoryorder="array", categoryarray=[safe(written(value)) for value in values])


def _heat(cells: Cells, across: Sequence[Any], up: Sequence[Any]) -> list[dict[str, Any]]:
    """A field for each pair of values: the best cell there."""
    places: dict[tuple[Any, Any], list[int]] = {}
    for i, place in enumerate(zip(across, up, strict=True)):
        places.setdefault(place, []).append(i)
    columns, lines = _sorted(across), _sorted(up)
    best = [[_best(cells, places[x, y]) if (x, y) in places else None for x in columns] for y in lines]
    texts, levels = cells.texts, cells.levels
    return [
        {
            "type": "heatmap",
            "x": [safe(written(x)) for x in columns],
            "y": [safe(written(y)) for y in lines],
            "z": [[None if i is None else levels[i] for i in line] for line in best],
            "text": [["" if i is None else _field(cells, i) for i in line] for line in best],
            "hovertext": [["" if i is None else texts[i] for i in line] for line in best],
            "texttemplate": "%{text}",
            "hoverinfo": "text",
            "hoverongaps": False,
            "xgap": 2,
            "ygap": 2,
            **_coloured(cells),
        }
    ]


def _field(cells: Cells, i: int) -> str:
    return compact(cells.worths[i]) + ("<br>dropped" if cells.standings[i].candidate.dropped else "")


def _scattered(cells: Cells, across: Sequence[Any], up: Sequence[Any]) -> list[dict[str, Any]]:
    """A dot for each cell."""
    marker = {"size": 11, "color": cells.levels, **_coloured(cells)}
    more = {"text": cells.texts, "hoverinfo": "text", "cliponaxis": False, "showlegend": False}
    return [{"type": "scatter", "mode": "markers", "x": list(across), "y": list(up), "marker": marker, **more}]


def _coloured(cells: Cells) -> dict[str, Any]:
    """The scale of colours, the best of them always the same, with ticks in the units of the objective."""
    ticks = _ticks(cells)
    bar = {
        "title": {"text": safe(cells.meaning), "side": "right"},
        "thickness": 12,
        "tickvals": list(ticks),
        "ticktext": list(ticks.values()),
    }
    return {"colorscale": BEST_TO_WORST, "reversescale": not cells.lower, "showscale": True, "colorbar": bar}


def _ticks(cells: Cells) -> dict[float, str]:
    """Five levels, with what they are called."""
    low, high = min(cells.levels), max(cells.levels)
    levels = [low + (high - low) * part / 4 for part in range(5)]
    return {level: compact(10**level if cells.log else level) for level in levels}


def parallel_chart(cells: Cells) -> Chart | None:
    """A line a cell over all axes, coloured by the objective; None for a single axis."""
    if len(cells.axes) < 2:
        return None
    dimensions = [_dimension(key, cells.values(key)) for key in cells.axes]
    ticks = _ticks(cells)
    dimensions.append(
        {
            "label": safe(cells.meaning),
            "values": cells.levels,
            "tickvals": list(ticks),
            "ticktext": list(ticks.values()),
        }
    )
    line = {"color": cells.levels, "colorscale": BEST_TO_WORST, "reversescale": not cells.lower}
    alt = (
        f"A line for each of {len(cells.standings)} cells, over {', '.join(cells.axes)} and {cells.meaning}. "
        "Drag along an axis to choose cells; the table of results holds the same numbers."
    )
    trace = {
        "type": "parcoords",
        "line": line,
        "dimensions": dimensions,
        "labelangle": -20 if len(dimensions) > 4 else 0,
    }
    margin = {"l": 60, "r": 60, "t": 70, "b": 20}
    return Chart("parallel", "All axes at once", alt, [trace], {"margin": margin}, 420, wide=True)


def _dimension(key: str, values: Sequence[Any]) -> dict[str, Any]:
    known = _sorted(values)
    if not are_numbers(values):
        places = {"tickvals": list(range(len(known))), "ticktext": [safe(value) for value in known]}
        return {"label": safe(key), "values": [known.index(value) for value in values], **places}
    log = known[0] > 0 and known[-1] >= 10 * known[0]
    shown = known if len(known) <= 8 else [known[round(i * (len(known) - 1) / 5)] for i in range(6)]
    at = math.log10 if log else float
    ticks = {"tickvals": [at(value) for value in shown], "ticktext": [f"{value:g}" for value in shown]}
    return {"label": safe(key), "values": [at(value) for value in values], **ticks}


def importance_chart(importances: Mapping[str, float]) -> Chart | None:
    """How much each axis matters, as bars; None where that is not known."""
    if not importances:
        return None
    keys = sorted(importances, key=lambda key: importances[key])
    values = [importances[key] for key in keys]
    texts = [f"{100 * value:.0f} %" for value in values]
    trace = {"type": "bar", "orientation": "h", "x": values, "y": [safe(key) for key in keys], "text": texts}
    look = {"marker": {"color": COLOURS[0]}, "textposition": "outside", "cliponaxis": False, "hoverinfo": "skip"}
    alt = "Share of the variance that each axis explains: " + ", ".join(
        f"{key} {text}" for key, text in zip(reversed(keys), reversed(texts), strict=True)
    )
    layout = {
        "xaxis": axis("share of the objective's variance", range=[0, 1.15 * max(values)], tickformat=".0%"),
        "yaxis": axis("", type="category"),
    }
    return Chart("importance", "Importance of the axes", f"{alt}.", [{**trace, **look}], layout, 110 + 34 * len(keys))


def _counts(one: Standing) -> str:
    k, n = sum(row.k for row in one.summaries), sum(row.n for row in one.summaries)
    return f"{k}/{n} solved"
