"""What can be asked for: the groups of `conf/`, the keys of the settings' dataclasses with their defaults and meanings,
and the nearest to a mistyped name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from lstm_search.checks import setting_of
from lstm_search.config.settings import Budget, General, TrackingSettings
from lstm_search.execute import ExecuteSettings, SubmitSettings
from lstm_search.networks import NETWORKS
from lstm_search.search import SearchSettings
from lstm_search.spec import Stop, Training
from lstm_search.tasks import TASKS

GROUPS = ("task", "network", "search", "execute", "tracking")
"""Folders of `conf/` from which one file is chosen: `task=adding`."""

SECTIONS = ("task", "network", "training", "stop")
"""The sections of a configuration that make a cell; their keys are identity and may be axes."""

CATALOGUES: Mapping[str, Mapping[str, type]] = {"task": TASKS, "network": NETWORKS}
"""Sections with a class for each `name`."""

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


def class_of(section: str, values: Mapping[str, Any]) -> Any:
    """The dataclass of a section's values."""
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


@cache
def _explained() -> dict[str, tuple[Any, str]]:
    """Full key -> (default, meaning), of every choice of every group; where choices have a key in common, the first."""
    chosen: list[tuple[str, Mapping[str, Any]]] = [
        *((section, {}) for section in ("", "budget", "search", "submit", "training", "stop")),
        *((section, {"name": name}) for section in CATALOGUES for name in sorted(CATALOGUES[section])),
        *((group, read(_file(group, name))) for group in ("search", "execute", "tracking") for name in options(group)),
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


def options(group: str) -> list[str]:
    """What `group=` takes, sorted: the files of its folder, or the numbers of the tables."""
    return sorted(path.stem.removeprefix("table_") for path in (conf_dir() / group).glob("*.yaml"))


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


def describe() -> str:
    """The groups with their choices, and all keys with default and meaning."""
    lines = ["Groups (GROUP=CHOICE):"]
    for group in GROUPS:
        lines += [_entry(f"{group}={name}", _summary(_file(group, name))) for name in options(group)]
    lines += [_entry(f"table={name}", _title(_file("table", f"table_{name}"))) for name in options("table")]
    lines += [_entry(f"recipe={name}", _summary(_file("recipe", name))) for name in options("recipe")]
    lines += ["", "Keys (KEY=VALUE, the default shown). Those of task, network, training and stop also take several"]
    lines += ["values, the axes of a grid: 0.1,0.5 or 'range(1,5)' or 'choice(all,cells)', in quotes for the shell."]
    return "\n".join([*lines, *(_entry(f"{key}={_plain(value)}", text) for key, (value, text) in _explained().items())])


def _plain(default: Any) -> str:
    return default if isinstance(default, str) else json.dumps(default)


def holders(key: str) -> list[str]:
    """The choices of a key's group that have the key: `execute=ray` for execute.address."""
    group, _, name = key.partition(".")
    if group not in GROUPS:
        return []
    return [f"{group}={choice}" for choice in options(group) if name in complete(group, _chosen(group, choice))]


def _chosen(group: str, choice: str) -> dict[str, Any]:
    """What the file of a choice says of its section."""
    values = read(_file(group, choice))
    return cast("dict[str, Any]", values[group]) if group == "task" else values


@cache
def all_keys() -> tuple[str, ...]:
    """Every key of every choice, groups first."""
    return (*GROUPS, *_explained())


def read(path: Path) -> dict[str, Any]:
    """A YAML file as plain values; nothing in it is resolved."""
    return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(path)))


def _entry(left: str, right: str) -> str:
    return f"  {left:<36} {right}"


def _file(group: str, name: str) -> Path:
    return conf_dir() / group / f"{name}.yaml"


def _summary(path: Path) -> str:
    """The first comment of a file that speaks to the reader."""
    lines = (line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return next(line for line in lines if not line.startswith("@"))


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("title: ").strip('"') for line in lines if line.startswith("title: "))
