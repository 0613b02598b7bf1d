from __future__ import annotations

import json
import math
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.program import ALONE, NAME, QUICK, Lstm
from helpers.waiting import PUBLISHED

from lstm_search import publish, spec
from lstm_search.publish import recover
from lstm_search.record import Record, findings
from lstm_search.report import table
from lstm_search.spec import CurvePoint, Definition, Outcome, Reached, Trial, TrialResult
from lstm_search.tracking import NotRecoverable, Tracker, TrackingFailed, recovered
from lstm_search.tracking.projection import DIGEST, LAYOUT, definition_of, definition_tags
from lstm_search.tracking.reader import Stored

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import

LOCAL = f"execute=inline {PUBLISHED}"


def every_situation() -> tuple[Definition, dict[str, list[Trial]]]:
    """The made-up study, with numbers that a database might bend added."""
    rows, trials = synthetic.study()
    odd = synthetic.row("odd", replace(synthetic.ADDING, training=spec.Training(0.1)), 3)
    curve = (CurvePoint(1, math.inf, 1.0), CurvePoint(7, 0.1 + 0.2, 1 / 3))
    reached = (Reached("grown", 3, 0, 0, 0.0), Reached("solved", 7, 0, 0, math.nan))
    result = TrialResult("", Outcome.DIVERGED, 7, 2**52 + 1, reached, curve, b"w", "cd" * 32, 0.1, "", "a host")
    trials["odd"] = synthetic.trials(odd, result)
    racing = synthetic.row("racing", replace(odd.cell, training=spec.Training(0.2)), 30, purpose="race")
    fresh = replace(racing, name="racing, fresh seeds", replicates=2, first=1000, purpose="report")
    trials |= {row.name: synthetic.trials(row, *map(synthetic.solved, (9, 8))) for row in (racing, fresh)}
    definition = Definition("made-up", synthetic.SEED, (*rows, odd, racing, fresh), "A title", "rows:\n  6a: é\n")
    return definition, trials


Lost = tuple[Path, Definition, dict[str, list[Trial]], datetime]


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """A home whose record is gone, and what was in it."""
    home = tmp_path_factory.mktemp("lost")
    definition, trials = every_situation()
    with Record.open(home, definition) as record:
        record.add(replace(trial, attempts=2) for some in trials.values() for trial in some)
        before, created = record.trials(), record.created()
    Tracker(None, home).sync(publish.view(home, "made-up"))
    (home / "made-up.sqlite").rename(home / "away")
    return home, definition, before, created


@pytest.fixture
def runs(lost: Lost) -> list[Stored]:
    return Tracker(None, lost[0]).stored("made-up")


def test_all_but_the_weights_comes_back_and_a_record_that_is_there_stays(lost: Lost, tmp_path: Path) -> None:
    before_home, definition, before, created = lost
    home = tmp_path / "home"
    shutil.copytree(before_home, home)
    tracker = Tracker(None, home)
    assert recover(home, tracker, "made-up").unfinished == 0
    with Record.read(home, "made-up") as record:
        assert (record.definition(), record.created()) == (definition, created)
        assert record.environment()["cpu"]
        after = record.trials()
    assert table.canonical_hash(after) == table.canonical_hash(before)
    assert repr(after) == repr(before)  # NaN is not equal to itself
    assert [path.name for path in home.glob("*.sqlite")] == ["made-up.sqlite"]
    assert not list(home.glob(".recover-*"))
    assert tracker.unpublished(publish.view(home, "made-up")) == 0
    with pytest.raises(NotRecoverable, match="nothing is recovered over it"):
        recover(home, tracker, "made-up")


def test_trials_that_were_still_being_published_are_left_out(runs: list[Stored]) -> None:
    number = next(i for i, run in enumerate(runs) if run.kind == "trial" and run.params["row"] == "6a")
    key = runs[number].params["key"]
    runs[number] = replace(runs[number], ended=False, metrics={}, curves={})
    found = recovered("made-up", runs)
    assert found.unfinished == 1
    assert key not in {trial.result.key for trial in found.trials}


def altered(run: Stored, change: Callable[[dict[str, object]], object]) -> Stored:
    about = definition_of(run.tags)
    change(about)
    return replace(run, tags={**run.tags, **definition_tags(about)})


BROKEN_RUNS = {
    "another numerics version": ("study", lambda run: altered(run, lambda it: it.update(numerics=99)), "its own"),
    "before this release": ("study", lambda run: replace(run, tags={}), "did not yet publish"),
    "another seed": ("study", lambda run: altered(run, lambda it: it.update(seed="8")), "its key is not that"),
    "no definition": ("cell", lambda run: replace(run, tags={}), "not as they were published"),
    "no number": ("trial", lambda run: replace(run, metrics={}), "not as they were published"),
    "another replicate": ("trial", lambda run: replace(run, params={**run.params, "replicate": "77"}), "its key"),
    "a hole": ("trial", lambda run: replace(run, curves={"curve/error": {1: 0.5}}), "gaps"),
}


@pytest.mark.parametrize("case", BROKEN_RUNS)
def test_what_contradicts_itself_is_refused(case: str, runs: list[Stored]) -> None:
    kind, change, message = BROKEN_RUNS[case]
    number = next(i for i, run in enumerate(runs) if run.kind == kind)
    runs[number] = change(runs[number])
    with pytest.raises(NotRecoverable, match=message):
        recovered("made-up", runs)


FORGED = {
    "a number": lambda run: replace(run, metrics={**run.metrics, "sequences": run.metrics["sequences"] - 1.0}),
    "a host": lambda run: replace(run, tags={**run.tags, "lstm_search.host": "elsewhere"}),
    "a cap": lambda run: replace(run, params={**run.params, "cap": "7"}),
    "no digest": lambda run: replace(run, tags={key: run.tags[key] for key in run.tags if key != DIGEST}),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_value_is_not_accepted(case: str, runs: list[Stored]) -> None:
    number = next(i for i, run in enumerate(runs) if run.kind == "trial" and run.params["row"] == "6a")
    key = runs[number].params["key"]
    runs[number] = FORGED[case](runs[number])
    found = recovered("made-up", runs)
    assert (found.changed, key in {trial.result.key for trial in found.trials}) == (1, False)


def test_a_run_of_an_earlier_release_has_no_digest(runs: list[Stored]) -> None:
    number = next(i for i, run in enumerate(runs) if run.kind == "trial")
    tags = {key: value.removesuffix(LAYOUT) for key, value in runs[number].tags.items() if key != DIGEST}
    runs[number] = replace(runs[number], tags=tags)
    assert recovered("made-up", runs).changed == 0


def keys(trials: dict[str, list[Trial]]) -> set[str]:
    return {trial.result.key for some in trials.values() for trial in some}


def test_of_a_damaged_record_what_can_be_read_stays(lost: Lost, tmp_path: Path) -> None:
    before_home, definition, before, _ = lost
    home = tmp_path / "home"
    shutil.copytree(before_home, home)
    shutil.copy(home / "away", home / "made-up.sqlite")
    with closing(sqlite3.connect(home / "made-up.sqlite")) as db, db:
        db.execute("UPDATE trials SET weights = x'' ")  # made-up ones are none
        db.execute("UPDATE trials SET steps = steps + 1 WHERE key = (SELECT min(key) FROM trials)")
    found = recover(home, Tracker(None, home), "made-up")
    assert (len(found.trials), found.kept) == (1, len(keys(before)) - 1)
    with Record.read(home, "made-up") as record:
        assert table.canonical_hash(record.trials()) == table.canonical_hash(before)
        assert record.definition() == definition
    assert findings(home, "made-up") == []
    assert (home / "made-up.sqlite.damaged-1").exists()


def test_a_damaged_record_that_was_never_published_keeps_what_can_be_read(lost: Lost, tmp_path: Path) -> None:
    shutil.copy(lost[0] / "away", tmp_path / "made-up.sqlite")
    with closing(sqlite3.connect(tmp_path / "made-up.sqlite")) as db, db:
        db.execute("UPDATE trials SET weights = x'' ")
        db.execute("UPDATE trials SET steps = steps + 1 WHERE key = (SELECT min(key) FROM trials)")
    found = recover(tmp_path, Tracker(None, tmp_path), "made-up")
    assert (len(found.trials), found.kept) == (0, len(keys(lost[2])) - 1)


def test_a_study_that_was_never_published(tmp_path: Path) -> None:
    with pytest.raises(NotRecoverable, match="shows no study"):
        recover(tmp_path, Tracker(None, tmp_path), "made-up")
    with pytest.raises(TrackingFailed):
        recover(tmp_path, Tracker("http://127.0.0.1:1", tmp_path), "made-up")
    assert not [path for path in tmp_path.iterdir() if "made-up" in path.name]


def test_a_long_definition_takes_several_tags() -> None:
    definition = {"name": "é" * 10_000, "list": [1, None, 0.1]}
    tags = definition_tags(definition)
    assert len(tags) > 2
    assert all(len(value.encode()) < 8_000 for value in tags.values())
    assert definition_of(tags) == definition
    assert definition_of({}) == {}
    assert json.loads("".join(tags[f"lstm_search.definition.{i}"] for i in range(len(tags)))) == definition


@pytest.mark.usefixtures("kernels")
def test_the_program_goes_on_from_a_recovered_record(tmp_path: Path, lstm: Lstm) -> None:
    run = f"run {QUICK} study={NAME} training.rate=0.1,0.5 replicates=3 {LOCAL}"
    lstm(run, tmp_path)
    before = lstm(f"export study={NAME} format=hash", tmp_path).stdout
    config = lstm(f"export study={NAME} format=csv", tmp_path).stdout
    (tmp_path / "studies" / f"{NAME}.sqlite").rename(tmp_path / "away")
    assert "6 trials recovered" in lstm(f"recover study={NAME}", tmp_path).stdout
    assert lstm(f"export study={NAME} format=hash", tmp_path).stdout == before
    assert lstm(f"export study={NAME} format=csv", tmp_path).stdout == config
    again = lstm(run, tmp_path)
    assert "starting workers" not in again.stderr
    assert lstm(f"export study={NAME} format=hash", tmp_path).stdout == before
    lstm(f"verify study={NAME}", tmp_path)


def test_what_recover_takes(tmp_path: Path, lstm: Lstm) -> None:
    assert "study=NAME" in lstm("recover", tmp_path, code=2).stderr
    assert "tracking=mlflow" in lstm(f"recover study=x {ALONE}", tmp_path, code=2).stderr
    assert not (tmp_path / "studies").exists()
