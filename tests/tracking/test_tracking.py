"""MLflow shows what the record holds: once, completely."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.program import free_port
from helpers.published import ROWS, history, stored, study, trial
from helpers.waiting import PATIENCE

from lstm_search.spec import CurvePoint, Outcome, Reached, flat
from lstm_search.tracking import CellView, Tracker, TrackingFailed

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


def test_what_is_read_back_is_what_was_published(tracker: Tracker, home: Path) -> None:
    view = study("read_back")
    assert tracker.sync(view) == 1 + 2 + 5
    runs = stored(tracker, "read_back")
    assert set(runs) == {"read_back", "6a", "6b", "6a #0", "6a #1", "6a #2", "6b #0", "6b #1"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for cell in view.cells:
        parent = runs[cell.row.name]
        assert parent.data.tags["mlflow.parentRunId"] == runs["read_back"].info.run_id
        assert parent.data.metrics == {"n": len(cell.trials), "success_rate": 1.0, "ert": 7.5}
        assert parent.data.params["training.rate"] == str(cell.row.cell.training.rate)
        assert parent.data.params["task.name"] == "temporal_order"
        for shown in cell.trials:
            run, result = runs[f"{cell.row.name} #{shown.spec.replicate}"], shown.result
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert run.data.tags["lstm_search.key"] == run.data.params["key"] == result.key
            assert run.data.params["replicate"] == str(shown.spec.replicate)
            assert run.data.metrics["success"] == 1
            assert run.data.metrics["sequences"] == result.sequences
            assert run.data.metrics["solved/test_wrong"] == result.milestones[0].test_wrong
            assert run.data.metrics["solved/test_error"] == result.milestones[0].test_error
            assert history(tracker, run, "curve/error") == [(point.sequences, point.error) for point in result.curve]
            assert history(tracker, run, "curve/wrong") == [(point.sequences, point.wrong) for point in result.curve]
            assert run.info.end_time - run.info.start_time == 1500
    assert runs["read_back"].data.tags["mlflow.note.content"] == view.note
    assert runs["read_back"].data.params == {"seed": "7", "numpy": "2.4.6"}
    for name, content in {**view.artifacts, **view.late[0]()}.items():
        (file,) = home.joinpath("artifacts", "read_back").rglob(name)
        assert file.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_trials_carry_their_hyperparameters_and_cells_what_was_printed(tracker: Tracker) -> None:
    view = study("carried")
    cell = replace(view.cells[0], metrics={"published_n": 20}, columns={"verdict": "differs", "solved": ""})
    tracker.sync(replace(view, cells=[cell], command="lstm-search run table=9"))
    runs = stored(tracker, "carried")
    settings = flat(cell.row.cell.as_dict())
    assert len(settings) > 30
    for run in (runs["6a"], runs["6a #1"]):
        assert settings.keys() <= run.data.params.keys()
        assert all(run.data.params[name] == str(value) for name, value in settings.items())
    assert (runs["6a"].data.tags["verdict"], runs["6a"].data.metrics["published_n"]) == ("differs", 20)
    assert "solved" not in runs["6a"].data.tags
    assert runs["carried"].data.tags["command"] == "lstm-search run table=9"


def test_a_curve_ends_where_the_trial_was_solved(tracker: Tracker) -> None:
    points = (CurvePoint(10, 0.5, 1.0), CurvePoint(79, 0.25, 0.5))
    solved, capped = trial(ROWS[0], 0, curve=points), trial(ROWS[0], 1, Outcome.CAPPED, curve=points)
    untested = trial(ROWS[0], 2, curve=points, milestones=(Reached("solved", 300, 0, 0, 0.0),))
    early, at_once = trial(ROWS[0], 3, curve=()), trial(ROWS[0], 4, curve=(CurvePoint(500, 0.25, 0.5),))
    tracker.sync(study("curved", cells=[CellView(ROWS[0], [solved, capped, untested, early, at_once])]))
    runs = stored(tracker, "curved")
    recorded = [(10, 0.5), (79, 0.25)]
    assert history(tracker, runs["6a #0"], "curve/error") == [*recorded, (100, 0.1 / 3)]
    assert history(tracker, runs["6a #0"], "curve/wrong") == [(10, 1.0), (79, 0.5), (100, 0.0)]
    assert runs["6a #0"].data.metrics["curve/error"] == 0.1 / 3
    assert history(tracker, runs["6a #1"], "curve/error") == recorded
    assert history(tracker, runs["6a #2"], "curve/error") == [*recorded, (300, 0.25)]
    curves = {run.params["replicate"]: run.curves for run in tracker.stored("curved") if run.kind == "trial"}
    assert curves["0"]["curve/error"] == dict(recorded), "it is no part of the record"
    assert history(tracker, runs["6a #3"], "curve/error") == [(400, 0.1 / 3)], "it was solved before a checkpoint"
    assert curves["3"]["curve/error"] == {}
    assert curves["4"]["curve/error"] == {500: 0.25}, "a checkpoint where it was solved"


def test_the_newest_first_order_is_the_order_of_the_table(tracker: Tracker) -> None:
    tracker.sync(study("order"))
    runs = sorted(stored(tracker, "order").values(), key=lambda run: -run.info.start_time)
    names = [run.info.run_name for run in runs]
    assert names[0] == "order"
    assert [name for name in names if name in {"6a", "6b"}] == ["6a", "6b"]
    assert [name for name in names if name.startswith("6a #")] == ["6a #0", "6a #1", "6a #2"]


def everything(tracker: Tracker, name: str) -> list[Any]:
    return [run.to_dictionary() for run in stored(tracker, name).values()]


def test_a_second_sync_writes_nothing(tracker: Tracker, home: Path) -> None:
    tracker.sync(study("again"))
    before = everything(tracker, "again")
    assert tracker.sync(study("again")) == 0
    assert Tracker(None, home).sync(study("again")) == 0
    assert everything(tracker, "again") == before


def test_a_grown_study_adds_its_trials_and_renews_its_summaries(tracker: Tracker, home: Path) -> None:
    assert tracker.sync(study("grown", (1, 0))) == 4
    first = stored(tracker, "grown")
    assert Tracker(None, home).sync(study("grown", (3, 0))) == 4  # two trials, their row, the study
    runs = stored(tracker, "grown")
    assert runs["6a"].data.metrics["n"] == 3
    assert runs["grown"].data.metrics["recorded"] == 3
    assert {name: run.info.run_id for name, run in runs.items() if name in first} == {
        name: run.info.run_id for name, run in first.items()
    }


def test_a_summary_that_shrinks_shows_the_smaller_figure(tracker: Tracker) -> None:
    tracker.sync(study("shrunk", (3, 0)))
    time.sleep(0.002)
    tracker.sync(study("shrunk", (1, 0)))
    assert stored(tracker, "shrunk")["6a"].data.metrics["n"] == 1


def test_a_superseded_trial_is_replaced(tracker: Tracker) -> None:
    capped = trial(ROWS[0], 0, Outcome.CAPPED)
    assert tracker.sync(study("superseded", cells=[CellView(ROWS[0], [capped])])) == 3
    higher = replace(ROWS[0], cap=5000)
    assert tracker.sync(study("superseded", cells=[CellView(higher, [trial(higher, 0)])])) == 2
    run = stored(tracker, "superseded")["6a #0"]
    assert (run.data.params["cap"], run.data.metrics["success"]) == ("5000", 1)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_broken_trial_is_a_failed_run(tracker: Tracker, outcome: Outcome) -> None:
    ended = trial(ROWS[0], 0, outcome, error="Traceback: boom" if outcome == Outcome.FAILED else "")
    tracker.sync(study(f"ended_{outcome}", cells=[CellView(ROWS[0], [ended])]))
    run = stored(tracker, f"ended_{outcome}")["6a #0"]
    broken = outcome in {"FAILED", "LOST", "OOM", "TIMEOUT"}
    assert run.info.status == ("FAILED" if broken else "FINISHED")
    assert run.data.tags["lstm_search.outcome"] == outcome
    assert run.data.metrics["success"] == (outcome == "SOLVED")
    assert ("boom" in run.data.tags.get("mlflow.note.content", "")) == (outcome == "FAILED")


def test_undefined_figures_are_shown_as_undefined(tracker: Tracker) -> None:
    metrics = {"ert": math.inf, "mean_sequences": math.nan, "k": 0, "strange (name)": 1.0}
    diverged = trial(ROWS[0], 0, Outcome.DIVERGED, milestones=(Reached("st1", 10, 2560, 9, math.nan),))
    view = study("undefined", cells=[CellView(ROWS[0], [diverged], metrics)])
    tracker.sync(view)
    runs = stored(tracker, "undefined")
    assert math.isnan(runs["6a"].data.metrics["ert"])
    assert math.isnan(runs["6a"].data.metrics["mean_sequences"])
    assert runs["6a"].data.metrics["strange _name_"] == 1
    assert math.isnan(runs["6a #0"].data.metrics["st1/test_error"])
    assert tracker.sync(view) == 0


def test_hostile_text_is_stored_byte_for_byte(tracker: Tracker) -> None:
    name = "<script>alert(1)</script>'; DROP TABLE runs; -- ${oc.env:HOME} \U0001f600"
    row = replace(ROWS[0], name=name)
    tracker.sync(study("hostile", cells=[CellView(row, [trial(row, 0)])]))
    runs = stored(tracker, "hostile")
    assert runs[name].data.tags["lstm_search.row"] == runs[f"{name} #0"].data.params["row"] == name
    long = replace(ROWS[0], name="x" * 400)
    noted = study("hostile", cells=[CellView(long, [trial(long, 0)])], note="y" * 20_000)
    tracker.sync(noted)
    assert tracker.sync(noted) == 0


def test_what_a_broken_trial_said_is_text_for_every_database(tracker: Tracker) -> None:
    broken = trial(ROWS[0], 0, Outcome.FAILED, error="ValueError: a\0b")
    tracker.sync(study("said", cells=[CellView(ROWS[0], [broken])]))
    assert r"ValueError: a\0b" in stored(tracker, "said")["6a #0"].data.tags["mlflow.note.content"]


def test_a_run_is_traced_back_to_its_trial(tracker: Tracker) -> None:
    view = study("traced")
    tracker.sync(view)
    runs = stored(tracker, "traced")
    assert tracker.find_run(runs["6b #1"].info.run_id) == view.cells[1].trials[1].result.key
    for wrong in (runs["6a"].info.run_id, "0" * 32, "../x", ""):
        with pytest.raises(ValueError, match="no run of a trial"):
            tracker.find_run(wrong)


@pytest.mark.parametrize(
    "uri", ["file:///tmp/mlruns", "./mlruns", "mlruns", "ftp://host", "databricks", "http:/host", "'; --"]
)
def test_an_address_mlflow_does_not_take_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ValueError, match=r"tracking\.uri=.*sqlite:"):
        Tracker(uri, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    tracker = Tracker(f"http://user:secret@127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(TrackingFailed) as caught:
        tracker.sync(study("x"))
    assert "secret" not in str(caught.value)
    assert "user:***@127.0.0.1" in str(caught.value)


def test_mlflow_is_imported_only_when_needed() -> None:
    script = "import sys, lstm_search.tracking; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)
