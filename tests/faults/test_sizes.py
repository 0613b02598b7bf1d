"""How much memory and time it takes to refuse what is too large, and to plan what is large."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.faults import ALL, Held, Line

pytestmark = pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it; the first is tested in tests/cli too")

GIB = 2**20  # in kilobytes, as the kernel counts


LARGE = {
    "a sweep of 10^12 points, refused": ("training.rate=range(1,1000001) stop.window=range(1,1000001)", 2, 0.3 * GIB),
    "10^5 trials, planned": ("training.rate=range(1,1001) replicates=100 search.max_trials=100000", 0, GIB),
}


MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""The kernel counts what a process was before it became the program, so that it is started from a small one."""


@pytest.mark.parametrize("fault", LARGE)
def test_what_is_large_takes_little_memory(fault: str, tmp_path: Path, held: Held) -> None:
    words, code, most = LARGE[fault]
    command = [sys.executable, "-m", "lstm_search", "plan", "task=adding", *words.split()]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = f"exit {code} after {time.monotonic() - began:.1f} s, {int(done.stdout) / 1024:.0f} MB"
    assert done.returncode == code
    assert int(done.stdout) < most
    assert list(tmp_path.iterdir()) == []
    held(Line(fault, 1, 0, 0, 0, 0, 0, studies=0, note=told), 0)
