"""Runs that a release of schema version 1 published, under the keys of that time: replaced, and read back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from helpers import synthetic

from lstm_search.spec import Definition, Trial, canonical_json, digest, trial_key
from lstm_search.tracking import CellView, NotRecoverable, StudyView, Tracker, recovered
from lstm_search.tracking import tracker as tracker_module
from lstm_search.tracking.projection import SCHEMA, Run, cell_run, definition_of, definition_tags, study_run, trial_run
from lstm_search.tracking.reader import Stored

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


def study(name: str, created: int = 2024) -> StudyView:
    rows, trials = synthetic.study()
    cells = [CellView(row, trials.get(row.name, [])[:3], {"n": 3}) for row in rows[:2]]
    return StudyView(name, synthetic.SEED, datetime(created, 2, 28, tzinfo=UTC), cells)


def old_study(view: StudyView) -> Run:
    run = study_run(view)
    tags = {name: value for name, value in run.tags.items() if name != SCHEMA}
    return replace(run, state="then", tags=tags | definition_tags({**definition_of(run.tags), "schema": 1}))


def old_cell(view: StudyView, number: int) -> Run:
    run = cell_run(view, number)
    return replace(run, key=f"{digest(view.cells[number].row.cell.as_dict())}/{view.seed}")


def old_trial(view: StudyView, row: Any, trial: Trial) -> Run:
    run, asked = trial_run(view, row, trial), trial.spec
    key = trial_key(1, canonical_json(asked.cell.as_dict()), asked.replicate, asked.seed)
    return replace(run, key=key, params={**run.params, "key": key})


def publish_as_then(tracker: Tracker, view: StudyView) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, then in (("study_run", old_study), ("cell_run", old_cell), ("trial_run", old_trial)):
            patch.setattr(tracker_module, name, then)
        assert Tracker(None, tracker.home).sync(view) == 1 + 2 + 6


def runs(tracker: Tracker, name: str) -> list[Stored]:
    return Tracker(None, tracker.home).stored(name)


def test_runs_under_old_keys_give_way_to_runs_under_new_ones(tracker: Tracker) -> None:
    view = study("then_published")
    publish_as_then(tracker, view)
    assert Tracker(None, tracker.home).unpublished(view) == 9
    assert Tracker(None, tracker.home).sync(view) == 9
    keys = [trial.spec.key for cell in view.cells for trial in cell.trials]
    assert sorted(run.params["key"] for run in runs(tracker, "then_published") if run.kind == "trial") == sorted(keys)
    assert len(runs(tracker, "then_published")) == 9
    assert Tracker(None, tracker.home).unpublished(view) == 0
    assert Tracker(None, tracker.home).sync(view) == 0


@pytest.mark.parametrize("after", [0, 1, 4, 8])
def test_an_interrupted_replacement_goes_on(tracker: Tracker, after: int) -> None:
    view = study(f"then_interrupted_{after}")
    publish_as_then(tracker, view)
    broken = Tracker(None, tracker.home)
    client, calls = broken._client(), iter(range(100))
    with pytest.MonkeyPatch.context() as patch:
        delete = client.delete_run
        patch.setattr(client, "delete_run", lambda run: delete(run) if next(calls) < after else 1 / 0)
        with pytest.raises(RuntimeError, match="division by zero"):
            broken.sync(view)
    assert Tracker(None, tracker.home).sync(view) == 9
    assert len(runs(tracker, view.name)) == 9
    assert Tracker(None, tracker.home).unpublished(view) == 0


def test_runs_of_an_earlier_study_of_the_name_stay(tracker: Tracker) -> None:
    publish_as_then(tracker, study("then_deleted"))
    Tracker(None, tracker.home).sync(study("then_deleted", created=2025))
    assert len([run for run in runs(tracker, "then_deleted") if run.kind == "trial"]) == 6 + 6


def test_what_was_published_then_is_read_back_with_the_keys_of_now(tracker: Tracker) -> None:
    view = study("then_recovered")
    publish_as_then(tracker, view)
    found = recovered("then_recovered", runs(tracker, "then_recovered"))
    rows = tuple(cell.row for cell in view.cells)
    assert found.definition == Definition("then_recovered", view.seed, rows)
    assert found.created == view.created
    expected = [trial for cell in view.cells for trial in cell.trials]
    without_weights = [replace(trial, result=replace(trial.result, weights=b"")) for trial in expected]
    assert sorted(found.trials, key=lambda trial: trial.spec.key) == sorted(
        without_weights, key=lambda trial: trial.spec.key
    )


def test_a_key_of_then_that_is_not_that_of_its_settings_is_refused(tracker: Tracker) -> None:
    publish_as_then(tracker, study("then_altered"))
    stored = runs(tracker, "then_altered")
    number = next(i for i, run in enumerate(stored) if run.kind == "trial")
    stored[number] = replace(stored[number], params={**stored[number].params, "replicate": "77"})
    with pytest.raises(NotRecoverable, match="its key is not that"):
        recovered("then_altered", stored)
