"""What the tests of the command line share."""

from __future__ import annotations

import io
import shutil
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from helpers.small import GRID, Told
from helpers.waiting import PUBLISHED

from lstm_search import study
from lstm_search.cli import dispatch as cli


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory, kernels: None) -> Path:
    """A folder with a study of two rows and three replicates in its home, shown in MLflow; not to be changed."""
    del kernels
    folder = tmp_path_factory.mktemp("shown")
    shown = {}
    for verb, words in (("run", f"execute=inline {PUBLISHED}"), ("table", "")):
        out, err = io.StringIO(), io.StringIO()
        with chdir(folder), redirect_stdout(out), redirect_stderr(err):
            assert cli.main([verb, *GRID.split(), *words.split()]) == 0, err.getvalue()
        shown[verb] = out.getvalue()
        assert verb == "table" or "lstm-search ui study=temporal_order_6a" in err.getvalue()
    assert shown["run"] == shown["table"]
    return folder


@pytest.fixture
def copied(shown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of such a study, in the current folder, to be changed."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(shown / "studies", tmp_path / "studies"))


@pytest.fixture
def here(shown: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the study, as the current one."""
    monkeypatch.chdir(shown)
    return shown


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """What `lstm-search LINE` prints, in this process, and that it ends with `code`."""

    def tell(line: str, code: int = 0) -> str:
        capsys.readouterr()
        found, (out, err) = cli.main(line.split()), capsys.readouterr()
        assert found == code, err
        if code == 2:
            assert out == "", "a refusal is no result"
        return out if code in (0, 7) else err

    return tell


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake that has become legal fails its test here, instead of training for minutes."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a study was started")

    monkeypatch.setattr(study, "run", start)
