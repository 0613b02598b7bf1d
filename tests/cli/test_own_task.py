"""A task from outside on the command line, in the record and in a replay: registered, installed, missing, broken."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers import outside
from helpers.program import ALONE
from helpers.small import Told

from lstm_search.config import compose
from lstm_search.spec import Cell, cell_from_dict
from lstm_search.tasks import UnknownTask, register_task, registered, task_class
from lstm_search.worker import refuse

RUN = f"run task=echo replicates=1 cap=50 study=mine {ALONE}"


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No task from outside is known, and none is afterwards."""
    monkeypatch.setattr(registered, "_REGISTERED", {})
    registered._points.cache_clear()
    yield
    registered._points.cache_clear()
    registered.origin.cache_clear()
    sys.modules.pop("echo_task", None)


@pytest.fixture
def installed(nothing_known: None, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages with a distribution that has the task `echo`; the current folder is another one."""
    del nothing_known
    packages = empty / "packages"
    packages.mkdir()
    outside.distribution(packages)
    monkeypatch.syspath_prepend(packages)
    return packages


def environments(home: Path) -> list[dict[str, str]]:
    with closing(sqlite3.connect(home / "mine.sqlite")) as db:
        return [json.loads(text) for (text,) in db.execute("SELECT description FROM environments")]


@pytest.mark.usefixtures("installed")
def test_an_installed_task_is_trained_recorded_and_replayed(told: Told) -> None:
    assert "1 trials in 1 rows" in told("plan task=echo replicates=1")
    assert "| echo" in told(RUN)
    origins = {about["task echo"] for about in environments(Path("studies"))}
    assert {origin.partition(" (sources ")[0] for origin in origins} == {"lstm-echo 1.2"}
    key = told("export study=mine").splitlines()[1].partition(",")[0]
    assert "the same to the last bit" in told(f"replay {key}")
    assert "task=echo" in told("--help")
    assert "task=echo" in told("completion")


@pytest.mark.usefixtures("installed")
def test_settings_of_an_installed_task_are_axes_and_are_checked(told: Told) -> None:
    assert "volume=2" in told("plan task=echo task.volume=1,2")
    assert "task.volume=loud: takes a number" in told("plan task=echo task.volume=loud", 2)
    assert "task.volum: no such key; nearest: task.volume" in told("plan task=echo task.volum=1", 2)


def test_a_study_whose_task_is_missing_says_what_to_install(
    installed: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(RUN)
    monkeypatch.setattr(registered, "_REGISTERED", {})
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(installed)])
    registered._points.cache_clear()
    for line in ("table study=mine", "run study=mine", "export study=mine", "status", "verify study=mine"):
        said = told(line, 2)
        assert "task=echo: study mine has it from lstm-echo 1.2 (sources " in said
        assert "which is not here; install that distribution" in said
        assert said.count("\n") == 1
    before = Path("studies/mine.sqlite").read_bytes()
    assert "which is not here; install that distribution" in told("recover study=mine", 2)
    assert Path("studies/mine.sqlite").read_bytes() == before, "its trials are no damage"


def test_a_distribution_that_cannot_be_imported_is_named(installed: Path, told: Told) -> None:
    (installed / "echo_task.py").write_text("import nothing_of_that_name\n")
    said = told(RUN, 2)
    assert "task=echo: lstm-echo 1.2 cannot be imported (ModuleNotFoundError: No module named" in said
    assert "task=echo" in told("--help"), "one distribution that is broken breaks nothing else"
    assert not Path("studies").exists()


def test_a_task_that_breaks_the_contract_is_refused_before_anything_is_written(installed: Path, told: Told) -> None:
    with (installed / "echo_task.py").open("a") as file:
        file.write("from helpers.outside import _unset\nEcho.fill = staticmethod(_unset)\n")
    assert "task echo breaks the contract of tasks: fill: leaves inputs" in told(RUN, 2)
    assert not Path("studies").exists()


def test_two_distributions_with_one_name_are_refused(installed: Path, told: Told) -> None:
    outside.distribution(installed, name="other-echo")
    assert "task=echo: lstm-echo 1.2 and other-echo 1.2 bring it both" in told(RUN, 2)


def test_an_entry_point_that_is_no_task_is_refused(installed: Path, told: Told) -> None:
    (installed / "echo_task.py").write_text("from helpers.outside import *\nEcho = 1\n")
    assert "task=echo: echo_task:Echo of lstm-echo 1.2 is no class" in told(RUN, 2)


@pytest.mark.usefixtures("nothing_known", "empty")
def test_a_registered_task_is_known_by_its_name(told: Told) -> None:
    with pytest.raises(UnknownTask, match="task=echo: no such task here; install the distribution that brings it"):
        task_class("echo")
    register_task(outside.Echo)
    assert task_class("echo") is outside.Echo
    told(RUN)
    assert environments(Path("studies"))[-1]["task echo"].startswith("module helpers.outside (sources ")


def test_the_name_of_settings_in_machine_code_changes_with_the_sources(installed: Path) -> None:
    from lstm_search.simd import type_name
    from lstm_search.tasks import Adding

    before = type_name(task_class("echo"))
    assert type_name(Adding) == "Adding", "machine code of our own tasks is known by all our sources"
    with (installed / "echo_task.py").open("a") as file:
        file.write("# edited\n")
    sys.modules.pop("echo_task")
    registered._REGISTERED.clear()
    assert type_name(task_class("echo")) != before


@pytest.mark.usefixtures("installed")
def test_a_cell_of_a_task_from_outside_comes_back_from_its_description() -> None:
    (row,) = compose(["task=echo", "task.volume=3"]).definition.rows
    assert cell_from_dict(json.loads(json.dumps(row.cell.as_dict()))) == row.cell


@pytest.mark.usefixtures("nothing_known")
def test_a_gpu_takes_no_task_from_outside() -> None:
    register_task(outside.Echo)
    (row,) = compose(["task=echo"]).definition.rows
    cell: Cell = row.cell
    with pytest.raises(ValueError, match="task=echo: a task from outside was not shown to have the same bits there"):
        refuse([cell])


def test_a_task_is_checked_with_the_values_of_axes_before_anything_is_written(installed: Path, told: Told) -> None:
    with (installed / "echo_task.py").open("a") as file:
        file.write("Echo.length = property(lambda self: 5 if self.volume < 2 else 9)\n")
    said = told(f"{RUN} task.volume=1,2", 2)
    assert "task echo breaks the contract of tasks: length: is 9" in said
    assert not Path("studies").exists()


@pytest.mark.parametrize("name", ["adding", "temporal_order_6a", "temporal_order"])
@pytest.mark.usefixtures("nothing_known", "empty")
def test_a_distribution_with_the_name_of_a_task_of_the_program_is_refused(
    name: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = Path("packages")
    packages.mkdir()
    outside.distribution(packages, named=name)
    monkeypatch.syspath_prepend(packages.absolute())
    said = told(f"run task={name} {ALONE}", 2)
    assert f"task={name}: the program has a task of that name, and lstm-echo 1.2 brings another one" in said
    assert told("plan table=4"), "a row of a table means the program's"
    assert not Path("studies").exists()
