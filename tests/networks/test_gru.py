"""Gated recurrent units against the equations in plain loops, and against derivatives by complex steps."""

import cmath
from typing import Any

import numpy as np
import pytest
from helpers.naive_rivals import Targets, Weights, derivative, f, felt, half_squares, row_of
from helpers.nets import RATE, STOP, I, assert_close, one_sequence, random_sequences, random_weights, results, trained
from helpers.packs import one_by_one, plain, worked

from lstm_search.networks import Gru, Signal
from lstm_search.simd.draws import WEIGHTS, stream_key
from lstm_search.spec import Cell, Stop, Training, TrialSpec
from lstm_search.tasks import Adding, TemporalOrder
from lstm_search.worker import Worker

HARD = Stop(tolerance=1e-6, window=2000)
SYMBOLS = pytest.mark.parametrize("symbols", [True, False], ids=["symbols", "rows"])


def outputs_of(weights: Weights, x: Any, *, linear: bool = False) -> list[list]:
    """The outputs after each step, by the equations of Cho et al. (2014); weights may be complex."""
    hidden, output = weights
    n = len(hidden) // 3
    y: list = [0.0] * n
    found = []
    for x_t in x:
        seen = [*row_of(x_t, I), 1.0]

        def net(unit: int, states: list, seen: list = seen) -> complex:
            return sum(w * s for w, s in zip(hidden[unit], [*seen, *states], strict=True))

        r, z = ([f(net(kind * n + i, y)) for i in range(n)] for kind in (0, 1))
        c = [cmath.tanh(net(2 * n + i, [a * b for a, b in zip(r, y, strict=True)])) for i in range(n)]
        y = [z[i] * y[i] + (1 - z[i]) * c[i] for i in range(n)]
        nets = [sum(w * s for w, s in zip(row, [*y, 1.0], strict=True)) for row in output]
        found.append(nets if linear else [f(net) for net in nets])
    return found


def loss(weights: Weights, x: Any, targets: Targets, signal: Signal | None = None) -> complex:
    found = outputs_of(weights, x)
    if signal:
        return sum(felt(found[t], target, signal) for t, target in targets.items())
    return sum(half_squares(found[t], target) for t, target in targets.items())


@SYMBOLS
@pytest.mark.parametrize("signal", [None, Signal(0.3, 0.2, 0.0, 1.0)], ids=["plain", "margin"])
@pytest.mark.parametrize("hidden", [1, 3])
def test_weights_go_down_the_gradient_of_each_sequence(hidden: int, signal: Signal | None, *, symbols: bool) -> None:
    network, rate = Gru(hidden), signal.rate if signal else RATE
    weights, lanes = (
        [random_weights(network, n) for n in (1, 2)],
        [random_sequences(n, 4, symbols=symbols) for n in (3, 4)],
    )
    found, _ = trained(network, weights, lanes, symbols=symbols, signals=[signal] * 2 if signal else ())
    for first, lane, both in zip(weights, lanes, found, strict=True):
        expected = first
        for x, targets in lane:
            gradient = derivative(expected, lambda w, x=x, targets=targets: loss(w, x, targets, signal))
            expected = tuple(w - rate * g for w, g in zip(expected, gradient, strict=True))
        assert_close(both, expected, 1e-11)


@SYMBOLS
def test_longer_sequences_are_unrolled_in_stretches(*, symbols: bool) -> None:
    [(x, targets)] = one_sequence(2, symbols=symbols)
    weights = random_weights(Gru(2), 1)
    [found], _ = trained(Gru(2, history=len(x) + 8), [weights], [[(x, targets)]], symbols=symbols)
    [exact], _ = trained(Gru(2, history=len(x)), [weights], [[(x, targets)]], symbols=symbols)
    [cut], _ = trained(Gru(2, history=2), [weights], [[(x, targets)]], symbols=symbols)
    assert_close(found, exact, 0.0)
    assert np.abs(cut[0] - exact[0]).max() > 1e-6
    assert_close((cut[1],), (exact[1],), 1e-12)


def test_lanes_do_not_matter() -> None:
    cell = Cell(TemporalOrder(2), Gru(3), Training(0.5), (STOP,))
    alone, together = results(cell, 1, range(3)), results(cell, 4, range(3))
    assert [result.weights_sha256 for result in alone] == [result.weights_sha256 for result in together]


def test_sequences_that_blocks_cut_and_stretches_end_do_not_meet_their_neighbours() -> None:
    """Sequences of several lengths, longer than what is kept of them, in packs that fill, empty and shrink."""
    cells = [Cell(Adding(T), Gru(2, history=17), Training(0.01, optimizer="adam"), (HARD,)) for T in (25, 60, 33, 90)]
    trials = [TrialSpec(cell, n, 7, cap=60 + 40 * n) for n, cell in enumerate(cells)]
    expected = one_by_one(trials, width=1)
    for width, at_once in ((4, 4), (8, 2)):
        assert plain(worked(Worker(width), trials, 0.01, at_once)) == plain(expected)


def test_the_bias_of_update_gates_is_added_to_theirs_alone() -> None:
    key = stream_key(1, 0, WEIGHTS)
    plain, held = (Gru(2, update_gate_bias=bias).initial(key, I, 1) for bias in (0.0, 3.0))
    moved = held[0] - plain[0]
    assert [tuple(place) for place in np.argwhere(moved)] == [(2, I), (3, I)]
    np.testing.assert_allclose(moved[2:4, I], 3.0)
    assert Gru(2).n_weights(I, 1) == sum(array.size for array in plain)


@SYMBOLS
def test_linear_outputs_have_no_slope(*, symbols: bool) -> None:
    network = Gru(2, output="linear")
    weights, [(x, targets)] = random_weights(network, 1), one_sequence(2, symbols=symbols)
    [found], _ = trained(network, [weights], [[(x, targets)]], symbols=symbols)

    def error(w: Weights) -> complex:
        outputs = outputs_of(w, x, linear=True)
        return sum(half_squares(outputs[t], target) for t, target in targets.items())

    gradient = derivative(weights, error)
    assert_close(found, tuple(w - RATE * g for w, g in zip(weights, gradient, strict=True)), 1e-11)
