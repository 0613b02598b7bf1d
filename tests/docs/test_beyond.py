"""The races behind docs/tables/beyond.md: each is one of ten candidates, and none is reported before it has ended."""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path
from typing import Any

import pytest

from lstm_search import config

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def beyond(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(DOCS))
    module = importlib.import_module("beyond")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def test_every_change_is_tuned_in_ten_places_on_every_task(beyond: Any) -> None:
    names = set()
    for task in beyond.TASKS:
        for change in beyond.CHANGES:
            verb, *words = shlex.split(beyond.command(task, change))
            settings = config.compose(words)
            assert (verb, len(settings.rows_ahead()), settings.search.confirm) == ("run", 10, beyond.CONFIRMED)
            names.add(settings.definition.name)
    assert len(names) == 66


def test_a_race_that_has_not_ended_is_not_reported(beyond: Any) -> None:
    with pytest.raises(SystemExit, match=r"beyond-6a-gru is not finished: `python docs/beyond\.py` trains"):
        beyond.tuned("6a", "gru")
