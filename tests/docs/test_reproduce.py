"""`make reproduce` and its report: every printed row of LSTM is there, with figures of what is shipped."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import pytest

from lstm_search.config.composition import compose
from lstm_search.published import published_rows
from lstm_search.record import SHIPPED

PAGE = Path(__file__).parents[2] / "docs" / "reproduction.md"
SCRIPT = runpy.run_path(str(PAGE.with_name("reproduce.py")))


@cache
def computed(name: str) -> str:
    """What a function of the script makes of all shipped trials; to read them once is enough."""
    return str(SCRIPT[name]())


def cells(text: str) -> list[list[str]]:
    """The lines of a table in Markdown, without its head."""
    return [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]


def test_the_pages_hold_what_is_computed_from_the_shipped_trials() -> None:
    page, readme = PAGE.read_text(encoding="utf-8"), (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    opening = computed("opening")
    assert opening in page
    assert opening in readme
    assert computed("all_lines") in page
    assert SCRIPT["commands"]() in page


def test_every_printed_line_of_lstm_is_on_the_page_once() -> None:
    lines = [line[:2] for line in cells(computed("all_lines"))]
    printed = [[row.table, row.row] for row in published_rows() if row.method == "LSTM"]
    assert lines == printed
    assert len(printed) == 37


def test_the_opening_table_counts_the_lines() -> None:
    lines = cells(computed("all_lines"))
    *_, total = cells(computed("opening"))
    counts = [f"**{[line[column] for line in lines].count('consistent')}**" for column in (4, 6, 8)]
    assert total == ["**all**", "**37**", *counts]


@pytest.mark.parametrize("name", SCRIPT["TABLES"])
def test_each_table_has_a_page_with_the_trials_of_all_ways(name: str) -> None:
    page = (PAGE.parent / "tables" / f"table-{name}.md").read_text(encoding="utf-8")
    for each in (SCRIPT["WAYS"]["as written"], SCRIPT["WAYS"]["best readings"]):
        if words := each.get(name):
            assert f"    lstm-search run {words}\n" in page
            means = [row.mean for row in SCRIPT["found"]([words]).values() if row.mean is not None]
            assert all(f"{mean:,.0f}" in page for mean in means)


def test_every_printed_row_of_another_network_is_among_the_rivals() -> None:
    text = SCRIPT["rivals"]()
    assert text in PAGE.read_text(encoding="utf-8")
    tables = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.endswith(" |")]
    others = [row for row in published_rows() if row.method != "LSTM"]
    assert {row.table for row in others} <= set(tables)
    for row in others:
        assert sum(f"| {row.table} | {row.row}" in line for line in text.splitlines()) >= 1


@pytest.mark.parametrize("words", SCRIPT["RIVALS"])
def test_rivals_are_shown_under_the_seed_of_the_report(words: str) -> None:
    asked = compose(words.split()).definition
    assert asked.seed == 2026
    assert {row.altered for row in asked.rows} == {()}
    assert "recipe" in words or {row.readings for row in asked.rows} == {()}


@pytest.mark.parametrize("way", ["best readings", "one set"])
def test_readings_are_shown_under_a_seed_that_nothing_was_chosen_by(way: str) -> None:
    rows = [row for words in SCRIPT["WAYS"][way].values() for row in compose(words.split()).rows_ahead()]
    assert all("seed=2026" in words.split() for words in SCRIPT["WAYS"][way].values())
    assert {row.altered for row in rows} == {()}


def test_a_study_is_shipped_row_by_row_and_what_was_trained_again_counts() -> None:
    asked = compose(["table=9"]).definition
    text = (SHIPPED / "table-9.csv").read_text(encoding="utf-8")
    head, *lines = text.splitlines(keepends=True)
    first = [line for line in lines if ",6a," in line]
    second = [line for line in lines if ",6b," in line]
    stale = "f" * 64 + ",6c,,0,CAPPED,,1,,,1.0,\n"
    merged = SCRIPT["merged"]
    assert merged(asked, "".join([head, *second, stale]), "".join([head, *first])) == text
    assert merged(asked, text, head) == text
    spoilt = [",".join([*line.split(",")[:9], "0.5", line.split(",")[10]]) for line in first]
    assert merged(asked, "".join([head, *spoilt, *second]), "".join([head, *first])) == text
    assert merged(asked, text, "".join([head, *spoilt])) == "".join([head, *spoilt, *second])


def test_what_is_ahead_is_told_before_each_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = {"table=1": 600.0, "table=2": 1800.0}
    monkeypatch.setitem(SCRIPT["train"].__globals__, "printed", lambda words: f"did {words}")
    monkeypatch.setitem(SCRIPT["train"].__globals__, "cost", costs.__getitem__)
    SCRIPT["train"](list(costs))
    assert capsys.readouterr().out.splitlines() == [
        "study 1 of 2, 40 of 40 core-minutes ahead: lstm-search run table=1",
        "did run table=1 tracking=none",
        "study 2 of 2, 30 of 40 core-minutes ahead: lstm-search run table=2",
        "did run table=2 tracking=none",
    ]


def test_a_study_costs_what_its_shipped_trials_took() -> None:
    lines = (SHIPPED / "table-4.csv").read_text(encoding="utf-8").splitlines()[1:]
    seconds = {line.split(",")[0]: float(line.split(",")[9]) for line in lines}  # two milestones, one trial
    assert SCRIPT["cost"]("table=4") == pytest.approx(sum(seconds.values()))


def test_what_has_no_shipped_trials_is_taken_to_cost_what_the_paper_s_settings_do() -> None:
    cost = SCRIPT["cost"]
    assert cost("table=4 seed=3") == cost("recipe=best-4 seed=3") == cost("table=4")
    assert cost("table=1 rows=rivals seed=3") == 0  # of rivals nothing is shipped under this name
    assert cost("recipe=one-set seed=3") == pytest.approx(
        sum(cost(f"table={name}") for name in ("1", "2", "2b", "3", "4", "5", "6", "9"))
    )


def test_what_is_shipped_leaves_out_the_settings_which_keys_stand_for() -> None:
    exported = 'key,row,weights_sha256,task.T\nk1,"T=1,rate=2",sha,3\nk2,a,,4\n'
    assert SCRIPT["bare"](exported) == 'key,row,weights_sha256\nk1,"T=1,rate=2",sha\nk2,a,\n'
