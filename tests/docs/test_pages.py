"""The tutorial and the page on what the service is for do what they say, in an empty folder."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers.pages import CHECKOUT, blocks, environment, follow


@pytest.mark.timeout(3600)  # of hangs; a kernel is compiled, and Ray is started
def test_the_tutorial_is_followed_to_the_letter(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    programs = environment(tmp_path / "environment")
    printed = follow(CHECKOUT / "docs" / "own-task.md", folder, programs)
    assert "the same to the last bit" in printed
    for row in ("two", "three"):
        assert f"\n| {row} " in printed
    assert "rate=0.5  2  2" in printed
    with closing(sqlite3.connect(folder / "studies" / "first.sqlite")) as db:
        (environments,) = db.execute("SELECT group_concat(description) FROM environments").fetchone()
    assert '"task recall": "lstm-recall 0.1.0 (sources ' in environments
    elsewhere = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-m", "lstm_search", "table", "study=first"],
        cwd=folder, env=elsewhere, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    shown = next(
        line for line in (CHECKOUT / "docs" / "own-task.md").read_text().splitlines() if "which is not here" in line
    )
    assert done.stderr.startswith(shown.strip().partition("(sources ")[0])


def test_the_same_search_is_shown_here_and_in_optuna(tmp_path: Path) -> None:
    printed = follow(CHECKOUT / "docs" / "what-for.md", tmp_path, environment(tmp_path / "environment"))
    assert "the best: lstm-search run task=temporal_order_6a" in printed
    assert "{'rate': 0." in printed


@pytest.mark.parametrize(("page", "most"), [("own-task.md", 1200), ("what-for.md", 500)])
def test_pages_stay_short_and_have_nothing_that_is_not_followed(page: str, most: int) -> None:
    path = CHECKOUT / "docs" / page
    assert len(path.read_text(encoding="utf-8").split()) < most
    assert all(block.file or block.language in ("bash", "text") for block in blocks(path))


MOST_WORDS, MOST_LINES = 2_500, 169
"""Of a page of docs/, and of the README: what is longer is read by nobody."""


@pytest.mark.parametrize("page", sorted(path.name for path in (CHECKOUT / "docs").glob("*.md")))
def test_no_page_is_longer_than_a_reader_has_patience_for(page: str) -> None:
    words = len((CHECKOUT / "docs" / page).read_text(encoding="utf-8").split())
    assert words <= MOST_WORDS, "what is generated and long stands in files of its own, in docs/tables/"


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES
