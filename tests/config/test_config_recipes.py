"""Recipes: words kept in a file, below those of the user."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.rows import rows

from lstm_search.config import composition, keys
from lstm_search.config.composition import ConfigError, compose


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the recipe `mine`, beside a copy of the configuration."""
    folder = tmp_path / "conf"
    shutil.copytree(keys.conf_dir(), folder)
    monkeypatch.setattr(composition, "conf_dir", lambda: folder)
    monkeypatch.setattr(keys, "conf_dir", lambda: folder)
    return lambda text: (folder / "recipe" / "mine.yaml").write_text(f"# A recipe\n{text}", encoding="utf-8") and None


MINE = "table: 3\nrows: q50-p50\nnetwork.recurrent: none\nnetwork.output_bias: true\nseed: 5\n"


def test_a_recipe_stands_below_the_words_of_the_user(kept: Callable[[str], None]) -> None:
    kept(MINE)
    plain = compose(["recipe=mine"]).definition
    written = compose(
        [
            "study=table-3-mine",
            "table=3",
            "rows=q50-p50",
            "network.recurrent=none",
            "network.output_bias=true",
            "seed=5",
        ]
    ).definition
    assert plain == written
    (line,) = rows("recipe=mine", "network.recurrent=cells")
    assert line.readings == (("network.recurrent", "cells"), ("network.output_bias", "true"))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("recipe=mine",), "table-3-mine"),
        (("recipe=mine", "study=other"), "other"),
        (("recipe=mine", "table=9", "rows=6a"), "table-9-mine"),
        (("recipe=best-4", "table=5"), "table-5-best-4"),
        (("recipe=null", "table=9"), "table-9"),
    ],
)
def test_a_study_by_a_recipe_is_named_by_both(words: tuple[str, ...], name: str, kept: Callable[[str], None]) -> None:
    kept(MINE)
    assert compose(words).definition.name == name


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("network.recurent: none", ("table=3",), r"recipe=mine: network\.recurent: no such key; nearest: network"),
        ("network.recurrent: some", ("table=3",), "recipe=mine: network.recurrent=some: takes one of"),
        ("table: 33", (), "recipe=mine: table=33: no such table"),
        ("recipe: one-set", ("table=3",), "recipe=mine: mine.yaml names a recipe"),
        ("seed: ${rows}", ("table=3",), "recipe=mine: seed=.*references"),
        ("seed: 5", ("table=33",), "^table=33: no such table"),
    ],
)
def test_what_a_recipe_cannot_say_is_refused_with_its_name(
    text: str, words: tuple[str, ...], message: str, kept: Callable[[str], None]
) -> None:
    kept(text)
    with pytest.raises(ValueError, match=message):
        compose(["recipe=mine", *words])


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"recipe=one-sett: no such recipe; nearest: one-set"):
        compose(["recipe=one-sett", "table=3"])
    assert all(f"recipe={name}" in keys.describe({}) for name in keys.options("recipe"))
