"""A recorded study as it was asked for: the words that its record keeps, composed again."""

from __future__ import annotations

from typing import Any, cast

from omegaconf import OmegaConf

from lstm_search.config.axes import Axis
from lstm_search.config.composition import compose
from lstm_search.config.grammar import split, value_of
from lstm_search.config.keys import SECTIONS
from lstm_search.config.settings import ConfigError, Settings
from lstm_search.search import Span
from lstm_search.spec import Definition


def recorded_words(definition: Definition) -> list[str]:
    """What the study was asked for last, `key=value` each. ConfigError where an earlier release recorded it, which did
    not keep how it searched."""
    last = definition.config.rpartition("---\n")[2]
    found = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.create(last)))
    words = [word for word in found.get("overrides", []) if not word.startswith("study=")]
    chosen = any(row.purpose != "report" for row in definition.rows)
    if chosen and not any(word.startswith(("search=", "search.")) for word in words):
        raise ConfigError(
            f"study={definition.name}: an earlier release recorded it, which did not keep how it searched; give its "
            "whole command, with search= and its settings"
        )
    return [*words, f"study={definition.name}"]


def recorded_settings(definition: Definition) -> Settings | None:
    """The settings that these words compose to; None where they cannot be composed in this release."""
    try:
        return compose(recorded_words(definition))
    except ValueError:
        return None


def fixed_words(definition: Definition) -> list[str]:
    """The words without axes and without the search: what all cells have in common."""
    try:
        words = dict(split(word) for word in recorded_words(definition))
    except ValueError:
        return []
    fixed = (key for key in words if key.partition(".")[0] not in ("search", "study", "seed"))
    return [
        f"{key}={words[key]}"
        for key in fixed
        if not (_cells(key) and isinstance(value_of(key, words[key]), Axis | Span))
    ]


def _cells(key: str) -> bool:
    return key.partition(".")[0] in SECTIONS
