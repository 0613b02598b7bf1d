"""What is advised works when it is pasted into a shell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.program import NAME
from helpers.small import GRID, Told
from helpers.waiting import PATIENCE

from lstm_search.config import HINTS

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


def pasted(command: str, folder: Path) -> str:
    """What bash prints for the command, which must succeed."""
    program = f'lstm-search() {{ "{sys.executable}" -m lstm_search "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", program], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("text", sorted(set(HINTS.values())))
def test_a_hint_can_be_pasted(text: str, here: Path) -> None:
    command = "lstm-search " + text.rpartition("lstm-search ")[2].replace("NAME", NAME)
    if " ui " in command:
        command += " --help"  # it would serve until it is interrupted
    assert pasted(command, here)


def test_quoted_rows_can_be_pasted(here: Path, told: Told) -> None:
    for row, lines in (("rate=0.5", 3), ("[rate=0.5,rate=1]", 6)):
        word = re.search(r'"rows=.*"', told(f"export study={NAME} rows={row}", code=2))
        assert word
        assert pasted(f"lstm-search export study={NAME} {word[0]}", here).count("\n") == 1 + lines


def test_an_interval_can_be_pasted(here: Path, told: Told) -> None:
    for wrong in ("tag(lin,interval(0.1,1))", "interval(1,0.1)", "interval(0,inf)"):
        message = told(f"plan task=adding search=random training.rate={wrong}", code=2)
        (word,) = re.findall(r"'training.rate=.*?\)+'", message)
        assert pasted(f"lstm-search plan task=adding search=random {word}", here)


def test_the_best_cell_can_be_pasted(empty: Path, told: Told) -> None:
    words = "search=race execute=simulated tracking=none"
    (best,) = re.findall(r"^the best: lstm-search run (.*)$", told(f"run {GRID} {words}"), re.MULTILINE)
    assert "training.rate=" in best
    assert f"| {NAME} | 3 |" in pasted(f"lstm-search plan {best}", empty)
