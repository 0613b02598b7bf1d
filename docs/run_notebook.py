"""Run the notebook of this folder and keep what it prints: `python docs/run_notebook.py`. Progress is left out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")


def executed(path: Path, folder: Path, seconds: int = 1800) -> Any:
    """The notebook with new outputs, run in `folder`. Raises what nbclient raises where a cell fails."""
    book = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat publishes no types for it
    NotebookClient(
        book, timeout=seconds, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return book


def texts(book: Any) -> list[str]:
    """What each code cell prints as text."""
    return [
        "".join(output.get("text") or output["data"].get("text/plain", "") for output in cell.outputs)
        for cell in book.cells
        if cell.cell_type == "code"
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(NOTEBOOK, Path(folder)), NOTEBOOK)  # type: ignore[no-untyped-call]  # likewise
