"""Settings given in Python as the words of the command line, so that there is one way on which they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lstm_search.checks import written
from lstm_search.config.keys import SECTIONS
from lstm_search.config.settings import ConfigError


def words_of(settings: Mapping[str, Any], under: str = "") -> list[str]:
    """`key=value` for each setting; a mapping stands for the keys of a section.

    A list is several values, the axis of a search, where the key is one of a cell's, and else a list; a tuple is one
    value that is a list. Text is taken as it would be written on the command line, but the text of a list, and the name
    of a row, needs no quotes. Raises ConfigError for other values.
    """
    words = []
    for name, value in settings.items():
        key = f"{under}{name}"
        words += words_of(value, f"{key}.") if isinstance(value, Mapping) else [f"{key}={_text(key, value)}"]
    return words


def _text(key: str, value: Any) -> str:
    if key == "rows" and isinstance(value, str):
        value = [value] if "[" not in value else value
    several = isinstance(value, list | range | np.ndarray)
    if not several or key.partition(".")[0] not in SECTIONS:
        return _one(key, tuple(value) if several else value)
    values = [_quoted(_one(key, entry)) for entry in value]
    if not values:
        raise ConfigError(f"{key}=[]: takes at least one value")
    return ",".join(values) if len(values) > 1 else f"choice({values[0]})"


def _quoted(text: str) -> str:
    """Text of a list in quotes, unless it is plain, or a list itself."""
    plain = re.fullmatch(r"[\w.+-]+|\[.*\]", text, re.ASCII | re.DOTALL)
    return text if plain else "'{}'".format(text.replace("\\", "\\\\").replace("'", "\\'"))


def _one(key: str, value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, tuple):
        return f"[{','.join(_quoted(_one(key, entry)) for entry in value)}]"
    if value is None or isinstance(value, str | bool | int | float | Path):
        return written(value)
    raise ConfigError(
        f"{key}={value!r}: takes text, a number, True, False or None, a list of several, or a tuple for one value that "
        "is a list"
    )
