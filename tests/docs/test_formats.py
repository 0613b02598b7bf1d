"""The page on formats names the keys that are printed, and the formats that verbs take."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from lstm_search.cli import dispatch as cli
from lstm_search.cli.plan import _Cost
from lstm_search.cli.studies import _State
from lstm_search.cli.verbs import VERBS
from lstm_search.report.comparison import Comparison

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def keys(section: str, column: int = 1) -> list[str]:
    """The names in a column of the table of a section."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return [
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[column])
    ]


def test_the_keys_are_those_that_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert keys("status") == list(_State._fields)
    assert sorted(keys("compare")) == sorted([*(of.name for of in fields(Comparison)), "compared"])
    assert cli.main(["plan", "table=9", "format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert keys("plan") == list(told)
    assert set(told["rows"][0]) | set(_Cost._fields) <= set(keys("plan", 2))


def test_the_formats_are_those_that_verbs_take() -> None:
    listed = {}
    for line in PAGE.partition("## ")[0].splitlines():
        if line.startswith("| `"):
            verbs, formats = (re.findall(r"`([\w-]+)`", part) for part in line.split("|")[1:3])
            listed |= {verb: set(formats) for verb in verbs}
    for name, verb in VERBS.items():
        assert listed.get(name, {"markdown"}) == set(verb.formats)
