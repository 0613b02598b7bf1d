"""RTRL, BPTT and Elman nets against derivatives by complex steps, against each other, and in lanes of any number."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers import naive_rivals
from helpers.naive_rivals import Weights, derivative, loss, loss_of_steps, train_by_steps
from helpers.nets import (
    RANKED,
    RATE,
    STOP,
    I,
    K,
    assert_close,
    one_sequence,
    random_sequences,
    random_weights,
    results,
    trained,
)

from lstm_search.networks import NETWORKS, Bptt, Elman, Rtrl, Signal
from lstm_search.simd.draws import WEIGHTS, stream_key
from lstm_search.spec import Cell, Training, TrialSpec, cell_from_dict
from lstm_search.tasks import Adding, EmbeddedReber, LongLag
from lstm_search.worker.pack import Pack
from lstm_search.worker.shape import shape_of

WIRINGS = list(product(("full", "layered", "direct"), (False, True), (False, True)))
"""Wiring, bias, whether inputs are symbols."""

EXACT = pytest.mark.parametrize(("wiring", "bias", "symbols"), WIRINGS)


def setting(kind: type, wiring: str, *, bias: bool) -> Any:
    return kind(hidden=2, wiring=wiring, bias=bias, reset=0.5 if bias else 0.0)


@pytest.mark.parametrize("kind", [Rtrl, Bptt])
@EXACT
def test_a_sequence_changes_the_weights_by_rate_times_the_gradient(
    kind: type, wiring: str, *, bias: bool, symbols: bool
) -> None:
    network = setting(kind, wiring, bias=bias)
    weights, lane = random_weights(network, 1), one_sequence(2, symbols=symbols)
    [found], _ = trained(network, [weights], [lane], symbols=symbols)
    gradient = derivative(weights, lambda w: loss(network, w, *lane[0], I))
    assert max(np.abs(array).max() for array in gradient if array.size) > 1e-3
    assert_close(found, tuple(w - RATE * g for w, g in zip(weights, gradient, strict=True)), 1e-13)


@EXACT
def test_rtrl_and_bptt_are_equal_after_every_one_of_forty_sequences(wiring: str, *, bias: bool, symbols: bool) -> None:
    rtrl, bptt = setting(Rtrl, wiring, bias=bias), setting(Bptt, wiring, bias=bias)
    weights, lane = random_weights(rtrl, 1), random_sequences(3, 40, symbols=symbols)
    for number in range(1, 41):
        [found], _ = trained(rtrl, [weights], [lane[:number]], symbols=symbols)
        [other], _ = trained(bptt, [weights], [lane[:number]], symbols=symbols)
        assert_close(found, other, 1e-10)


@pytest.mark.parametrize(("wiring", "bias", "symbols"), [entry for entry in WIRINGS if entry[0] != "full"])
def test_an_elman_net_follows_the_gradient_of_each_step_alone(wiring: str, *, bias: bool, symbols: bool) -> None:
    network = setting(Elman, wiring, bias=bias)
    weights, lane = random_weights(network, 1), one_sequence(2, symbols=symbols)
    [found], _ = trained(network, [weights], [lane], symbols=symbols)
    steps = naive_rivals.forward(network, weights, lane[0][0], I)
    fed = [[network.reset] * network.hidden, *(y for y, _ in steps[:-1])]
    gradient = derivative(weights, lambda w: loss_of_steps(network, w, *lane[0], I, fed=fed))
    whole = derivative(weights, lambda w: loss(network, w, *lane[0], I))
    assert np.abs(gradient[0] - whole[0]).max() > 1e-4
    assert_close(found, tuple(w - RATE * g for w, g in zip(weights, gradient, strict=True)), 1e-13)


PLAIN = Signal(RATE)
SIGNALS = [Signal(RATE, margin=0.3), Signal(RATE, constant=0.1), Signal(0.3, 0.2, 0.0, 1.0)]
"""Other error signals. Where outputs are recurrent units they have no f' of their own, and a margin only."""


@pytest.mark.parametrize("signal", [PLAIN, *SIGNALS], ids=str)
@EXACT
def test_rtrl_on_line_is_its_twin(wiring: str, signal: Signal, *, bias: bool, symbols: bool) -> None:
    network = setting(Rtrl, wiring, bias=bias)
    weights, lane = random_weights(network, 1), random_sequences(5, 30, symbols=symbols)
    [found], _ = trained(network, [weights], [lane], symbols=symbols, sums=False, signals=[signal])
    expected = weights
    for x, targets in lane:
        expected = train_by_steps(network, signal, expected, x, targets, n_inputs=I)
    assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("signal", SIGNALS, ids=str)
@pytest.mark.parametrize("kind", [Rtrl, Bptt, Elman])
@EXACT
def test_errors_flow_back_from_what_outputs_are_told(
    kind: type, wiring: str, signal: Signal, *, bias: bool, symbols: bool
) -> None:
    """Over four sequences, each by what falls where outputs follow their error signals."""
    if kind is Elman and wiring == "full":
        return
    network = setting(kind, wiring, bias=bias)
    weights, lane = random_weights(network, 1), random_sequences(2, 4, symbols=symbols)
    [found], _ = trained(network, [weights], [lane], symbols=symbols, signals=[signal])
    expected, told = weights, []
    for x, targets in lane:
        steps = naive_rivals.forward(network, expected, x, I)
        told += [abs(targets[t][k] - steps[t][1][k]) >= signal.margin for t in targets for k in range(K)]
        fed = [[network.reset] * len(expected[0]), *(y for y, _ in steps[:-1])]

        def lowered(w: Weights, x: Any = x, targets: Any = targets, fed: Any = fed) -> complex:
            if kind is Elman:
                return loss_of_steps(network, w, x, targets, I, fed=fed, signal=signal)
            return loss(network, w, x, targets, I, signal=signal)

        gradient = derivative(expected, lowered)
        expected = tuple(w - signal.rate * g for w, g in zip(expected, gradient, strict=True))
    assert_close(found, expected, 1e-11)
    assert (0 < np.mean(told) < 1) == (signal.margin > 0)


@pytest.mark.parametrize("wiring", ["full", "layered"])
def test_what_takes_the_place_of_the_loss_has_its_derivative_with_the_plain_signal(wiring: str) -> None:
    network = setting(Rtrl, wiring, bias=True)
    weights, [(x, targets)] = random_weights(network, 1), one_sequence(2, symbols=False)
    plain, other = (
        derivative(weights, lambda w, s=s: loss(network, w, x, targets, I, signal=s)) for s in (None, PLAIN)
    )
    assert_close(other, plain, 1e-14)


@pytest.mark.parametrize("kind", [Rtrl, Elman])
def test_each_lane_learns_by_an_error_signal_of_its_own(kind: type) -> None:
    network = setting(kind, "direct", bias=True)
    weights = [random_weights(network, seed) for seed in range(4)]
    lanes = [random_sequences(seed, 8, symbols=False) for seed in range(4)]
    signals = [PLAIN, *SIGNALS]
    together, _ = trained(network, weights, lanes, symbols=False, signals=signals)
    for l, signal in enumerate(signals):
        [alone], _ = trained(network, [weights[l]], [lanes[l]], symbols=False, signals=[signal])
        assert [array.tobytes() for array in together[l]] == [array.tobytes() for array in alone]


def test_errors_that_would_reach_beyond_the_history_are_cut() -> None:
    """A sequence of 5 steps, unrolled 3 at a time: the last two steps see the third's activations as constants."""
    network = replace(setting(Bptt, "layered", bias=True), history=3)
    weights = random_weights(network, 1)
    x, targets = np.random.default_rng(2).normal(0, 1, (5, I)), {4: np.array([0.1, 0.9])}
    [found], _ = trained(network, [weights], [[(x, targets)]], symbols=False)
    kept = naive_rivals.forward(network, weights, x, I)[2][0]

    def tail(w: Weights) -> complex:
        y: list = kept
        for row in x[3:]:
            y, outputs = naive_rivals.step(network, w, list(row), y)
        return naive_rivals.half_squares(outputs, targets[4])

    gradient = derivative(weights, tail)
    assert_close(found, tuple(w - RATE * g for w, g in zip(weights, gradient, strict=True)), 1e-13)


KINDS = [setting(Rtrl, "full", bias=False), setting(Bptt, "direct", bias=True), setting(Elman, "layered", bias=False)]


@pytest.mark.parametrize("network", KINDS, ids=lambda network: network.name)
@pytest.mark.parametrize("symbols", [False, True])
def test_a_lane_gives_the_same_bits_at_every_width(network: Any, *, symbols: bool) -> None:
    weights = [random_weights(network, seed) for seed in range(8)]
    lanes = [random_sequences(seed, 8, symbols=symbols) for seed in range(8)]
    together, _ = trained(network, weights, lanes, symbols=symbols)
    for width in (1, 4):
        alone, _ = trained(network, weights[:width], lanes[:width], symbols=symbols)
        for found, expected in zip(alone, together[:width], strict=True):
            assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


@pytest.mark.parametrize("network", KINDS, ids=lambda network: network.name)
def test_lanes_that_do_not_learn_keep_their_weights_and_count_their_errors(network: Any) -> None:
    weights = [random_weights(network, seed) for seed in range(4)]
    lanes = [random_sequences(seed, 1, symbols=False) for seed in range(4)]
    found, stop = trained(network, weights, lanes, symbols=False, learning=0)
    for l, [(x, targets)] in enumerate(lanes):
        assert [a.tobytes() for a in found[l]] == [np.ascontiguousarray(a).tobytes() for a in weights[l]]
        steps = naive_rivals.forward(network, weights[l], x, I)
        errors = np.array([target - np.real(steps[t][1]) for t, target in targets.items()])
        np.testing.assert_allclose(stop.total[l], np.abs(errors).mean(), rtol=1e-12)


@pytest.mark.parametrize(
    ("printed", "network", "n"),
    [
        (36, Rtrl(1, "direct"), 5),
        (144, Rtrl(1, "direct"), 11),
        (10404, Rtrl(1, "direct"), 101),
        (10404, Bptt(1, "direct"), 101),
        (170, Rtrl(3, "full"), 7),
        (494, Rtrl(12, "full"), 7),
        (435, Elman(15, "layered"), 7),
    ],
)
def test_the_weights_are_as_many_as_printed(printed: int, network: Any, n: int) -> None:
    assert network.n_weights(n, n) == printed
    assert sum(np.count_nonzero(array) for array in network.initial(stream_key(0, 0, WEIGHTS), n, n)) == printed


LATER = replace(STOP, check_every=None, judged="last", test_sequences=0)
CELLS = [
    Cell(LongLag(4), Rtrl(1, "direct", init=0.2), Training(2.0), (STOP,)),
    Cell(LongLag(4), Bptt(1, "direct", init=0.2), Training(2.0), (STOP, replace(LATER, milestone="later"))),
    Cell(EmbeddedReber(), Rtrl(3), Training(0.1, "step"), (RANKED,)),
    Cell(EmbeddedReber(), Elman(4), Training(0.1), (RANKED,)),
    Cell(Adding(20), Bptt(2, "layered", bias=True, history=15), Training(0.5), (STOP,)),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.task.name}-{cell.network.name}")
def test_a_trial_is_the_same_bits_in_packs_of_four_and_eight(cell: Cell) -> None:
    """Twelve trials of unlike length: lanes are taken over by later trials, and packs shrink under running ones."""
    few, many = results(cell, 4, range(12)), results(cell, 8, range(12))
    for one, other in zip(few, many, strict=True):
        assert replace(one, seconds=0, host="") == replace(other, seconds=0, host="")
    assert len({result.weights_sha256 for result in few}) == 12


def test_a_pack_of_one_trial_gives_its_bits_in_any_lane() -> None:
    cell = CELLS[0]
    packs = [Pack(shape_of(cell), 4) for _ in range(2)]
    for seed in range(3):
        packs[1].add(TrialSpec(cell, seed, 8, 10**6))
    found = []
    for pack in packs:
        pack.add(TrialSpec(cell, 3, 7, 400))
        while True:
            done = [result for result in pack.advance() if result.sequences >= 50]
            if done and (mine := [r for r in done if r.key == TrialSpec(cell, 3, 7, 400).key]):
                found.append(mine[0])
                break
    assert found[0].weights_sha256 == found[1].weights_sha256


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.task.name}-{cell.network.name}")
def test_a_recorded_cell_is_built_again(cell: Cell) -> None:
    assert cell_from_dict(cell.as_dict()) == cell
    assert cell_from_dict(cell.as_dict()).digest == cell.digest


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("rtrl", {"hidden": 0}, "network.hidden=0: takes a whole number from 1 to 64"),
        ("rtrl", {"wiring": "ring"}, "network.wiring=ring: takes one of full, layered, direct"),
        ("elman", {"wiring": "full"}, "network.wiring=full: takes one of layered, direct"),
        ("bptt", {"history": 0}, "network.history=0: takes a whole number"),
        ("bptt", {"reset": 0.25}, "network.reset=0.25: takes 0.0 or 0.5"),
        ("elman", {"init": -1.0}, "network.init=-1.0: takes a finite number from 0"),
        ("rtrl", {"bias": 1}, "network.bias=1: takes true or false"),
    ],
)
def test_settings_out_of_range_are_refused(kind: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NETWORKS[kind](**options)


def test_bptt_learns_at_the_end_of_a_sequence_only() -> None:
    with pytest.raises(ValueError, match=r"training.update=step: network bptt takes sequence"):
        Cell(Adding(20), Bptt(2, "layered"), Training(0.5, "step"), (STOP,))
