"""What can be asked for: the groups of `conf/`, the keys of the settings' dataclasses with their defaults and meanings,
and the nearest to a mistyped name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]  # OmegaConf lets it through

from lstm_search.checks import setting_of, written
from lstm_search.config.settings import Budget, ConfigError, General, TrackingSettings
from lstm_search.execute import ExecuteSettings, SubmitSettings
from lstm_search.networks import NETWORKS
from lstm_search.search import SearchSettings
from lstm_search.spec import Stop, Training
from lstm_search.tasks import TASKS, BrokenTask, UnknownTask, names_from_outside, task_class

GROUPS = ("task", "network", "search", "execute", "tracking")
"""Folders of `conf/` from which one file is chosen: `task=adding`."""

OTHERS = ("table", "recipe")
"""Its other folders."""

SECTIONS = ("task", "network", "training", "stop")
"""The sections of a configuration that make a cell; their keys are identity and may be axes."""

CATALOGUES: Mapping[str, Mapping[str, type]] = {"task": TASKS, "network": NETWORKS}
"""Sections with a class for each `name`. There may be tasks from outside of this package beside them."""

CLASSES: Mapping[str, type] = {
    "": General,
    "budget": Budget,
    "search": SearchSettings,
    "submit": SubmitSettings,
    "training": Training,
    "stop": Stop,
    "execute": ExecuteSettings,
    "tracking": TrackingSettings,
}
"""Sections with one class; "" are the keys without a section."""

SELECTED = frozenset({"task.name", "network.name", "search.kind", "execute.kind", "tracking.kind"})
"""Keys that say which choice of a group a section is; only the group sets them."""

READINGS = frozenset(
    f"{section}.{of.name}"
    for section in SECTIONS
    for kind in (CATALOGUES[section].values() if section in CATALOGUES else [CLASSES[section]])
    for of in fields(kind)
    if setting_of(of).reading
)
"""Keys where the paper is silent or contradicts itself: another choice is another reading, not another experiment."""


COLUMNS, _LEFT = 80, 27
"""Columns of a line of help, and those of what stands left in it."""


def class_of(section: str, values: Mapping[str, Any]) -> Any:
    """The dataclass of a section's values."""
    if section == "task":
        return task_class(values["name"])
    return CATALOGUES[section][values["name"]] if section in CATALOGUES else CLASSES[section]


def build(section: str, values: Mapping[str, Any]) -> Any:
    """The dataclass of a section's values, which checks them. Raises ValueError naming the key that cannot be used."""
    return class_of(section, values)(**{key: value for key, value in values.items() if key != "name"})


def complete(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A section's values with the defaults of all keys that it has besides. What it cannot have is left out: a task's
    file speaks of a network that may not be the chosen one."""
    kind = class_of(section, values)
    chosen = {key: values[key] for key in ("name", "kind") if key in values}
    offered = _offered(kind, chosen.get("kind", ""))
    return {**chosen, **offered, **{key: value for key, value in values.items() if key in offered}}


def _offered(kind: Any, choice: str) -> dict[str, Any]:
    """The keys of a dataclass that the user sets, with their defaults; `choice`: of that choice of a group."""
    return {
        of.name: of.default
        for of in fields(kind)
        if (about := setting_of(of)).meaning and (not about.kinds or choice in about.kinds)
    }


def _explained() -> dict[str, tuple[Any, str]]:
    """Full key -> (default, meaning), of every choice of every group; where choices have a key in common, the first."""
    return _explained_with(*_usable(names_from_outside()))


def _usable(names: Iterable[str]) -> list[str]:
    """Those of the tasks from outside that can be imported; what ails the others is said where they are chosen."""
    found = []
    for name in names:
        with suppress(UnknownTask, BrokenTask):
            task_class(name)
            found.append(name)
    return found


@cache
def _explained_with(*tasks: str) -> dict[str, tuple[Any, str]]:
    """`_explained`, with these tasks from outside."""
    chosen: list[tuple[str, Mapping[str, Any]]] = [
        *((section, {}) for section in ("", "budget", "search", "submit", "training", "stop")),
        *((section, {"name": name}) for section in CATALOGUES for name in sorted(CATALOGUES[section])),
        *(("task", {"name": name}) for name in tasks),
        *((group, read(_file(group, name))) for group in ("search", "execute", "tracking") for name in _files(group)),
    ]
    found: dict[str, tuple[Any, str]] = {}
    for section, values in chosen:
        defaults = complete(section, values)
        for of in fields(class_of(section, values)):
            if of.name in defaults and (meaning := setting_of(of).meaning):
                found.setdefault(f"{section}.{of.name}" if section else of.name, (defaults[of.name], meaning))
    return found


@cache
def conf_dir() -> Path:
    """The folder of the configuration: inside an installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    places = (package / "conf", package.parent / "conf")
    return next(place for place in places if (place / "config.yaml").is_file())


_BESIDE: ContextVar[Path | None] = ContextVar("conf", default=None)


@contextmanager
def beside(folder: Path | None) -> Iterator[None]:
    """For the time of a `with` block files are also found in this folder, which is laid out like `conf_dir()`. Raises
    ConfigError where there is no such folder, or one of its files has the name of a file of the program."""
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(f"conf={folder}: no such folder; takes one with files in task/, table/ or recipe/")
        for group in (*GROUPS, *OTHERS):
            if both := {path.name for path in (folder / group).glob("*.yaml")} & {*_names(conf_dir() / group)}:
                raise ConfigError(f"conf={folder}: {group}/{min(both)} is a file of the program; give it another name")
    token = _BESIDE.set(folder)
    try:
        yield
    finally:
        _BESIDE.reset(token)


def own_conf() -> Path | None:
    """The user's folder of files, where one was given."""
    return _BESIDE.get()


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.yaml")]


def _files(group: str, *, own: bool = False) -> list[str]:
    """The choices of a group that have a file, the program's or the user's `own`, sorted."""
    folder = own_conf() if own else conf_dir()
    return (
        sorted(name.removesuffix(".yaml").removeprefix("table_") for name in _names(folder / group)) if folder else []
    )


def options(group: str) -> list[str]:
    """What `group=` takes, sorted: the files of its folder, or the numbers of the tables; the user's; and tasks from
    outside that need no file."""
    from_outside = names_from_outside() if group == "task" else []
    return sorted({*_files(group), *_files(group, own=True), *from_outside})


def has_file(group: str, name: str) -> bool:
    """Whether a file stands for a choice; a task from outside needs none."""
    return name in _files(group) or name in _files(group, own=True)


def is_of_program(group: str, name: str) -> bool:
    """Whether the program itself has a choice, or a class, of that name."""
    return name in _files(group) or name in CATALOGUES.get(group, ())


def nearest(word: str, valid: Iterable[str]) -> str:
    """The end of a message about the unknown `word`: the nearest valid names, and all of them when they are few."""
    names = list(valid)
    lasts = {name: name.rpartition(".")[2] for name in names}
    similar = get_close_matches(word.rpartition(".")[2], set(lasts.values()), 2, 0.7)
    close = [name for name in names if lasts[name] in similar] or get_close_matches(word, names, 3, 0.6)
    close.sort(key=lambda name: (name.partition(".")[0] not in SECTIONS, -SequenceMatcher(None, word, name).ratio()))
    if len(names) <= 12:
        return f"{f'; nearest: {close[0]}' if close else ''}; valid: {', '.join(names)}"
    return f"; nearest: {', '.join(close[:4])}" if close else "; lstm-search --help lists all"


def describe(values: Mapping[str, Any]) -> str:
    """The groups with their choices, and all keys with their meaning; those that `values` has, with its value."""
    lines = ["Groups (GROUP=CHOICE):"]
    for group in GROUPS:
        lines += [entry(f"{group}={name}", _summary(group, name)) for name in options(group)]
    lines += [entry(f"table={name}", _title(_file("table", name))) for name in options("table")]
    lines += [entry(f"recipe={name}", _summary("recipe", name)) for name in options("recipe")]
    lines += ["", "Keys (KEY=VALUE, with what holds if they are left out). Those of task, network,"]
    lines += ["training and stop also take several values, the axes of a grid: 0.1,0.5 or"]
    lines += ["'range(1,5)' or 'choice(all,cells)', in quotes for the shell."]
    return "\n".join([*lines, describe_keys(_explained(), values)])


def describe_keys(keys: Iterable[str], values: Mapping[str, Any]) -> str:
    """Keys with meaning and value: that of `values`, or the default."""
    explained = _explained()
    return "\n".join(entry(f"{key}={written(values.get(key, explained[key][0]))}", explained[key][1]) for key in keys)


def holders(key: str) -> list[str]:
    """The choices of a key's group that have the key: `execute=ray` for execute.address."""
    group, _, name = key.partition(".")
    if group not in GROUPS:
        return []
    choices = [*_files(group), *_files(group, own=True), *(_usable(names_from_outside()) if group == "task" else ())]
    return [f"{group}={choice}" for choice in choices if name in complete(group, _chosen(group, choice))]


def _chosen(group: str, choice: str) -> dict[str, Any]:
    """What the file of a choice says of its section."""
    values = read_choice(group, choice)
    return cast("dict[str, Any]", values[group]) if group == "task" else values


def all_keys() -> tuple[str, ...]:
    """Every key of every choice, groups first."""
    return (*GROUPS, *_explained())


def read(path: Path) -> dict[str, Any]:
    """A YAML file as plain values; nothing in it is resolved. Raises ConfigError for one that holds something else."""
    try:
        found = OmegaConf.to_container(OmegaConf.load(path))
    except (OmegaConfBaseException, YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigError(f"{path}: takes lines KEY: VALUE")
    return cast("dict[str, Any]", found)


def entry(left: str, right: str) -> str:
    """A line of help, and further ones where it would be wider than a terminal."""
    lines = textwrap.wrap(right, COLUMNS - _LEFT - 3, break_long_words=False, break_on_hyphens=False)
    first, *rest = lines if len(left) <= _LEFT else ["", *lines]
    return "\n".join([f"  {left:<{_LEFT}} {first}".rstrip(), *(" " * (_LEFT + 3) + line for line in rest)])


def _file(group: str, name: str) -> Path:
    """The file of a choice."""
    folder = own_conf() if name in _files(group, own=True) else conf_dir()
    return (folder or conf_dir()) / group / f"{'table_' if group == 'table' else ''}{name}.yaml"


def own_file(group: str, name: str) -> str:
    """The path of the user's file of a choice; "" where the program has it, or none is needed."""
    return str(_file(group, name)) if name in _files(group, own=True) else ""


def read_choice(group: str, name: str) -> dict[str, Any]:
    """What the file of a choice says; of a task from outside that has none, its name."""
    return read(_file(group, name)) if has_file(group, name) else {"task": {"name": name}}


def _summary(group: str, name: str) -> str:
    """The first comment of a file that speaks to the reader, or the first line of what a task says of itself."""
    if not has_file(group, name):
        return _said(name)
    lines = _file(group, name).read_text(encoding="utf-8").splitlines()
    return next((line[2:] for line in lines if line.startswith("# ") and not line.startswith("# @")), name)


def _said(task: str) -> str:
    try:
        return (task_class(task).__doc__ or task).strip().splitlines()[0]
    except (UnknownTask, BrokenTask) as error:
        return str(error)


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("title: ").strip('"') for line in lines if line.startswith("title: ")), path.stem)
