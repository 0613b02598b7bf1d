"""The naive constant error carrousel against derivatives by complex steps, and the flow of error it is named for."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
import pytest
from helpers.naive_rivals import Weights, derivative, error_signal, felt, half_squares, row_of
from helpers.nets import RATE, I, K, assert_close, one_sequence, random_sequences, random_weights, trained

from lstm_search import config
from lstm_search.networks import Carrousel, Signal
from lstm_search.spec import Cell, Stop, Training, TrialSpec, cell_from_dict
from lstm_search.tasks import Adding, LongLag
from lstm_search.worker.trial import Worker

VARIANTS = pytest.mark.parametrize(
    ("wiring", "bias", "symbols"),
    [(w, b, s) for w in ("layered", "direct") for b in (False, True) for s in (False, True)],
)


def outputs_of(network: Carrousel, weights: Weights, x: Any) -> list[list]:
    """Outputs of all steps of a sequence, by definition: units add up what they receive."""
    hidden, output = weights
    one, s, found = [1.0] * network.bias, [0.0] * network.hidden, []
    for x_t in x:
        row = row_of(x_t, I)
        s = [
            1.0 * before + sum(w * z for w, z in zip(unit, row + one, strict=True))
            for before, unit in zip(s, hidden, strict=True)
        ]
        seen = row * (network.wiring == "direct") + s + one
        nets = [sum(w * z for w, z in zip(unit, seen, strict=True)) for unit in output]
        found.append([1 / (1 + cmath.exp(-net)) for net in nets])
    return found


def loss(network: Carrousel, weights: Weights, x: Any, targets: dict) -> complex:
    found = outputs_of(network, weights, x)
    return sum(half_squares(found[t], target) for t, target in targets.items())


@VARIANTS
def test_a_sequence_changes_the_weights_by_rate_times_the_gradient(wiring: Any, *, bias: bool, symbols: bool) -> None:
    network = Carrousel(2, wiring, bias)
    weights, lane = random_weights(network, 1), one_sequence(2, symbols=symbols)
    [found], _ = trained(network, [weights], [lane], symbols=symbols)
    gradient = derivative(weights, lambda w: loss(network, w, *lane[0]))
    assert min(np.abs(array).max() for array in gradient) > 1e-3
    assert_close(found, tuple(w - RATE * g for w, g in zip(weights, gradient, strict=True)), 1e-13)


PLAIN = Signal(RATE)
SIGNALS = pytest.mark.parametrize(
    "signal", [Signal(RATE, margin=0.3), Signal(RATE, constant=0.1), Signal(0.3, 0.2, 0.0, 1.0)], ids=str
)


@VARIANTS
@SIGNALS
def test_errors_flow_back_from_what_outputs_are_told(wiring: Any, *, bias: bool, symbols: bool, signal: Signal) -> None:
    network = Carrousel(2, wiring, bias)
    weights, [(x, targets)] = random_weights(network, 1), one_sequence(2, symbols=symbols)

    def told(w: Weights) -> complex:
        return sum(felt(outputs_of(network, w, x)[t], target, signal) for t, target in targets.items())

    [found], _ = trained(network, [weights], [[(x, targets)]], symbols=symbols, signals=[signal])
    gradient = derivative(weights, told)
    assert_close(found, tuple(w - signal.rate * g for w, g in zip(weights, gradient, strict=True)), 1e-12)
    [on_line], _ = trained(network, [weights], [[(x, targets)]], symbols=symbols, sums=False, signals=[signal])
    assert_close(on_line, by_steps(network, weights, x, targets, signal), 1e-12)


@VARIANTS
def test_on_line_each_target_changes_the_weights_by_its_own_gradient(wiring: Any, *, bias: bool, symbols: bool) -> None:
    """What a state depends on is carried along while the weights change under it: the state stays what it was."""
    network = Carrousel(2, wiring, bias)
    weights, [(x, targets)] = random_weights(network, 1), one_sequence(2, symbols=symbols)
    [found], _ = trained(network, [weights], [[(x, targets)]], symbols=symbols, sums=False)
    assert_close(found, by_steps(network, weights, x, targets), 1e-12)


def by_steps(network: Carrousel, weights: Weights, x: Any, targets: dict, signal: Signal = PLAIN) -> Weights:
    hidden, output = (np.array(array) for array in weights)
    s, seen = np.zeros(network.hidden), np.zeros(hidden.shape[1])
    for t, x_t in enumerate(x):
        row = np.array(row_of(x_t, I) + [1.0] * network.bias)
        s, seen = s + hidden @ row, seen + row
        sources = np.array([*row[: I * (network.wiring == "direct")], *s, *[1.0] * network.bias])
        y = 1 / (1 + np.exp(-output @ sources))
        if t in targets:
            e = np.array([error_signal(signal, y_k, t_k - y_k) for y_k, t_k in zip(y, targets[t], strict=True)])
            first = I * (network.wiring == "direct")
            back = e @ output[:, first : first + network.hidden]
            hidden, output = hidden + signal.rate * np.outer(back, seen), output + signal.rate * np.outer(e, sources)
    return hidden, output


def test_error_flows_back_unscaled_over_any_lag() -> None:
    """The same input, one step or 400 before the target, has the same gradient."""
    network = Carrousel(1)
    weights = random_weights(network, 3)
    changes = []
    for lag in (1, 400):
        x = np.zeros((lag + 1, I))
        x[0] = 1.0
        [found], _ = trained(network, [weights], [[(x, {lag: np.ones(K)})]], symbols=False)
        changes.append(found[0] - weights[0])
    assert np.abs(changes[0]).max() > 1e-4
    np.testing.assert_allclose(changes[0], changes[1], rtol=1e-12)


@pytest.mark.parametrize("symbols", [False, True])
def test_a_lane_gives_the_same_bits_at_every_width(*, symbols: bool) -> None:
    network = Carrousel(2, "direct", bias=True)
    weights = [random_weights(network, seed) for seed in range(8)]
    lanes = [random_sequences(seed, 8, symbols=symbols) for seed in range(8)]
    together, _ = trained(network, weights, lanes, symbols=symbols)
    alone, _ = trained(network, weights[:4], lanes[:4], symbols=symbols)
    assert [[a.tobytes() for a in w] for w in alone] == [[a.tobytes() for a in w] for w in together[:4]]


STOP = Stop(tolerance=0.3, window=20, max_wrong=2, mean_error=None, check_every=50, test_sequences=30)
CELLS = [
    Cell(LongLag(4), Carrousel(2, "direct"), Training(1.0), (STOP,)),
    Cell(Adding(20), Carrousel(2), Training(), (STOP,)),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.task.name)
def test_a_trial_is_the_same_bits_in_packs_of_four_and_eight(cell: Cell) -> None:
    found = []
    for width in (4, 8):
        worker, done, new = Worker(width), [], [TrialSpec(cell, seed, 7, 200 + 30 * seed) for seed in range(12)]
        while len(done) < 12:
            done += worker.advance(new, 5).finished
            new = []
        found.append({result.key: (result.outcome, result.sequences, result.weights_sha256) for result in done})
    assert found[0] == found[1]
    assert len({sha for *_, sha in found[0].values()}) == 12


def test_the_weights_are_counted_without_the_fixed_ones() -> None:
    network = Carrousel(3, "direct", bias=True)
    hidden, output = random_weights(network, 1)
    assert hidden.size + output.size == network.n_weights(I, K) == 3 * (I + 1) + K * (I + 3 + 1)
    assert cell_from_dict(CELLS[0].as_dict()) == CELLS[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("network.wiring=full", "network.wiring=full: takes one of layered, direct"),
        ("network.hidden=0", "network.hidden=0: takes a whole number from 1 to 64"),
        ("network.reset=0.5", "network.reset: no such key with this network"),
    ],
)
def test_what_it_does_not_have_is_refused(words: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config.compose(["task=adding", "network=carrousel", words, "tracking=none"])
