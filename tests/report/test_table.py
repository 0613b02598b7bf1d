"""Tables: figures of hand-made studies worked out by hand, verdicts by case, and rendered tables as golden files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.synthetic import CAPPED, DIVERGED, ended, row, solved, trials

from lstm_search.config import compose
from lstm_search.report import settings_by_row, summary, table
from lstm_search.spec import Outcome, Reached, Row, Trial, TrialResult

GOLDEN = Path(__file__).parent / "golden"
TITLE = "A study with everything"


def one(line: Row, *results: TrialResult) -> summary.Summary:
    return summary.summarise(line, trials(line, *results))[-1]


def published(count: int, *results: TrialResult) -> summary.Summary:
    return one(row("6a", replicates=count, table="9", published="6a"), *results)


def steady(count: int, middle: int) -> list[TrialResult]:
    """Successes around `middle` sequences, a fifth to either side."""
    return [solved(middle + (middle // 5) * (index % 5 - 2) // 2) for index in range(count)]


def numbers_apart(text: str) -> tuple[list[str], list[float]]:
    number = r"-?\d+\.\d+(?:e[+-]?\d+)?"
    return re.split(number, text), [float(found) for found in re.findall(number, text)]


@pytest.mark.parametrize(("format", "ending"), [("markdown", "md"), ("csv", "csv"), ("json", "json")])
def test_rendered_study_is_the_golden_file(format: str, ending: str) -> None:  # noqa: A002  # the renderer's key
    text = table.render(summary.summaries(*synthetic.study()), format, TITLE)
    path = GOLDEN / f"study.{ending}"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    words, figures = numbers_apart(text)
    golden_words, golden_figures = numbers_apart(path.read_text(encoding="utf-8"))
    assert words == golden_words
    assert figures == pytest.approx(golden_figures, rel=1e-9)  # sums differ in the last bits between processors


def test_exported_study_is_the_golden_file() -> None:
    text = re.sub(r"\b[0-9a-f]{64}\b", "SHA-256", table.export_trials(*synthetic.study(), "csv"))
    path = GOLDEN / "trials.csv"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "less than half a core-second"), (1.0, "1 core-second."), (1.6, "2 core-seconds")]
)
def test_little_time_is_not_no_time(seconds: float, told: str) -> None:
    found = replace(one(row("6b", replicates=1), solved(100)), core_seconds=seconds)
    assert told in table.render([found], "markdown", TITLE)


def test_counts_and_figures_by_hand() -> None:
    line = row("6b", replicates=7, cap=1000)
    found = one(
        line,
        solved(100, 2),
        solved(300, 5),
        ended(CAPPED, 1000),
        ended(DIVERGED, 50),
        ended(Outcome.LOST, 0),
        ended(Outcome.FAILED, 30),
    )
    assert (found.k, found.n, found.planned, found.capped, found.diverged, found.broken) == (2, 4, 7, 1, 1, 2)
    assert found.mean == 200
    assert found.ert == (100 + 300 + 1000 + 50) / 2
    assert found.median == 300  # half of four, the diverged one counted as never solved
    assert (found.wrong, found.wrong_worst) == (3.5, 5)
    assert found.test_error == pytest.approx((2 + 5) / 2 / 256)
    assert (found.sequences_total, found.core_seconds) == (1480, 11.0)


def test_wrong_is_scaled_to_the_papers_number_of_test_sequences() -> None:
    short = replace(solved(100), milestones=(Reached("solved", 100, 256, 3, 0.1),))
    untested = replace(solved(100), milestones=(Reached("solved", 100, 0, 0, 0.0),))
    found = one(row("6a"), short, untested)
    assert (found.wrong, found.wrong_worst, found.test_error) == (30, 30, 0.1)


def test_nothing_finished_and_nothing_solved() -> None:
    empty, hopeless = one(row("6a")), one(row("6a", cap=500), ended(CAPPED, 500))
    assert (empty.k, empty.n, empty.mean, empty.ert, empty.median, empty.wrong) == (0, 0, None, None, None, None)
    assert (hopeless.mean, hopeless.ert, hopeless.median) == (None, math.inf, math.inf)


def test_each_milestone_has_its_own_summary_and_printed_row() -> None:
    line = row("T100-N3", synthetic.TWO_STOPS, 2, 400, table="4", published="T100-N3")
    half_way = ended(CAPPED, 400, (Reached("st1", 150, 2560, 0, 0.0),))
    first, second = summary.summarise(line, trials(line, solved(200, 0, ("st1", "st2")), half_way))
    assert [(part.name, part.k, part.n, part.mean, part.ert) for part in (first, second)] == [
        ("T100-N3 st1", 2, 2, 125, 125),
        ("T100-N3 st2", 1, 2, 200, 600),
    ]
    assert [part.published.sequences for part in (first, second) if part.published] == ["27380", "39850"]


def test_a_trial_beyond_the_rows_cap_is_seen_as_capped_there() -> None:
    late = solved(900, 0, ("st1", "st2"))
    assert late.under_cap(900) is late
    seen = late.under_cap(500)
    assert (seen.outcome, seen.sequences, seen.weights, seen.weights_sha256) == (CAPPED, 500, b"", "")
    assert [there.name for there in seen.milestones] == ["st1"]
    assert max(point.sequences for point in seen.curve) <= 500
    assert late.under_cap(450).reached("st1")  # at 450 exactly
    assert late.under_cap(449).milestones == ()
    assert seen.under_cap(500) is seen
    assert ended(DIVERGED, 900).under_cap(500).outcome == CAPPED
    assert ended(Outcome.TIMEOUT, 900).under_cap(500).outcome == Outcome.TIMEOUT


def test_the_table_sees_trials_under_the_rows_cap() -> None:
    asked, recorded = row("6a", cap=500), row("6a", cap=1000)
    found = summary.summarise(asked, trials(recorded, solved(400), solved(900), ended(CAPPED, 1000)))[0]
    assert (found.k, found.n, found.capped, found.ert) == (1, 3, 2, 1400)


def test_a_trial_capped_under_a_lower_cap_is_not_finished() -> None:
    asked, recorded = row("6a", replicates=2, cap=1000), row("6a", cap=500)
    found = summary.summarise(asked, trials(recorded, solved(400), ended(CAPPED, 500)))[0]
    assert (found.k, found.n, found.finished) == (1, 1, 1)


def test_failing_under_a_cap_below_the_printed_bound_tells_nothing() -> None:
    """Printed: no success within 5,000,000 sequences."""
    for cap, verdict, reason in (
        (250_000, "cannot tell", "cap 250,000 is below the printed 5,000,000"),
        (5_000_000, "consistent", "0/18 solved against 0/18 (p = 1); no mean is printed"),
    ):
        line = row("rtrl-p100-1", replicates=18, cap=cap, table="2", published="rtrl-p100")
        found = one(line, *[ended(CAPPED, cap)] * 18)
        assert found.verdict == verdict
        assert found.reason.startswith(reason)
    solved_some = one(row("late", replicates=18, cap=100, table="2", published="rtrl-p100"), *[solved(90)] * 18)
    assert solved_some.verdict == "differs"


@pytest.mark.parametrize(
    ("results", "verdict", "reason"),
    [
        (steady(20, 31_390), "consistent", "within the predicted"),
        (steady(20, 60_000), "differs", "printed mean 31,390 outside"),
        (steady(20, 15_000), "differs", "printed mean 31,390 outside"),
        ([*steady(10, 31_390), *[ended(CAPPED, 156_950)] * 10], "differs", r"10/20 solved against 20/20 \(p = 0.0004"),
        (steady(12, 31_390), "cannot tell", "^unfinished: 12 of 20 trials ended$"),
        ([solved(31_390)] * 20, "cannot tell", "too alike"),
        ([*steady(17, 31_390), *[ended(Outcome.LOST, 0)] * 3], "cannot tell", "3 of 20 trials broke"),
        ([*steady(18, 31_390), *[ended(Outcome.LOST, 0)] * 2], "consistent", "18/18 solved"),
        ([ended(DIVERGED, 100)] * 20, "differs", "0/20 solved against 20/20"),
    ],
)
def test_verdict(results: list[TrialResult], verdict: str, reason: str) -> None:
    found = published(20, *results)
    assert found.verdict == verdict
    assert re.search(reason, found.reason), found.reason


@pytest.mark.parametrize(
    ("cap", "results", "verdict"),
    [
        (3_000, [ended(CAPPED, 3_000)] * 20, "cannot tell"),
        (156_949, [*steady(19, 31_390), ended(CAPPED, 156_949)], "cannot tell"),
        (156_950, [*steady(10, 31_390), *[ended(CAPPED, 156_950)] * 10], "differs"),
        (50_000, steady(20, 31_390), "consistent"),
        (50_000, [ended(DIVERGED, 100)] * 20, "differs"),
    ],
    ids=["all capped", "one capped", "at the factor", "none capped", "diverged"],
)
def test_a_low_cap_that_ended_trials_cannot_tell(cap: int, results: list[TrialResult], verdict: str) -> None:
    found = one(row("6a", cap=cap, table="9", published="6a"), *results)
    assert found.verdict == verdict
    low = f"cap {cap:,} is below 5 times the published mean"
    assert (found.reason == low) == (verdict == "cannot tell"), found.reason


@pytest.mark.parametrize("count", [1, 4])
def test_few_trials_cannot_tell(count: int) -> None:
    assert published(count, *steady(count, 31_390)).verdict == "cannot tell"


def test_no_verdict_for_altered_settings_or_without_a_printed_row() -> None:
    line = row("6a", table="9", published="6a", altered=(("training.rate", "0.3"),))
    assert one(line, *steady(20, 31_390)).verdict == ""
    assert one(row("own"), *steady(20, 31_390)).verdict == ""


def test_rows_printed_without_mean_or_rate() -> None:
    never = row("rtrl", replicates=18, cap=5_000_000, table="2", published="rtrl-p100")
    assert one(never, *[ended(CAPPED, 5_000_000)] * 18).verdict == "consistent"
    assert one(never, *steady(18, 9_000)).verdict == "differs"
    vague = row("rtrl", replicates=5, table="1", published="rtrl-3")
    assert one(vague, *steady(5, 100_000)).reason == "no success rate is printed"


def test_an_unfinished_row_says_so_in_the_table() -> None:
    text = table.render([published(20, *steady(12, 31_390))])
    assert "12/12 [74 to 100 %] (unfinished: 12 of 20)" in text


HOSTILE = ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "a|b", "a\nb", "<img src=x>", 'quote " comma,', "\\|")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_in_their_cell(name: str) -> None:
    line = row(name, replicates=1, readings=((name, name),))
    summary, record = one(line, solved(100)), {name: trials(line, solved(100))}
    body = [part for part in table.render([summary], title=name).splitlines() if part.startswith("| ")]
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", part)) for part in body] == [9, 9]
    assert "<img" not in table.render([summary], title=name)
    for text in (table.render([summary], "csv"), table.export_trials([line], record, "csv")):
        parsed = list(csv.DictReader(io.StringIO(text, newline="")))
        assert len(parsed) == 1
        assert parsed[0]["row"].removeprefix("'") == name
        assert not parsed[0]["row"].startswith(("=", "+", "-", "@", "\t"))
    assert json.loads(table.render([summary], "json"))["rows"][0]["row"] == name


def test_json_holds_null_for_what_it_cannot_hold() -> None:
    text = table.render([one(row("6a", cap=500), ended(CAPPED, 500))], "json")
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["rows"][0]
    assert found["ert"] is None
    assert found["success_interval"][0] == 0


@pytest.mark.parametrize("call", [lambda name: table.render([], name), lambda name: table.export_trials([], {}, name)])
def test_unknown_format_names_the_known_ones(call: object) -> None:
    with pytest.raises(ValueError, match=r"format=docx: .* csv, json"):
        call("docx")  # type: ignore[operator]  # one of the two above


def test_export_has_a_line_for_each_milestone_and_for_what_was_missed() -> None:
    lines, record = synthetic.study()
    found = json.loads(table.export_trials(lines, record, "json"))
    per_trial = Counter(entry["key"] for entry in found if entry["row"] == "T100-N3")
    assert sorted(per_trial.values()) == [2] * 5  # st1 and st2, or st1 and censored
    missed = [entry for entry in found if entry["row"] == "6b" and entry["milestone"] == ""]
    assert Counter(entry["outcome"] for entry in missed) == {"CAPPED": 6, "DIVERGED": 1, "FAILED": 1}
    assert {entry["key"] for entry in found} == {trial.spec.key for some in record.values() for trial in some}
    header = table.export_trials(lines, {}, "csv")
    assert header.startswith(
        "key,row,cell,replicate,outcome,milestone,sequences,test_wrong,test_error,seconds,weights_sha256,task.name,"
    )
    assert {"task.T", "training.rate", "network.input_gate_bias", "stop.0.window"} <= set(header.strip().split(","))


def test_rows_of_several_tasks_have_the_columns_of_all() -> None:
    rows = compose(["table=[4,9]"]).definition.rows
    settings = settings_by_row(rows)
    assert len({tuple(columns) for columns in settings.values()}) == 1
    assert settings["4/T100-N3"]["task.N"] == 3
    assert settings["9/6a"]["task.N"] is None, "a task that has no such setting"
    assert settings["9/6a"]["task.marks"] == 2


def shuffled(record: dict[str, list[Trial]]) -> dict[str, list[Trial]]:
    return {name: some[::-1] for name, some in reversed(record.items())}


def elsewhere(trial: Trial) -> Trial:
    return replace(trial, attempts=3, result=replace(trial.result, seconds=9.0, host="other", error="other trace"))


def test_hash_ignores_order_time_place_and_what_the_machine_ended() -> None:
    lines, record = synthetic.study()
    moved = {name: [elsewhere(trial) for trial in some] for name, some in shuffled(record).items()}
    moved["T100"] = [trial for trial in moved["T100"] if trial.result.outcome != Outcome.LOST]
    assert table.canonical_hash(moved) == table.canonical_hash(record)
    assert table.export_trials(lines, record, "hash") == table.canonical_hash(record) + "\n"


@pytest.mark.parametrize(
    "change",
    [
        {"sequences": 24_001},
        {"steps": 1},
        {"outcome": CAPPED},
        {"weights_sha256": "cd"},
        {"milestones": ()},
        {"curve": ()},
    ],
    ids=str,
)
def test_hash_sees_every_result(change: dict[str, object]) -> None:
    _, record = synthetic.study()
    first, *others = record["6a"]
    other = record | {"6a": [replace(first, result=replace(first.result, **change)), *others]}  # type: ignore[arg-type]  # one field each
    assert table.canonical_hash(other) != table.canonical_hash(record)
