"""The disk below a record, below MLflow's file and below the kernel cache gets full while a study runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.faults import ALL, S300, Held, Study
from helpers.program import ALONE
from helpers.shown import runs, shown, study_shown, synced
from helpers.waiting import PATIENCE, PUBLISHED, until

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS = 150
"""So many that MLflow's runs of them find room on the disk."""
LANES = 16


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A disk of 16 MB at `folder`."""
    folder.mkdir(0o700)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk can be made here: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, room: int = 0) -> Path:
    """A file that leaves `room` bytes of the disk."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        while (free := shutil.disk_usage(folder).free - room) > 0:
            with suppress(OSError):  # somebody else took a part of it
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)
    return ballast


@pytest.mark.parametrize("tracking", ["tracking=none", PUBLISHED])
def test_the_disk_of_the_record(tracking: str, tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    study = Study(tmp_path, f"{S300} replicates={TRIALS} execute=inline {tracking}", TRIALS)
    with disk(study.home):
        with study.started() as process:
            until(lambda: study.recorded() > TRIALS // 4)
            ballast, began = fill(study.home), time.monotonic()
            _, err = process.communicate(timeout=PATIENCE)
        took = time.monotonic() - began
        assert process.returncode == 4
        told = err.splitlines()[-1]
        assert "studies/s300.sqlite: database or disk is full; 0 bytes are free in studies" in told
        before = study.recorded()
        ballast.unlink()
        study.finish()
        assert TRIALS // 4 < before < TRIALS
        name = "the record" if tracking == "tracking=none" else "the record and MLflow"
        came = study.came_of(f"16 MB disk under {name} is full", 1, undisturbed(TRIALS))
        held(came.said(f"exit after {took:.1f} s"), 2 * LANES)


def test_the_disk_of_mlflow(tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    place = tmp_path / "mlflow"
    uri = f"sqlite:///{place}/mlflow.db"
    with disk(place):
        study = study_shown(tmp_path, "full", uri, TRIALS, "tracking.wait=5")
        with study.started() as process:
            until(lambda: runs(uri, study.name))
            ballast = fill(place)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 3
        assert re.search(rf"database or disk is full; \d+ bytes are free in {re.escape(str(place))}", err)
        ballast.unlink()
        written = synced(study)
        assert synced(study) == 0
        came = study.came_of("16 MB disk under MLflow is full", 1, undisturbed(TRIALS)).said(f"{written} runs by sync")
        held(shown(study, uri, came), 0)


@pytest.mark.parametrize("room", [0, 2**20 + 2**18], ids=["full", "nearly full"])
def test_the_disk_of_the_kernel_cache(room: int, tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    place = tmp_path / "cache"
    with disk(place):
        few = Study(tmp_path, f"{S300} replicates=3 {ALONE}", 3, {"LSTM_SEARCH_CACHE": str(place)})
        ballast = fill(place, room)
        err = few.finish().stderr
        assert room or f"{place}" in err
        ballast.unlink()
        study = replace(few, line=f"{S300} replicates={TRIALS} {ALONE}", planned=TRIALS)
        study.finish()
        name = "nearly full" if room else "full"
        held(study.came_of(f"16 MB disk under the kernel cache is {name}", 1, undisturbed(TRIALS)), 0)
