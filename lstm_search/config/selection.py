"""Which rows of a table are meant: by their names, by their network, or all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lstm_search.config.keys import nearest, options
from lstm_search.config.settings import ConfigError

DEFAULT_NETWORK = "lstm1997"

ALL, RIVALS = ("all",), ("rivals",)
"""What `rows=` takes beside names: every row of a table, or those of other networks than LSTM."""


class Wanted(NamedTuple):
    """A row as its table's file has it, or the task chosen instead of a table."""

    name: str
    table: str
    published: str
    trials: int
    overrides: Mapping[str, Any]
    cap: int | None = None

    @property
    def network(self) -> str:
        """The network that the row names, or the default."""
        return str(self.overrides.get("network", DEFAULT_NETWORK))


def selected(table: str, file: Mapping[str, Any], names: Sequence[str] | None, network: str | None) -> list[Wanted]:
    """The rows of `table`, whose file is `file`, with these names. Without names, those of `network`, or LSTM's, or all
    where LSTM has none: rivals take long, so they are trained where they are asked for. Raises ConfigError for a row
    or a network that the table does not have."""
    rows = [_row(table, name, entry) for name, entry in entries(file, {})]
    if network is not None:
        rows = _of(network, rows)
    if names is None:
        return [row for row in rows if row.network == DEFAULT_NETWORK] or rows
    if names == ALL:
        return rows
    if names == RIVALS and (rivals := [row for row in rows if row.network != DEFAULT_NETWORK]):
        return rivals
    known = [row.name for row in rows]
    for name in names:
        if name not in known:
            raise ConfigError(f"rows={name}: table {table} has no such row{_of_network(network)}{nearest(name, known)}")
    return [row for row in rows if row.name in names]


def selected_of_several(
    files: Mapping[str, Mapping[str, Any]], names: Sequence[str] | None, network: str | None
) -> list[Wanted]:
    """The selected rows of several tables, each named with its table in front: `4/T100-N3`. A name without a table
    stands for the rows of that name in all of them. Raises ConfigError for a row that none of them has."""
    found = []
    for table, file in files.items():
        if names in (None, ALL, RIVALS):
            found += selected(table, file, names, network)
        else:
            wanted = {name.removeprefix(f"{table}/") for name in names or ()}
            found += [row for row in selected(table, file, ALL, network) if row.name in wanted]
    rows = [row._replace(name=f"{row.table}/{row.name}") for row in found]
    for name in names or ():
        if (name,) not in (ALL, RIVALS) and not any(name in (row.name, row.name.partition("/")[2]) for row in rows):
            every = [f"{table}/{row}" for table, file in files.items() for row, _ in entries(file, {})]
            raise ConfigError(f"rows={name}: tables {', '.join(files)} have no such row{nearest(name, every)}")
    return rows


def entries(group: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a table or of a group of its rows, with what it has in common with the others."""
    shared = {**common, **group.get("common", {})}
    for name, own in group.get("rows", {}).items():
        yield name, {**shared, **own}
    for inner in group.get("groups", []):
        yield from entries(inner, shared)


def _row(table: str, name: str, entry: Mapping[str, Any]) -> Wanted:
    """A row as its file describes it; beside `trials`, `cap` and `published` it holds settings."""
    overrides = {key: value for key, value in entry.items() if key not in {"trials", "cap", "published"}}
    return Wanted(name, table, entry.get("published", name), entry["trials"], overrides, entry.get("cap"))


def _of_network(network: str | None) -> str:
    return f" of network {network}" if network else ""


def _of(network: str, rows: Sequence[Wanted]) -> list[Wanted]:
    """The rows of this network. Raises ConfigError for none."""
    found = [row for row in rows if row.network == network]
    if not found:
        networks = ", ".join(dict.fromkeys(row.network for row in rows))
        raise ConfigError(
            f"table={rows[0].table} network={network}: the table has rows of {networks}; or choose a network "
            f"of your own with task={', '.join(options('task'))}"
        )
    return found
