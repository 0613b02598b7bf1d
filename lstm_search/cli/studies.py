"""The verbs about the studies of a home folder: `status` and `delete`, and the names of all studies."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from lstm_search.cli.shell import Exit, say
from lstm_search.config import ConfigError, Settings
from lstm_search.execute import simulates
from lstm_search.record import Record, delete_study, existing_study, studies
from lstm_search.spec import Outcome, Row


def names(settings: Settings, *, hint: bool = False) -> list[str]:
    """The study that was chosen, or else all there are; `hint`: where there is none, say how one is made."""
    found = [settings.definition.name] if settings.definition.name else studies(settings.home)
    if hint and not found:
        say(f"no study in {settings.home.absolute()} yet; lstm-search run table=9 makes one")
    return found


def status(settings: Settings) -> int:
    """Print how far all studies are, or the one chosen."""
    lines = [line for name in names(settings, hint=True) for line in _status_lines(settings.home, name)]
    print("| study | row | finished | solved | capped | diverged | broken |\n|---|---|---:|---:|---:|---:|---:|")
    for line in lines:
        print(line)
    return Exit.DONE


def _status_lines(home: Path, name: str) -> list[str]:
    with Record.read(home, name) as record:
        counts, definition = record.counts(), record.definition()
    rows, shown = definition.rows, f"{name} (simulated)" if simulates(definition) else name
    return [f"| {shown} | {row.name} | {_status(row, counts[row.name])} |" for row in rows]


def _status(row: Row, counts: Counter[Outcome]) -> str:
    told = [counts[outcome] for outcome in (Outcome.SOLVED, Outcome.CAPPED, Outcome.DIVERGED)]
    most = f"{counts.total()} of {'at most ' if row.purpose == 'race' else ''}{row.replicates}"
    return " | ".join(map(str, [most, *told, counts.total() - sum(told)]))


def delete(settings: Settings) -> int:
    """Remove a study's record, after asking; what MLflow shows of it stays there."""
    name = settings.definition.name
    if not name:
        raise ConfigError("delete: takes the study, study=NAME")
    path = existing_study(settings.home, name)
    print(f"{path}: type the study's name to delete it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise ConfigError(f"delete: study {name} is kept; its name was not typed")
    delete_study(settings.home, name)
    say(f"study {name} is deleted")
    return Exit.DONE
