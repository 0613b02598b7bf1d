"""What a study is called, and what it was asked for, as its record keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from lstm_search.config.axes import Base
from lstm_search.config.keys import SECTIONS
from lstm_search.config.settings import General
from lstm_search.spec import Definition, Row, digest, short_names

IDENTITY = frozenset({"table", "rows", "study", "task", "network", "replicates", "seed", "cap", "search", "conf"})
"""Keys beside those of a cell and of the search that a study is defined by, or that say where files of it are."""

_GROWS = frozenset({"study", "replicates", "cap", "search.cells", "conf"})
"""Those of them that may change while the study stays the same."""


class Words(NamedTuple):
    """What was written, by key: all of it, and the axes; and the tables that are asked for."""

    all: Mapping[str, str]
    axes: Mapping[str, str]
    tables: Sequence[str]


def definition_of(words: Words, general: General, bases: Sequence[Base], title: str, rows: Sequence[Row]) -> Definition:
    """The definition of a study."""
    asked = {key: text for key, text in words.all.items() if key in IDENTITY or key.startswith((*_PREFIXES,))}
    name = general.study or _name(words, asked, bases)
    config = {
        "overrides": [f"{key}={text}" for key, text in asked.items()],
        "study": name,
        "title": title,
        "seed": general.seed,
        "rows": {base.name: _printed(base, words.axes) for base in bases},
    }
    return Definition(name, general.seed, tuple(rows), title, OmegaConf.to_yaml(OmegaConf.create(config)))


_PREFIXES = tuple(f"{section}." for section in (*SECTIONS, "search"))


def _name(words: Words, asked: Mapping[str, str], bases: Sequence[Base]) -> str:
    """The name of a study that was given none: of its table or task; of a search also the axes, and four digits that
    differ from those of another search."""
    if not bases:
        return ""
    tables = words.tables
    name = f"table{'s' if len(tables) > 1 else ''}-{'-'.join(tables)}" if tables else bases[0].name
    if not words.axes:
        return name
    axes = re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(short_names(list(words.axes)).values()))[:60].strip("-")
    what = {key: text for key, text in asked.items() if key not in _GROWS}
    return f"{name}-{axes}-{digest(what)[:4]}"


def _printed(base: Base, axes: Mapping[str, str]) -> dict[str, Any]:
    """The row as its configuration prints it, axes as they were written."""
    sections = {
        section: {
            **base.sections[section],
            **{key.partition(".")[2]: axes[key] for key in base.keys if key.startswith(f"{section}.")},
        }
        for section in SECTIONS
    }
    return {"replicates": base.replicates, "cap": base.cap, **sections}
