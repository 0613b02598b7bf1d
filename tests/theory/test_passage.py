"""The passage of a 1997 net in NumPy is that of its twin by definition, whatever the readings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from helpers import naive, naive_lstm2000
from helpers.lstm1997_cases import N_INPUTS, N_OUTPUTS, cases, cases_of_readings, name_of
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997, Lstm2000
from lstm_search.theory.passage import Passage, passage_of

STEPS = 7
NETWORKS = {name_of(case).partition("-0-[")[0]: case.network for case in [*cases(), *cases_of_readings()]}
TRUNCATION = pytest.mark.parametrize("truncated", [False, True])


def weights(network: Lstm1997, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Random weights where weights exist, in the order of the twin."""
    rng = np.random.default_rng(seed)
    hidden, output = (rng.normal(0, 0.8, mask.shape) * mask for mask in naive.exists(network, N_INPUTS, N_OUTPUTS))
    return hidden, output


def reordered(network: Lstm1997, hidden: NDArray) -> NDArray:
    """The twin's hidden weights with the column of biases behind the inputs instead of last."""
    parts = np.split(hidden, [N_INPUTS, hidden.shape[1] - naive.has_bias_column(network)], axis=1)
    return np.concatenate([parts[0], parts[2], parts[1]], axis=1)


def both(network: Lstm1997) -> Iterator[tuple[Passage, list[naive.Step]]]:
    """What both say of one sequence of rows and of one of symbols."""
    hidden, output = weights(network)
    rng = np.random.default_rng(1)
    symbols = rng.integers(0, N_INPUTS, STEPS)
    for rows, x in ((np.eye(N_INPUTS)[symbols], symbols), *([rng.normal(0, 1, (STEPS, N_INPUTS))] * 2,)):
        yield passage_of(network, reordered(network, hidden), output, rows), naive.forward(network, hidden, output, x)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_activation_is_that_of_the_twin(network: Lstm1997) -> None:
    for found, expected in both(network):
        for name in ("y_in", "y_out", "g", "s", "h", "y_c", "y_i", "y"):
            wanted = [getattr(step, name) for step in expected]
            np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-12, atol=1e-14, err_msg=name)


LATER = [
    Lstm2000(2, 2, peepholes=True),
    Lstm2000(3, 1, forget="coupled", recurrent="cells", hidden=2),
    Lstm2000(1, 3, forget="none", peepholes=True, output_gates=False, direct=True),
]


@pytest.mark.parametrize("network", LATER)
def test_every_activation_of_a_later_form_is_that_of_its_twin(network: Lstm2000) -> None:
    weights = replace(network, init=1.0).initial(np.uint64(1), N_INPUTS, N_OUTPUTS)
    rows = np.random.default_rng(1).normal(0, 1, (STEPS, N_INPUTS))
    found, expected = passage_of(network, *weights, rows), naive_lstm2000.forward(network, *weights, rows.tolist())
    for name in ("y_in", "y_out", "y_f", "g", "s", "h", "y_c", "y_i", "y"):
        wanted = [getattr(step, name) for step in expected]
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("network", [Lstm1997(hidden=1, direct=True), LATER[0]])
def test_nets_and_sequences_may_be_stacked(network: Lstm1997 | Lstm2000) -> None:
    nets = [network.initial(np.uint64(seed), N_INPUTS, N_OUTPUTS) for seed in range(3)]
    hidden, output = (np.array(each) for each in zip(*nets, strict=True))
    x = np.random.default_rng(1).normal(0, 1, (STEPS, 2, 1, N_INPUTS))
    together = passage_of(network, hidden, output, x)
    assert together.s.shape == (STEPS, 2, 3, network.cells)
    for i in range(2):
        for n in range(3):
            alone = passage_of(network, hidden[n], output[n], x[:, i, 0])
            for found, expected in zip(together, alone, strict=True):
                np.testing.assert_allclose(found[:, i, n], expected, rtol=1e-13, atol=1e-15)


@TRUNCATION
def test_complex_numbers_pass(truncated: bool) -> None:
    network = Lstm1997(hidden=1)
    hidden, output = weights(network)
    x = np.random.default_rng(1).normal(0, 1, (STEPS, N_INPUTS))
    recorded = naive.forward(network, hidden, output, x)
    moved = hidden.astype(complex)
    moved[0, 0] += 1e-30j
    expected = naive.forward(network, moved, output, x, recorded if truncated else None)[-1]
    frozen = np.array([reordered(network, np.array(step.z)[None])[0] for step in recorded]) if truncated else None
    found = passage_of(network, reordered(network, moved), output, x, frozen=frozen)
    np.testing.assert_allclose(found.s[-1].imag / 1e-30, np.imag(expected.s) / 1e-30, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.y[-1].imag / 1e-30, np.imag(expected.y) / 1e-30, rtol=1e-12, atol=1e-15)


def test_net_inputs_far_out_do_not_overflow() -> None:
    network = Lstm1997(blocks=1, size=1, recurrent="none", cell_bias="none", gates_biased=False)
    hidden, output = np.full((3, 1), 1.0), np.zeros((1, 2))
    found = passage_of(network, hidden, output, np.array([[-800.0], [800.0], [-800.0 + 1e-30j]]))
    assert np.isfinite(found.s).all()
    assert found.y_in[:2, 0].tolist() == [0.0, 1.0]
