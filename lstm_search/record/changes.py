"""In what a study that is asked for differs from the one that is recorded."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from lstm_search import spec
from lstm_search.record.sql import text
from lstm_search.spec import Cell, Definition, Row


class DefinitionChanged(ValueError):  # noqa: N818  (named by what happened)
    """The study is recorded under another definition; `differences` holds one phrase each."""

    def __init__(self, path: Path, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            f"{path} was recorded under another definition: {'; '.join(differences)}. "
            f"Go on with what is recorded by lstm-search run study={path.stem}, take another name (study=NAME), or "
            "remove this study first with the verb delete"
        )


def differences(study: sqlite3.Row, recorded: Sequence[Row], definition: Definition) -> list[str]:
    """One phrase for each difference in what decides results; rows that only one of both has are none."""
    then_and_now = (
        ("schema version", study["schema_version"], spec.SCHEMA_VERSION),
        ("numerics version", study["numerics_version"], spec.NUMERICS_VERSION),
        ("seed", int(study["seed"]), definition.seed),
        ("subject", study["title"], text(definition.title)),
    )
    found = [f"{name} was {then}, is {now}" for name, then, now in then_and_now if then != now]
    cells = {row.name: row.cell for row in recorded}
    return found + [phrase for row in definition.rows for phrase in _changes(cells.get(row.name, row.cell), row)]


def _changes(then: Cell, now: Row) -> list[str]:
    """How the cell of a row is another than it was."""
    if then == now.cell:
        return []
    old, new = spec.flat(then.as_dict()), spec.flat(now.cell.as_dict())
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"row {now.name}: {name} was {old.get(name)}, is {new.get(name)}" for name in names]
