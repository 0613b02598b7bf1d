"""The rows that a command line selects."""

from __future__ import annotations

from lstm_search.config import compose
from lstm_search.spec import Row


def rows(*overrides: str) -> tuple[Row, ...]:
    return tuple(compose(overrides).rows_ahead())


def row(*overrides: str) -> Row:
    (only,) = rows(*overrides)
    return only
