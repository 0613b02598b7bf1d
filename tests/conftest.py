"""What several test files share."""

from __future__ import annotations

import fcntl
import gc
import os
import shlex
import signal
from pathlib import Path
from subprocess import CompletedProcess

import hypothesis
import pytest
from helpers.program import QUICK, Lstm
from helpers.waiting import PATIENCE

from lstm_search import config
from lstm_search.cli import main
from lstm_search.simd.jit import CACHE_DIR
from lstm_search.spec import TrialSpec
from lstm_search.worker.trial import warm

hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")
"""How long an example takes says nothing on a machine that does other things."""

LIMITS = {
    "RAY_gcs_server_port_wait_time_s": PATIENCE,
    "RAY_health_check_timeout_ms": 1000 * PATIENCE,
    "MLFLOW_HTTP_REQUEST_TIMEOUT": PATIENCE,
}
"""Nor does how long Ray and MLflow take to start and to answer: else they give up after 20 to 60 seconds."""
for name, limit in LIMITS.items():
    os.environ.setdefault(name, str(round(limit)))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    """A script that starts `make test &` has it ignore Ctrl-C, and so would every program that a test interrupts."""


LONGEST = (
    "test_drivers.py",
    "test_study.py",
    "test_pack.py",
    "test_wide.py",
    "test_bounds.py",
    "test_execute.py",
    "test_cli_mlflow.py",
    "test_readme.py",
    "test_workers.py",
    "test_searches.py",
    "test_pack_checks.py",
    "test_wheel.py",
    "test_tracking_faults.py",
    "test_chunker.py",
    "test_plot.py",
    "test_study_search.py",
    "test_recover.py",
    "test_loop.py",
    "test_rivals.py",
    "test_cascade.py",
    "test_lstm1997.py",
    "test_tasks_lags.py",
    "test_jit.py",
    "test_full.py",
    "test_carrousel.py",
    "test_cli.py",
    "test_joint.py",
    "test_contract.py",
    "test_pages.py",
    "test_notebook.py",
)
"""Files that take longest, begun first, so that no process is busy with one of them when the others have ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_collection_finish() -> None:
    """Objects that stay are not looked at again and again, and the others less often: with those of numba, matplotlib
    and the tests themselves in memory, the garbage collector took four fifths of the time of some tests."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(scope="session")
def kernels() -> None:
    """The kernels of the quick studies are in the disk cache: no test waits for a compiler, or kills one."""
    rows = config.compose(QUICK.split()).rows_ahead()
    CACHE_DIR.mkdir(parents=True, exist_ok=True)
    with (CACHE_DIR / "tests.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # one process of the tests compiles them, and the others find them
        warm([(TrialSpec(row.cell, 0, 0, 1), 100) for row in rows])


@pytest.fixture
def lstm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lstm:
    """`helpers.program.lstm`, but in this process: for what does not need a cold start of its own."""

    def run(line: str, folder: Path, *, code: int = 0) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            found, (out, err) = main(shlex.split(line)), capsys.readouterr()
        assert found == code, f"{line}: {found}\n{out}\n{err}"
        assert "Traceback" not in err
        return CompletedProcess(line, found, out, err)

    return run
