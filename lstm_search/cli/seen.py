"""What is recorded of a study, or shipped of a table, as far as the settings ask for it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from lstm_search.cli.shell import say
from lstm_search.config import ConfigError, Settings, compose, nearest, recorded_settings, recorded_words
from lstm_search.execute import simulates
from lstm_search.publish import About
from lstm_search.record import Record, shipped_trials, studies
from lstm_search.spec import Candidate, Definition, Trial


class Seen(NamedTuple):
    """What is recorded of a study, as far as the settings ask for it."""

    definition: Definition
    trials: Mapping[str, Sequence[Trial]]
    candidates: Sequence[Candidate] = ()


def as_recorded(asked: Settings) -> Settings:
    """The settings; where a study is asked for by its name alone, as it is recorded. Raises UnknownStudy where it is
    not."""
    name = asked.definition.name
    if not name or asked.space.bases or asked.source != "record":
        return asked
    with Record.read(asked.home, name) as record:
        return compose([*recorded_words(record.definition()), *asked.overrides])


def see(settings: Settings, *, curves: bool = False) -> Seen:
    """Read the record. A study chosen by its name alone is seen as it was recorded."""
    asked = settings.definition
    if settings.source == "shipped":
        asked = replace(asked, rows=tuple(settings.rows_ahead()))
        return Seen(asked, shipped_trials(asked))
    if not asked.name:
        known = studies(settings.home)
        raise ConfigError(f"choose a study with table= or study=; {settings.home} has {', '.join(known) or 'none'}")
    with Record.read(settings.home, asked.name) as record:
        recorded = record.definition()
        if simulates(recorded):  # said here, because not every form of output has a title
            say(f"study {asked.name} is simulated: nothing was trained")
        record.narrow(_asked(settings, recorded))
        names = {row.name for row in record.definition().rows}
        met = [one for one in record.candidates() if all(row.name in names for row in one.rows)]
        return Seen(record.definition(), record.trials(curves=curves), met)


def about(definition: Definition, settings: Settings | None = None) -> About:
    """What is shown of a study that its record does not say; `settings` are those that it was composed to."""
    try:
        words = recorded_words(definition)
    except ConfigError:  # an earlier release recorded it
        return About()
    composed = settings or recorded_settings(definition)
    simulated = simulates(settings.execute.recorded_as(definition) if settings else definition)
    command = shlex.join(["lstm-search", "run", *words, *(["execute=simulated"] if simulated else [])])
    return About(command, composed.search) if composed else About(command)


def _asked(settings: Settings, recorded: Definition) -> Definition:
    """The rows that are asked for, or that the search has met; and those on fresh seeds that it has added for them."""
    asked, space = settings.definition, settings.space
    if not space.bases:
        return _narrowed(recorded, settings)
    met = [now for row in recorded.rows if not row.first and (now := space.row_of(row))] if space.axes else []
    rows = [*asked.rows, *met]
    known, names = {row.cell.digest for row in rows}, {row.name for row in rows}
    fresh = [row for row in recorded.rows if row.first and row.cell.digest in known and row.name not in names]
    return replace(asked, rows=(*rows, *fresh))


def _narrowed(recorded: Definition, settings: Settings) -> Definition:
    """The rows and replicates of a recorded study that the settings choose."""
    known = [row.name for row in recorded.rows]
    for name in settings.rows or ():
        if name not in known:
            raise ConfigError(f"rows={name}: study {recorded.name} has no such row{nearest(name, known)}")
    rows = [
        replace(row, replicates=settings.replicates or row.replicates)
        for row in recorded.rows
        if settings.rows is None or row.name in settings.rows
    ]
    return replace(recorded, rows=tuple(rows))
