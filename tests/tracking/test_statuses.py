"""MLflow shows what runs as RUNNING, what was interrupted as KILLED, and corrects what an ended process has left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.published import EVERY_RUN, ROWS, stored, study, trial

from lstm_search.spec import Outcome, TrialSpec, flat
from lstm_search.tracking import CellView, Status, StudyView, Tracker
from lstm_search.tracking import tracker as tracker_module
from lstm_search.tracking.projection import LAYOUT, STATE, Run, trial_run

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import

SPECS = ROWS[0].trials(7)


def view(name: str, ended: int, running: tuple[TrialSpec, ...] = (), status: Status = "RUNNING") -> StudyView:
    trials = [trial(ROWS[0], number) for number in range(ended)]
    cell = CellView(ROWS[0], trials, {"n": ended}, status=status, running=running)
    return study(name, cells=[cell], metrics={"recorded": ended}, artifacts={}, status=status)


def statuses(tracker: Tracker, name: str) -> dict[str, str]:
    return {run_name: run.info.status for run_name, run in stored(tracker, name).items()}


def ids(tracker: Tracker, name: str) -> dict[str, str]:
    return {run_name: run.info.run_id for run_name, run in stored(tracker, name).items()}


def everyone(tracker: Tracker, name: str) -> list[Any]:
    client = tracker._client()
    return list(client.search_runs([client.get_experiment_by_name(name).experiment_id], run_view_type=EVERY_RUN))


def test_a_study_is_shown_as_it_runs_and_ends(tracker: Tracker) -> None:
    assert tracker.sync(view("live", 1, (SPECS[1], SPECS[2]))) == 5
    running = {"live": "RUNNING", "6a": "RUNNING"}
    assert statuses(tracker, "live") == running | {"6a #0": "FINISHED", "6a #1": "RUNNING", "6a #2": "RUNNING"}
    before = ids(tracker, "live")
    assert tracker.sync(view("live", 1, (SPECS[1], SPECS[2]))) == 0
    tracker.sync(view("live", 2, (SPECS[2],)))
    assert statuses(tracker, "live") == running | {"6a #0": "FINISHED", "6a #1": "FINISHED", "6a #2": "RUNNING"}
    tracker.sync(view("live", 3, status="FINISHED"))
    assert set(statuses(tracker, "live").values()) == {"FINISHED"}
    assert ids(tracker, "live") == before
    tracker.sync(view("live_at_once", 3, status="FINISHED"))
    for name, run in stored(tracker, "live").items():
        twin = stored(tracker, "live_at_once")["live_at_once" if name == "live" else name]
        assert (run.data.metrics, run.data.params) == (twin.data.metrics, twin.data.params)
        assert run.data.tags.keys() == twin.data.tags.keys()
        assert run.info.end_time == twin.info.end_time
    assert len(everyone(tracker, "live")) == 5


def test_what_was_interrupted_is_killed_and_runs_again(tracker: Tracker) -> None:
    tracker.sync(view("cut_off", 1, (SPECS[1], SPECS[2])))
    before = ids(tracker, "cut_off")
    tracker.sync(view("cut_off", 1, status="KILLED"))
    killed = {"cut_off": "KILLED", "6a": "KILLED", "6a #0": "FINISHED", "6a #1": "KILLED", "6a #2": "KILLED"}
    assert statuses(tracker, "cut_off") == killed
    assert tracker.unpublished(view("cut_off", 1, status="KILLED")) == 0
    resumed = Tracker(None, tracker.home)
    resumed.sync(view("cut_off", 1, (SPECS[1],)))
    assert statuses(tracker, "cut_off") == killed | {"cut_off": "RUNNING", "6a": "RUNNING", "6a #1": "RUNNING"}
    resumed.sync(view("cut_off", 3, status="FINISHED"))
    assert set(statuses(tracker, "cut_off").values()) == {"FINISHED"}
    assert (ids(tracker, "cut_off"), len(everyone(tracker, "cut_off"))) == (before, 5)


def test_what_a_killed_process_left_running_is_seen_and_corrected(tracker: Tracker) -> None:
    tracker.sync(view("left", 1, (SPECS[1],)))
    assert Tracker(None, tracker.home).is_behind("left")
    elsewhere = replace(view("left", 1), elsewhere=True)  # another process trains it: nothing is ended
    assert Tracker(None, tracker.home).sync(elsewhere) == 0
    assert statuses(tracker, "left")["6a #1"] == "RUNNING"
    Tracker(None, tracker.home).sync(view("left", 1, status="KILLED"))
    assert statuses(tracker, "left") == {"left": "KILLED", "6a": "KILLED", "6a #0": "FINISHED", "6a #1": "KILLED"}
    assert not Tracker(None, tracker.home).is_behind("left")
    assert not tracker.is_behind("never shown")


def test_a_study_that_is_published_no_further_is_settled(tracker: Tracker) -> None:
    tracker.sync(view("settled", 1, (SPECS[1],)))
    tracker.settle("settled", "FINISHED")
    assert statuses(tracker, "settled") == {
        "settled": "FINISHED",
        "6a": "FINISHED",
        "6a #0": "FINISHED",
        "6a #1": "KILLED",
    }
    tracker.settle("never shown", "KILLED")
    assert tracker._client().get_experiment_by_name("never shown") is None


@pytest.mark.parametrize(("told", "shown"), [("", "FINISHED"), ("KILLED", "KILLED"), ("FAILED", "FAILED")])
def test_a_status_that_the_record_cannot_tell_stays(tracker: Tracker, told: Status, shown: str) -> None:
    name = f"told_{told}"
    tracker.sync(view(name, 1, status="FINISHED"))
    tracker.sync(view(name, 1, status=told))
    assert statuses(tracker, name)[name] == shown
    assert tracker.sync(view(name, 1, status="KILLED")) == (2 if shown == "FINISHED" else 0), (
        "failed is interrupted, too"
    )


def test_a_trial_under_another_cap_is_another_run(tracker: Tracker) -> None:
    higher = replace(SPECS[0], cap=5000)
    tracker.sync(view("capped", 0, (SPECS[0],)))
    tracker.sync(view("capped", 0, (higher,)))
    assert stored(tracker, "capped")["6a #0"].data.tags[STATE] == "open cap=5000"
    capped = CellView(ROWS[0], [trial(ROWS[0], 1, Outcome.CAPPED)], running=(replace(SPECS[1], cap=5000),))
    tracker.sync(study("capped", cells=[capped], artifacts={}))
    assert statuses(tracker, "capped")["6a #1"] == "FINISHED", "its result stays until there is another"


def as_before(view: StudyView, row: Any, trial: Any) -> Run:
    run = trial_run(view, row, trial)
    params = {name: value for name, value in run.params.items() if name not in flat(row.cell.as_dict())}
    return replace(run, params=params, state=run.state.removesuffix(LAYOUT), earlier=())


def test_runs_of_earlier_releases_are_filled_up_and_not_doubled(tracker: Tracker) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracker_module, "trial_run", as_before)
        patch.setattr(tracker_module, "experiment_tags", lambda *_: {})
        Tracker(None, tracker.home).sync(study("before"))
    then, before = stored(tracker, "before"), ids(tracker, "before")
    assert "training.rate" not in then["6a #0"].data.params
    assert Tracker(None, tracker.home).is_behind("before")
    assert Tracker(None, tracker.home).sync(study("before")) == 5
    assert (ids(tracker, "before"), len(everyone(tracker, "before"))) == (before, 8)
    now = stored(tracker, "before")
    assert now["6a #0"].data.params["training.rate"] == str(ROWS[0].cell.training.rate)
    assert now["6a #0"].data.metrics == then["6a #0"].data.metrics
    assert Tracker(None, tracker.home).sync(study("before")) == 0
    assert not Tracker(None, tracker.home).is_behind("before")


def test_files_are_put_among_the_artifacts_of_a_study_that_is_shown(tracker: Tracker, tmp_path: Path) -> None:
    (path := tmp_path / "error-flow.csv").write_text("lag\n", encoding="utf-8")
    tracker.sync(view("with_files", 1))
    assert tracker.attach("with_files", [path])
    assert not tracker.attach("never shown", [path])
    tracker.sync(view("with_files", 2))
    client = tracker._client()
    experiment = client.get_experiment_by_name("with_files").experiment_id
    [run] = client.search_runs([experiment], "tags.`lstm_search.kind` = 'study'")
    assert "error-flow.csv" in {found.path for found in client.list_artifacts(run.info.run_id)}
