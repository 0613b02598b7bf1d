"""What can be asked for: the groups, keys and tables of `conf/`, their meaning, and the nearest to a mistyped name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from pathlib import Path

GROUPS = ("task", "network", "search", "execute", "tracking")
"""Folders of `conf/` from which one file is chosen: `task=adding`."""

SELECTED = frozenset({"task.name", "network.name", "search.kind", "execute.kind", "tracking.kind"})
"""Keys that say which choice of a group a section is; only the group sets them."""

_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: (?P<value>.*?))?(?: # (?P<meaning>.*))?$")


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
    close.sort(key=lambda name: -SequenceMatcher(None, word, name).ratio())
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
    entries: dict[str, str] = {}
    for path in _files():
        for key, (value, meaning) in _explained(path).items():
            entries.setdefault(key, _entry(f"{key}={value}", meaning))
    return "\n".join([*lines, *entries.values()])


def holders(key: str) -> list[str]:
    """The choices of a key's group that have the key: `execute=ray` for execute.address."""
    group = key.partition(".")[0]
    return [f"{group}={name}" for name in options(group) if key in _explained(_file(group, name))]


@cache
def all_keys() -> tuple[str, ...]:
    """Every key of every choice, groups first."""
    return tuple(dict.fromkeys([*GROUPS, *(key for path in _files() for key in _explained(path))]))


def _entry(left: str, right: str) -> str:
    return f"  {left:<36} {right}"


def _file(group: str, name: str) -> Path:
    return conf_dir() / group / f"{name}.yaml"


def _files() -> list[Path]:
    return [conf_dir() / "config.yaml", *(_file(group, name) for group in GROUPS for name in options(group))]


def _summary(path: Path) -> str:
    """The first comment of a file that speaks to the reader."""
    lines = (line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return next(line for line in lines if not line.startswith("@"))


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("title: ").strip('"') for line in lines if line.startswith("title: "))


def _explained(path: Path) -> dict[str, tuple[str, str]]:
    """Full key -> (default as written, meaning), of every line of a file that has a comment."""
    text = path.read_text(encoding="utf-8")
    outside = path.parent == conf_dir() or "@package _global_" in text
    package, section = "" if outside else f"{path.parent.name}.", ""
    found: dict[str, tuple[str, str]] = {}
    for match in filter(None, map(_LINE.fullmatch, text.splitlines())):
        section = section if match["indent"] else ""
        if match["meaning"]:
            found[f"{package}{section}{match['key']}"] = (match["value"] or "", match["meaning"])
        elif not match["value"]:
            section = f"{match['key']}."
    return found
