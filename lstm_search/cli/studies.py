"""The verbs about the studies of a home folder: `status` and `delete`, and the names of all studies."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lstm_search.cli.shell import Exit, say
from lstm_search.config import ConfigError, Settings
from lstm_search.execute import simulates
from lstm_search.record import Record, delete_study, existing_study, shipped_counts, shipped_studies, studies
from lstm_search.report import cell, json_text
from lstm_search.spec import Outcome


def names(settings: Settings, *, hint: bool = False) -> list[str]:
    """The study that was chosen, or else all there are; `hint`: where there is none, say how one is made."""
    found = [settings.definition.name] if settings.definition.name else studies(settings.home)
    if hint and not found:
        say(f"no study in {settings.home.absolute()} yet; lstm-search run table=9 makes one")
    return found


def status(settings: Settings) -> int:
    """Print how far all studies are, or the one chosen; or what is shipped."""
    if settings.source == "shipped":
        one = settings.definition.name
        found = [line for name in shipped_studies() if one in ("", name) for line in _shipped_states(name)]
        if not found:
            raise ConfigError(f"study={one}: is not shipped; those that are: {', '.join(shipped_studies())}")
    else:
        found = [state for name in names(settings, hint=True) for state in _states(settings.home, name)]
    print(_LAYOUTS[settings.format](found), end="")
    return Exit.DONE


class _State(NamedTuple):
    """How far a row of a study is. `planned`: None where only what is there is known; `at_most`: a race may end it
    earlier."""

    study: str
    row: str
    finished: int
    planned: int | None
    at_most: bool
    solved: int
    capped: int
    diverged: int
    broken: int
    simulated: bool


def _states(home: Path, name: str) -> list[_State]:
    with Record.read(home, name) as record:
        counts, definition = record.counts(), record.definition()
    simulated = simulates(definition)
    return [
        _state(name, row.name, counts[row.name], row.replicates, race=row.purpose == "race", simulated=simulated)
        for row in definition.rows
    ]


def _shipped_states(name: str) -> list[_State]:
    return [_state(name, row, counts, None) for row, counts in shipped_counts(name).items()]


def _state(
    study: str, row: str, counts: Counter[Outcome], planned: int | None, *, race: bool = False, simulated: bool = False
) -> _State:
    solved, capped, diverged = (counts[outcome] for outcome in (Outcome.SOLVED, Outcome.CAPPED, Outcome.DIVERGED))
    broken = counts.total() - solved - capped - diverged
    return _State(study, row, counts.total(), planned, race, solved, capped, diverged, broken, simulated)


def _markdown(states: Sequence[_State]) -> str:
    head = "| study | row | finished | solved | capped | diverged | broken |\n|---|---|---:|---:|---:|---:|---:|\n"
    return head + "".join(f"| {' | '.join(map(str, _cells(state)))} |\n" for state in states)


def _cells(state: _State) -> list[object]:
    study = f"{state.study} (simulated)" if state.simulated else state.study
    of = "" if state.planned is None else f" of {'at most ' if state.at_most else ''}{state.planned}"
    return [study, cell(state.row), f"{state.finished}{of}", state.solved, state.capped, state.diverged, state.broken]


_LAYOUTS: dict[str, Callable[[Sequence[_State]], str]] = {
    "markdown": _markdown,
    "json": lambda states: json_text([state._asdict() for state in states]),
}


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
