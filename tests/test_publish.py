"""What MLflow shall show of a study as it is recorded: whether it runs, has ended, or was interrupted."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.records import batch

from lstm_search.publish import About, Activity, _best, view
from lstm_search.record import Record, acquire
from lstm_search.search import SearchSettings
from lstm_search.spec import Candidate, Definition, Outcome, Row, Trial
from lstm_search.tracking import StudyView, Tracker
from lstm_search.tracking.saved_views import experiment_tags

FULL = replace(synthetic.row("full", synthetic.ADDING, 4), table="7", published="T100")
PART = synthetic.row("part", synthetic.QUICK, 4)
BROKEN = synthetic.row("broken", synthetic.TEMPORAL, 2)
RACING = synthetic.row("racing", synthetic.STEPWISE, 30, purpose="race")
DROPPED = synthetic.row("dropped", replace(synthetic.STEPWISE, training=synthetic.Training(0.7)), 30, purpose="race")


def recorded(home: Path, *rows: Row) -> Path:
    """A study with all trials of `full`, one of two broken ones, and three of each other row."""
    with Record.open(home, Definition("study", 7, rows, "A title")) as record:
        for row in rows:
            some = row.trials(7)[: 4 if row is FULL else 3]
            record.add(batch(some[:1]) + batch(some[1:], Outcome.FAILED if row is BROKEN else Outcome.SOLVED))
        record.meet([Candidate((("training.rate", 0.7),), (row,), "grid", "worse") for row in rows if row is DROPPED])
    return home


def statuses(shown: StudyView) -> dict[str, str]:
    return {"study": shown.status} | {cell.row.name: cell.status for cell in shown.cells}


def test_without_a_process_that_trains_it_an_unfinished_study_was_interrupted(tmp_path: Path) -> None:
    shown = view(recorded(tmp_path, FULL, PART), "study")
    assert statuses(shown) == {"study": "KILLED", "full": "FINISHED", "part": "KILLED"}
    assert [cell.columns["state"] for cell in shown.cells] == ["done", "3 of 4 trials"]
    assert [cell.columns["solved"] for cell in shown.cells] == ["4/4", "3/3"]
    assert not shown.elsewhere
    with closing(acquire(tmp_path, "study")):
        running = view(tmp_path, "study")
    assert statuses(running) == {"study": "RUNNING", "full": "FINISHED", "part": "RUNNING"}
    assert running.elsewhere


@pytest.mark.parametrize("status", ["RUNNING", "FINISHED", "KILLED", "FAILED"])
def test_the_process_that_trains_a_study_tells_how_it_ends(tmp_path: Path, status: str) -> None:
    rows = (FULL, RACING, DROPPED)
    waiting = {"racing": RACING.trials(7)[3:5]} if status == "RUNNING" else {}
    activity = Activity(status, {"full", "racing", "dropped"}, waiting)  # type: ignore[arg-type]  # one of them
    shown = view(recorded(tmp_path, *rows), "study", activity=activity)
    race = {"RUNNING": "RUNNING", "FINISHED": "FINISHED"}.get(status, "KILLED")
    assert statuses(shown) == {"study": status, "full": "FINISHED", "racing": race, "dropped": "FINISHED"}
    assert shown.cells[2].columns["state"] == "worse"
    assert shown.unfinished == {spec.key for some in waiting.values() for spec in some}


def test_the_record_cannot_tell_whether_a_race_is_over(tmp_path: Path) -> None:
    assert statuses(view(recorded(tmp_path, FULL, RACING), "study")) == {"study": "", "full": "FINISHED", "racing": ""}


def test_rows_that_were_not_asked_for_do_not_run(tmp_path: Path) -> None:
    shown = view(recorded(tmp_path, FULL, PART, RACING), "study", activity=Activity("RUNNING", {"racing"}))
    assert statuses(shown) == {"study": "RUNNING", "full": "FINISHED", "part": "KILLED", "racing": "RUNNING"}


def test_where_too_many_trials_broke_the_run_has_failed(tmp_path: Path) -> None:
    shown = view(recorded(tmp_path, BROKEN), "study")
    assert statuses(shown) == {"study": "FAILED", "broken": "FAILED"}


def test_cells_carry_what_was_printed_and_the_best_metric_follows_the_objective(tmp_path: Path) -> None:
    shown = view(
        recorded(tmp_path, FULL, PART), "study", About("lstm-search run table=7", SearchSettings(objective="published"))
    )
    printed = {name: value for name, value in shown.cells[0].metrics.items() if name.startswith("published_")}
    assert printed["published_mean_sequences"] == 74_000
    assert printed["published_n"] == 10
    assert shown.cells[0].columns["verdict"] in {"consistent", "differs", "cannot tell"}
    assert shown.best == "distance_to_published" in shown.cells[0].metrics
    assert not any(name.startswith("published_") for name in shown.cells[1].metrics)
    assert view(tmp_path, "study", About(search=SearchSettings(objective="success"))).best == "success_rate"
    assert shown.note.index("lstm-search run table=7") < shown.note.index("solved_fraction.png")


def test_of_many_cells_the_note_shows_the_best(tmp_path: Path) -> None:
    rates = [0.01 * number for number in range(1, 31)]
    rows = [
        synthetic.row(f"rate={rate:g}", replace(synthetic.QUICK, training=synthetic.Training(rate)), 1)
        for rate in rates
    ]
    with Record.open(tmp_path, Definition("study", 7, tuple(rows))) as record:
        record.add(batch([spec for row in rows for spec in row.trials(7)]))
    shown = view(tmp_path, "study")
    best = sorted(shown.cells, key=lambda cell: cell.metrics["ert"])
    assert f"| {best[0].row.name} " in shown.note
    assert f"| {best[-1].row.name} " not in shown.note
    assert "The best 12 of 30 cells" in shown.note
    assert len(shown.note) < 7_500


def test_the_axes_of_a_search_are_columns_and_not_what_follows_from_them(tmp_path: Path) -> None:
    cells = [replace(synthetic.ADDING, network=synthetic.Lstm1997(blocks=blocks)) for blocks in (1, 2)]
    rows = [synthetic.row(f"blocks={number}", cell, 1) for number, cell in enumerate(cells, 1)]
    with Record.open(tmp_path, Definition("study", 7, tuple(rows))) as record:
        record.meet([Candidate((("network.blocks", i),), (row,), "grid", "") for i, row in enumerate(rows, 1)])
    shown = view(tmp_path, "study")
    assert shown.axes == ["network.blocks"]
    (state,) = (
        json.loads(json.loads(tag)["state"])
        for name, tag in experiment_tags(shown, "1").items()
        if name.endswith(".cells")
    )
    assert [column for column in state["selectedColumns"] if column.startswith("params")] == ["params.`network.blocks`"]
    assert {some["name"]: some["display"] for some in state["compareRunSections"]} == {
        "Axes": True,
        "Model metrics": False,
    }
    lines, scatter = state["compareRunCharts"]
    assert (lines["type"], lines["selectedParams"], lines["selectedMetrics"]) == ("PARALLEL", shown.axes, ["ert"])
    assert (scatter["xaxis"]["key"], scatter["yaxis"]["key"]) == ("network.blocks", "ert")


def test_the_best_metric_is_of_the_milestone_that_is_searched_for() -> None:
    two = synthetic.row(
        "a",
        replace(synthetic.QUICK, stop=(*synthetic.QUICK.stop, replace(synthetic.QUICK.stop[0], milestone="later"))),
        1,
    )
    first = two.cell.stop[0].milestone
    assert _best([two], About()) == "later/ert"
    assert _best([two], About(search=SearchSettings(objective="success"))) == "later/success_rate"
    assert _best([two], About(search=SearchSettings(milestone=first))) == "ert"


def test_figures_are_drawn_only_where_what_they_show_has_changed(tmp_path: Path) -> None:
    home = recorded(tmp_path, FULL, PART, DROPPED)
    shown = view(home, "study")
    assert shown.depicted == view(home, "study").depicted
    figures, page = (make() for make in shown.late)
    assert all(content.startswith(b"\x89PNG") for content in figures.values() if isinstance(content, bytes))
    assert [*figures, *page] == ["solved_fraction.png", "learning_curves.png", "report.html"]
    running = view(home, "study", activity=Activity("RUNNING", {"full", "part"}))
    assert (running.depicted != shown.depicted, len(running.late)) == (True, 1)
    seen = {shown.depicted, running.depicted}
    by_success = About(search=SearchSettings(objective="success"))
    seen.add(view(home, "study", by_success).depicted)
    with Record.open(home, Definition("study", 7, (FULL, PART, DROPPED), "A title")) as record:
        record.add(batch(PART.trials(7)[3:]))
    seen.add(view(home, "study").depicted)
    with Record.open(
        home, Definition("study", 7, (FULL, replace(PART, cap=PART.cap - 1), DROPPED), "A title")
    ) as record:
        seen.add(view(home, "study").depicted)
        record.meet([Candidate((("training.rate", 0.7),), (DROPPED,), "grid", "out of reach")])
    seen.add(view(home, "study").depicted)
    with Record.open(home, Definition("study", 7, (FULL,), "A title")) as record:
        record.retry(["failed"])
        other = replace(batch(FULL.trials(7)[:1])[0].result, weights_sha256="other")
        record._db.execute("DELETE FROM trials WHERE key = :key", {"key": other.key})
        record.add([Trial(FULL.trials(7)[0], other)])
    seen.add(view(home, "study").depicted)
    assert len(seen) == 7, "each step shows something else"


def test_the_same_study_is_drawn_once_however_often_it_is_attached(tmp_path: Path) -> None:
    first, *_ = view(recorded(tmp_path, FULL), "study").late
    assert first() is first()


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import
def test_a_second_sync_draws_nothing(tmp_path: Path) -> None:
    shown, drawn = view(recorded(tmp_path, FULL), "study"), []
    late = [lambda: drawn.append("figures") or {"a.png": b"a"}]
    for _ in range(2):
        Tracker(None, tmp_path).sync(replace(shown, late=late))
    assert drawn == ["figures"]
    assert Tracker(None, tmp_path).unpublished(replace(shown, late=late)) == 0
    Tracker(None, tmp_path).sync(replace(shown, late=late, depicted="others"))
    assert drawn == ["figures", "figures"]
