"""What the faults share: the undisturbed study, and a line for each fault at the end of the run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest
from helpers.faults import ALL, S300, SEED, Held, Line, Study
from helpers.program import ALONE
from helpers.witness import distribution
from pages import ROOT, markdown, renew

TESTS = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tables" / f"faults-{SEED}.md"
"""Where the table is of a run with this seed."""

EMPTY = f"""\
# What came of the faults, with the seed {SEED}
Written by `make test-faults LSTM_SEARCH_SEED={SEED} RENEW=1`. [reliability.md](../reliability.md) says what the columns
mean.

<!-- faults -->
<!-- end -->
"""
BLOCK = re.compile(r"(<!-- faults -->\n)(.*?)(<!-- end -->)", re.DOTALL)
HEAD = ("fault", "times", "trials", "lost", "twice", "trained again", "same hash", "also seen", "tests/faults/")


def row(file: str, line: Line) -> tuple[str, ...]:
    """A line as a row of the table."""
    counts = (line.times, line.trials, line.lost, line.twice, line.again)
    studies = f"{line.equal} of {line.studies}" if line.studies else "-"
    figures = (f"{count:,}" if line.studies or not at else "-" for at, count in enumerate(counts))
    return (line.fault, *figures, studies, line.note or "-", Path(file).name)


def renewed(table: str, rows: Mapping[str, Sequence[str]]) -> str:
    """The table with these rows in place of those of the same faults, further ones last."""
    before = [re.split(r" *\| *", text.strip(" |")) for text in table.splitlines() if text.startswith("|")][2:]
    body = [rows.get(cells[0], cells) for cells in before]
    known = {cells[0] for cells in before}
    return markdown(HEAD, [*body, *(cells for fault, cells in rows.items() if fault not in known)]) + "\n"


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
    """A line for each fault that did no harm; where LSTM_SEARCH_RENEW is set, in docs too, a table for each seed."""
    found = [
        (report.nodeid.partition("::")[0], Line(**value))
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "fault"
    ]
    if not found:
        return
    terminalreporter.section(f"faults, LSTM_SEARCH_SEED={SEED}")
    terminalreporter.line(markdown(HEAD, (row(file, line) for file, line in found)))
    if os.environ.get("LSTM_SEARCH_RENEW") and ALL:
        rows = {line.fault: row(file, line) for file, line in found}
        if not PAGE.exists():
            PAGE.write_text(EMPTY)
        renew(PAGE, BLOCK, lambda block: renewed(block[2], rows))
