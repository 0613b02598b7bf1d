"""A table for a paper, in LaTeX, and for a page, in HTML. Whatever a name holds is shown and not obeyed."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

from lstm_search.report.layout import Sheet

_NUMBER = re.compile(r"([-\d.,]+|infinite)(\s.*)?")

_LATEX = {
    **{char: f"\\{char}" for char in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "…": r"\dots{}",
    "\u2013": "--",
    "\u2014": "---",
    "\u2018": "`",
    "\u2019": "'",
    "\u201c": "``",
    "\u201d": "''",
    "\u00d7": r"\ensuremath{\times}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}

_ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True)
)
"""By combining letter, the command that puts it on or below a letter, in every encoding of fonts."""

_OTHER = re.compile(r"[^\x00-\x7f]+")
_HINT = "% letters that pdflatex lacks are written by their numbers; lualatex and xelatex take them from the font"


def latex(sheet: Sheet) -> str:
    r"""The table in LaTeX with the rules of `booktabs`, over both columns where a page has two; one that is wider than
    the text is made smaller. The notes stand as comments."""
    lines = [f"    {' & '.join(map(_cell, line))} \\\\" for line in sheet.lines]
    comments = [text for text in (sheet.more, *sheet.notes, sheet.last) if text]
    text = "".join([sheet.title, sheet.legend, *sheet.head, *(cell for line in sheet.lines for cell in line)])
    parts = [
        *([_HINT] if any(_latex(char) is None for char in text) else []),
        r"% in the preamble: \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
        f"  \\caption{{{escaped(sheet.title)}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        f"  \\begin{{tabular}}{{@{{}}{''.join(_alignments(sheet))}@{{}}}}",
        r"    \toprule",
        f"    {' & '.join(map(_cell, sheet.head))} \\\\",
        r"    \midrule",
        *lines,
        r"    \bottomrule",
        r"  \end{tabular}}",
        f"  \\par\\medskip\\parbox{{\\linewidth}}{{\\scriptsize {escaped(sheet.legend)}}}",
        r"\end{table*}",
        *(f"% {_line(text)}" for text in comments),
    ]
    return "\n".join([*parts, ""])


def escaped(text: str) -> str:
    r"""`text` in one line of LaTeX. Letters that pdflatex lacks are there for other engines, which have \Umathchar."""
    text = re.sub("-(?=-)", "-\0", _line(text))  # two hyphens are no dash
    known = "".join(char if (shown := _latex(char)) is None else shown for char in text).replace("\0", "{}")
    return _OTHER.sub(lambda found: rf"\ifdefined\Umathchar {found[0]}\else {_numbers(found[0])}\fi{{}}", known)


def _latex(char: str) -> str | None:
    """A letter as every engine takes it; None where pdflatex has none."""
    if char.isascii():
        return _LATEX.get(char, char)
    parts = unicodedata.normalize("NFD", char)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        return rf"\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return _LATEX.get(char)


def _numbers(text: str) -> str:
    return " ".join(f"U+{ord(char):04X}" for char in text)


def _cell(text: str) -> str:
    r"""A cell of a line; one that begins with a bracket or a star would otherwise be an option of the \\ before it."""
    return "--" if text == "-" else f"{'{}' if text.startswith(('[', '*')) else ''}{escaped(text)}"


def _line(text: str) -> str:
    """`text` in one line, without characters that control anything."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _alignments(sheet: Sheet) -> list[str]:
    """Numbers stand to the right, words to the left."""
    columns = zip(*sheet.lines, strict=True) if sheet.lines else [()] * len(sheet.head)
    return ["r" if column and all(map(_NUMBER.fullmatch, column)) else "l" for column in columns]


def html(sheet: Sheet, *, bars: bool = False) -> str:
    """The table in HTML, to be put into a page; `bars`: with its intervals drawn, for a page that has the style."""
    numbers = [alignment == "r" for alignment in _alignments(sheet)]
    return str(templates().get_template("table.html").render(sheet=sheet, numbers=numbers, bars=bars))


@cache
def templates() -> Any:
    """The templates beside this file. They escape all that is put into them."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("lstm_search.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
