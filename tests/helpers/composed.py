"""docker-compose.yml as the tests read it: with its defaults filled in, and this machine in place of containers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SETTINGS = {"LSTM_UID": "1000", "LSTM_GID": "1000"}
"""What `make secrets` writes into .env."""


def filled(text: str, settings: Mapping[str, str] = SETTINGS) -> str:
    """`text` with ${NAME}, ${NAME:-default} and ${NAME:?message} replaced as compose does it."""

    def value(match: re.Match[str]) -> str:
        name, _, default = match[1].partition(":")
        assert name in settings or default.startswith("-"), f"{name} is not set"
        return settings.get(name, default[1:])

    return re.sub(r"\$\{([^}]*)\}", value, text)


def compose(settings: Mapping[str, str] = SETTINGS) -> dict[str, Any]:
    """The whole file."""
    return yaml.safe_load(filled((ROOT / "docker-compose.yml").read_text(), settings))


def here(value: Any, places: Mapping[str, str]) -> Any:
    """`value` with every text of `places` replaced, in all strings of lists and mappings."""
    if isinstance(value, str):
        return re.sub("|".join(map(re.escape, places)), lambda match: places[match[0]], value)
    if isinstance(value, list):
        return [here(entry, places) for entry in value]
    if isinstance(value, dict):
        return {key: here(entry, places) for key, entry in value.items()}
    return value
