"""The one form in which values are hashed, and nested values made flat."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> Any:
    """`value` in the form that is hashed: floats as hex, -0.0 as 0.0, text in NFC, keys sorted. TypeError for a value
    that has no such form."""
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return (value + 0.0).hex()
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {str(canonical(name)): canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(entry) for entry in value]
    raise TypeError(f"no canonical form for {type(value).__name__}: {value!r}")


def canonical_json(value: Any) -> str:
    """`value` as JSON of which there is only one form. Raises what `canonical` raises."""
    return json.dumps(canonical(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`. Raises what `canonical` raises."""
    return sha256(canonical_json(value))


def sha256(text: str) -> str:
    """SHA-256 (hex) of `text` in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of mappings, as one mapping: `task.T`, `stop.0.window`."""
    if isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value)}
    if not isinstance(value, Mapping):
        return {name: list(value) if isinstance(value, tuple) else value}
    return {
        path: entry
        for part, inner in value.items()
        for path, entry in flat(inner, f"{name}.{part}" if name else part).items()
    }
