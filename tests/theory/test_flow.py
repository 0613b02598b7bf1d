"""Errors on their way back: products of Jacobians against derivatives by complex step, and against what the paper says.

The derivative of a net input or output at the last step by a net input at a step before is taken by running the net
once more, with an imaginary nudge there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.lstm1997_cases import READINGS, cases
from numpy.typing import NDArray

from lstm_search.networks import Bptt, Elman, Lstm1997, Lstm2000, Rtrl
from lstm_search.spec import Cell, Stop, Training
from lstm_search.tasks import TemporalOrder
from lstm_search.theory import flow
from lstm_search.theory.passage import Passage, activations, passage_of

LAGS, TINY = 12, 1e-30
NETWORKS = [
    *dict.fromkeys(case.network for case in [*cases()[::3], *READINGS[::3]]),
    Lstm2000(2, 2, hidden=1),
    Lstm2000(1, 3, recurrent="cells", output_gates=False),
    Lstm2000(2, 1, forget="coupled"),
]


def net_of(network: Lstm1997 | Lstm2000, *, steps: int = LAGS + 1) -> tuple[NDArray, NDArray, NDArray]:
    """Weights, large enough that everything matters, and input rows."""
    rng = np.random.default_rng(0)
    hidden, output = replace(network, init=0.9, input_gate_bias=(), output_gate_bias=()).initial(np.uint64(5), 3, 2)
    return hidden, output, rng.normal(0, 1, (steps, 3))


def by_complex_steps(network: Lstm1997 | Lstm2000, seen: Passage, q: int, *, full: bool, net: Any) -> NDArray:
    """Derivatives of all cell outputs [C, U] at the last step by all net inputs q steps before."""
    found = []
    for u in range(network.units):
        nudge = np.zeros(seen.net.shape, complex)
        nudge[-1 - q, u] = TINY * 1j
        moved = passage_of(network, *net, frozen=None if full else seen.z, nudge=nudge)
        found.append(moved.y_c[-1].imag / TINY)
    return np.array(found).T


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("full", [False, True])
def test_a_factor_of_lstm_is_the_largest_derivative(network: Lstm1997 | Lstm2000, full: bool) -> None:
    net = hidden, *_ = net_of(network)
    seen, C = passage_of(network, *net), network.cells
    cells, gates = (flow.lstm(network, hidden, seen, LAGS, full=full, into=into) for into in ("cell", "gate"))
    for q in (1, 2, 7, LAGS):
        expected = np.abs(by_complex_steps(network, seen, q, full=full, net=net))
        assert 10 ** cells[q - 1] == pytest.approx(expected[:, :C].max(), rel=1e-10)
        assert 10 ** gates[q - 1] == pytest.approx(expected[:, C : C + network.blocks].max(), rel=1e-10)


@pytest.mark.parametrize("kind", ["logistic", "tanh"])
def test_a_factor_of_a_conventional_net_is_the_largest_derivative(kind: str) -> None:
    rng = np.random.default_rng(0)
    hidden, x = rng.normal(0, 1, (4, 2 + 1 + 4)), rng.normal(0, 1, (LAGS + 1, 2))
    f = flow.FUNCTIONS[kind]
    y = activations(hidden, x, biased=True, reset=0.5, f=f)
    factors = flow.conventional(hidden[:, 3:], flow.slopes_of(kind, y))
    for q in (1, 5, LAGS):
        t, expected = LAGS - q, []
        for u in range(4):
            source = np.concatenate([x[t], [1.0], y[t - 1] if t else np.full(4, 0.5)])
            nudge = np.eye(4)[u] * TINY * 1j
            moved = f(hidden @ source + nudge)
            for inputs in x[t + 1 :]:
                net = hidden @ np.concatenate([inputs, [1.0], moved])
                moved = f(net)
            expected.append(np.abs(net.imag / TINY).max())
        assert 10 ** factors[q - 1] == pytest.approx(max(expected), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_no_factor_is_above_its_bound(seed: int) -> None:
    curves = [curve for curves in flow.untrained(seed, 200).values() for curve in curves if curve.bound is not None]
    assert len(curves) == 3
    for curve in curves:
        assert curve.bound is not None
        assert (curve.factor <= curve.bound).all()
        assert curve.factor[-1] < curve.factor[0] - 5


def test_the_bound_is_that_of_the_paper() -> None:
    found = flow.bound(n=10, w_max=0.2, steepest=0.25, lags=3)
    assert found is not None
    np.testing.assert_allclose(10**found, [10 * 0.5, 10 * 0.5**2, 10 * 0.5**3], rtol=1e-12)
    assert flow.bound(n=10, w_max=0.4, steepest=0.25, lags=3) is None


def test_the_truncated_flow_of_lstm_does_not_depend_on_the_lag() -> None:
    """What enters at the last step leaves with the slope of the step where it leaves, and is not scaled between."""
    network, steps = Lstm1997(size=1, blocks=1, cell_bias="none", recurrent_to="gates"), 1000
    hidden, output, x = net_of(network, steps=steps + 1)
    seen = passage_of(network, hidden, 0 * output, 0.1 * x)
    enters = seen.y_out[-1, 0] * (1 + seen.h[-1, 0]) * (1 - seen.h[-1, 0]) / 2
    y_in, g = seen.y_in[-2::-1, 0], seen.g[-2::-1, 0]
    leaves = {"cell": y_in * (2 + g) * (2 - g) / 4, "gate": np.abs(g) * y_in * (1 - y_in), "state": 1.0 / enters}
    for into, expected in leaves.items():
        found = flow.lstm(network, hidden, seen, steps, full=False, into=into)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, np.log10(enters) + np.log10(expected), atol=1e-12)


def test_with_the_same_input_at_every_step_it_is_the_same_at_every_lag() -> None:
    network = Lstm1997(recurrent="none")
    hidden, output, x = net_of(network, steps=1001)
    seen = passage_of(network, hidden, output, np.broadcast_to(0.01 * x[0], x.shape))
    found = [
        flow.lstm(network, hidden, seen, 1000, full=full, into=into)
        for full, into in ((False, "cell"), (False, "gate"), (True, "cell"))
    ]
    np.testing.assert_allclose(found, np.broadcast_to(np.array(found)[:, :1], (3, 1000)), atol=1e-12)


def test_within_cells_that_forget_an_error_is_scaled_by_their_gates() -> None:
    network = Lstm2000(size=1, blocks=1)
    net = net_of(network)
    seen = passage_of(network, *net)
    found = flow.lstm(network, net[0], seen, LAGS, full=False, into="state")
    np.testing.assert_allclose(found, np.log10(np.cumprod(seen.y_f[:0:-1, 0])), atol=1e-12)


def test_nets_whose_gates_see_states_are_refused() -> None:
    cell = Cell(TemporalOrder(), Lstm2000(peepholes=True), Training(), (Stop(),))
    with pytest.raises(flow.NoFlow, match=r"network\.peepholes=true: error-flow takes"):
        flow.of_trial(cell, {}, np.eye(8), 1)


def test_the_carrousel_keeps_errors_and_a_steep_unit_blows_them_up() -> None:
    found = {curve.name: curve.factor for curves in flow.untrained(0, 50).values() for curve in curves}
    assert found["naive carrousel"].tolist() == [0.0] * 50
    assert found["LSTM within cells"].tolist() == [0.0] * 50
    steep = found["one unit, w = 5, f' = 1/4"]
    np.testing.assert_allclose(steep, np.arange(1, 51) * np.log10(1.25), rtol=1e-12)


def test_nothing_is_lost_far_below_the_smallest_number() -> None:
    found = flow.conventional(np.array([[0.001]]), np.full((1001, 1), 0.25))
    assert found[-1] == pytest.approx(1000 * np.log10(0.00025), rel=1e-12)
    assert flow.conventional(np.zeros((2, 2)), np.ones((4, 2))).tolist() == [-np.inf] * 3


@pytest.mark.parametrize(
    ("network", "curves"),
    [
        (Lstm1997(), 4),
        (Lstm2000(), 4),
        (Rtrl(hidden=2), 1),
        (Bptt(hidden=3, wiring="layered", bias=True), 1),
        (Elman(), 1),
    ],
)
def test_nets_of_a_trial_have_their_own_curves(network: Any, curves: int) -> None:
    cell = Cell(TemporalOrder(T=10), network, Training(), (Stop(),))
    weights = network.initial(np.uint64(1), 8, 4)
    found = flow.of_trial(cell, {"as it starts": weights}, np.eye(8)[np.arange(11) % 8], 10)
    assert [len(some) for some in found.values()] == [curves]
    assert {len(curve.factor) for curve in found["as it starts"]} == {10}
    assert all(curve.bound is None or (curve.factor <= curve.bound).all() for curve in found["as it starts"])
