"""Figures: written, the same bytes each time, in one go, and showing what the record says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from helpers import synthetic
from helpers.synthetic import CAPPED, DIVERGED, LOST, ended, row, solved, trials
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_search.report import canvas, curves
from lstm_search.report import solved as fraction
from lstm_search.spec import CurvePoint, Row, Trial

Draw = Callable[..., None]
BOTH = pytest.mark.parametrize("draw", [fraction.solved_fraction, curves.learning_curves])
PNG = b"\x89PNG\r\n\x1a\n"


@BOTH
def test_a_study_with_everything_is_drawn_the_same_every_time(draw: Draw, tmp_path: Path) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    draw(*synthetic.study(), first)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "xtick.major.size": 20}):
        draw(*synthetic.study(), second)
        assert mpl.rcParams["font.size"] == 30
    assert first.read_bytes().startswith(PNG)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


@BOTH
@pytest.mark.parametrize("names", [(), ("6a",), ("$x^", "_hidden", "a\nb"), tuple(f"r{index}" for index in range(30))])
def test_any_number_of_rows_without_trials_is_drawn(draw: Draw, names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    draw([row(name) for name in names], {}, path)
    assert path.read_bytes().startswith(PNG)


@BOTH
def test_a_failing_write_leaves_the_former_figure(draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"former")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        draw(*synthetic.study(), path)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_other_endings_give_other_formats(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"figure.{ending}"
    fraction.solved_fraction(*synthetic.study(), path)
    assert path.read_bytes()[:5] in (b"%PDF-", b"<?xml")


@pytest.mark.parametrize(("width", "inches"), [("text", 6.0), ("single", 3.5), ("double", 7.2)])
@BOTH
def test_a_figure_is_as_wide_as_asked_for(draw: Draw, width: str, inches: float, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    draw(*synthetic.study(), path, canvas.Figures(width=width))
    assert int.from_bytes(path.read_bytes()[16:20]) == round(160 * inches)


@BOTH
def test_letters_are_embedded_in_a_pdf_and_an_svg_is_the_same_every_time(draw: Draw, tmp_path: Path) -> None:
    first, second, page = tmp_path / "a.svg", tmp_path / "b.svg", tmp_path / "c.pdf"
    for path in (first, second, page):
        draw(*synthetic.study(), path)
    assert first.read_bytes() == second.read_bytes()
    assert b"/FontFile2" in page.read_bytes()
    assert b"/Type3" not in page.read_bytes()


def many(count: int) -> tuple[list[Row], dict[str, list[Trial]]]:
    """Rows of which the later ones are the better ones."""
    rows = [row(f"r{index}", replicates=2, purpose="race") for index in range(count)]
    return rows, {one.name: trials(one, solved(9000 - 100 * i), solved(9000)) for i, one in enumerate(rows)}


def test_of_many_rows_the_best_are_told_apart_and_the_dropped_are_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = canvas.Figures(dropped={"r19": "worse than r18 (p = 0.001)", "r18": "out of reach of r17"})
    figure = drawn(*many(20), tmp_path / "f.png", monkeypatch, draw=fraction.solved_fraction, how=how)
    axes = figure.axes[0]
    assert [text.get_text().split()[0] for text in axes.texts] == [f"r{index}" for index in range(17, 5, -1)]
    grey = [line for line in axes.lines if line.get_color() == canvas.PALE and line.get_marker() != "x"]
    assert len(grey) == 8
    assert len(marks(axes, "x")) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()][-2:] == ["dropped by the search", "8 others"]


def test_twelve_rows_are_all_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = canvas.Figures(dropped={"r3": "worse than r11 (p = 0.001)"})
    axes = drawn(*many(12), tmp_path / "f.png", monkeypatch, draw=fraction.solved_fraction, how=how).axes[0]
    assert [text.get_text() for text in axes.texts][3] == "r3  2/2 (dropped)"
    assert canvas.PALE not in {line.get_color() for line in axes.lines}


def test_the_medians_of_the_others_share_the_last_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = canvas.Figures(dropped={"r19": "worse than r18 (p = 0.001)"})
    panels = [panel for panel in drawn(*many(20), tmp_path / "f.png", monkeypatch, how=how).axes if panel.get_visible()]
    assert len(panels) == 12
    assert panels[-1].get_title(loc="left") == "9 other rows: their medians"
    assert len(panels[-1].lines) == 9
    assert panels[0].get_title(loc="left").startswith("r18")


def test_rows_of_different_tasks_have_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, record = many(13)
    rows[0] = replace(rows[0], cell=synthetic.ADDING)
    axes = drawn(rows, record, tmp_path / "f.png", monkeypatch, draw=fraction.solved_fraction).axes[0]
    assert [text.get_text().split()[0] for text in axes.texts] == [f"r{index}" for index in range(12)]


def test_a_curve_holds_steps_ends_and_both_means() -> None:
    line = row("6a", replicates=5, cap=1000, table="9", published="6a")
    curve = fraction._line(
        line, "solved", trials(line, solved(100), solved(300), ended(CAPPED, 1000), ended(DIVERGED, 9)), 0
    )
    assert curve.times.tolist() == [100, 300]
    assert curve.fractions.tolist() == pytest.approx([0.25, 0.5])
    assert (curve.censored, curve.end, curve.mean, curve.printed) == ((1000, 1000), 1000, 200, (31390.0, 1.0))
    assert curve.label == "6a  2/4 (unfinished: 4 of 5)"


def test_labels_are_moved_apart_and_stay_above_the_axis() -> None:
    heights = fraction._spread([0.0, 1.0, 0.0, 0.99], 0.1)
    assert heights[1] == 1.0
    assert heights[3] == pytest.approx(0.9)
    assert (heights[2], heights[0]) == (0, pytest.approx(0.1))
    assert min(np.diff(sorted(heights))) >= 0.1 - 1e-12


def test_the_median_is_over_the_trials_still_training_and_ends_where_most_are_done() -> None:
    fast, slow = np.array([(10.0, 0.4), (100.0, 0.1)]), np.array([(10.0, 0.3), (100.0, 0.2), (1000.0, 0.2)])
    endless = np.array([(10.0, 0.5), (100.0, 0.5), (1000.0, 0.1), (10_000.0, 0.1)])
    times, errors = curves.median([fast, slow, endless], 3)
    assert times.tolist() == [10, 100, 1000]
    assert errors.tolist() == pytest.approx([0.4, 0.2, 0.15])
    assert [array.tolist() for array in curves.median([fast, endless], 5)] == [[], []]


def drawn(
    rows: Sequence[Row],
    record: Mapping[str, Sequence[Trial]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    draw: Draw = curves.learning_curves,
    how: canvas.Figures = canvas.Figures(),  # noqa: B008  (frozen)
) -> Figure:
    """The figure as it would be written; to draw it once is enough."""
    figures = []

    def keep(figure: Figure, part: Path, **_: Any) -> None:
        figures.append(figure)
        part.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    draw(rows, record, path, how)
    figures[0].draw_without_rendering()  # extents in the figure's own resolution, not in that of the file
    return figures[0]


def marks(panel: Axes, marker: str) -> list[tuple[float, float]]:
    """Where `panel` has marks of that kind."""
    return [tuple(map(float, np.ravel(line.get_data()))) for line in panel.lines if line.get_marker() == marker]


def test_each_trial_ends_in_a_mark_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = row("6a", replicates=4, cap=1000)
    curve = (CurvePoint(10, 0.4, 1.0), CurvePoint(100, 0.2, 1.0))
    results = [replace(result, curve=curve) for result in (solved(120), solved(700), ended(CAPPED, 1000))]
    lost = replace(ended(LOST, 500), curve=curve)
    panel = drawn([line], {"6a": trials(line, *results, lost)}, tmp_path / "curves.png", monkeypatch).axes[0]
    assert marks(panel, "o") == [(120, 1 / 256), (700, 1 / 256)]  # the error of its test
    assert marks(panel, "|") == [(1000, 0.2)]
    thin = [part.get_xdata() for part in panel.lines if part.get_linewidth() == curves.TRIAL["linewidth"]]
    assert sorted(map(max, thin)) == [120, 700, 1000]
    assert panel.get_title(loc="left").endswith("n\u00a0=\u00a03")


def test_of_very_many_trials_some_are_drawn_and_the_title_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "MOST_DRAWN", 5)
    line = row("6a", replicates=21)
    results = [solved(1000 + replicate) for replicate in range(21)]
    panel = drawn([line], {"6a": trials(line, *results)}, tmp_path / "curves.png", monkeypatch).axes[0]
    assert [x for x, _ in marks(panel, "o")] == [1000, 1005, 1010, 1015, 1020]
    assert panel.get_title(loc="left").endswith("n\u00a0=\u00a021, 5\u00a0drawn")


def test_the_legend_names_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn(*synthetic.study(), tmp_path / "curves.png", monkeypatch)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["one trial", "median of those still training", "solved", "censored"]
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1


LONG = " training.rate=0.3 network.cells_per_block=2 network.output_gate_bias="


SHAPES = {
    "short": ("",),
    "words": (LONG,),
    "one word": ("_m" * 40,),
    "all": (LONG, "_m" * 40, "", "_m" * 40),
}


@pytest.mark.parametrize(
    ("shape", "count"), [*((shape, count) for shape in list(SHAPES)[:3] for count in (1, 2, 6)), ("all", 12)]
)
def test_titles_stay_apart_and_in_the_figure(
    shape: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    middles = SHAPES[shape]
    rows = [row(f"row {index}{middles[index % len(middles)]}{index}", replicates=1) for index in range(count)]
    record = {line.name: trials(line, solved(9000)) for line in rows}
    figure = drawn(rows, record, tmp_path / "curves.png", monkeypatch)
    panels = figure.axes[:count]
    boxes = [panel._left_title.get_window_extent() for panel in panels]
    bodies = [panel.get_window_extent() for panel in panels]
    for index, box in enumerate(boxes):
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in (*boxes[:index], *bodies))
    assert len({panel.get_title(loc="left") for panel in panels}) == count


@pytest.mark.parametrize(
    ("low", "high"), [(0.21, 0.49), (0.3, 0.3), (0.5, 0.5), (0.1, 0.1), (0.02, 0.6), (0.009, 0.9), (1e-5, 0.6), (3, 80)]
)
def test_the_error_axis_has_two_labels_at_least(
    low: float, high: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = row("6a", replicates=1)
    curve = (CurvePoint(10, high, 1.0), CurvePoint(100, low, 1.0))
    record = {"6a": trials(line, replace(ended(CAPPED, 120), curve=curve))}
    panel = drawn([line], record, tmp_path / "curves.png", monkeypatch).axes[0]
    bottom, top = panel.get_ylim()
    assert bottom < low <= high < top
    shown = [float(label.get_text()) for label in panel.get_yticklabels() if bottom <= label.get_position()[1] <= top]
    assert 2 <= len(shown) <= 7
    assert shown == pytest.approx([tick for tick in panel.get_yticks() if bottom <= tick <= top])


def test_errors_that_a_logarithmic_axis_cannot_show_are_left_out() -> None:
    odd = [CurvePoint(0, 0.4, 1.0), CurvePoint(5, math.nan, 1.0), CurvePoint(6, math.inf, 1.0), CurvePoint(7, 0.0, 1.0)]
    result = replace(ended(DIVERGED, 9), curve=(*odd, CurvePoint(8, 0.2, 1.0)))
    assert curves.points(result).tolist() == [[8, 0.2]]


@pytest.mark.parametrize(("value", "text"), [(1000, "1k"), (2_500_000, "2.5M"), (200, "200"), (0.01, "0.01")])
def test_short_numbers(value: float, text: str) -> None:
    assert canvas.plain(value) == text
