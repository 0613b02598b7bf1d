"""How long tests wait. A time-out here ends only what hangs; what must be quick is measured by benchmarks/prompt.py."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 1800.0
"""Seconds: many times what anything takes on a machine that is busy with other work. There, a program that finds no
compiled kernel was seen to compile for ten minutes. Less than pytest's own limit for a test (pyproject.toml), so that
what hangs is told in the words of the test."""


PUBLISHED = f"tracking.wait={PATIENCE:.0f}"
"""For studies that MLflow shows: the program waits for a minute, in which a busy machine may not publish all."""


def until(condition: Callable[[], object], *, pause: float = 0.02, told: Callable[[], str] = lambda: "in vain") -> None:
    """Wait for a condition, looking every `pause` seconds; `told` says what is known where it does not come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, told()
        time.sleep(pause)
