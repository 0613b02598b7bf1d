"""What is measured of nets as they learn: what cells send to outputs, in parts, and how flat wrong outputs are."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, Stop, Training
from lstm_search.tasks import LongLag
from lstm_search.theory import Example, passage_of

LEARNING = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "learning.py"))
CELL = Cell(LongLag(p=4), Lstm1997(2, 2, direct=True), Training(), (Stop(),))


def _net() -> tuple[np.ndarray, np.ndarray]:
    hidden, output = CELL.network.initial(np.uint64(7), 5, 5)
    return hidden * 8, output * 8


def test_what_cells_send_is_what_outputs_see_beside_inputs_and_bias() -> None:
    x, (hidden, output) = np.eye(5)[[3, 0, 1, 2, 3]], _net()
    y = passage_of(CELL.network, hidden, output, x).y
    others = x @ output[:, :5].T + output[:, -1]
    np.testing.assert_allclose(LEARNING["sent"](CELL, (hidden, output), x), np.log(y / (1 - y)) - others, atol=1e-9)


def test_parts_of_what_cells_send_make_up_the_whole() -> None:
    net, x = _net(), np.eye(5)[[[3, 0, 1, 2, 3], [4, 0, 1, 2, 4]]]
    whole = np.array([LEARNING["sent"](CELL, net, one) for one in x])
    for parts in (LEARNING["of_two_classes"](CELL, net), LEARNING["of_all_steps"](CELL, net, x)):
        assert np.hypot(*parts) == pytest.approx(np.sqrt(np.mean(whole**2)))


def test_the_flattest_output_is_the_least_of_those_that_should_be_one() -> None:
    x, net = np.eye(5)[[3, 0, 1, 2, 3]], _net()
    target = np.vstack([x[1:], np.full(5, np.nan)])
    y = passage_of(CELL.network, *net, x).y
    least = min(*y[[0, 1, 2, 3], [0, 1, 2, 3]], 0.5)
    assert LEARNING["flattest"](CELL, net, [Example(x, target)]) == pytest.approx(least * (1 - least))
