"""Text in tables and under them."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from lstm_search.stats import Interval

LINE = 118
"""Characters of a line of text under the table."""


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, the head first, in columns of one width."""
    safe = [[cell(text) for text in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    padded = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in safe]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [padded[0], rule, *padded[1:]]


def share(interval: Interval) -> str:
    """An interval of a rate."""
    return f"[{100 * interval[0]:.0f} to {100 * interval[1]:.0f} %]"


def wrapped(text: str) -> str:
    """`text` in lines for a terminal; a continued list entry is indented."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, LINE, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def cell(text: str) -> str:
    """`text` in one Markdown table cell: one line, and nothing in it that ends the cell or opens a tag."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def number(value: float | None) -> str:
    """A number of sequences, without decimals."""
    return "-" if value is None else "infinite" if math.isinf(value) else f"{value:,.0f}"


def json_text(value: Any) -> str:
    """Plain values as indented JSON, with null for infinities and not-a-number."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """`value` with null for what JSON cannot hold: infinities and not-a-number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value
