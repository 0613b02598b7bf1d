"""What is recorded of a study, or shipped of a table, as far as the settings ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from lstm_search.config import ConfigError, Settings, nearest
from lstm_search.record import Record, shipped_trials, studies
from lstm_search.spec import Definition, Trial


class Seen(NamedTuple):
    """What is recorded of a study, as far as the settings ask for it."""

    definition: Definition
    trials: Mapping[str, Sequence[Trial]]


def see(settings: Settings, *, curves: bool = False) -> Seen:
    """Read the record. A study chosen by its name alone is seen as it was recorded."""
    asked = settings.definition
    if settings.source == "shipped":
        return Seen(asked, shipped_trials(asked))
    if not asked.name:
        known = studies(settings.home)
        raise ConfigError(f"choose a study with table= or study=; {settings.home} has {', '.join(known) or 'none'}")
    with Record.read(settings.home, asked.name) as record:
        recorded = record.definition()
        record.narrow(_confirmed(asked if asked.rows else _narrowed(recorded, settings), recorded))
        return Seen(record.definition(), record.trials(curves=curves))


def _confirmed(asked: Definition, recorded: Definition) -> Definition:
    """The definition with the rows on fresh seeds that a search has added for its cells."""
    known, names = {row.cell.digest for row in asked.rows}, {row.name for row in asked.rows}
    fresh = [row for row in recorded.rows if row.first and row.cell.digest in known and row.name not in names]
    return replace(asked, rows=(*asked.rows, *fresh))


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
