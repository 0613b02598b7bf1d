"""The verbs that show what is recorded (`table`, `compare`, `plot`, `export`) and what is configured (`config`)."""

from __future__ import annotations

from dataclasses import replace

from lstm_search import config
from lstm_search.cli.seen import see
from lstm_search.cli.shell import Exit
from lstm_search.config import ConfigError, Settings
from lstm_search.report import RENDERERS, compare, comparison_table, export_trials, render, summaries, write_figures


def show_table(settings: Settings) -> int:
    """Print the study's table beside the published rows."""
    refuse_hash(settings, "table")
    seen = see(settings)
    rows = summaries(seen.definition.rows, seen.trials)
    print(render(rows, settings.format, seen.definition.title), end="")
    return Exit.DONE


def show_comparison(settings: Settings) -> int:
    """Print two studies side by side."""
    if len(settings.studies) != 2:
        raise ConfigError("compare: takes two studies, study=[a,b]")
    if settings.definition.rows:
        raise ConfigError("compare: takes studies as they were recorded, without table= or task=")
    a, b = (see(replace(settings, definition=replace(settings.definition, name=name))) for name in settings.studies)
    print(comparison_table(compare(a, b), *settings.studies), end="")
    return Exit.DONE


def refuse_hash(settings: Settings, verb: str) -> None:
    """Raises ConfigError for a format that only `export` has."""
    if settings.format not in RENDERERS:
        raise ConfigError(f"format={settings.format}: {verb} prints {', '.join(RENDERERS)}; take export")


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
