"""A search as a table: the best first, why others left, and no more lines than asked for."""

from __future__ import annotations

from dataclasses import replace

from helpers.races import Cells
from helpers.synthetic import SEED, ended, solved, trials

from lstm_search.report import SHEETS, Standing, search_sheet, summarise
from lstm_search.spec import Candidate, Outcome, Row

CELLS = Cells(replicates=4)


def render_search(standings: list[Standing], title: str, most: int) -> str:
    return SHEETS["markdown"](search_sheet(standings, title, most))


def standing(rate: float, place: str, *, fresh: bool = False, bases: tuple[Cells, ...] = (CELLS,)) -> Standing:
    point = (("training.rate", rate), ("network.recurrent", "all"))
    rows = tuple(base.row(dict(point)) for base in bases)
    some = [summarise(row, trials(row, solved(100), solved(200), ended(Outcome.CAPPED, 1000)))[-1] for row in rows]
    served = [True, *[False] * (len(rows) - 1)]
    again = [replace(one, purpose="report") for one in some] if fresh else []
    return Standing(Candidate(point, rows, "grid"), place, some, served, again, served if fresh else [])


def lines(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_settings_are_columns_and_the_reason_stands_in_a_word() -> None:
    text = render_search(
        [standing(0.1, "leader, finalist", fresh=True), standing(0.2, "worse than cell 0 x=1 (p = 3e-05)")],
        "A title",
        0,
    )
    head, _, first, second = lines(text)
    assert head[:4] == ["rate", "recurrent", "standing", "chosen by"]
    assert first[:4] == ["0.1", "all", "leader, finalist", "2/3 [9 to 99 %]"]
    assert second[2] == "worse (p = 3e-05)"
    assert second[6:] == ["-"] * 5, "it was not trained on fresh seeds"
    assert text.startswith("A title\n\n|")


def test_no_more_lines_than_asked_for() -> None:
    many = [standing(0.1 * number, "not dropped") for number in range(1, 257)]
    text = render_search(many, "", 20)
    assert len(lines(text)) == 22
    assert "236 further candidates are not shown; lines=0 shows all" in text
    assert len(text.splitlines()) < 40, "a page"
    assert len(lines(render_search(many, "", 0))) == 258


def test_a_line_of_a_joint_search_is_a_set() -> None:
    bases = (Cells("1/a", table="1", published="x"), Cells("9/6a", table="9", published="6a", marks=3))
    sets = [standing(0.1, "leader", bases=bases, fresh=True), standing(0.2, "out of reach of rate=0.1", bases=bases)]
    altered = [
        replace(one, candidate=replace(one.candidate, rows=tuple(_altered(row) for row in one.candidate.rows)))
        for one in sets
    ]
    head, _, first, second = lines(render_search(altered, "", 0))
    assert head == ["table 1", "table 9", "served", "fresh seeds", "trials", "standing", "settings"]
    assert first == ["1/1", "0/1", "1/2", "1/2", "6", "leader", "rate=0.1"]
    assert second == ["1/1", "0/1", "1/2", "-", "6", "out of reach", "rate=0.2"]
    assert SEED


def test_a_joint_search_says_what_all_its_sets_have_that_is_not_literal() -> None:
    bases = (Cells("1/a", table="1", published="x"), Cells("9/6a", table="9", published="6a", marks=3))
    (one,) = [standing(0.1, "leader", bases=bases)]
    literal = render_search([one], "", 0)
    assert lines(literal)[2][-1] == "as written"
    assert "the literal ones." in " ".join(literal.split())
    row = replace(one.candidate.rows[0], readings=(("network.recurrent_to", "gates"), ("training.rate", "0.1")))
    read = replace(one, candidate=replace(one.candidate, rows=(row, *one.candidate.rows[1:])))
    text = render_search([read], "", 0)
    assert lines(text)[2][-1] == "rate=0.1"
    other = replace(one, candidate=replace(one.candidate, rows=(replace(row, readings=()), *one.candidate.rows[1:])))
    several = render_search([read, other], "", 0)
    assert "all have" not in several, "one of the sets has it literally"
    unread = replace(read, candidate=replace(read.candidate, point=()))
    assert lines(render_search([unread], "", 0))[2][-1] == "-", "it differs in what all have"
    assert "the literal ones; all have recurrent_to=gates." in " ".join(text.split())


def _altered(row: Row) -> Row:
    return replace(row, altered=(("training.rate", f"{row.cell.training.rate:g}"),))
