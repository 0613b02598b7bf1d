"""The weights of the 1997 net: as many as printed, drawn for the replicate, and where settings put them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import naive
from helpers.lstm1997_cases import CASES, N_INPUTS, N_OUTPUTS, Case, name_of
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997
from lstm_search.simd.draws import WEIGHTS, stream_key

Weights = tuple[NDArray, NDArray]

UNBIASED = {"cell_bias": "none", "output_bias": False}
NO_BIAS = {"gates_biased": False, **UNBIASED}
PRINTED_COUNTS = [  # tables 1, 3, 5, 7 and 9 of the paper
    (264, Lstm1997(4, 1, **UNBIASED), 7, 7),
    (276, Lstm1997(3, 2, **UNBIASED), 7, 7),
    (364, Lstm1997(2, 1, **NO_BIAS), 50 + 4, 2),
    (664, Lstm1997(2, 1, **NO_BIAS), 100 + 4, 2),
    (1264, Lstm1997(2, 1, **NO_BIAS), 200 + 4, 2),
    (3064, Lstm1997(2, 1, **NO_BIAS), 500 + 4, 2),
    (6064, Lstm1997(2, 1, **NO_BIAS), 1000 + 4, 2),
    (10504, Lstm1997(1, 1, recurrent="none", output_gates=False, direct=True, **NO_BIAS), 101, 101),
    (102, Lstm1997(3, 1, output_bias=False), 1, 1),
    (93, Lstm1997(2, 2), 2, 1),
    (156, Lstm1997(2, 2), 8, 4),
    (308, Lstm1997(3, 2), 8, 8),
]


@pytest.mark.parametrize(("printed", "network", "n_inputs", "n_outputs"), PRINTED_COUNTS)
def test_the_weights_are_as_many_as_printed(printed: int, network: Lstm1997, n_inputs: int, n_outputs: int) -> None:
    assert network.n_weights(n_inputs, n_outputs) == printed
    hidden, output = network.initial(stream_key(0, 0, WEIGHTS), n_inputs, n_outputs)
    assert np.count_nonzero(hidden) + np.count_nonzero(output) == printed


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_number_of_weights_is_that_of_the_twin(case: Case) -> None:
    expected = sum(mask.sum() for mask in naive.exists(case.network, N_INPUTS, N_OUTPUTS))
    assert case.network.n_weights(N_INPUTS, N_OUTPUTS) == expected


def initial(network: Lstm1997, replicate: int = 0, n_inputs: int = 8, n_outputs: int = 4) -> Weights:
    return network.initial(stream_key(1997, replicate, WEIGHTS), n_inputs, n_outputs)


def test_initial_weights_fill_their_range() -> None:
    weights = np.concatenate([np.ravel(array) for r in range(20) for array in initial(Lstm1997(init=0.2), r)])
    assert len(weights) == 20 * 156
    assert -0.2 <= weights.min() < -0.198
    assert 0.198 < weights.max() < 0.2
    assert abs(weights.mean()) < 5 * 0.2 / np.sqrt(3 * len(weights))


def test_initial_weights_belong_to_the_replicate() -> None:
    (hidden, output), (again, _), (other, _) = initial(Lstm1997()), initial(Lstm1997()), initial(Lstm1997(), 1)
    np.testing.assert_array_equal(hidden, again)
    assert (hidden != other).all()
    assert len(np.unique(np.concatenate([hidden.ravel(), output.ravel()]))) == 156


GATES = {"input_gate_bias": (-2.0, -4.0), "output_gate_bias": (-1.0, -3.0)}


def test_stated_gate_biases_replace_the_random_ones_or_are_added() -> None:
    plain, _ = initial(Lstm1997())
    replaced, _ = initial(Lstm1997(**GATES))
    added, _ = initial(Lstm1997(**GATES, gate_bias="adds"))
    stated = np.zeros_like(plain)
    stated[4:, 8] = (-2, -4, -1, -3)
    np.testing.assert_array_equal(replaced, np.where(stated, stated, plain))
    np.testing.assert_array_equal(added, plain + stated)


def test_a_gate_bias_that_is_not_stated_stays_random() -> None:
    plain, _ = initial(Lstm1997())
    found, _ = initial(Lstm1997(input_gate_bias=GATES["input_gate_bias"]))
    np.testing.assert_array_equal(found[6:], plain[6:])
    assert found[4:6, 8].tolist() == [-2, -4]


def test_zeros_stand_where_they_are_asked_for() -> None:
    plain, _ = initial(Lstm1997())
    recurrent, _ = initial(Lstm1997(recurrent_init="zero"))
    assert not recurrent[:, 9:].any()
    np.testing.assert_array_equal(recurrent[:, :9], plain[:, :9])
    for cell_bias in ("zero", "none"):
        cells, _ = initial(Lstm1997(cell_bias=cell_bias))
        assert not cells[:4, 8].any()
        assert np.count_nonzero(cells) == cells.size - 4


def test_conventional_units_come_last_among_units_and_before_the_bias_of_outputs() -> None:
    network = Lstm1997(hidden=3, input_gate_bias=(-2.0, -4.0), output_gate_bias=(-1.0, -3.0))
    hidden, output = initial(network)
    assert hidden.shape == (11, 8 + 1 + 11)
    assert output.shape == (4, 4 + 3 + 1)
    assert hidden[4:8, 8].tolist() == [-2, -4, -1, -3]
    assert np.abs(hidden[8:]).max() <= network.init
    assert np.count_nonzero(hidden) + np.count_nonzero(output) == network.n_weights(8, 4) == 11 * 20 + 4 * 8
    unbiased, _ = initial(replace(network, gates_biased=False, input_gate_bias=(), output_gate_bias=()))
    assert not unbiased[4:, 8].any()


@pytest.mark.parametrize(("fed", "more"), [("all", 8), ("cells", 4), ("none", 0)])
def test_where_gates_alone_are_fed_cells_have_no_recurrent_weights(fed: Any, more: int) -> None:
    network = Lstm1997(recurrent=fed, recurrent_to="gates")
    hidden, output = initial(network)
    plain, _ = initial(replace(network, recurrent_to="all"))
    assert not hidden[:4, 9:].any()
    np.testing.assert_array_equal(hidden[:, :9], plain[:, :9])
    np.testing.assert_array_equal(hidden[4:], plain[4:])
    assert np.count_nonzero(hidden) + np.count_nonzero(output) == network.n_weights(8, 4) == 8 * 9 + 4 * more + 20


def test_the_same_replicate_has_the_same_weights_in_every_cell_of_a_shape() -> None:
    """Cells are compared in pairs: what is configured otherwise differs, and nothing else."""
    plain, output = initial(Lstm1997())
    for options in (GATES, {"g": "logistic"}, {"output": "linear"}, {"reset": 0.5}, {"cell_bias": "zero"}):
        hidden, other_output = initial(Lstm1997(**options))
        np.testing.assert_array_equal(other_output, output)
        np.testing.assert_array_equal(np.delete(hidden, 8, axis=1), np.delete(plain, 8, axis=1))
    wide, wide_output = initial(Lstm1997(init=0.2))
    np.testing.assert_allclose(wide, 2 * plain, rtol=1e-15)
    np.testing.assert_allclose(wide_output, 2 * output, rtol=1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "network.blocks=0: takes a whole number from 1 to 64"),
        ({"init": float("nan")}, "network.init=nan: takes a finite number"),
        ({"reset": 0.25}, "network.reset=0.25: takes 0.0 or 0.5"),
        ({"recurrent": "gates"}, "network.recurrent=gates: takes one of all, cells, none"),
        ({"input_gate_bias": (-1.0,)}, "takes one number a block"),
        ({"output_gate_bias": (-1.0, -2.0), "gates_biased": False}, r"takes \[\] where network.gates_biased=false"),
        ({"blocks": 64, "size": 64}, "network.size=64: takes up to 512 gates and cells, not 4224"),
        ({"blocks": 64, "size": 6, "hidden": 1}, "network.hidden=1: takes up to 512 hidden units, not 513"),
        ({"hidden": 65}, "network.hidden=65: takes a whole number from 0 to 64"),
        (
            {"hidden": 2, "growth": "plateau"},
            "takes network.hidden=0 where units join in later, or network.growth=none",
        ),
        ({"g": "double"}, "network.g=double: takes one of bipolar, logistic, half"),
        ({"h": "half"}, "network.h=half: takes one of bipolar, identity, double"),
        ({"recurrent_to": "cells"}, "network.recurrent_to=cells: takes one of all, gates"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lstm1997(**options)
