"""The record: nothing lost, nothing twice, nothing changed, whatever happens to the process that writes it."""

import json
import math
import sqlite3
import struct
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.records import CELL_6A, CELL_6B, ROW_6A, ROW_6B, TABLE_9, batch, made_up, missing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstm_search import spec
from lstm_search.record import DefinitionChanged, Record, RecordDamaged
from lstm_search.spec import Curve, CurvePoint, Outcome, Reached, Stop, Training, Trial, TrialResult, TrialSpec
from lstm_search.tasks import Adding, TemporalOrder


def bits(trial: Trial) -> list[object]:
    """Everything in a trial with floats as their 64 bits, so that any NaN equals any NaN and -0.0 is not 0.0."""

    def exact(value: object) -> object:
        if isinstance(value, float):
            return struct.pack("<d", math.nan if math.isnan(value) else value)
        if isinstance(value, tuple | Curve):
            return [exact(entry) for entry in value]
        if isinstance(value, Reached | CurvePoint):
            return [exact(entry) for entry in vars(value).values()]
        return value

    return [trial.attempts, trial.spec, *(exact(value) for value in vars(trial.result).values())]


# -- what goes in comes out -------------------------------------------------------------------------------------------


def test_a_trial_comes_back_as_it_was_handed_in(tmp_path: Path) -> None:
    asked = ROW_6A.trials(7)[3]
    with Record.open(tmp_path, TABLE_9) as record:
        assert record.add([Trial(asked, made_up(asked), 2)]) == 1
    with Record.read(tmp_path, "table_9") as record:
        assert record.trials() == {"6a": [Trial(asked, replace(made_up(asked), weights=b""), 2)], "6b": []}
        assert record.weights(asked.key) == made_up(asked).weights
        assert record.definition() == TABLE_9
        assert record.counts() == {"6a": Counter({Outcome.SOLVED: 1}), "6b": Counter()}
        assert not any(trial.result.curve for trial in record.trials(curves=False)["6a"])


numbers = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.sampled_from([math.nan, math.inf, -0.0, 5e-324])
counts = st.integers(0, 2**63 - 1)
points = st.builds(CurvePoint, counts, numbers, numbers)
reached = st.builds(Reached, st.text(), counts, counts, counts, numbers)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    outcome=st.sampled_from(Outcome),
    seed=st.integers(0, 2**128),
    parts=st.fixed_dictionaries(
        {
            "milestones": st.lists(reached, max_size=4, unique_by=lambda entry: entry.name).map(tuple),
            "curve": st.lists(points, max_size=4).map(tuple),
            "weights": st.binary(max_size=50),
            "error": st.text(),
        }
    ),
)
def test_every_bit_survives(
    tmp_path_factory: pytest.TempPathFactory, outcome: Outcome, seed: int, parts: dict[str, Any]
) -> None:
    home = tmp_path_factory.mktemp("home")
    asked = TrialSpec(CELL_6A, 0, seed, 157_000)
    result = made_up(asked, outcome, **parts)
    with Record.open(home, replace(TABLE_9, seed=seed)) as record:
        record.add([Trial(asked, result, 1)])
        assert record.weights(asked.key) == result.weights
    with Record.read(home, "table_9") as record:
        (trial,) = record.trials()["6a"]
        assert record.definition().seed == seed
    assert bits(trial) == bits(Trial(asked, replace(result, weights=b"")))


@pytest.mark.parametrize("change", ["curve = x'00'", "outcome = 'WON'"])
def test_a_value_of_another_kind_is_damage_and_recover_is_named(change: str, tmp_path: Path) -> None:
    asked = ROW_6A.trials(7)[3]
    with Record.open(tmp_path, TABLE_9) as record:
        record.add([Trial(asked, made_up(asked), 1)])
    with closing(sqlite3.connect(tmp_path / "table_9.sqlite")) as db, db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(f"UPDATE trials SET {change}")  # noqa: S608
    with (
        Record.read(tmp_path, "table_9") as record,
        pytest.raises(RecordDamaged, match=r"table_9\.sqlite is damaged .*: lstm-search recover study=table_9 keeps"),
    ):
        record.trials()


def test_a_traceback_with_undecodable_bytes_is_kept_readable(tmp_path: Path) -> None:
    asked = ROW_6A.trials(7)[0]
    with Record.open(tmp_path, TABLE_9) as record:
        record.add([Trial(asked, made_up(asked, Outcome.FAILED, error="File 'caf\udce9'"), 1)])
        assert record.trials()["6a"][0].result.error == "File 'caf\\udce9'"


def test_the_environment_is_recorded(tmp_path: Path) -> None:
    with Record.open(tmp_path, TABLE_9) as record:
        assert record.environment()["python"] == ".".join(map(str, sys.version_info[:3]))
        assert record.environment()["numpy"]
        assert record.created().tzinfo is not None


# -- resuming ---------------------------------------------------------------------------------------------------------


def test_the_same_command_again_plans_only_what_is_missing(tmp_path: Path) -> None:
    with Record.open(tmp_path, TABLE_9) as record:
        assert missing(record, ROW_6A) == ROW_6A.trials(7)
        record.add(batch(ROW_6A.trials(7)[4:9]))
    with Record.open(tmp_path, TABLE_9) as record:
        assert [trial.replicate for trial in missing(record, ROW_6A)] == [*range(4), *range(9, 20)]
        assert missing(record, ROW_6B) == ROW_6B.trials(7)


def test_the_first_terminal_state_stays(tmp_path: Path) -> None:
    asked = ROW_6A.trials(7)[0]
    with Record.open(tmp_path, TABLE_9) as record:
        assert record.add(batch([asked], Outcome.DIVERGED)) == 1
        assert record.add(batch([asked, asked], Outcome.SOLVED)) == 0
        assert [trial.result.outcome for trial in record.trials()["6a"]] == [Outcome.DIVERGED]


def test_a_higher_cap_runs_the_capped_trials_again_and_archives_them(tmp_path: Path) -> None:
    first, second = ROW_6A.trials(7)[:2]
    with Record.open(tmp_path, TABLE_9) as record:
        record.add([*batch([first], Outcome.CAPPED), *batch([second])])
    higher = replace(ROW_6A, cap=500_000, replicates=2)
    with Record.open(tmp_path, replace(TABLE_9, rows=(higher,))) as record:
        assert missing(record, higher) == [replace(first, cap=500_000)]
        assert record.add(batch([first])) == 0  # not with the old cap
        assert record.add(batch([replace(first, cap=500_000)])) == 1
        assert missing(record, higher) == []
        assert missing(record, replace(higher, cap=1000)) == []
        assert [trial.spec.cap for trial in record.trials()["6a"]] == [500_000, 157_000]
        path = record.path
    archived = sqlite3.connect(path).execute("SELECT key, outcome, cap, weights_sha256 FROM archive").fetchall()
    assert archived == [(first.key, "CAPPED", 157_000, first.key[::-1])]


def test_growth_is_recorded_and_filters_are_not(tmp_path: Path) -> None:
    with Record.open(tmp_path, replace(TABLE_9, rows=(ROW_6A,), config="rows: 6a\n")) as record:
        record.add(batch(ROW_6A.trials(7)[:3]))
    with Record.open(tmp_path, replace(TABLE_9, config="grown\n")):
        pass
    few = replace(ROW_6A, replicates=2)
    with Record.open(tmp_path, replace(TABLE_9, rows=(few,), config="filter")) as record:
        assert missing(record, few) == []
        assert {name: len(trials) for name, trials in record.trials().items()} == {"6a": 2}
        assert record.definition().rows == (few,)
    with Record.read(tmp_path, "table_9") as record:
        assert record.definition() == replace(TABLE_9, config="rows: 6a\n---\ngrown\n")
        assert len(record.trials()["6a"]) == 3
    with Record.read(tmp_path, "table_9") as record:
        record.narrow(replace(TABLE_9, rows=(few,)))
        assert len(record.trials()["6a"]) == 2


CHANGED = {
    "row 6a: training.rate was 0.5, is 0.25": replace(
        TABLE_9, rows=(replace(ROW_6A, cell=replace(CELL_6A, training=Training(0.25))),)
    ),
    "row 6b: task.T was 100, is 200": replace(
        TABLE_9, rows=(ROW_6A, replace(ROW_6B, cell=replace(CELL_6B, task=TemporalOrder(3, 200))))
    ),
    "row 6b: stop.1.window was 2000, is 500": replace(
        TABLE_9, rows=(replace(ROW_6B, cell=replace(CELL_6B, stop=(Stop("early"), Stop("late", window=500)))),)
    ),
    "row 6a: task.name was temporal_order, is adding": replace(
        TABLE_9, rows=(replace(ROW_6A, cell=replace(CELL_6A, task=Adding())),)
    ),
    "seed was 7, is 8": replace(TABLE_9, seed=8),
}


@pytest.mark.parametrize("difference", CHANGED)
def test_a_changed_definition_is_refused(tmp_path: Path, difference: str) -> None:
    with Record.open(tmp_path, TABLE_9) as record:
        before = record.path.read_bytes()
    for opening in (Record.open, lambda home, asked: Record.read(home, "table_9").narrow(asked)):
        with pytest.raises(DefinitionChanged, match="study=NAME") as caught:
            opening(tmp_path, CHANGED[difference])
        assert difference in caught.value.differences
    assert record.path.read_bytes() == before


def test_every_difference_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Record.open(tmp_path, TABLE_9):
        pass
    monkeypatch.setattr(spec, "NUMERICS_VERSION", 90)
    monkeypatch.setattr(spec, "SCHEMA_VERSION", 91)
    with pytest.raises(DefinitionChanged) as caught:
        Record.open(tmp_path, CHANGED["row 6a: training.rate was 0.5, is 0.25"])
    assert caught.value.differences == (
        "schema version was 2, is 91",
        "numerics version was 1, is 90",
        "row 6a: training.rate was 0.5, is 0.25",
    )


def test_attempts_count_across_resumes_until_the_trial_ends(tmp_path: Path) -> None:
    poison, other = ROW_6A.trials(7)[:2]
    for number in (1, 2, 3):
        with Record.open(tmp_path, TABLE_9) as record:
            assert record.attempt(poison.key, "worker died") == number
    with Record.open(tmp_path, TABLE_9) as record:
        assert record.attempt(other.key, "out of memory") == 1
        assert record.attempts() == {poison.key: 3, other.key: 1}
        record.add([Trial(poison, made_up(poison, Outcome.LOST), 3)])
        assert record.attempts() == {other.key: 1}
        assert poison not in missing(record, ROW_6A)


def test_retry_archives_broken_trials_and_gives_them_new_attempts(tmp_path: Path) -> None:
    lost, failed, solved, beyond = (ROW_6A.trials(7)[number] for number in (0, 1, 2, 15))
    with Record.open(tmp_path, TABLE_9) as record:
        record.attempt(lost.key, "worker died")
        record.add(batch([lost, beyond], Outcome.LOST) + batch([failed], Outcome.FAILED) + batch([solved]))
    few = replace(ROW_6A, replicates=3)
    with Record.open(tmp_path, replace(TABLE_9, rows=(few,))) as record:
        with pytest.raises(ValueError, match="retry=solved"):
            record.retry({"solved"})
        assert record.retry({"lost", "oom", "timeout"}) == 1
        assert record.retry({"lost", "oom", "timeout"}) == 0
        assert missing(record, few) == [lost]
        assert record.attempts() == {}
        assert record.attempt(lost.key, "worker died again") == 1
    with Record.read(tmp_path, "table_9") as record:
        assert record.counts()["6a"] == Counter({Outcome.LOST: 1, Outcome.FAILED: 1, Outcome.SOLVED: 1})


def test_a_result_under_a_foreign_key_is_refused(tmp_path: Path) -> None:
    first, second = ROW_6A.trials(7)[:2]
    with Record.open(tmp_path, TABLE_9) as record:
        with pytest.raises(ValueError, match=second.key):
            record.add([Trial(first, made_up(first)), Trial(first, made_up(second))])
        assert record.trials()["6a"] == []  # the batch is one transaction


def test_find_takes_the_leading_digits_of_a_key(tmp_path: Path) -> None:
    trials = ROW_6A.trials(7)
    with Record.open(tmp_path, TABLE_9) as record:
        record.add(batch(trials))
        assert record.find(trials[5].key[:12]).spec == trials[5]
        with pytest.raises(ValueError, match="no trial"):
            record.find("f" * 64)
        initials = Counter(trial.key[0] for trial in trials)
        with pytest.raises(ValueError, match="more digits"):
            record.find(initials.most_common(1)[0][0])
        for hostile in ("", "%", "' OR 1=1 --", trials[0].key.upper() + "G"):
            with pytest.raises(ValueError, match="takes the leading digits"):
                record.find(hostile)
        with pytest.raises(ValueError, match="no trial"):
            record.weights("nothing")


def test_a_hundred_thousand_trials_are_planned_without_reading_any_twice(tmp_path: Path) -> None:
    many = replace(ROW_6A, replicates=100_000)
    with Record.open(tmp_path, replace(TABLE_9, rows=(many,))) as record:
        record.add(batch(ROW_6A.trials(7)[:10]))
        planned = missing(record, many)
    assert len(planned) == 99_990
    assert planned[-1] == TrialSpec(CELL_6A, 99_999, 7, 157_000)


def test_two_rows_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name"):
        Record.open(tmp_path, replace(TABLE_9, rows=(ROW_6A, replace(ROW_6B, name="6a"))))


def test_the_archive_keeps_the_milestones(tmp_path: Path) -> None:
    asked = ROW_6B.trials(7)[0]
    early = Reached("early", 500, 2560, 3, math.nan)
    with Record.open(tmp_path, TABLE_9) as record:
        record.add([Trial(asked, made_up(asked, Outcome.CAPPED, milestones=(early,)), 1)])
        record.add(batch([replace(asked, cap=asked.cap + 1)]))
    text = sqlite3.connect(record.path).execute("SELECT milestones FROM archive").fetchone()[0]
    (kept,) = json.loads(text)
    assert (kept["name"], kept["sequences"], math.isnan(kept["test_error"])) == ("early", 500, True)


def test_a_study_keeps_its_subject(tmp_path: Path) -> None:
    with Record.open(tmp_path, TABLE_9):
        pass
    with pytest.raises(DefinitionChanged, match=r"subject was .*, is adding"):
        Record.open(tmp_path, replace(TABLE_9, title="adding"))


def test_counts_follow_the_cap_that_is_asked_for(tmp_path: Path) -> None:
    row = replace(ROW_6A, cap=100, replicates=3)
    first, second, third = row.trials(7)
    results = [
        TrialResult(first.key, Outcome.SOLVED, 40, 400),
        TrialResult(second.key, Outcome.SOLVED, 90, 900),
        TrialResult(third.key, Outcome.CAPPED, 100, 1000),
    ]
    with Record.open(tmp_path, replace(TABLE_9, rows=(row,))) as record:
        record.add(Trial(spec, result) for spec, result in zip((first, second, third), results, strict=True))
        for cap, counts in {
            100: {Outcome.SOLVED: 2, Outcome.CAPPED: 1},
            50: {Outcome.SOLVED: 1, Outcome.CAPPED: 2},
            200: {Outcome.SOLVED: 2},
        }.items():
            record.grow(replace(TABLE_9, rows=(replace(row, cap=cap),)))
            assert record.counts() == {row.name: counts}


endings = st.lists(
    st.tuples(st.sampled_from(Outcome), st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=12
)  # outcome, sequences, the cap under which the trial was trained


@settings(deadline=None, max_examples=40)
@given(endings, st.integers(1, 6))
def test_counts_and_endings_are_those_of_the_trials_under_the_cap(
    tmp_path_factory: pytest.TempPathFactory, ended: list[tuple[Outcome, int, int]], cap: int
) -> None:
    row = replace(ROW_6A, cap=cap, replicates=len(ended))
    trials = [
        Trial(replace(spec, cap=then), TrialResult(spec.key, outcome, then if outcome == Outcome.CAPPED else at, 1))
        for spec, (outcome, at, then) in zip(row.trials(7), ended, strict=True)
    ]
    home = tmp_path_factory.mktemp("home")
    with Record.open(home, replace(TABLE_9, rows=(row,))) as record:
        record.add(trials)
        expected = [(trial.result.outcome, trial.result.sequences) for trial in row.counting(trials)]
        assert record.ended() == {"6a": expected}
        assert record.counts() == {"6a": Counter(outcome for outcome, _ in expected)}
        light = [(trial.spec, trial.result.outcome, trial.result.sequences) for trial in record.known(record.rows())]
        assert light == [(trial.spec, trial.result.outcome, trial.result.sequences) for trial in trials]


def test_a_capped_trial_does_not_give_way_to_a_lost_one(tmp_path: Path) -> None:
    row = replace(ROW_6A, cap=100, replicates=1)
    (spec,) = row.trials(7)
    with Record.open(tmp_path, replace(TABLE_9, rows=(row,))) as record:
        record.add([Trial(spec, TrialResult(spec.key, Outcome.CAPPED, 100, 1000), 1)])
        record.add([Trial(replace(spec, cap=200), TrialResult(spec.key, Outcome.LOST, 0, 0), 3)])
        assert [trial.result.outcome for trial in record.trials()[row.name]] == [Outcome.CAPPED]


@pytest.mark.parametrize("value", [b"\xff", "many", None])
@pytest.mark.parametrize("sequences", [40, 10**9])
def test_a_damaged_number_is_damage_where_trials_are_counted(tmp_path: Path, value: object, sequences: int) -> None:
    with Record.open(tmp_path, TABLE_9) as record:
        record.add([Trial(spec, made_up(spec, sequences=sequences)) for spec in ROW_6A.trials(7)[:2]])
    with closing(sqlite3.connect(tmp_path / "table_9.sqlite")) as db, db:
        (made,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'trials'").fetchone()
        lax = made.replace(" STRICT", "").replace("NOT NULL", "")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'trials'", [lax])
    with closing(sqlite3.connect(tmp_path / "table_9.sqlite")) as db, db:
        db.execute("UPDATE trials SET sequences = ? WHERE replicate = 0", [value])
    with Record.read(tmp_path, "table_9") as record:
        for look in (record.counts, record.ended, lambda: list(record.known(record.rows()))):
            with pytest.raises(RecordDamaged, match="of another kind"):
                look()
