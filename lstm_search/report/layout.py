"""Text in tables and under them."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lstm_search.stats import Interval

LINE = 118
"""Characters of a line of text under the table."""


class Bar(NamedTuple):
    """An estimate with its interval, as shares of a scale from 0 to 1; `printed` is what was printed in 1997."""

    low: float
    at: float
    high: float
    printed: float | None = None


def time_bars(
    estimates: Sequence[tuple[Interval | None, float | None, float | None]],
) -> list[Bar | None]:
    """Bars of times, each given as its interval, the estimate and what was printed, on one logarithmic scale."""
    known = [
        value
        for interval, *more in estimates
        for value in (*(interval or ()), *more)
        if value is not None and value > 0
    ]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)

    def share(value: float) -> float:
        return math.log(max(value, low) / low) / math.log(high / low) if high > low else 0.5

    return [
        Bar(share(interval[0]), share(at), share(interval[1]), printed and share(printed)) if interval and at else None
        for interval, at, printed in estimates
    ]


@dataclass(frozen=True)
class Sheet:
    """A table as it is read, whatever it is written in: a title, a head, lines of as many cells, a legend, and notes.
    `more` says what is left out, `last` what to do with it; `bars` are drawn where pictures can be, by line and
    column."""

    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    legend: str
    notes: Sequence[str] = ()
    more: str = ""
    last: str = ""
    bars: Mapping[tuple[int, int], Bar] = field(default_factory=dict)


def markdown(sheet: Sheet) -> str:
    """The table in Markdown, its columns aligned."""
    parts = [cell(sheet.title), "", *aligned([sheet.head, *sheet.lines]), ""]
    parts += [sheet.more, ""] if sheet.more else []
    parts += [wrapped(sheet.legend), ""]
    parts += [*(wrapped(f"- {cell(note)}") for note in sheet.notes), ""] if sheet.notes else []
    parts += [sheet.last, ""] if sheet.last else []
    return "\n".join(parts)


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
