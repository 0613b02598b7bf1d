"""One database for all tests of the room, because MLflow takes a second to make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstm_search.tracking import Tracker


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nasty home's %41 folder")


@pytest.fixture(scope="session")
def tracker(home: Path) -> Tracker:
    """One database for all tests, because MLflow takes a second to make it; each test has its own experiment."""
    return Tracker(None, home)
