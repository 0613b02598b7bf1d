"""What is to be seen in sequences: marks and classes, and the mean states of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997
from lstm_search.tasks import Adding, EmbeddedReber, LongLag, TemporalOrder, TwoSequence, VeryLongLag
from lstm_search.theory import Example, affordable, by_class, class_names, marks, passage_of

PAIRS = np.array([[0.5, -1.0], [0.25, 1.0], [-0.5, 0.0], [-0.75, 1.0], [0.1, -1.0]])


def rows(*symbols: int, inputs: int) -> NDArray[np.float64]:
    return np.eye(inputs)[list(symbols)]


@pytest.mark.parametrize(
    ("task", "x", "expected"),
    [
        (Adding(T=11), PAIRS, {1: "0.25", 3: "-0.75"}),
        (TemporalOrder(T=10), rows(0, 2, 6, 3, 7, 1, inputs=8), {2: "X", 4: "Y"}),
        (VeryLongLag(p=3, q=2), rows(4, 6, 0, 2, 3, inputs=7), {1: "y", 4: "e"}),
        (LongLag(p=4), rows(3, 0, 1, 2, inputs=5), {0: "x"}),
        (TwoSequence(T=5), np.array([[1.0], [1.0], [1.0], [0.2], [0.1]]), {0: "+1", 1: "+1", 2: "+1"}),
        (EmbeddedReber(), rows(0, 1, 6, inputs=7), {0: "B", 1: "T", 2: "E"}),
        ("a task from outside", PAIRS, {}),
    ],
)
def test_what_matters_is_marked(task: Any, x: NDArray[np.float64], expected: dict[int, str]) -> None:
    assert marks(task, Example(x, np.full((len(x), 1), np.nan))) == expected


def test_classes_have_names_where_sequences_are_classified() -> None:
    assert class_names(TemporalOrder(marks=3))[:3] == ["XXX", "XXY", "XYX"]
    assert class_names(VeryLongLag()) == ["x", "y"]
    assert class_names(TwoSequence()) == ["0", "1"]
    assert class_names(Adding()) == class_names(EmbeddedReber()) == []


def test_sequences_are_as_many_as_memory_has_room_for() -> None:
    assert affordable(TemporalOrder(), 256) == 256
    assert 10 < affordable(VeryLongLag(p=1000, q=1000), 256) < 50
    assert affordable(VeryLongLag(p=10_000, q=100_000), 1) == 0


def test_mean_states_of_classes_are_means_of_states() -> None:
    network, rng = Lstm1997(), np.random.default_rng(0)
    weights = network.initial(np.uint64(1), 3, 2)
    some = [Example(rng.normal(0, 1, (steps, 3)), np.eye(2)[[k]]) for steps, k in ((5, 0), (4, 1), (6, 1))]
    found = by_class(network, weights, some, 3)
    s = [passage_of(network, *weights, one.x).s for one in some]
    assert found.shape == (5, 3, network.cells)
    np.testing.assert_allclose(found[:4, 0], s[0][:4])
    np.testing.assert_allclose(found[:4, 1], (s[1][:4] + s[2][:4]) / 2)
    np.testing.assert_allclose(found[-1, 1], (s[1][-1] + s[2][-1]) / 2)
    assert np.isnan(found[:, 2]).all()
