"""Tables for papers and pages: whatever a name holds is shown, and what is written can be compiled and parsed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers import synthetic

from lstm_search.report import summary, table
from lstm_search.report.layout import Sheet
from lstm_search.report.typeset import escaped, html, latex

NASTY = [
    "[0.1]",
    "*",
    r"\input{/etc/passwd}",
    "a_b & 50 % #1 $x^2$ ~ {",
    "<b>|</b>",
    'say "so" `now`',
    "a--b\n\tc…",
    "=1+1",
]
SHEET = Sheet(
    "100 % of <i>&</i> _names_",
    ["row", "n [1]"],
    [[name, "1,000"] for name in NASTY],
    "legend: 5 %",
    NASTY,
    "more: 1",
    "last: $x$",
)


def compiled(text: str, folder: Path) -> str:
    """What pdflatex says of a document with this table."""
    source = folder / "paper.tex"
    source.write_text(
        f"\\documentclass{{article}}\\usepackage{{booktabs,graphicx}}\\begin{{document}}\n{text}\\end{{document}}\n"
    )
    words = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", source.name]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", timeout=600, check=False)
    assert done.returncode == 0, done.stdout
    assert (folder / "paper.pdf").read_bytes().startswith(b"%PDF-")
    return done.stdout


needs_tex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no TeX is installed (texlive-latex-recommended)"
)


@needs_tex
def test_a_table_of_nasty_names_compiles(tmp_path: Path) -> None:
    compiled(latex(SHEET), tmp_path)


@needs_tex
def test_the_table_of_a_study_compiles_and_fits(tmp_path: Path) -> None:
    said = compiled(table.render(summary.summaries(*synthetic.study()), "latex", "A study"), tmp_path)
    assert "Overfull \\hbox" not in said


def test_latex_has_the_rules_of_booktabs_and_a_line_a_row() -> None:
    text = table.render(summary.summaries(*synthetic.study()), "latex", "A study")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert text.count(" \\\\\n") == 1 + 7, "a head, and a line a row and milestone"
    assert "19/19" not in text
    assert r"100\,\%" not in text
    assert r"20/20 [83 to 100 \%]" in text
    notes = [line for line in text.splitlines() if line.startswith("% 6b: ")]
    assert len(notes) == 1, "notes are comments"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"\x{}", r"\textbackslash{}x\{\}"),
        ("a_b^c~d", r"a\_b\textasciicircum{}c\textasciitilde{}d"),
        ("5 % & #$", r"5 \% \& \#\$"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
        ("---", "-{}-{}-"),
        ("a\n\x1bb", "a b"),
        ("Schön, naïve", r"Sch\"{o}n, na\"{i}ve"),
        ("Čapek \u2013 Łódź", r"\v{C}apek -- \L{}\'{o}d\'{z}"),
        (
            "ж=中文 5 %",
            r"\ifdefined\Umathchar ж\else U+0436\fi{}=\ifdefined\Umathchar 中文\else U+4E2D U+6587\fi{} 5 \%",
        ),
    ],
)
def test_every_letter_that_latex_obeys_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_latex_says_where_a_letter_is_written_by_its_number() -> None:
    names = replace(SHEET, lines=[["naïve", "1"], ["пример", "2"]])
    assert latex(names).startswith("% letters that pdflatex lacks are written by their numbers")
    assert "pdflatex" not in latex(replace(SHEET, lines=[["naïve", "1"]]))


@needs_tex
def test_names_in_all_scripts_compile(tmp_path: Path) -> None:
    compiled(latex(replace(SHEET, title="Größe, размер, 大小", lines=[["naïve Łódź", "1"], ["中文 ж", "2"]])), tmp_path)


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_shows_nasty_names_and_obeys_none() -> None:
    found = Parsed(html(SHEET))
    assert {"b", "i"}.isdisjoint(tag for tag, _ in found.elements)
    for name in (*NASTY, SHEET.title, SHEET.legend, SHEET.more, SHEET.last):
        assert name in found.text


def test_html_says_what_is_a_head() -> None:
    found = Parsed(table.render(summary.summaries(*synthetic.study()), "html", "A study"))
    assert [tag for tag, _ in found.elements].count("caption") == 1
    scopes = [attributes["scope"] for tag, attributes in found.elements if tag == "th"]
    assert scopes == ["col"] * len(table.HEADER) + ["row"] * 7
    assert not any(tag == "svg" for tag, _ in found.elements), "bars are for a page that has their style"


def test_bars_are_drawn_where_there_is_something_to_draw() -> None:
    rows = summary.summaries(*synthetic.study())
    sheet = table.sheet(rows)
    assert set(sheet.bars) == {
        *((line, 1) for line, row in enumerate(sorted(rows, key=table._standing)) if row.n),
        *((line, 2) for line, row in enumerate(sorted(rows, key=table._standing)) if row.mean_interval),
    }
    assert all(0 <= bar.low <= bar.at <= bar.high <= 1 for bar in sheet.bars.values())
    assert html(sheet, bars=True).count("<svg") == len(sheet.bars)
    assert html(replace(sheet, bars={}), bars=True).count("<svg") == 0
