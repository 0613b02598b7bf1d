"""The notebook of the documentation runs, and prints what it shows."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from run_notebook import NOTEBOOK, executed, texts


@pytest.mark.timeout(3600)  # of hangs
def test_the_notebook_runs_and_prints_what_it_shows(
    tmp_path: Path, kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kernels
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    found = texts(executed(NOTEBOOK, tmp_path))
    assert found == texts(nbformat.read(NOTEBOOK, as_version=4))


def test_the_notebook_is_small_and_has_its_outputs() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert NOTEBOOK.stat().st_size < 150_000
    assert all(cell.outputs for cell in book.cells if cell.cell_type == "code")
