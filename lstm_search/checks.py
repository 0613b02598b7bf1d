"""Settings: the fields of frozen dataclasses, which say their type, default, meaning and limits once, and the checks
that follow from that. A refusal names the full key, what was given and what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of studies and milestones: they become file names, links and table cells, so they never need escaping."""

MOST = 1e6
"""The largest size of a number without other limits: small enough to square safely."""


@dataclass(frozen=True)
class Setting:
    """What is known of a setting beside its type and its default.

    A number is at least `low` and at most `high`, greater than `above` and less than `below`, and one of `among` where
    that is not empty; of a tuple, every entry is. `example` and `takes` are for the message: `takes` stands in place of
    the usual one. `kinds`: the choices of a group that have this setting, empty for all. `reading`: the paper is silent
    about it or contradicts itself, so that another choice is another reading, and not another experiment.
    """

    meaning: str = ""
    low: float | None = None
    high: float | None = None
    above: float = -math.inf
    below: float = math.inf
    among: tuple[float, ...] = ()
    example: str = ""
    takes: str = ""
    kinds: tuple[str, ...] = ()
    reading: bool = False

    def check(self, key: str, value: Any) -> None:
        """Raises ValueError, which names the key, for a number, or a tuple with a number, that is out of the limits."""
        if isinstance(value, tuple):
            for entry in value:
                self.check(key, entry)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            most = MOST if isinstance(value, float) else math.inf
            low, high = (-most if self.low is None else self.low), (most if self.high is None else self.high)
            if not (low <= value <= high and self.above < value < self.below):
                raise ValueError(f"{key}={value}: {self.takes or self._range(value)}")
            if self.among and value not in self.among:
                *others, last = map(str, self.among)
                raise ValueError(f"{key}={value}: takes {', '.join(others)} or {last}")

    def _range(self, value: float) -> str:
        """What a value of this type takes."""
        if isinstance(value, int):
            return f"takes a whole number from {self.low} to {self.high}"
        hint = f", for example {self.example}" if self.example else ""
        least = "" if self.low is None else f" from {self.low:g}"
        least = f" above {self.above:g}" if self.above > -math.inf else least
        if self.below < math.inf:
            return f"takes a number{least} and below {self.below:g}{hint}"
        most = "" if self.high is None else f" up to {self.high:g}"
        return f"takes a finite number{least}{most}{hint}"


def setting(default: Any, meaning: str, **about: Any) -> Any:
    """A field of a dataclass with its default, what it means to the user, and whatever else `Setting` holds."""
    return field(default=default, metadata={"setting": Setting(meaning, **about)})


def setting_of(of: Field[Any]) -> Setting:
    """What is known of a field; a field without a meaning is none that the user sets by its name."""
    found: Setting = of.metadata.get("setting", Setting())
    return found


def settle(values: Any, section: str) -> None:
    """Bring every field of a frozen dataclass into its declared type, so that `1` and `1.0` give the same trial key.
    Raises ValueError, which names the key with `section` in front, for a value of another type or out of its limits."""
    keys = {of.name: f"{section}.{of.name}" if section else of.name for of in fields(values)}
    for name, key in keys.items():
        object.__setattr__(values, name, typed(key, types_of(values.__class__)[name], getattr(values, name)))
    for of in fields(values):
        if of.metadata:
            setting_of(of).check(keys[of.name], getattr(values, of.name))


@cache
def types_of(settings: type) -> dict[str, Any]:
    """The declared type of every field of a dataclass."""
    return get_type_hints(settings)


def typed(key: str, kind: Any, value: Any) -> Any:
    """`value` in the type `kind` of a field, with lists as tuples and whole numbers as floats where floats are due.
    Raises ValueError where it is of another type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        if value is None:
            return None
        return typed(key, next(argument for argument in arguments if argument is not NoneType), value)
    if origin is Literal:
        return expect(value in arguments, key, value, f"one of {', '.join(map(written, arguments))}")
    if origin is tuple:
        value = [value] if isinstance(value, str) and value else value
        expect(isinstance(value, list | tuple), key, value, "a list such as [a,b]")
        return tuple(typed(key, arguments[0], entry) for entry in value)
    return _scalar(key, kind, value)


def _scalar(key: str, kind: type, value: Any) -> Any:
    if kind is bool:
        return expect(isinstance(value, bool), key, value, "true or false")
    if kind is str:
        return expect(isinstance(value, str), key, value, "text")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        expect(number and (isinstance(value, int) or value.is_integer()), key, value, "a whole number")
        return int(value)
    expect(number and not (isinstance(value, int) and abs(value) > 2**53), key, value, "a number")
    return float(value)


def expect(holds: bool, key: str, value: Any, what: str) -> Any:
    """`value` where that `holds`, else a ValueError that says what the key takes."""
    if not holds:
        raise ValueError(f"{key}={written(value) or chr(39) * 2}: takes {what}")
    return value


def written(value: Any) -> str:
    """`value` as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(map(written, value))}]"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether all values of an axis are numbers."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def name(key: str, value: Any) -> None:
    """Raises ValueError for a `value` that is no safe name."""
    if not isinstance(value, str) or not SAFE_NAME.fullmatch(value):
        raise ValueError(
            f"{key}={ascii(value)[:60]}: takes up to 100 letters, digits, dots, dashes and underscores, "
            "a letter or digit first"
        )
