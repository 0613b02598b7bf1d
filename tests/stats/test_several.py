"""P-values that are adjusted for each other."""

from __future__ import annotations

import pytest

from lstm_search import stats


def test_holm_multiplies_by_the_tests_that_are_left_and_never_falls() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert stats.holm([]) == []
