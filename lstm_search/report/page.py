"""A study on one page of HTML that needs no network: tables, figures, and what repeats it.

The figures are plotly's, whose JavaScript the page holds once, as a whole: of its smaller parts the package for Python
ships none, and parallel coordinates are in none of them that has all the rest. A page may fetch nothing, and says so to
the browser.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lstm_search.report.axes import Cells, axis_charts, cells_of, importance_chart, map_chart, parallel_chart
from lstm_search.report.chart import Chart, looks
from lstm_search.report.charts import learning_charts, solved_chart
from lstm_search.report.layout import Sheet
from lstm_search.report.race import race_chart, race_sheet, raced
from lstm_search.report.standings import Standing, search_sheet
from lstm_search.report.summary import summaries
from lstm_search.report.table import canonical_hash, sheet
from lstm_search.report.typeset import html, templates
from lstm_search.spec import Definition, Row, Trial, dropped_rows

MOST_ROWS = 20
"""Rows that are shown like those of a table of the paper; of more candidates, the best ones."""


@dataclass(frozen=True)
class Contents:
    """What a page shows: the study and its trials; its candidates that have axes, the best first (`standings`), what
    they compete by (`meaning`), and how much each axis matters (`importances`); where all that came from, and the
    command that repeats it."""

    definition: Definition
    trials: Mapping[str, Sequence[Trial]]
    standings: Sequence[Standing] = ()
    meaning: str = ""
    importances: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def dropped(self) -> dict[str, str]:
        """Why rows were dropped, by name."""
        return dropped_rows([one.candidate for one in self.standings])

    @property
    def rows(self) -> list[Row]:
        """The rows, those of the best candidates first."""
        placed = {row.name: row for one in self.standings for row in one.candidate.rows}
        return list({**placed, **{row.name: row for row in self.definition.rows}}.values())


@dataclass(frozen=True)
class Section:
    """A part of the page: a sentence, which says why there is nothing else where there is not, figures and tables."""

    anchor: str
    title: str
    text: str
    charts: Sequence[Chart] = ()
    sheets: Sequence[Sheet] = ()


def render_page(contents: Contents) -> str:
    """The page, with all that names hold escaped."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    sections = [make(contents) for make in SECTIONS]
    charts = [chart for section in sections for chart in section.charts]
    values = {
        "definition": contents.definition,
        "command": contents.command,
        "sections": sections,
        "table": lambda some: Markup(html(some, bars=True)),  # noqa: S704  (its template has escaped it)
        "numbers": {chart.anchor: number for number, chart in enumerate(charts)},
        "figures": Markup(_embedded([chart.plain() for chart in charts])),  # noqa: S704  (escaped for where it stands)
        "looks": Markup(_embedded(looks())),  # noqa: S704  (as above)
        "plotly": Markup(get_plotlyjs() if charts else ""),  # noqa: S704  (a program)
    }
    return f"{templates().get_template('page.html').render(values)}\n"


def _embedded(value: Any) -> str:
    """JSON in an element of a page, which nothing in it can end."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _results(contents: Contents) -> Section:
    """The table, of a search by candidate, with intervals as bars."""
    definition, standings = contents.definition, contents.standings
    chosen = any(row.purpose != "report" for one in standings for row in one.candidate.rows)
    trials = sum(map(len, contents.trials.values()))
    text = f"{trials:,} trials in {len(definition.rows):,} rows, seed {definition.seed}."
    text += " A bar is a 95 % interval, the line in it the estimate, a mark in another colour what was printed in 1997."
    if len(standings) > 1 and (chosen or len(definition.rows) > MOST_ROWS):
        found = search_sheet(standings, definition.title or definition.name, MOST_ROWS)
        more = f"{len(standings) - MOST_ROWS} more: lstm-search table study={definition.name} lines=0 shows all"
        found = replace(found, more=more if found.more else "")
    else:
        found = sheet(summaries(definition.rows, contents.trials), definition.title)
    return Section("results", "Results", text, sheets=[found])


def _solved(contents: Contents) -> Section:
    chart = solved_chart(contents.rows, contents.trials, contents.dropped)
    title, none = "Solved fraction over training", "No trial has ended yet."
    return Section("fraction", title, "" if chart else none, [chart] if chart else [])


def _cells(contents: Contents) -> Cells | None:
    return cells_of(contents.standings, contents.meaning)


def _axes(contents: Contents) -> Section:
    title, cells = "The objective over the axes", _cells(contents)
    if cells is None:
        why = "fewer than two cells with a result that can be drawn" if contents.standings else "no axes"
        return Section("axes", title, f"This study has {why}: there is nothing to compare over axes.")
    found = [map_chart(cells, contents.importances), *axis_charts(cells, contents.importances), parallel_chart(cells)]
    text = f"A cell is drawn by its {cells.meaning}."
    if not all(map(math.isfinite, cells.worths)):
        text += " Those without a success stand above all others."
    return Section("axes", title, text, [chart for chart in found if chart])


def _importance(contents: Contents) -> Section:
    title, chart = "Importance of the axes", importance_chart(contents.importances)
    if chart is None:
        return Section("importance", title, "It takes eight cells with trials and two axes to say which axis matters.")
    text = (
        "How much of the variance of the objective (of a time, of its logarithm) an axis explains, by itself and with "
        "others: a functional analysis of variance over the cells met, which are few where a search was short."
    )
    return Section("importance", title, text, [chart])


def _race(contents: Contents) -> Section:
    if not raced(contents.standings):
        return Section("race", "The race", "There was no race: every cell got all its trials.")
    return Section("race", "The race", "", [race_chart(contents.standings)], [race_sheet(contents.standings)])


def _learning(contents: Contents) -> Section:
    charts = learning_charts(contents.rows, contents.trials, contents.dropped)
    text = (
        "A thin line is a trial, the thick one the median of those still training; a dot is where a trial was solved, "
        "at the error of its test, a tick where it was censored."
    )
    none = "These trials have no learning curves: they are simulated, shipped without them, or none has ended."
    return Section("learning", "Learning curves", text if charts else none, charts)


def _bare(trials: Mapping[str, Sequence[Trial]]) -> dict[str, list[Trial]]:
    """The trials without learning curves, as `export` reads them."""
    return {
        name: [replace(trial, result=replace(trial.result, curve=())) for trial in some]
        for name, some in trials.items()
    }


def _provenance(contents: Contents) -> Section:
    about = {**contents.provenance, "SHA-256 of all results": canonical_hash(_bare(contents.trials))}
    lines = [[name, value or "unknown"] for name, value in about.items()]
    table = Sheet("With what it was computed", ["", "value"], lines, "The hash is what export format=hash prints.")
    text = "This repeats the study, to the same bits:" if contents.command else "The record does not hold its command."
    return Section("provenance", "Provenance", text, sheets=[table])


SECTIONS: Sequence[Callable[[Contents], Section]] = (
    *(_results, _solved, _axes, _importance),
    *(_race, _learning, _provenance),
)
