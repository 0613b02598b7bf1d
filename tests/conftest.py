"""What several test files share."""

from __future__ import annotations

import hypothesis
import pytest
from helpers.program import QUICK

from lstm_search import config
from lstm_search.spec import TrialSpec
from lstm_search.worker.trial import warm

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
"""How long an example takes says nothing on a machine that does other things."""


@pytest.fixture(scope="session")
def kernels() -> None:
    """The kernels of the quick studies are in the disk cache: no test waits for a compiler, or kills one."""
    rows = config.compose(QUICK.split()).definition.rows
    warm([(TrialSpec(row.cell, 0, 0, 1), 100) for row in rows])
