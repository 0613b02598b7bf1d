"""Two studies side by side, against figures worked out by hand and by scipy."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats
from helpers.program import ALONE, QUICK, Lstm
from helpers.synthetic import CAPPED, LOST, TWO_STOPS, ended, row, solved, trials

from lstm_search import stats
from lstm_search.report.comparison import Recorded, compare, render_comparison
from lstm_search.spec import Definition, Row, TrialResult


def study(name: str, rows: dict[Row, list[TrialResult]], seed: int = 7) -> Recorded:
    return Definition(name, seed, tuple(rows)), {line.name: trials(line, *found) for line, found in rows.items()}


FAST, SLOW = row("6a", replicates=6, cap=1000), row("6a", replicates=6, cap=1000)
A = study("a", {FAST: [solved(n) for n in (100, 200, 300, 400, 500, 600)]})
B = study("b", {SLOW: [solved(400), solved(500), *[ended(CAPPED, 1000)] * 4]})


def test_rates_and_times_are_compared_by_the_tests_that_it_names() -> None:
    (found,) = compare(A, B)
    assert (found.k, found.n) == ((6, 2), (6, 6))
    assert found.ert == (350.0, 2450.0)
    assert found.ratio == pytest.approx(1 / 7)
    assert (found.pairs, found.only) == (6, (4, 0))
    assert found.p_rate == pytest.approx(2 * 0.5**4)
    reached = scipy.stats.CensoredData([100, 200, 300, 400, 500, 600])
    censored = scipy.stats.CensoredData(uncensored=[400, 500], right=[1000] * 4)
    assert found.p_time == pytest.approx(scipy.stats.logrank(reached, censored).pvalue)


def test_other_seeds_are_not_paired() -> None:
    (found,) = compare(A, (replace(B[0], seed=8), B[1]))
    assert found.pairs == 0
    assert found.p_rate == stats.boschloo_p(6, 6, 2, 6) < scipy.stats.fisher_exact([[6, 0], [2, 4]]).pvalue


def test_broken_trials_are_left_out_and_leave_the_rest_unpaired() -> None:
    (found,) = compare(A, study("b", {SLOW: [solved(400), ended(LOST, 0), *[ended(CAPPED, 1000)] * 4]}))
    assert (found.n, found.pairs, found.only) == ((6, 5), 5, (4, 0))
    assert found.p_rate == stats.boschloo_p(6, 6, 1, 5) < scipy.stats.fisher_exact([[6, 0], [1, 4]]).pvalue


def test_several_rows_are_matched_by_name_and_their_p_values_adjusted() -> None:
    other = row("6b", replicates=6, cap=1000)
    more = study("c", {FAST: [solved(100 + n) for n in range(6)], other: [solved(100)] * 6})
    less = study("d", {other: [ended(CAPPED, 1000)] * 6, SLOW: [ended(CAPPED, 1000)] * 6, row("x"): []})
    found = compare(more, less)
    assert [entry.name for entry in found] == ["6a", "6b"]
    assert [entry.p_rate for entry in found] == pytest.approx([2 * 2 * 0.5**6] * 2)


def test_each_milestone_that_both_have_is_a_line() -> None:
    stages = row("T100-N3", TWO_STOPS, 6, 1000)
    found = compare(
        study("a", {stages: [solved(100, 0, ("st1", "st2"))] * 6}), study("b", {stages: [ended(CAPPED, 1000)] * 6})
    )
    assert [(entry.milestone, entry.k) for entry in found] == [("st1", (6, 0)), ("st2", (6, 0))]


def test_what_cannot_be_compared_is_refused() -> None:
    two = study("c", {FAST: [solved(1)], row("6b"): [solved(1)]})
    with pytest.raises(ValueError, match=r"have no row in common; choose one of each with rows="):
        compare(study("d", {row("x"): [solved(1)]}), two)
    with pytest.raises(ValueError, match="study=e: no row has a finished trial yet"):
        compare(A, study("e", {FAST: []}))


def test_the_table_names_both_studies() -> None:
    text = render_comparison(A, B)
    assert text.splitlines()[0] == "| row | a | b | p (rate) | ERT a | ERT b | ratio | p (times) |"
    assert "| 6a | 6/6 | 2/6 | 0.12 (6 pairs: 4 and 0 alone) | 350 | 2,450 | 0.14 [" in text


def test_what_is_unfinished_is_said_and_not_compared() -> None:
    other = row("6b", replicates=2, cap=1000)
    whole = study("a", {FAST: [solved(100 + n) for n in range(6)], other: [solved(100)] * 2, row("7"): [solved(1)]})
    part = study("b", {SLOW: [solved(400), ended(CAPPED, 1000)], other: [ended(CAPPED, 1000)] * 2})
    unfinished, finished = compare(whole, part)
    assert (unfinished.finished, unfinished.planned) == ((6, 2), (6, 6))
    assert unfinished.p_rate is unfinished.p_time is unfinished.ratio is unfinished.ratio_interval is None
    assert finished.p_rate == pytest.approx(2 * 0.5**2), "adjusted for those that are compared"
    text = render_comparison(whole, part)
    assert "| 6a | 6/6 | 1/2 (unfinished: 2 of 6) | - | 102 | 1,400 | - | - |" in text
    assert "unfinished: not compared yet, because the first trials to end are the fast ones; replicates=N" in text
    assert "only in a: 7." in text
    assert "unfinished" not in render_comparison(A, B)


def test_a_row_without_trials_is_no_reason_to_compare_nothing() -> None:
    other = row("6b", replicates=2, cap=1000)
    both = study("a", {FAST: [solved(100)] * 6, other: [solved(100)] * 2})
    entry = compare(both, study("b", {SLOW: [solved(200)] * 6, other: []}))[1]
    assert (entry.n, entry.ert, entry.compared) == ((2, 0), (100.0, None), False)


def test_the_comparison_as_json() -> None:
    told = json.loads(render_comparison(A, B, "json"))
    assert told["studies"] == ["a", "b"]
    assert told["unmatched"] == [[], []]
    (line,) = told["rows"]
    assert (line["name"], line["k"], line["n"], line["compared"]) == ("6a", [6, 2], [6, 6], True)
    low, high = line["ratio_interval"]
    assert low < 1 / 7 < high
    assert line["ratio"] == pytest.approx(1 / 7)


# The verb


def test_studies_are_compared_on_the_command_line(tmp_path: Path, lstm: Lstm) -> None:
    for name, rate in (("a", 0.5), ("b", 1.0)):
        lstm(f"run {QUICK} {ALONE} replicates=6 training.rate={rate} study={name}", tmp_path)
    told = lstm("compare study=[a,b]", tmp_path).stdout
    assert "| temporal_order_6a | 6/6 | 6/6 | 1 (6 pairs: 0 and 0 alone) |" in told
    assert json.loads(lstm("compare study=[a,b] format=json", tmp_path).stdout)["studies"] == ["a", "b"]
    lstm(f"run {QUICK} {ALONE} replicates=6 training.rate=1e-6 cap=1000000 study=part budget.hours=1e-6", tmp_path)
    for words, what in {
        "compare study=[a,part]": "study=part: no row has a finished trial yet that can be compared; train it first",
        "compare study=[a,b] format=csv": "format=csv: compare prints markdown, json",
        "compare study=[a,b] source=shipped": "source=shipped: compare takes source=record",
        "compare study=a": "takes two studies, lstm-search compare 'study=[a,b]'",
        "compare study=[a]": "takes one name, or in brackets the names of two",
        "compare study=[a,c]": "study=c: not recorded",
        "table study=[a,b]": "table takes one study; compare takes two",
        "compare study=[a,b] table=9": "without table= or task=",
    }.items():
        assert what in lstm(words, tmp_path, code=2).stderr


def test_other_caps_are_said_and_times_that_do_not_overlap_have_no_difference() -> None:
    long, short = row("a", replicates=3, cap=30_000), row("a", replicates=3, cap=3_000)
    first = study("long", {long: [solved(at) for at in (4_000, 5_000, 6_000)]})
    second = study("short", {short: [ended(CAPPED, 3_000)] * 3})
    (found,) = compare(first, second)
    assert found.caps == (30_000, 3_000)
    assert found.p_time == 1
    assert (
        "a: caps of 30,000 and 3,000 sequences; a trial that its cap ended counts as not solved."
        in render_comparison(first, second)
    )
