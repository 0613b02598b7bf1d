"""Recurrent cascade-correlation against complex steps, a twin by definition, and in lanes of any number."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from helpers import naive_cascade
from helpers.naive_cascade import Twin, covariances, derivative, score, squares
from helpers.nets import RANKED, STOP, I, K, Sequences, blocks_of, random_sequences, results
from hypothesis import given
from hypothesis import strategies as st

from lstm_search.networks import NETWORKS, Cascade, Signal
from lstm_search.networks.cascade_kernel import OUTPUTS, POOL
from lstm_search.networks.cascade_kernel import quickprop as piece
from lstm_search.simd.draws import WEIGHTS, stream_key
from lstm_search.simd.lanes import lanes_tag
from lstm_search.simd.stopping import LEARNING, new_stop_state
from lstm_search.spec import Cell, Training, TrialSpec, cell_from_dict
from lstm_search.tasks import Adding, EmbeddedReber, LongLag

RATE = 0.7
SMALL = Cascade(hidden=3, pool=3, epoch=4, pool_rate=0.5, mu=1.75, patience=2, longest=6)
SYMBOLS = pytest.mark.parametrize("symbols", [False, True])


@numba.njit
def quickprop(push: float, before: float, step: float, rate: float, mu: float) -> float:
    """A piece is called by compiled code only."""
    return piece(push, before, step, rate, mu)


class Net:
    """Nets side by side, through any sequences."""

    def __init__(self, network: Cascade, seeds: list[int], *, symbols: bool, signals: Sequence[Signal] = ()) -> None:
        self.network, self.symbols, width = network, symbols, len(seeds)
        self.tag, self.variant = lanes_tag(width), network.variant(I, symbols=symbols, sums=True)
        self.state, self.stop = network.kernels.new_state(width, self.variant, K), new_stop_state(width, 1)
        for l, seed in enumerate(seeds):
            signal = signals[l] if signals else Signal(RATE)
            weights = network.initial(stream_key(seed, 0, WEIGHTS), I, K)
            network.kernels.put(self.state, self.variant, l, network, weights, signal)
        self.stop.masks[:] = (1 << width) - 1
        self.stop.limit[:] = self.stop.max_wrong[:] = 10**9

    def with_units(self, units: int) -> None:
        """As if so many units had joined lane 0, outputs listening to them."""
        rng = np.random.default_rng(1)
        self.state.units[0] = units
        for i in range(units):
            self.state.W[0, i, : I + 2 + i] = rng.normal(0, 1, I + 2 + i)
        self.state.V[0, : I + 1 + units] = rng.normal(0, 1, (I + 1 + units, K))

    def train(self, lanes: list[Sequences]) -> None:
        width = len(lanes)
        self.network.kernels.restart(self.tag, self.variant, self.state, (1 << width) - 1)
        for block in blocks_of(lanes, symbols=self.symbols):
            self.network.kernels.advance(self.tag, self.variant, self.state, block, self.stop)

    def weights(self, l: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return self.network.kernels.weights(self.state, self.variant, l)

    def units(self) -> list[np.ndarray]:
        return [unit[: I + 2 + i] for i, unit in enumerate(self.weights()[0])]


@SYMBOLS
@pytest.mark.parametrize("units", [0, 2])
def test_a_candidates_first_step_is_its_rate_times_the_derivative_of_its_score(units: int, *, symbols: bool) -> None:
    net, epoch = Net(SMALL, [1], symbols=symbols), random_sequences(2, 4, symbols=symbols)
    net.with_units(units)
    net.state.phase[:] = POOL
    before, known, output = net.state.pools[0, units].copy(), net.units(), net.weights()[1]
    net.train([epoch])
    for candidate, after in zip(before, net.state.pools[0, units], strict=True):
        own = candidate[: I + 2 + units]
        pushes = derivative(own, lambda w: score(covariances(known, output, w, epoch, I)))
        assert abs(pushes[-1]) > 1e-4
        np.testing.assert_allclose(after[: len(own)], own + SMALL.pool_rate * pushes, rtol=1e-12, atol=1e-14)
        assert not after[len(own) :].any()


@SYMBOLS
@pytest.mark.parametrize("units", [0, 2])
def test_the_outputs_first_step_is_rate_times_the_mean_gradient(units: int, *, symbols: bool) -> None:
    net, epoch = Net(SMALL, [1], symbols=symbols), random_sequences(2, 4, symbols=symbols)
    net.with_units(units)
    known, output = net.units(), net.weights()[1]
    net.train([epoch])
    gradient = derivative(output, lambda w: squares(known, w, epoch, I) / 2)
    steps = sum(len(targets) for _, targets in epoch)
    assert np.abs(gradient).min() > 1e-4
    np.testing.assert_allclose(net.weights()[1], output - RATE * gradient / steps, rtol=1e-12, atol=1e-14)


numbers = st.floats(-100, 100).map(lambda x: round(x, 3))


@given(curvature=st.floats(0.01, 10), top=numbers, before=numbers, now=numbers)
def test_quickprop_reaches_the_summit_of_a_parabola_from_beyond_it(
    curvature: float, top: float, before: float, now: float
) -> None:
    """Of -curvature (w - top)^2 / 2, once the last step has passed the summit."""
    pushes = [-curvature * (w - top) for w in (now, before)]
    if (before - top) * (now - top) < 0:
        step = quickprop(*pushes, now - before, 0.5, 2.0)
        assert now + step == pytest.approx(top, abs=1e-9)


def test_quickprop_goes_no_further_than_mu_and_begins_with_the_gradient() -> None:
    assert quickprop(3.0, 0.0, 0.0, 0.5, 2.0) == 1.5
    assert quickprop(1.0, 1.0, 0.25, 0.5, 2.0) == 0.5 + 2.0 * 0.25  # a plain slope: as far as allowed
    assert quickprop(-1.0, -1.0, -0.25, 0.5, 2.0) == -0.5 - 2.0 * 0.25
    assert quickprop(1.0, 4.0, 0.3, 0.5, 2.0) == pytest.approx(0.5 + 0.1)  # the summit is a third of a step ahead
    assert quickprop(-1.0, -1.0, 0.25, 0.5, 2.0) == -2.0 * 0.25  # downhill, and no summit: back


@given(push=numbers, before=numbers, step=numbers)
def test_quickprop_is_as_published(push: float, before: float, step: float) -> None:
    expected = naive_cascade.quickprop(push, before, step, 0.3, 1.75)
    assert quickprop(push, before, step, 0.3, 1.75) == pytest.approx(expected, rel=1e-12, abs=1e-12)


PLAIN = Signal(RATE)
SIGNALS = pytest.mark.parametrize(
    "signal", [PLAIN, Signal(RATE, margin=0.2), Signal(RATE, constant=0.1), Signal(0.2, 0.1, 0.0, 1.0)], ids=str
)


@SYMBOLS
@SIGNALS
def test_a_net_grows_as_its_twin_does(signal: Signal, *, symbols: bool) -> None:
    """Pools are trained by the errors themselves, whatever the outputs are told."""
    net = Net(SMALL, [3], symbols=symbols, signals=[signal])
    epoch = random_sequences(5, SMALL.epoch, symbols=symbols)
    hidden, output = SMALL.initial(stream_key(3, 0, WEIGHTS), I, K)
    pools = hidden.reshape(SMALL.hidden, SMALL.pool, -1)
    first = [[candidate[: I + 2 + i] for candidate in pool] for i, pool in enumerate(pools)]
    twin = Twin(SMALL, I, output, first, signal)
    phases = set()
    for _ in range(70):
        net.train([epoch])
        twin.learn(epoch)
        phases.add((len(twin.units), POOL if twin.pool else OUTPUTS))
        assert (int(net.state.units[0, 0]), int(net.state.phase[0, 0])) == (
            len(twin.units),
            POOL if twin.pool else OUTPUTS,
        )
        np.testing.assert_allclose(net.weights()[1], twin.output, rtol=1e-10, atol=1e-10)
        for unit, expected in zip(net.units(), twin.units, strict=True):
            np.testing.assert_allclose(unit, expected, rtol=1e-10, atol=1e-10)
    assert len(phases) == 7  # outputs and pool for each of three units, and outputs again and again


def test_units_that_have_joined_stay_as_they_are() -> None:
    net, epoch = Net(SMALL, [3], symbols=False), random_sequences(5, SMALL.epoch, symbols=False)
    seen: list[np.ndarray] = []
    for _ in range(60):
        net.train([epoch])
        units = net.units()
        assert [unit.tobytes() for unit in units[: len(seen)]] == [unit.tobytes() for unit in seen]
        seen = units
    assert len(seen) == SMALL.hidden
    last = net.weights()[1]
    net.train([epoch])
    assert (net.weights()[1] != last).all()  # outputs go on


@SYMBOLS
def test_a_lane_gives_the_same_bits_at_every_width(*, symbols: bool) -> None:
    lanes = [random_sequences(seed, 200, symbols=symbols) for seed in range(8)]
    nets = [Net(SMALL, list(range(width)), symbols=symbols) for width in (1, 4, 8)]
    for net in nets:
        net.train(lanes[: len(net.tag)])
    for net in nets[:2]:
        for l in range(len(net.tag)):
            assert [a.tobytes() for a in net.weights(l)] == [a.tobytes() for a in nets[2].weights(l)]
    assert len({net.weights(l)[1].tobytes() for net in nets[2:] for l in range(8)}) == 8


def test_a_test_in_the_middle_of_an_epoch_leaves_no_trace() -> None:
    epoch, other = (random_sequences(seed, SMALL.epoch, symbols=False) for seed in (5, 6))
    nets = [Net(SMALL, [3], symbols=False) for _ in range(2)]
    for _ in range(20):
        nets[0].train([epoch])
        nets[1].train([epoch[:3]])
        nets[1].stop.masks[LEARNING] = 0
        nets[1].train([other])
        nets[1].stop.masks[:] = 1
        nets[1].train([epoch[3:]])
    assert len(nets[0].units()) > 0
    assert [a.tobytes() for a in nets[0].weights()] == [a.tobytes() for a in nets[1].weights()]


QUICK = Cascade(hidden=4, pool=4, epoch=16, patience=2)
CELLS = [
    Cell(EmbeddedReber(), QUICK, Training(1.0), (RANKED,)),
    Cell(LongLag(4), QUICK, Training(1.0), (STOP,)),
    Cell(Adding(20), QUICK, Training(1.0), (STOP,)),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.task.name)
def test_a_trial_is_the_same_bits_in_packs_of_four_and_eight(cell: Cell) -> None:
    few, many = results(cell, 4, range(12)), results(cell, 8, range(12))
    for one, other in zip(few, many, strict=True):
        assert replace(one, seconds=0, host="") == replace(other, seconds=0, host="")
    assert len({result.weights_sha256 for result in few}) == 12
    assert cell_from_dict(cell.as_dict()).digest == cell.digest


def test_the_weights_are_those_of_a_net_that_has_grown() -> None:
    network = replace(SMALL, hidden=7)
    net = Net(network, [1], symbols=False)
    net.with_units(7)
    assert network.n_weights(I, K) == sum(np.count_nonzero(array) for array in net.weights())
    assert Cascade(hidden=7).n_weights(7, 7) == 84 + 105


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 0}, "network.pool=0: takes a whole number from 1 to 64"),
        ({"pool": -8}, "network.pool=-8: takes a whole number from 1 to 64"),
        ({"hidden": 65}, "network.hidden=65: takes a whole number from 1 to 64"),
        ({"epoch": 0}, "network.epoch=0: takes a whole number from 1"),
        ({"mu": 1}, "network.mu=1.0: takes a finite number above 1"),
        ({"init": 0}, "network.init=0.0: takes a finite number above 0"),
        ({"pool_rate": -1}, "network.pool_rate=-1.0: takes a finite number above 0"),
        ({"output_change": 1}, "network.output_change=1.0: takes a number above 0 and below 1"),
        ({"pool_change": 0.0}, "network.pool_change=0.0: takes a number above 0 and below 1"),
        ({"patience": 0}, "network.patience=0: takes a whole number from 1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NETWORKS["cascade"](**options)


def test_trials_of_one_cell_have_pools_of_their_own() -> None:
    keys = [stream_key(7, replicate, WEIGHTS) for replicate in range(2)]
    one, other = (Cascade().initial(key, 7, 7)[0] for key in keys)
    assert not np.intersect1d(one[one != 0], other[other != 0]).size
    assert TrialSpec(CELLS[0], 0, 7, 1).key != TrialSpec(CELLS[0], 1, 7, 1).key
