"""Shipped trials: shown as the record would show them, and refused where they are of other settings."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from lstm_search.cli.dispatch import main
from lstm_search.cli.shell import Exit
from lstm_search.config.composition import compose
from lstm_search.record import shipped
from lstm_search.report import table


@pytest.mark.parametrize("name", shipped.studies())
def test_what_is_shipped_is_exported_as_it_is(name: str) -> None:
    """Every line comes back from the trials that were read, so nothing a table shows was lost."""
    text = (shipped.FOLDER / f"{name}.csv").read_text(encoding="utf-8")
    rows = dict.fromkeys(line["row"] for line in csv.DictReader(io.StringIO(text)))
    words = [f"rows=[{','.join(rows)}]", f"study={name}"]
    if name.startswith("one-set"):
        words += [f"recipe={name}", "seed=2026"]
    else:
        _, number, *recipe = name.split("-", 2)
        words += [f"table={number}", *(["seed=2026"] if recipe or number == "guessing" else [])]
        words += [f"recipe={recipe[0]}"] if recipe and recipe != ["rivals"] else []
    asked = compose(words).definition
    exported = list(csv.reader(io.StringIO(table.export_trials(asked.rows, shipped.trials(asked), "csv"))))
    bare = list(csv.reader(io.StringIO(text)))
    assert [line[: len(bare[0])] for line in exported] == bare  # the keys stand for the settings that follow


def test_another_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "table=9", "seed=3", "source=shipped"]) == Exit.BAD_INPUT
    assert "no trial of row 6a with seed=3" in capsys.readouterr().err


def test_a_study_that_is_not_shipped_is_answered_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "study=mine", "source=shipped"]) == Exit.BAD_INPUT
    assert "no study mine; one-set, " in capsys.readouterr().err


def test_nothing_is_trained_into_what_is_shipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "table=9", "source=shipped", f"home={tmp_path / 'new'}"]) == Exit.BAD_INPUT
    assert "run takes source=record" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_solved_fraction_is_drawn_without_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "new"
    assert main(["plot", "table=9", "source=shipped", f"home={home}"]) == Exit.DONE
    assert capsys.readouterr().out.split() == [str(home / "table-9-solved_fraction.png")]
    assert (home / "table-9-solved_fraction.png").stat().st_size > 10_000
    assert home.stat().st_mode & 0o777 == 0o700
