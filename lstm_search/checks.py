"""Checks of settings. Each names the full key, what was given and what is allowed, and returns the value in one type,
so that `1` and `1.0` give the same trial key."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of studies and milestones: they become file names, links and table cells, so they never need escaping."""


def whole(key: str, value: Any, low: int, high: int) -> int:
    """`value` as an int from `low` to `high`, both included."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise ValueError(f"{key}={value}: takes a whole number from {low} to {high}")
    return number


def real(
    key: str, value: Any, low: float = -math.inf, *, above: float = -math.inf, high: float = 1e6, example: str = ""
) -> float:
    """`value` as a float, at least `low`, greater than `above`, at most `high`, and small enough to square safely."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not (low <= number <= high and above < number and abs(number) <= 1e6):
        least = f" above {above:g}" if above > -math.inf else f" from {low:g}" if low > -math.inf else ""
        most = f" up to {high:g}" if high < 1e6 else ""
        hint = f", for example {example}" if example else ""
        raise ValueError(f"{key}={value}: takes a finite number{least}{most}{hint}")
    return number


def fraction(key: str, value: Any) -> float:
    """`value` as a float between 0 and 1, neither included."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 < number < 1:
        raise ValueError(f"{key}={value}: takes a number above 0 and below 1, for example 0.1")
    return number


def reals(key: str, values: Any) -> tuple[float, ...]:
    """`values` as a tuple of finite floats."""
    try:
        entries = tuple(values)
    except TypeError as error:
        raise ValueError(f"{key}={values}: takes a list of numbers, for example [-2,-4]") from error
    return tuple(real(key, entry) for entry in entries)


def choice(key: str, value: Any, options: Sequence[Any]) -> None:
    """Refuse a `value` that is none of `options`."""
    if value not in options:
        raise ValueError(f"{key}={value}: takes {', '.join(map(str, options[:-1]))} or {options[-1]}")


def truth(key: str, value: Any) -> None:
    """Refuse a `value` that is neither True nor False."""
    if value is not True and value is not False:
        raise ValueError(f"{key}={value}: takes true or false")


def name(key: str, value: Any) -> None:
    """Refuse a `value` that is no safe name."""
    if not isinstance(value, str) or not SAFE_NAME.fullmatch(value):
        shown = ascii(value)[:60]
        raise ValueError(
            f"{key}={shown}: takes up to 100 letters, digits, dots, dashes and underscores, a letter or digit first"
        )
