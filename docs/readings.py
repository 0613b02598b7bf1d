"""Searches among readings: how near each comes to the printed rows, and how many rows a set of them serves.

`python docs/readings.py` trains what is missing of the searches (two hours and more on two cores; again to resume).
With `report`, writes their trials to docs/searches/ and renews the two tables of docs/readings.md from there.
"""

from __future__ import annotations

import csv
import itertools
import operator
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pages import ROOT, markdown, printed, renew

from lstm_search import config
from lstm_search.networks import Lstm1997
from lstm_search.record import shipped_studies, shipped_trials, studies
from lstm_search.report import Summary, summarise
from lstm_search.search import FRESH
from lstm_search.spec import Row

PAGE, FOLDER = ROOT / "docs" / "readings.md", ROOT / "docs" / "searches"
BLOCK = re.compile(r"(<!-- (sets|finalists) -->\n).*?(<!-- end -->)", re.DOTALL)

SEARCHES = tuple(f"recipe={name}" for name in config.options("recipe") if name.startswith("readings-"))
"""Each recipe of that name is a search for the printed rows of one table."""

SHARED = ("network.recurrent", "training.error_scale", "network.cell_bias", "network.output")
"""Readings that many tables leave open: a value for each is a set."""

LITERAL = ("all", "1", "random", "logistic")
MOST = 15
"""Lines of the table of sets."""


@dataclass(frozen=True)
class Found:
    """A line of a search: which printed line it is to be near, under which readings, and how near it came."""

    of_table: str
    row: str
    readings: Mapping[str, str]
    summary: Summary
    fresh: Summary | None

    def fits(self, chosen: tuple[str, ...]) -> bool:
        """Whether the line is of this set: what its table leaves open is as in the set, all else as written."""
        alone = all(key in self.readings for key, _ in self.summary.readings)
        return alone and all(self.readings.get(key, value) == value for key, value in zip(SHARED, chosen, strict=True))


def ship() -> None:
    """Write the trials of the searches to docs/searches/."""
    FOLDER.mkdir(exist_ok=True)
    for words in SEARCHES:
        name = config.compose(shlex.split(words)).definition.name
        if name in studies(ROOT / "studies"):
            (FOLDER / f"{name}.csv").write_text(printed(f"export {words}"), encoding="utf-8")
        else:
            print(f"{name} is not recorded: its trials stay as they are", flush=True)


def found(words: str) -> Iterator[Found]:
    """What a search came to, by row and milestone, on the replicates for choosing and on fresh ones; nothing where it
    has not been trained yet."""
    settings = config.compose(shlex.split(words))
    asked, search = replace(settings.definition, rows=tuple(settings.rows_ahead())), settings.search
    if asked.name not in shipped_studies(FOLDER):
        return
    with (FOLDER / f"{asked.name}.csv").open(encoding="utf-8", newline="") as file:
        trained = {line["row"] for line in csv.DictReader(file)}
    again = [
        replace(row, name=row.name + FRESH, first=search.fresh_from, replicates=search.confirm) for row in asked.rows
    ]
    rows = tuple(replace(row, purpose="report") for row in (*asked.rows, *again) if row.name in trained)
    trials = shipped_trials(replace(asked, rows=rows), FOLDER)
    summaries = {row.name: summarise(row, trials[row.name]) for row in rows}
    for row in asked.rows:
        fresh = {line.milestone: line for line in summaries.get(row.name + FRESH, ())}
        for line in summaries.get(row.name, ()):
            assert line.published is not None  # noqa: S101  # only printed rows are searched for
            yield Found(row.table, line.published.row, _readings(row), line, fresh.get(line.milestone))


def _readings(row: Row) -> dict[str, str]:
    """The row's values of those shared readings that its table leaves open; none of a rival's row."""
    network = row.cell.network
    if not isinstance(network, Lstm1997):
        return {}
    values = {"training.error_scale": f"{row.cell.training.error_scale:g}"}
    if row.table not in {"2", "2b"}:  # there the text says that only inputs feed the hidden units
        values["network.recurrent"] = network.recurrent
    if row.table not in {"1", "2", "2b", "3"}:  # elsewhere all non-input units are biased, or no hidden one
        values["network.cell_bias"] = network.cell_bias
    if row.table in {"7", "8"}:  # elsewhere targets are classes or symbols
        values["network.output"] = network.output
    return values


def sets(lines: list[Found]) -> str:
    """How many of LSTM's printed lines each set of readings serves, the best first; and the literal set."""
    lines = [line for line in lines if line.readings]
    tables = sorted({line.of_table for line in lines})
    choices = itertools.product(("all", "cells", "none"), ("0.5", "1", "2"), ("random", "none"), ("logistic", "linear"))
    of_table = [[line for line in lines if line.of_table == name] for name in tables]
    counts = {chosen: [_served(chosen, some) for some in of_table] for chosen in choices}
    order = sorted(counts, key=lambda chosen: (-_share(counts[chosen]), _contradicted(chosen).count(",")))
    head = [*(key.partition(".")[2] for key in SHARED), *(f"table {name}" for name in tables), "all", "contradicts"]
    body = []
    for chosen in [*order[:MOST], *([LITERAL] if LITERAL not in order[:MOST] else [])]:
        served, tried = map(sum, zip(*counts[chosen], (0, 0), strict=True))
        cells = [f"{k}/{n}" if n else "-" for k, n in (*counts[chosen], (served, tried))]
        body.append([*chosen, *cells, _contradicted(chosen)])
    return markdown(head, body)


def _share(counts: Iterable[tuple[int, int]]) -> float:
    """Of all lines that were tried, those that were served: not every table was searched under every set."""
    served, tried = map(sum, zip(*counts, (0, 0), strict=True))
    return served / tried if tried else 0.0


def _served(chosen: tuple[str, ...], lines: Sequence[Found]) -> tuple[int, int]:
    """Of the printed lines of a table that were tried under the set: those with which it is consistent, and all."""
    tried = [line for line in lines if line.fits(chosen)]
    met = {line.row for line in tried if line.summary.verdict == "consistent"}
    return len(met), len({line.row for line in tried})


def _contradicted(chosen: tuple[str, ...]) -> str:
    pairs = zip((key.partition(".")[2] for key in SHARED), chosen, LITERAL, strict=True)
    return ", ".join(name for name, value, literal in pairs if value != literal) or "nothing"


def finalists(lines: list[Found]) -> str:
    """Of each printed line the cell of each search that came nearest to it, on the replicates it was chosen by and on
    fresh ones."""
    head = ["table", "row", "cells", "nearest readings", "chosen by", "fresh", "published", "verdict"]
    body = []
    place = operator.attrgetter("of_table", "row")
    for (name, row), some in itertools.groupby(sorted(lines, key=place), key=place):
        each = list(some)
        body += [[name, row, f"{len(each)}", *_finalist(line, line.fresh)] for line in each if line.fresh]
    return markdown(head, body)


def _finalist(line: Found, fresh: Summary) -> list[str]:
    """The cells of a finalist's line, from its readings on."""
    printed = line.summary.published
    assert printed is not None  # noqa: S101  # see `found`
    readings = " ".join(f"{key.partition('.')[2]}={value}" for key, value in line.summary.readings) or "as written"
    figures = f"{printed.successes}/{printed.trials}, {printed.mean_sequences:,.0f}"
    return [readings, _told(line.summary), _told(fresh), figures, fresh.verdict]


def _told(line: Summary) -> str:
    return f"{line.k}/{line.n}" + ("" if line.mean is None else f", {line.mean:,.0f}")


def report() -> None:
    """Renew docs/searches/ and the tables of the page."""
    ship()
    lines = [line for words in SEARCHES for line in found(words)]
    views = {"sets": sets, "finalists": finalists}
    renew(PAGE, BLOCK, lambda block: f"\n{views[block[2]](lines)}\n\n")


def main() -> None:
    """Train what is missing of the searches."""
    for number, words in enumerate(SEARCHES, 1):
        print(f"{number} of {len(SEARCHES)}: lstm-search run {words}", flush=True)
        print(printed(f"run {words} tracking=none"), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["report"]:
        report()
    elif sys.argv[1:]:
        sys.exit(f"{' '.join(sys.argv[1:])}: takes nothing, or report")
    else:
        main()
