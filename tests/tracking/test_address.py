"""What `tracking.uri` may be: what will not last, or cannot be opened, is refused before anything is trained."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lstm_search.tracking import Tracker, address, check_address

TAKEN = [
    "http://127.0.0.1:5000/0123456789abcdef",
    "https://me:hush@lab.example",
    "sqlite:///relative.db",
    "sqlite:////folder/mlflow.db?timeout=3",
    "postgresql://me@host/runs",
]
REFUSED = {
    "sqlite://": "names no file",
    "sqlite:///": "names no file",
    "sqlite:///:memory:": "names no file",
    "sqlite:///file::memory:?uri=true": "names no file",
    "sqlite:///file:x?mode=memory&uri=true": "names no file",
    "sqlite://host/x.db": "names no file",
    "sqlite+pysqlite:////x.db": "takes a server",
    "mysql+evil://host/runs": "takes a server",
    "postgresql+evil://me:hush@host/runs": "takes a server",
    "/etc/passwd": "takes a server",
    "file:///etc": "takes a server",
    "localhost:5000": "takes a server",
    "": "takes a server",
}


@pytest.mark.parametrize("uri", TAKEN)
def test_an_address_that_mlflow_takes(uri: str) -> None:
    check_address(uri)


@pytest.mark.parametrize("uri", REFUSED)
def test_an_address_that_it_does_not_take(uri: str) -> None:
    with pytest.raises(ValueError, match=f"tracking.uri=.*: {REFUSED[uri]}") as refused:
        check_address(uri)
    assert "hush" not in str(refused.value)


def test_a_database_takes_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match="needs the package psycopg; install 'psycopg"):
        check_address("postgresql://me@host/runs")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("root:x:0:0\n")
    os.mkfifo(tmp_path / "pipe")
    for name, why in {"notes": "no SQLite database", "pipe": "is no file", ".": "is no file"}.items():
        with pytest.raises(ValueError, match=why):
            Tracker(f"sqlite:///{tmp_path}/{name}", tmp_path)
    for name in ("empty", "new"):
        (tmp_path / "empty").touch()
        Tracker(f"sqlite:///{tmp_path}/{name}", tmp_path)
    assert not (tmp_path / "new").exists()
