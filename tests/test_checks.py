"""Settings: what a field declares is what its dataclass takes, and what the refusal says."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import pytest

from lstm_search.checks import setting, setting_of, settle, written


@dataclass(frozen=True)
class Some:
    """A setting of every type."""

    count: int = setting(2, "how many", low=1, high=64)
    rate: float = setting(0.5, "how fast", above=0, example="0.1")
    share: float = setting(0.5, "how much", above=0, below=1, example="0.1")
    least: float = setting(0.0, "from there", low=0, high=1)
    factor: float = setting(1.0, "one of three", among=(0.5, 1.0, 2.0))
    seconds: float | None = setting(None, "how long", above=0, high=1e300, takes="takes seconds above 0, or null")
    how: Literal["all", "none"] = setting("all", "which")
    flag: bool = setting(False, "whether")
    text: str | None = setting(None, "any text")
    numbers: tuple[float, ...] = setting((), "several", high=9)
    free: int = 0

    def __post_init__(self) -> None:
        settle(self, "some")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("rate", 1, 1.0), ("count", 3.0, 3), ("numbers", [1, 2.5], (1.0, 2.5)), ("numbers", (), ()),
        ("seconds", 1e7, 1e7), ("seconds", None, None), ("factor", 2, 2.0), ("text", "x", "x"), ("flag", True, True),
        ("free", -(10**9), -(10**9)), ("least", 0, 0.0), ("least", 1, 1.0),
    ],
)  # fmt: skip
def test_a_value_is_brought_into_the_declared_type(name: str, given: Any, expected: Any) -> None:
    found = getattr(Some(**{name: given}), name)
    assert (found, type(found)) == (expected, type(expected))
    if isinstance(found, tuple):
        assert {type(entry) for entry in found} <= {float}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("count", 0, "some.count=0: takes a whole number from 1 to 64"),
        ("count", 2.5, "some.count=2.5: takes a whole number"),
        ("count", True, "some.count=true: takes a whole number"),
        ("rate", 0, "some.rate=0.0: takes a finite number above 0, for example 0.1"),
        ("rate", float("nan"), "some.rate=nan: takes a finite number above 0, for example 0.1"),
        ("rate", 2e6, "some.rate=2000000.0: takes a finite number above 0, for example 0.1"),
        ("rate", 10**300, f"some.rate={10**300}: takes a number"),
        ("rate", "", "some.rate='': takes a number"),
        ("rate", None, "some.rate=null: takes a number"),
        ("share", 1, "some.share=1.0: takes a number above 0 and below 1, for example 0.1"),
        ("least", -0.5, "some.least=-0.5: takes a finite number from 0 up to 1"),
        ("factor", 3, "some.factor=3.0: takes 0.5, 1.0 or 2.0"),
        ("factor", float("inf"), "some.factor=inf: takes a finite number"),
        ("seconds", float("inf"), "some.seconds=inf: takes seconds above 0, or null"),
        ("how", "some", "some.how=some: takes one of all, none"),
        ("flag", 1, "some.flag=1: takes true or false"),
        ("text", 1, "some.text=1: takes text"),
        ("numbers", 3, "some.numbers=3: takes a list such as [a,b]"),
        ("numbers", (1, 10), "some.numbers=10.0: takes a finite number up to 9"),
        ("numbers", (1, "x"), "some.numbers=x: takes a number"),
    ],
)
def test_a_refusal_names_the_key_and_what_it_takes(name: str, given: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole text is compared)
        Some(**{name: given})
    assert str(refused.value) == message


def test_the_default_of_a_field_is_the_literal_one() -> None:
    assert {of.name: of.default for of in fields(Some)} == {
        "count": 2, "rate": 0.5, "share": 0.5, "least": 0.0, "factor": 1.0, "seconds": None, "how": "all",
        "flag": False, "text": None, "numbers": (), "free": 0,
    }  # fmt: skip
    assert [of.name for of in fields(Some) if not setting_of(of).meaning] == ["free"]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (True, "true"), (1.0, "1"), (0.25, "0.25"), ((1.0, "a"), "[1,a]"), ("b", "b")]
)
def test_a_value_as_it_is_written(value: Any, text: str) -> None:
    assert written(value) == text
