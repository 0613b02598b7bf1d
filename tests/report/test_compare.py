"""Two studies side by side, against figures worked out by hand and by scipy."""

from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats
from helpers.program import ALONE, QUICK, Lstm
from helpers.synthetic import CAPPED, LOST, TWO_STOPS, ended, row, solved, trials

from lstm_search import stats
from lstm_search.report.comparison import Recorded, compare, comparison_table
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
    with pytest.raises(ValueError, match="study=e: row 6a has no finished trial yet"):
        compare(A, study("e", {FAST: []}))


def test_the_table_names_both_studies() -> None:
    text = comparison_table(compare(A, B), "a", "b")
    assert text.splitlines()[0] == "| row | a | b | p (rate) | ERT a | ERT b | ratio | p (times) |"
    assert "| 6a | 6/6 | 2/6 | 0.12 (6 pairs: 4 and 0 alone) | 350 | 2,450 | 0.14 [" in text


# The verb


def test_studies_are_compared_on_the_command_line(tmp_path: Path, lstm: Lstm) -> None:
    for name, rate in (("a", 0.5), ("b", 1.0)):
        lstm(f"run {QUICK} {ALONE} replicates=6 training.rate={rate} study={name}", tmp_path)
    told = lstm("compare study=[a,b]", tmp_path).stdout
    assert "| temporal_order_6a | 6/6 | 6/6 | 1 (6 pairs: 0 and 0 alone) |" in told
    for words, what in {
        "compare study=a": "takes two studies, study=[a,b]",
        "compare study=[a]": "takes one name, or in brackets the names of two",
        "compare study=[a,c]": "study=c: not recorded",
        "table study=[a,b]": "table takes one study; compare takes two",
        "compare study=[a,b] table=9": "without table= or task=",
    }.items():
        assert what in lstm(words, tmp_path, code=2).stderr
