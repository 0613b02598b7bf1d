"""The files of `conf/` say what differs from the defaults of the dataclasses, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

import pytest

from lstm_search.checks import setting_of
from lstm_search.config import composition, keys
from lstm_search.config.selection import ALL, Wanted, selected
from lstm_search.networks import NETWORKS
from lstm_search.tasks import TASKS

TABLES = keys.options("table")


def own(group: str, name: str) -> dict[str, dict[str, Any]]:
    """What the file of a choice says, by section."""
    values = keys.read(keys.conf_dir() / group / f"{name}.yaml")
    return values if group == "task" else {group: values}


def defaults(section: str, key: str, values: dict[str, Any]) -> list[Any]:
    """The defaults of a key: of the section's class, or of all networks where a task's file speaks of any."""
    anything = section == "network" and "name" not in values
    kinds = NETWORKS.values() if anything else [keys.class_of(section, values)]
    return [of.default for kind in kinds for of in fields(kind) if of.name == key]


@pytest.mark.parametrize(
    "choice", [(group, name) for group in keys.GROUPS for name in keys.options(group)], ids="=".join
)
def test_a_file_says_only_what_differs_from_the_defaults(choice: tuple[str, str]) -> None:
    for section, values in own(*choice).items():
        for key, value in values.items():
            if f"{section}.{key}" not in keys.SELECTED:
                found = defaults(section, key, values)
                assert found, f"{section}.{key}: no such key"
                assert any(value != default for default in found), f"{section}.{key}={value} is the default"


def test_the_first_file_says_only_what_is_chosen() -> None:
    assert keys.read(keys.conf_dir() / "config.yaml").keys() == {"defaults"}


def test_every_class_has_a_file_and_every_file_a_class() -> None:
    assert {own("task", name)["task"]["name"] for name in keys.options("task")} == set(TASKS)
    assert {own("network", name)["network"]["name"] for name in keys.options("network")} == set(NETWORKS)
    for group in ("search", "execute", "tracking"):
        kinds = {kind for of in fields(keys.CLASSES[group]) for kind in setting_of(of).kinds}
        assert kinds <= {own(group, name)[group]["kind"] for name in keys.options(group)} == set(keys.options(group))


def test_every_key_has_a_default_and_a_meaning() -> None:
    kinds = [(section, kind) for section, catalogue in keys.CATALOGUES.items() for kind in catalogue.values()]
    for section, kind in [*keys.CLASSES.items(), *kinds]:
        for of in fields(kind):
            assert of.default is not MISSING
            assert setting_of(of).meaning or f"{section}.{of.name}" in keys.SELECTED


# Tables


def wanted(table: str) -> list[Wanted]:
    return selected(table, composition._table_file(table), ALL, None)


def tree(row: Wanted, *without: str) -> dict[str, Any]:
    return composition._tree([], {key: value for key, value in row.overrides.items() if key not in without})


@pytest.mark.parametrize("table", TABLES)
def test_a_row_has_no_unknown_key(table: str) -> None:
    for row in wanted(table):
        known = {f"{section}.{key}" for section, values in tree(row).items() for key in values}
        assert row.overrides.keys() <= known | {"task", "network"}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_says_nothing_that_its_tasks_say(table: str) -> None:
    rows = wanted(table)
    for key in {key for row in rows for key in row.overrides} - {"task", "network"}:
        assert any(tree(row, key) != tree(row) for row in rows), f"{key} changes no row"


def groups(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The table and its groups of rows."""
    yield group
    for inner in group.get("groups", []):
        yield from groups(inner)


@pytest.mark.parametrize("table", TABLES)
def test_what_all_rows_share_is_said_once(table: str) -> None:
    for group in groups(composition._table_file(table)):
        said = [set(map(str, row.items())) for row in group.get("rows", {}).values()]
        assert len(said) < 2 or not set.intersection(*said)
