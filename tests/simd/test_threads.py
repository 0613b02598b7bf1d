"""What a thread keeps close of a lane."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from lstm_search.simd.threads import Rows, close_rows


class Some(NamedTuple):
    W: Rows
    dS: Rows
    z: Rows
    of: tuple[Any, ...]


def rows(first: int, words: int) -> Rows:
    return Rows(first, (words, 1), np.dtype(float), 1)


@pytest.mark.parametrize(
    ("held", "shared", "close"),
    [(0, 0, (0, 0)), (88, 0, (88, 88)), (87, 0, (0, 0)), (96, 50, (88, 138)), (96, 49, (88, 88)), (0, 158, (0, 158))],
)
def test_arrays_are_close_as_a_whole_or_not_at_all(held: int, shared: int, close: tuple[int, int]) -> None:
    assert close_rows(Some(rows(0, 88), rows(88, 50), rows(138, 20), ()), held, shared) == close
