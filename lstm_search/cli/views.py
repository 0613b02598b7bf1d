"""The verbs that show what is recorded (`table`, `compare`, `plot`, `export`) and what is configured (`config`)."""

from __future__ import annotations

import shlex
from dataclasses import replace

from lstm_search import config
from lstm_search.checks import written
from lstm_search.cli.seen import Seen, see
from lstm_search.cli.shell import Exit
from lstm_search.config import ConfigError, Settings, fixed_words, recorded_settings
from lstm_search.report import (
    Standing,
    export_trials,
    render,
    render_comparison,
    render_search,
    summaries,
    summarise,
    write_figures,
)
from lstm_search.search import serves, standings
from lstm_search.spec import Candidate

MOST_REPORTED = 20
"""Cells of a study that chooses nothing that are shown like the rows of a table of the paper."""


def show_table(settings: Settings) -> int:
    """Print the study's table beside the published rows."""
    seen = see(settings)
    if settings.format == "markdown" and _is_search(seen):
        print(_search_table(settings, seen), end="")
        return Exit.DONE
    rows = summaries(seen.definition.rows, seen.trials)
    print(render(rows, settings.format, seen.definition.title), end="")
    return Exit.DONE


def _is_search(seen: Seen) -> bool:
    """Whether a choice is made among the cells, or there are too many to be read one by one."""
    met = seen.candidates
    chosen = any(row.purpose != "report" for one in met for row in one.rows)
    return len(met) > 1 and (chosen or len(met) > MOST_REPORTED)


def _search_table(settings: Settings, seen: Seen) -> str:
    """A line a candidate, the best first, and how the best is trained again."""
    asked = recorded_settings(seen.definition)
    search = settings.search if settings.space.axes or asked is None else asked.search
    placed = [_standing(one, place, seen) for one, place in standings(search, seen.candidates, seen.trials)]
    text = render_search(placed, seen.definition.title, settings.lines)
    best = shlex.join(
        [*fixed_words(seen.definition), *(f"{key}={written(value)}" for key, value in placed[0].candidate.point)]
    )
    return f"{text}\nthe best: lstm-search run {best}\n"


def _standing(candidate: Candidate, place: str, seen: Seen) -> Standing:
    """A candidate with what its trials come to, on the replicates it was chosen by and on fresh ones."""
    again = {row.cell.digest: row for row in seen.definition.rows if row.first}
    fresh = [again[row.cell.digest] for row in candidate.rows if row.cell.digest in again]
    fresh = fresh if len(fresh) == len(candidate.rows) else []
    return Standing(
        candidate,
        place,
        [summarise(row, seen.trials[row.name])[-1] for row in candidate.rows],
        [serves(row, row.finished(seen.trials[row.name])) for row in candidate.rows],
        [summarise(row, seen.trials[row.name])[-1] for row in fresh],
        [serves(row, row.finished(seen.trials[row.name])) for row in fresh],
    )


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
    settings.home.mkdir(parents=True, exist_ok=True)
    curves = settings.source == "record"  # what is shipped has none
    prefix = f"{seen.definition.name}-"
    for path in write_figures(seen.definition.rows, seen.trials, settings.home, prefix, curves=curves):
        print(path)
    return Exit.DONE


def export(settings: Settings) -> int:
    """Print one line a trial and milestone."""
    seen = see(settings)
    form = "csv" if settings.format == "markdown" else settings.format
    print(export_trials(seen.definition.rows, seen.trials, form), end="")
    return Exit.DONE


def show_config(settings: Settings) -> int:
    """Print the composed configuration as YAML."""
    print(config.composed_yaml(settings), end="")
    return Exit.DONE
