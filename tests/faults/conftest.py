"""What the faults share: the undisturbed study, and a line for each fault at the end of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
from helpers.faults import S300, SEED, Held, Line, Study
from helpers.program import ALONE
from helpers.witness import distribution

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The watched task is installed for every process that is started."""
    site = tmp_path_factory.mktemp("site")
    distribution(site)
    with pytest.MonkeyPatch.context() as patch:
        given = os.environ.get("PYTHONPATH", "")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(TESTS), str(TESTS.parent), given]).rstrip(":"))
        yield


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, witness: None) -> Callable[..., str]:
    """The hash of a study in which nothing goes wrong, trained in one process, once for each number of trials."""
    del witness

    @cache
    def trained(replicates: int, line: str = S300, name: str = "s300") -> str:
        folder = tmp_path_factory.mktemp("undisturbed")
        study = Study(folder, f"{line} replicates={replicates} {ALONE}", replicates, name=name)
        study.finish()
        assert (study.lost(), study.twice(), study.again()) == (0, 0, 0)
        return study.hash()

    return trained


@pytest.fixture
def held(record_property: Callable[[str, object], None]) -> Held:
    """Write down what came of a fault, then hold it against what is promised: nothing lost, nothing twice, the same
    hash; and not more trials trained again than `at_most`."""

    def hold(line: Line, at_most: int) -> None:
        record_property("fault", asdict(line))
        assert (line.lost, line.twice, line.equal) == (0, 0, line.studies), line
        assert line.again <= at_most, line

    return hold


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each fault."""
    reports = [report for key in ("passed", "failed") for report in terminalreporter.getreports(key)]
    found = [value for report in reports for name, value in report.user_properties if name == "fault"]
    if not found:
        return
    terminalreporter.section(f"faults, LSTM_SEARCH_SEED={SEED}")
    terminalreporter.line(f"{'fault':<64} {'times':>6} {'trials':>6} {'lost':>5} {'twice':>5} {'again':>5}  hash")
    for line in (Line(**value) for value in found):
        figures = f"{line.times:>6} {line.trials:>6} {line.lost:>5} {line.twice:>5} {line.again:>5}"
        terminalreporter.line(f"{line.fault:<64} {figures}  {line.equal} of {line.studies} equal  {line.note}".rstrip())
