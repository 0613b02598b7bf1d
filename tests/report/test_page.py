"""The page of a study: complete by itself, readable without its figures, and safe whatever a name holds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.synthetic import CAPPED, SEED, TEMPORAL, ended, row, solved, trials

from lstm_search import overview
from lstm_search.networks import Lstm1997
from lstm_search.report import curves
from lstm_search.report.charts import learning_charts
from lstm_search.report.curves import points
from lstm_search.search import SearchSettings
from lstm_search.spec import Candidate, Definition, Row, Training, Trial

NASTY = '</script><script>alert(1)</script> <b>&amp;"'
RATES, INITS = (0.1, 0.2, 0.5, 1.0), (0.1, 0.2, 0.4)


def race() -> tuple[Definition, dict[str, list[Trial]], list[Candidate]]:
    """Twelve cells over two axes: low rates were dropped, one cell has no success, the best was trained again."""
    met, record = [], {}
    for rate in RATES:
        for init in INITS:
            cell = replace(TEMPORAL, network=Lstm1997(init=init), training=Training(rate))
            one = row(f"rate={rate:g},init={init:g}", cell, 6, 10_000, purpose="race")
            count = 2 if rate < 0.5 else 6
            some = [solved(round(4000 / rate / (1 + i))) for i in range(count - 1)]
            some = [ended(CAPPED, 10_000)] * count if (rate, init) == (0.1, 0.4) else [*some, ended(CAPPED, 10_000)]
            record[one.name] = trials(one, *(result for result in some))
            left = "worse than rate=1,init=0.1 (p = 1e-05)" if rate < 0.5 else ""
            met.append(Candidate((("training.rate", rate), ("network.init", init)), (one,), "grid", left))
    again = replace(met[-1].rows[0], name=f"{met[-1].rows[0].name}, fresh seeds", first=1_000_000, purpose="report")
    record[again.name] = trials(again, *map(solved, range(3000, 9000, 1000)))
    return Definition("a-race", SEED, (*(one.rows[0] for one in met), again), "A race"), record, met


def made(name: str = "a-race", title: str = "A race", config: str = "x: 1\n") -> str:
    definition, record, met = race()
    about = {"python": "3.11", "cpu": ""}
    asked = replace(definition, name=name, title=title, config=config)
    return overview.report(SearchSettings(), asked, record, met, provenance=about, command="lstm-search run task=x")


def of(rows: Sequence[Row], record: dict[str, list[Trial]]) -> str:
    return overview.report(SearchSettings(), Definition("s", SEED, tuple(rows)), record, [], provenance={})


def test_where_nothing_was_solved_the_figure_says_so() -> None:
    one = row("hard", TEMPORAL, 2, 100)
    page = of([one], {one.name: trials(one, ended(CAPPED, 100), ended(CAPPED, 100))})
    assert "No trial was solved: every curve stays at 0" in page
    assert "The highest is" not in page


def figures(page: str) -> list[dict[str, list[dict[str, object]]]]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    parsed: list[dict[str, list[dict[str, object]]]] = json.loads(found[1]) if found else []
    return parsed


def without_program(page: str) -> str:
    """The page without plotly's own JavaScript."""
    return re.sub(r"<script>/\*.*?</script>", "", page, count=1, flags=re.DOTALL)


def test_a_race_has_all_parts() -> None:
    page = made()
    kinds = [trace["type"] for figure in figures(page) for trace in figure["data"]]
    assert {"scatter", "heatmap", "parcoords", "bar"} == set(kinds)
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert headings == [
        *("Results", "Solved fraction over training", "The objective over the axes", "Importance of the axes"),
        *("The race", "Learning curves", "Provenance"),
    ]
    text = without_program(page)
    assert "lstm-search run task=x" in text
    assert re.search(r"<th scope=\"row\">worse</th><td class=\"number\">6</td><td class=\"number\">2</td>", text)
    assert "without a race they would have had 72" in text
    assert '<th scope="row">python</th><td>3.11</td>' in text
    assert '<th scope="row">cpu</th><td>unknown</td>' in text


def test_it_is_one_file_that_fetches_nothing() -> None:
    page = made()
    assert len(page.encode()) < 6_000_000
    assert page.count("plotly.js v") == 1
    ours = without_program(page)
    assert "Content-Security-Policy" in ours
    assert "default-src 'none'" in ours
    assert not re.search(r'(src|href)="(?!#)', ours)
    assert "@import" not in ours
    assert "url(" not in ours


def test_it_can_be_read_without_figures() -> None:
    text = without_program(made())
    assert '<html lang="en">' in text
    plots = re.findall(r'<div class="plot[^>]*>', text)
    assert len(plots) == len(figures(text)) > 10
    for plot in plots:
        assert 'role="img"' in plot
        described = re.search(r'aria-describedby="([^"]+)"', plot)
        assert described
        caption = re.search(rf'<figcaption id="{described[1]}">(.*?)</figcaption>', text, re.DOTALL)
        assert caption
        assert len(re.sub("<.*?>", "", caption[1])) > 20, "what is to be seen is said"
    tables = re.findall(r"<table>(.*?)</table>", text, re.DOTALL)
    assert all("<caption>" in table and 'scope="col"' in table and 'scope="row"' in table for table in tables)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert 'class="skip"' in text


def test_whatever_a_name_holds_is_shown_and_not_obeyed() -> None:
    page = made(NASTY, f"{NASTY} title", f"name: {NASTY}\n")
    assert "<script>alert" not in page
    assert "<b>" not in without_program(page)
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page
    line = row(NASTY, replicates=2)
    page = of([line], {line.name: trials(line, solved(100), solved(200))})
    assert "<script>alert" not in page
    names = [str(trace.get("name", "")) for figure in figures(page) for trace in figure["data"]]
    assert any("&lt;/script&gt;" in name for name in names)
    assert not any("<script" in name for name in names), "plotly takes tags in names"


def test_a_section_without_anything_to_show_says_so() -> None:
    rows, _ = synthetic.study()
    page = of(rows, {})
    assert figures(page) == []
    assert "plotly.js v" not in page
    for sentence in (
        "No trial has ended yet.",
        "This study has no axes",
        "It takes eight cells",
        "There was no race",
        "These trials have no learning curves",
        "The record does not hold its command.",
    ):
        assert sentence in page


def test_the_same_record_gives_the_same_page() -> None:
    assert made() == made()


def test_a_study_without_axes_shows_its_table_with_bars() -> None:
    page = of(*synthetic.study())
    assert page.count('<svg class="bar"') > 5
    assert 'class="printed"' in page, "what was printed in 1997 stands beside"
    assert "This study has no axes" in page


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium is installed")
def test_a_browser_draws_every_figure(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(made(), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    options += [f"--user-data-dir={tmp_path}/browser", "--timeout=120000", "--enable-logging=stderr"]
    words = ["chromium", *options, "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=800, check=False)
    drawn = re.findall(r'<div class="plot[^"]*js-plotly-plot', done.stdout)
    assert len(drawn) == len(figures(made()))
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in errors if "Error" in line or "Refused" in line]


def test_of_very_many_trials_some_are_drawn_whatever_curves_the_others_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "MOST_DRAWN", 2)
    one, other = row("one", replicates=3), row("other", replicates=3)
    bare, full = replace(solved(9), curve=()), solved(2000)
    record = {"one": trials(one, bare, full, bare), "other": trials(other, full, full, full)}
    assert [chart.caption for chart in learning_charts([one], record, {})] == []
    captions = [chart.caption for chart in learning_charts([one, other], record, {})]
    assert captions == ["other, 2 of 3 trials drawn"]


def test_a_trial_without_a_curve_has_no_points() -> None:
    """It may stand beside trials that have one."""
    assert points(replace(ended(CAPPED, 10_000), curve=())).shape == (0, 2)
