"""Records as figures of matplotlib, written into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from lstm_search.report.canvas import Figures
from lstm_search.report.curves import learning_curves
from lstm_search.report.solved import solved_fraction
from lstm_search.spec import Row, Trial

FIGURE_FORMATS = ("png", "svg", "pdf")


@cache
def sources() -> str:
    """Changes with the code and the templates that draw figures and pages."""
    files = sorted(path for path in Path(__file__).parent.rglob("*") if path.suffix in {".py", ".html"})
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def write_figures(
    rows: Sequence[Row],
    trials: Mapping[str, Sequence[Trial]],
    folder: Path,
    prefix: str = "",
    how: Figures = Figures(),  # noqa: B008  (frozen)
) -> list[Path]:
    """Write the figures of a study into `folder`; their paths."""
    figures = {"solved_fraction": solved_fraction} | ({"learning_curves": learning_curves} if how.curves else {})
    paths = {folder / f"{prefix}{name}.{how.format}": draw for name, draw in figures.items()}
    for path, draw in paths.items():
        draw(rows, trials, path, how)
    return list(paths)
