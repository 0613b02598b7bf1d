"""A search as a study: recorded, interrupted, resumed, grown, confirmed and shown."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.program import ALONE, NAME, QUICK, Lstm

from lstm_search import config, study
from lstm_search.config.composition import Settings
from lstm_search.record import DefinitionChanged, Record
from lstm_search.search import FRESH
from lstm_search.spec import Definition, Outcome, Trial, TrialSpec
from lstm_search.study import Ended, Moment
from lstm_search.worker.trial import Progress, Worker

pytestmark = pytest.mark.usefixtures("kernels")

SPACE = f"study={NAME} training.rate=0.5,0.001 cap=20000 execute.width=4 search.fresh_from=100"
"""One rate learns, the other does not within the cap."""

RACE = f"search=race {SPACE} search.blocks=[8,16,24] search.confirm=4 search.finalists=1"
GOOD, POOR = "rate=0.5", "rate=0.001"


def settings(words: str) -> Settings:
    return config.compose([*QUICK.split(), *ALONE.split(), *words.split()])


def run(home: Path, words: str, **more: Any) -> Ended:
    asked = settings(words)
    return study.run(asked.definition, home, asked.execute, space=asked.space, search=asked.search, **more)


def seen(home: Path) -> tuple[Definition, dict[str, list[Trial]]]:
    with Record.read(home, NAME) as record:
        return record.definition(), record.trials()


def numbers(home: Path) -> dict[str, list[int]]:
    return {name: [trial.spec.replicate for trial in trials] for name, trials in seen(home)[1].items()}


def test_a_race_drops_the_poor_and_confirms_the_best(tmp_path: Path) -> None:
    moments: list[Moment] = []
    ended = run(tmp_path, RACE, watch=moments.append)
    found = numbers(tmp_path)
    assert list(found) == [GOOD, POOR, GOOD + FRESH]
    assert found[GOOD] == list(range(24))
    assert set(range(8)) <= set(found[POOR]) < set(range(24)), (
        "each has its first block, and the poor no more than it got"
    )
    assert found[GOOD + FRESH] == [100, 101, 102, 103]
    assert ended.left == 0
    assert [row.replicates for row in moments[-1].rows] == [24, len(found[POOR]), 4]


def test_a_race_that_has_ended_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path, RACE)
    monkeypatch.setattr(study, "open_executor", lambda *_, **__: pytest.fail("an executor was opened"))
    assert run(tmp_path, RACE) == first


@pytest.mark.parametrize("keep", [0, 5, 17])
def test_an_interrupted_race_goes_on_from_its_record(keep: int, tmp_path: Path) -> None:
    run(tmp_path, RACE)
    with closing(sqlite3.connect(tmp_path / f"{NAME}.sqlite")) as db, db:
        db.execute("DELETE FROM milestones WHERE key NOT IN (SELECT key FROM trials ORDER BY key LIMIT ?)", (keep,))
        db.execute("DELETE FROM trials WHERE key NOT IN (SELECT key FROM trials ORDER BY key LIMIT ?)", (keep,))
        kept = dict(db.execute("SELECT key, finished_at FROM trials"))
    run(tmp_path, RACE)
    found = numbers(tmp_path)
    assert found[GOOD] == list(range(24))
    assert found[GOOD + FRESH] == [100, 101, 102, 103]
    with closing(sqlite3.connect(tmp_path / f"{NAME}.sqlite")) as db:
        assert kept.items() <= dict(db.execute("SELECT key, finished_at FROM trials")).items()


@pytest.mark.parametrize("cap", [19_000, 21_000])
def test_a_race_under_another_cap_trains_no_solved_trial_again(
    cap: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, RACE)
    asked, advance = list[TrialSpec](), Worker.advance

    def noted(self: Worker, new: Sequence[TrialSpec], seconds: float) -> Progress:
        asked.extend(new)
        return advance(self, new, seconds)

    monkeypatch.setattr(Worker, "advance", noted)
    run(tmp_path, RACE.replace("cap=20000", f"cap={cap}"))
    assert [spec for spec in asked if spec.cell.training.rate == 0.5] == []
    assert len(asked) == (0 if cap < 20_000 else len(set(asked)))


def test_lost_trials_of_the_finalists_are_tried_again_when_asked(tmp_path: Path) -> None:
    run(tmp_path, RACE)
    with closing(sqlite3.connect(tmp_path / f"{NAME}.sqlite")) as db, db:
        db.execute("DELETE FROM milestones WHERE key IN (SELECT key FROM trials WHERE replicate = 101)")
        db.execute("UPDATE trials SET outcome = 'LOST' WHERE replicate = 101")
    run(tmp_path, RACE)
    assert seen(tmp_path)[1][GOOD + FRESH][1].result.outcome == Outcome.LOST
    run(tmp_path, RACE, retry=["lost"])
    assert seen(tmp_path)[1][GOOD + FRESH][1].result.outcome == Outcome.SOLVED


def test_what_breaks_in_this_run_is_not_tried_again_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the finalists come later, and lost trials of theirs would be."""
    advance = Worker.advance

    def failing(self: Worker, new: Sequence[TrialSpec], seconds: float) -> Progress:
        if any(spec.replicate == 2 for spec in new):
            raise ValueError("broken")
        return advance(self, new, seconds)

    monkeypatch.setattr(Worker, "advance", failing)
    words = f"search=grid search.confirm=3 replicates=3 {SPACE} search.finalists=1"
    ended = run(tmp_path, words, retry=["failed", "lost"])
    assert ended.broken > 0
    found = seen(tmp_path)[1]
    assert [len(found[name]) for name in (GOOD, POOR)] == [3, 3]
    assert found[GOOD][2].result.outcome == Outcome.FAILED


def test_a_budget_ends_a_search_before_it_confirms(tmp_path: Path) -> None:
    ended = run(tmp_path, RACE, hours=1e-9)
    assert ended.left > 0
    assert not any(name.endswith(FRESH) for name in numbers(tmp_path))


def test_a_space_may_grow_but_not_shrink(tmp_path: Path) -> None:
    run(tmp_path, RACE)
    with pytest.raises(DefinitionChanged, match=r"the space lacks what it had: rate=0\.001"):
        run(tmp_path, RACE.replace("0.5,0.001", "0.5,0.4"))
    before = numbers(tmp_path)
    run(tmp_path, RACE.replace("0.5,0.001", "0.5,0.001,0.6"))
    after = numbers(tmp_path)
    assert {name: after[name] for name in before} == {**before, POOR: after[POOR]}
    assert set(range(8)) <= set(after["rate=0.6"])


def test_a_grid_becomes_a_race_and_keeps_its_trials(tmp_path: Path) -> None:
    run(tmp_path, f"{SPACE} replicates=6")
    before = seen(tmp_path)[1][GOOD]
    run(tmp_path, RACE)
    assert seen(tmp_path)[1][GOOD][:6] == before


@pytest.mark.parametrize(
    "search",
    ["search=grid search.confirm=3 replicates=3", "search=random search.cells=2 search.confirm=3 replicates=3"],
)
def test_other_searches_confirm_too(search: str, tmp_path: Path) -> None:
    run(tmp_path, f"{search} {SPACE} search.finalists=1")
    found = numbers(tmp_path)
    assert found.pop(GOOD + FRESH) == [100, 101, 102]
    assert found == {GOOD: [0, 1, 2], POOR: [0, 1, 2]}


def test_without_a_choice_nothing_is_confirmed(tmp_path: Path) -> None:
    run(tmp_path, "search.confirm=3 replicates=2")
    assert list(numbers(tmp_path)) == [NAME]


def test_the_table_shows_both_numbers(tmp_path: Path, lstm: Lstm) -> None:
    """The winner's fresh trials come first; no number of a race is given a verdict or called unfinished."""
    words = f"{QUICK} {ALONE} {RACE}"
    shown = lstm(f"run {words}", tmp_path).stdout
    head, _, good, poor = [line.split("|") for line in shown.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in head[1:4]] == ["rate", "standing", "chosen by"]
    assert [cell.strip()[:9] for cell in good[1:4]] == ["0.5", "leader, f", "24/24 [86"]
    assert good[6].strip()[:3] == "4/4"
    assert [cell.strip()[:11] for cell in poor[1:3]] == ["0.001", "worse (p = "]
    assert "unfinished" not in shown
    assert "figures flatter the winner" in " ".join(shown.split())
    rows = list(csv.DictReader(io.StringIO(lstm(f"table {words} format=csv", tmp_path).stdout)))
    assert [row["row"] for row in rows] == [GOOD, POOR, GOOD + FRESH]
    assert lstm(f"table {words}", tmp_path).stdout == shown
    assert lstm(f"table study={NAME}", tmp_path).stdout == shown
    assert "of at most 24" in lstm("status", tmp_path).stdout
    lstm(f"verify study={NAME} tracking=none", tmp_path)
    export = list(csv.DictReader(io.StringIO(lstm(f"export study={NAME}", tmp_path).stdout)))
    assert {line["replicate"] for line in export if line["row"] == GOOD + FRESH} == {"100", "101", "102", "103"}


def test_a_plan_names_space_budget_and_cost(tmp_path: Path, lstm: Lstm) -> None:
    done = lstm(f"plan {QUICK} {RACE} search.pilot=1", tmp_path)
    assert "space: task.T=10 training.rate=0.5,0.001; every combination" in done.stdout
    assert "race: 16 trials at least; looks after 8, 16, 24 replicates, error 0.05" in done.stdout
    assert "then the best by ert: 4 trials on fresh seeds, replicates 100 and on" in done.stdout
    assert "budget: no limit of time, 100,000 trials at most" in done.stdout
    assert re.search(
        r"at most \S+ core-hours, fresh seeds included, \S+ core-hours were every trial to take", done.stdout
    )
    assert done.stdout.endswith("core-hours were it so for the fewest\n")
    assert list(tmp_path.iterdir()) == [], "nothing is recorded"


def test_a_record_of_the_format_before_is_read_and_brought_up_to_date(tmp_path: Path) -> None:
    run(tmp_path, "replicates=2")
    before = seen(tmp_path)
    with closing(sqlite3.connect(tmp_path / f"{NAME}.sqlite", isolation_level=None)) as db:
        db.executescript("""
            CREATE TABLE old AS SELECT * FROM rows; DROP TABLE rows;
            CREATE TABLE rows (name TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, cell TEXT NOT NULL,
                replicates INTEGER NOT NULL, cap INTEGER NOT NULL, "table" TEXT NOT NULL, published TEXT NOT NULL,
                readings TEXT NOT NULL, altered TEXT NOT NULL) STRICT;
            INSERT INTO rows
                SELECT name, ordinal, cell, replicates, cap, "table", published, readings, altered FROM old;
            DROP TABLE old; DROP TABLE candidates; ALTER TABLE trials DROP COLUMN digest; PRAGMA user_version = 1""")
    assert seen(tmp_path) == before
    run(tmp_path, RACE.replace("0.5,0.001", "0.5"))
    assert seen(tmp_path)[0].rows[-1].purpose == "race"


def test_the_record_says_who_proposed_a_cell_and_why_it_left(tmp_path: Path) -> None:
    run(tmp_path, RACE)
    with Record.read(tmp_path, NAME) as record:
        good, poor = record.candidates()
    assert (good.name, good.proposer, good.left) == (GOOD, "grid", "finalist")
    assert good.point == (("training.rate", 0.5),)
    assert (poor.name, poor.left[:15]) == (POOR, "worse than rate")


def test_a_study_goes_on_by_its_name_alone(tmp_path: Path, lstm: Lstm) -> None:
    """As it was defined: axes, search and all."""
    shown = lstm(f"run {QUICK} {ALONE} {RACE}", tmp_path).stdout
    assert lstm(f"run study={NAME} {ALONE}", tmp_path).stdout == shown
    assert lstm(f"table study={NAME}", tmp_path).stdout == shown
    printed = lstm(f"config study={NAME}", tmp_path).stdout
    assert "training.rate=0.5,0.001" in printed
    assert "search.confirm=4" in printed
    assert "race: " in lstm(f"plan study={NAME} search.pilot=0", tmp_path).stdout
    for verb in ("run", "plan", "config"):
        assert "recorded there: " + NAME in lstm(f"{verb} study=mispelt {ALONE}", tmp_path, code=2).stderr


def test_a_search_of_an_earlier_release_asks_for_its_command(tmp_path: Path, lstm: Lstm) -> None:
    lstm(f"run {QUICK} {ALONE} {RACE}", tmp_path)
    with closing(sqlite3.connect(tmp_path / "studies" / f"{NAME}.sqlite")) as db, db:
        db.execute("DROP TABLE candidates")
        db.execute("ALTER TABLE trials DROP COLUMN digest")
        db.execute("UPDATE study SET config = replace(replace(config, '- search=race', ''), '- search.', '- x.')")
        db.execute("UPDATE study SET config = 'overrides: [task=temporal_order_6a]'")
        db.execute("PRAGMA user_version = 3")
    asked = lstm(f"run study={NAME} {ALONE}", tmp_path, code=2)
    assert "did not keep how it searched; give its whole command" in asked.stderr
    assert "rate=0.5" in lstm(f"table study={NAME}", tmp_path).stdout
    assert "rate=0.5" in lstm(f"run {QUICK} {ALONE} {RACE}", tmp_path).stdout


def test_two_searches_of_one_task_do_not_collide(tmp_path: Path, lstm: Lstm) -> None:
    words = f"{QUICK} {ALONE} replicates=2 cap=2000"
    lstm(f"run {words} training.rate=0.5,0.25", tmp_path)
    lstm(f"run {words} training.rate=0.5,1", tmp_path)
    lstm(f"run {words} training.error_scale=0.5,1", tmp_path)
    found = sorted(path.stem for path in (tmp_path / "studies").glob("*.sqlite"))
    assert len(found) == 3
    assert [name.rpartition("-")[0] for name in found] == [f"{NAME}-error_scale", *[f"{NAME}-rate"] * 2]


def test_the_last_line_is_a_command_that_trains_the_best(tmp_path: Path, lstm: Lstm) -> None:
    shown = lstm(f"run {QUICK} {ALONE} {RACE}", tmp_path).stdout
    last = shown.splitlines()[-1]
    assert last == "the best: lstm-search run task=temporal_order_6a task.T=10 cap=20000 training.rate=0.5"
    words = last.removeprefix("the best: lstm-search ")
    assert "rate" not in lstm(f"{words} {ALONE} replicates=2 study=best", tmp_path).stderr.replace("training.rate", "")


def test_nothing_is_called_the_best_where_nothing_was_reached(tmp_path: Path, lstm: Lstm) -> None:
    none = lstm(f"run {QUICK} {ALONE} {RACE.replace('cap=20000', 'cap=100')}", tmp_path)
    assert "the best:" not in none.stdout
    assert "in the race" not in none.stdout, "it is over"
    served = f"{JOINT} cap=3".replace("search.objective=success", "search.objective=published")
    shown = lstm(f"run {served}", tmp_path)
    assert "the best:" not in shown.stdout, "no set serves a printed row"
    assert "kernels are compiled" not in shown.stderr


def test_what_is_recorded_under_a_name_is_said_with_how_to_go_on(tmp_path: Path, lstm: Lstm) -> None:
    lstm(f"run {QUICK} {ALONE} study=mine replicates=2 cap=2000", tmp_path)
    refused = lstm(f"run {QUICK} {ALONE} study=mine replicates=2 cap=2000 training.rate=0.3", tmp_path, code=2)
    assert "training.rate was" in refused.stderr
    assert "lstm-search run study=mine" in refused.stderr


JOINT = (
    "table=[7,9] rows=[7/T100,9/6a] search=race search.joint=true search.objective=success training.rate=0.25,0.5,1 "
    "search.confirm=3 search.finalists=1 execute=simulated execute.workers=1 tracking=none study=both"
)


def test_a_joint_search_is_recorded_shown_and_resumed(tmp_path: Path, lstm: Lstm) -> None:
    """Also from a record that has lost its candidates, as one that was recovered from MLflow has."""
    shown = lstm(f"run {JOINT}", tmp_path).stdout
    assert "| table 7 | table 9 |" in shown
    assert shown.splitlines()[-1].startswith(
        "the best: lstm-search run 'table=[7,9]' 'rows=[7/T100,9/6a]' training.rate="
    )
    with Record.read(tmp_path / "studies", "both") as record:
        met, trials = record.candidates(), record.trials()
    assert [len(one.rows) for one in met] == [2, 2, 2]
    assert sum(one.left == "finalist" for one in met) == 1
    assert lstm("run study=both execute=simulated tracking=none", tmp_path).stdout == shown
    with closing(sqlite3.connect(tmp_path / "studies" / "both.sqlite")) as db, db:
        db.execute("DELETE FROM candidates")
    assert lstm(f"run {JOINT}", tmp_path).stdout == shown
    with Record.read(tmp_path / "studies", "both") as record:
        assert record.trials() == trials


def test_killed_and_resumed_a_joint_search_ends_with_the_same_table(tmp_path: Path, lstm: Lstm) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = lstm(f"run {JOINT}", tmp_path / "whole").stdout
    lstm(f"run {JOINT}", tmp_path / "killed")
    with closing(sqlite3.connect(tmp_path / "killed" / "studies" / "both.sqlite")) as db, db:
        keep = "SELECT key FROM trials ORDER BY rowid LIMIT 47"
        db.execute(f"DELETE FROM milestones WHERE key NOT IN ({keep})")  # noqa: S608  (our own words)
        db.execute(f"DELETE FROM trials WHERE key NOT IN ({keep})")  # noqa: S608
        db.execute("UPDATE candidates SET reason = ''")
    assert lstm(f"run {JOINT}", tmp_path / "killed").stdout == whole
