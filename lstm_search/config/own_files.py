"""What stands in the user's own files of tasks and tables, checked: the program's own are checked by its tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lstm_search.config.keys import GROUPS, SECTIONS, SELECTED, all_keys, is_of_program, nearest, own_file, read_choice
from lstm_search.config.selection import entries
from lstm_search.config.settings import ConfigError
from lstm_search.spec import flat
from lstm_search.tasks import brought_by

_OF_ROWS = frozenset({"trials", "cap", "published"})
"""What a row of a table has beside choices of groups and settings."""


def check_choice(group: str, name: str) -> None:
    """Raises ConfigError for a file of the user that sets keys which there are not, and for the name of a task of this
    program that an installed distribution brings, too: rows of tables and records mean the program's, but who writes
    the name may mean the other."""
    if group == "task" and is_of_program(group, name) and (other := brought_by(name)):
        raise ConfigError(
            f"task={name}: the program has a task of that name, and {other} brings another one; uninstall that, or let "
            "it choose another name"
        )
    if path := own_file(group, name):
        values = read_choice(group, name)
        nested = values if group == "task" else {group: values}
        if group == "task" and not (isinstance(values.get("task"), dict) and values["task"].get("name")):
            raise ConfigError(f"{path}: does not name its task; takes task: {{name: NAME}}, and # @package _global_")
        _check_keys(path, flat({key: value for key, value in nested.items() if key != "defaults"}))


def checked_table(name: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a table's file. Raises ConfigError for one of the user that is not written like the program's."""
    path = own_file("table", name)
    if not path:
        return dict(file)
    if not isinstance(file.get("title"), str):
        raise ConfigError(f"{path}: takes a title, as in title: My tasks")
    try:
        rows = dict(entries(file, {}))
    except (AttributeError, TypeError):
        rows = {}
    if not rows:
        raise ConfigError(f"{path}: takes rows, as in rows: {{a: {{task: adding, trials: 10}}}}")
    for row, entry in rows.items():
        if "task" not in entry or not isinstance(entry.get("trials"), int):
            raise ConfigError(f"{path}: row {row} takes a task and a number of trials: {{task: adding, trials: 10}}")
        _check_keys(path, (key for key in entry if key not in {*_OF_ROWS, *GROUPS}))
    return dict(file)


def _check_keys(path: str, keys: Iterable[str]) -> None:
    valid = all_keys()
    for key in keys:
        if key not in valid and key not in SELECTED:
            raise ConfigError(f"{path}: {key}: no such key{nearest(key, [k for k in valid if k.startswith(SECTIONS)])}")
