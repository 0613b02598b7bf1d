"""The verbs that show what is recorded (`table`, `compare`, `plot`, `report`, `export`) and what is configured
(`config`)."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace

from lstm_search import config, overview
from lstm_search.checks import written
from lstm_search.cli.seen import Seen, about, see
from lstm_search.cli.shell import Exit
from lstm_search.config import ConfigError, Settings, fixed_words, recorded_settings
from lstm_search.publish import provenance
from lstm_search.record import Record
from lstm_search.report import (
    SHEETS,
    Figures,
    Sheet,
    Standing,
    export_trials,
    render,
    render_comparison,
    search_sheet,
    summaries,
    write_figures,
)
from lstm_search.search import SearchSettings
from lstm_search.spec import dropped_rows

MOST_REPORTED = 20
"""Cells of a study that chooses nothing that are shown like the rows of a table of the paper."""


def show_table(settings: Settings) -> int:
    """Print the study's table beside the published rows."""
    seen = see(settings)
    if settings.format in SHEETS and _is_search(seen):
        print(SHEETS[settings.format](_search_sheet(settings, seen)), end="")
        return Exit.DONE
    rows = summaries(seen.definition.rows, seen.trials)
    print(render(rows, settings.format, seen.definition.title), end="")
    return Exit.DONE


def _is_search(seen: Seen) -> bool:
    """Whether a choice is made among the cells, or there are too many to be read one by one."""
    met = seen.candidates
    chosen = any(row.purpose != "report" for one in met for row in one.rows)
    return len(met) > 1 and (chosen or len(met) > MOST_REPORTED)


def _search_sheet(settings: Settings, seen: Seen) -> Sheet:
    """A line a candidate, the best first, and how the best is trained again."""
    search = _search(settings, seen)
    placed = overview.standings_of(search, *seen)
    point = [f"{key}={written(value)}" for key, value in placed[0].candidate.point]
    best = shlex.join([*fixed_words(seen.definition), *point]) if _is_best(placed[0], search) else ""
    return search_sheet(placed, seen.definition.title, settings.lines, best)


def _is_best(first: Standing, search: SearchSettings) -> bool:
    """Whether the first of all candidates has reached anything: a success, or, where a set for several rows is searched
    for what was printed, one of these rows."""
    if search.objective == "published" and len(first.candidate.rows) > 1:
        return any(first.served)
    return first.worth is not None and math.isfinite(first.worth)


def _search(settings: Settings, seen: Seen) -> SearchSettings:
    """How the study was searched: as it is asked for now, or as it was recorded."""
    asked = recorded_settings(seen.definition)
    return settings.search if settings.space.axes or asked is None else asked.search


def show_comparison(settings: Settings) -> int:
    """Print two studies side by side."""
    if len(settings.studies) != 2:
        raise ConfigError("compare: takes two studies, lstm-search compare 'study=[a,b]'")
    if settings.definition.rows:
        raise ConfigError("compare: takes studies as they were recorded, without table= or task=")
    a, b = (see(replace(settings, definition=replace(settings.definition, name=name))) for name in settings.studies)
    print(render_comparison(a[:2], b[:2], settings.format), end="")
    return Exit.DONE


def show_figures(settings: Settings) -> int:
    """Write the figures into the home folder and print their paths."""
    seen = see(settings, curves=True)
    settings.home.mkdir(0o700, parents=True, exist_ok=True)
    curves = settings.source == "record"  # what is shipped has none
    figures = Figures(settings.format, settings.width, dropped_rows(seen.candidates), curves=curves)
    for path in write_figures(seen.definition.rows, seen.trials, settings.home, f"{seen.definition.name}-", figures):
        print(path)
    return Exit.DONE


def show_report(settings: Settings) -> int:
    """Write the study on one page into the home folder and print its path."""
    seen = see(settings, curves=True)
    text = overview.report(
        _search(settings, seen), *seen, provenance=_provenance(settings, seen), command=about(seen.definition).command
    )
    settings.home.mkdir(0o700, parents=True, exist_ok=True)
    path = settings.home / f"{seen.definition.name}-report.html"
    path.write_text(text, encoding="utf-8")
    print(path)
    return Exit.DONE


def _provenance(settings: Settings, seen: Seen) -> dict[str, str]:
    """When and with what the study was first recorded; of what is shipped nothing is known of that."""
    if settings.source != "record":
        return {"trials": "as shipped with the program, without learning curves"}
    with Record.read(settings.home, seen.definition.name) as record:
        return provenance(record.created(), record.environment())


def export(settings: Settings) -> int:
    """Print one line a trial and milestone."""
    seen = see(settings)
    print(export_trials(seen.definition.rows, seen.trials, settings.format), end="")
    return Exit.DONE


def show_config(settings: Settings) -> int:
    """Print the composed configuration as YAML."""
    print(config.composed_yaml(settings), end="")
    return Exit.DONE
