"""Workers, nodes and clusters that die or stand still while a study runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.faults import S300, Held, Study, drawn, scaled, workers
from helpers.waiting import until

pytestmark = pytest.mark.usefixtures("kernels", "witness")

LANES = 16
"""What a worker holds at a time, and as many in reserve where trials are short."""


def test_a_random_worker_is_killed_again_and_again(
    tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    trials, kills, apart = scaled(1500, 150), scaled(12, 2), scaled(5, 0)
    random = drawn("workers")
    study = Study(tmp_path, f"{S300} replicates={trials} execute.workers=2 tracking=none", trials)
    killed = 0
    with study.started() as process:
        for n in range(kills):
            until(lambda n=n: study.recorded() > n * trials // (kills + 1) and workers(process))
            victim = random.choice(workers(process))
            os.kill(victim, signal.SIGKILL)
            killed += 1
            time.sleep(apart)
        process.communicate()
    assert process.returncode == 0
    held(study.came_of("SIGKILL of a random worker", killed, undisturbed(trials)), 2 * LANES * killed)
