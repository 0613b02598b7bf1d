"""What is shown of a study while it runs fits the terminal and says what is the case."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from lstm_search.cli import progress
from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, Outcome, Row, Stop, Training
from lstm_search.study import Moment
from lstm_search.tasks import TemporalOrder

CELL = Cell(TemporalOrder(), Lstm1997(), Training(0.5), (Stop(),))


def rows(count: int, name: str = "row") -> list[Row]:
    return [Row(f"{name}{i}", CELL, 20, 100_000) for i in range(count)]


def shown(studied: Sequence[Row], moments: Sequence[Moment], width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    display = progress.Display(studied, console, 2)
    for moment in moments:
        display(moment)
    with console.capture() as captured:
        console.print(display)
    return captured.get().splitlines()


def moment(studied: Sequence[Row], running: int = 0) -> Moment:
    outcomes = {row.name: Counter({Outcome.SOLVED: 17, Outcome.CAPPED: 1} if running else {}) for row in studied}
    return Moment(outcomes, {row.name: [46_400, 9] for row in studied[:running]})


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 30), (60, 24), (30, 8), (8, 3)])
@pytest.mark.parametrize("name", ["6a", "6a recurrent=all rate=0.5 T=100 ", "名前" * 40])
def test_every_line_fits_the_window(width: int, height: int, name: str) -> None:
    studied = rows(12, name)
    lines = shown(studied, [moment(studied), moment(studied, running=12)], width, height)
    assert len(lines) <= min(height, 11)
    assert all(Console().measure(line).maximum <= min(width, 80) for line in lines)
    if width >= 80:
        assert all(re.search(r"17/18 solved( \[73 to 100 %\])?, 2 running, 46k seq.", line) for line in lines[:-1])
        assert all(("[73 to 100 %]" in line) == (name == "6a") for line in lines[:-1])
        assert re.fullmatch(r"12 rows: 216 of 240 trials finished; \d+:\d\d gone *", lines[-1])


def test_the_time_that_is_left_is_told_when_some_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    studied, clock, said = rows(2), iter(range(0, 100_000, 10)), []
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    for ended in (2, 3):
        outcomes = {row.name: Counter({Outcome.SOLVED: ended if row.name == "row0" else 0}) for row in studied}
        times = {"row0": [9_000 + i for i in range(ended)]}
        moments = [Moment(outcomes, {"row0": [seen]}, studied, 0, times) for seen in (1_000, 2_000)]
        said.append(shown(studied, moments, 80, 24)[-1])
    assert "left" not in said[0]
    assert re.search(r"; \d+:\d\d gone, about \d+:\d\d left", said[1])


def test_the_bar_goes_before_the_words() -> None:
    studied = rows(2)
    wide, narrow = (shown(studied, [moment(studied, running=2)], width, 24)[0] for width in (80, 50))
    assert "━" in wide
    assert "━" not in narrow
    assert "row0" in narrow
    assert "17/18 solved, 2 running, 46k seq." in narrow


def test_of_many_rows_those_are_shown_that_are_trained() -> None:
    studied = rows(30)
    lines = shown(studied, [moment(studied), moment(studied, running=3)], 80, 24)
    assert [line.split()[0] for line in lines] == ["row0", "row1", "row2", "30"]


def test_a_row_is_queued_only_when_others_have_started() -> None:
    studied = rows(3)
    assert all("starting" in line for line in shown(studied, [moment(studied)], 80, 24)[:-1])
    states = shown(studied, [moment(studied), moment(studied, running=1)], 80, 24)[:-1]
    assert ["queued" in line for line in states] == [False, True, True]


def test_compiling_is_told_where_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "CACHE_DIR", tmp_path)
    assert progress.starting(2) == "starting 2 workers; kernels are compiled the first time (about 30 s)"
    (tmp_path / "lanes").mkdir()
    (tmp_path / "lanes" / "kernel.1.nbc").touch()
    assert (progress.starting(2), progress.starting(1)) == ("starting 2 workers", "starting 1 worker")
    assert progress.starting(None) == "starting workers"


def test_nothing_starts_where_nothing_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    studied = rows(1)
    shown(studied, [Moment({"row0": Counter({Outcome.SOLVED: 20})}, {})], 80, 24)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (46_400, "46k"), (999_499, "999k"), (999_500, "1.0M"), (1_234_567, "1.2M")],
)
def test_counts_are_short(number: int, text: str) -> None:
    assert progress.short(number) == text
