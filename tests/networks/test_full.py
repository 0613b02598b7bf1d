"""The full gradient of the 1997 net: the oracle is the derivative of the loss by complex step, with nothing frozen."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import naive, nets
from helpers.packs import one_by_one, plain, worked

from lstm_search.networks import Lstm1997, Lstm2000
from lstm_search.networks.recurrent import logistic
from lstm_search.simd import Lanes, kernel, lanes_tag, squash_unfused
from lstm_search.spec import Cell, Stop, Training, TrialSpec, cell_from_dict
from lstm_search.tasks import Adding, TemporalOrder
from lstm_search.worker import Worker

SQUASHES = (("bipolar", "bipolar"), ("half", "double"), ("logistic", "identity"))
CASES = [
    (Lstm1997(blocks, size, recurrent=recurrent, g=g, h=h, gradient="full", direct=direct, output=output, hidden=hidden,
              cell_bias=bias, recurrent_to=to), symbols)
    for n, ((blocks, size), recurrent, (g, h), symbols) in enumerate(
        itertools.product(((1, 1), (2, 2), (1, 3)), ("all", "cells", "none"), SQUASHES, (True, False))
    )
    for direct, output, hidden, bias, to in [
        (n % 2 == 0, ("logistic", "linear")[n % 3 == 0], (0, 2)[n % 5 == 0], ("random", "none")[n % 7 == 0],
         ("all", "gates")[n % 4 == 0])
    ]
]  # fmt: skip


def name_of(value: object) -> str:
    if not isinstance(value, Lstm1997):
        return "symbols" if value else "rows"
    n = value
    return f"{n.blocks}x{n.size}-{n.recurrent}-{n.recurrent_to}-{n.g}-{n.h}-{n.hidden}-{n.output}{'-direct' * n.direct}"


def in_twins_order(network: Lstm1997, hidden: np.ndarray) -> np.ndarray:
    """Hidden weights with the column of biases last instead of behind the inputs."""
    if not naive.has_bias_column(network):
        return hidden
    return np.concatenate([hidden[:, : nets.I], hidden[:, nets.I + 1 :], hidden[:, nets.I : nets.I + 1]], axis=1)


def descent(network: Lstm1997, weights: nets.Weights, sequence: tuple) -> nets.Weights:
    """The weights (in the twin's order) after one sequence: minus rate x the derivative of its error, exactly."""
    x, targets = sequence
    masks = naive.exists(network, nets.I, nets.K)
    changed = tuple(array.copy() for array in weights)
    for array, mask in enumerate(masks):
        for entry in map(tuple, np.argwhere(mask)):
            moved = [values.astype(complex) for values in weights]
            moved[array][entry] += 1e-30j
            steps = naive.forward(network, *moved, x)
            loss = sum((target[k] - steps[t].y[k]) ** 2 / 2 for t, target in targets.items() for k in range(nets.K))
            changed[array][entry] -= nets.RATE * loss.imag / 1e-30
    return changed


@pytest.mark.parametrize(("network", "symbols"), CASES, ids=name_of)
def test_weights_go_down_the_full_gradient_of_each_sequence(network: Lstm1997, symbols: bool) -> None:
    weights = [nets.random_weights(network, seed) for seed in (1, 2)]
    lanes = [nets.random_sequences(seed, 2, symbols=symbols) for seed in (3, 4)]
    found, _ = nets.trained(network, weights, lanes, symbols=symbols)
    for (hidden, output), lane, (hidden_found, output_found) in zip(weights, lanes, found, strict=True):
        expected = (in_twins_order(network, hidden), output)
        for sequence in lane:
            expected = descent(network, expected, sequence)
        nets.assert_close((in_twins_order(network, hidden_found), output_found), expected, 1e-10)


def test_a_net_with_one_step_sequences_learns_as_with_the_truncated_gradient() -> None:
    network = Lstm1997(2, 2, gradient="full")
    weights, lane = (
        nets.random_weights(network, 5),
        [
            (x[:1], {0: target})
            for x, targets in nets.random_sequences(6, 20, symbols=True)
            for target in targets.values()
        ],
    )
    full, _ = nets.trained(network, [weights], [lane], symbols=True)
    truncated, _ = nets.trained(replace(network, gradient="truncated"), [weights], [lane], symbols=True)
    nets.assert_close(full[0], truncated[0], 1e-12)


def test_stretches_of_a_long_sequence_are_unrolled_by_themselves() -> None:
    network = Lstm1997(1, 2, gradient="full", history=4)
    weights, (sequence,) = nets.random_weights(network, 7), nets.one_sequence(8, symbols=False)
    whole, _ = nets.trained(replace(network, history=100), [weights], [[sequence]], symbols=False)
    short, _ = nets.trained(network, [weights], [[sequence]], symbols=False)
    assert not np.allclose(whole[0][0], short[0][0])
    np.testing.assert_allclose(whole[0][1], short[0][1], rtol=1e-12)  # output weights learn at once


def test_lanes_that_are_tested_do_not_learn() -> None:
    network = Lstm1997(2, 1, gradient="full")
    weights = [nets.random_weights(network, seed) for seed in (1, 2)]
    lanes = [nets.random_sequences(seed, 9, symbols=True) for seed in (3, 4)]
    both, _ = nets.trained(network, weights, lanes, symbols=True)
    one, _ = nets.trained(network, weights, lanes, symbols=True, learning=0b01)
    np.testing.assert_array_equal(one[0][0], both[0][0])
    np.testing.assert_array_equal(one[1][0], weights[1][0])


def adders() -> list[TrialSpec]:
    """Sequences of several lengths, longer than what is kept of them, trained for several times."""
    network, training = Lstm2000(2, 2, peepholes=True, gradient="full", history=17), Training(0.01, optimizer="adam")
    stop = Stop(tolerance=1e-6, window=2000)
    cells = [Cell(Adding(T), network, training, (stop,)) for T in (25, 60, 33, 90)]
    return [TrialSpec(cell, n, 7, cap=60 + 40 * n) for n, cell in enumerate(cells)]


def classifiers() -> list[TrialSpec]:
    """Symbols, with checks while neighbours learn."""
    cell = Cell(TemporalOrder(2, 10), Lstm1997(2, 2, gradient="full", direct=True), Training(0.5), (nets.STOP,))
    return [TrialSpec(cell, n, 7, cap=200 + 50 * n) for n in range(4)]


ALONE = {
    adders: ("b2976dbd44d5", "1e0994c87632", "ab87eab5a412", "6954fd57e549"),
    classifiers: ("d0aea5af580f", "7c3d4f366891", "77c5da92cf81", "585efa349a23"),
}
"""How the digests of the weights begin, of trials that were gone through one after the other, in plain numbers."""


@pytest.mark.parametrize("made", ALONE)
def test_trials_have_the_bits_of_plain_numbers_in_packs_that_fill_empty_and_shrink(made: Any) -> None:
    trials = made()
    expected = one_by_one(trials, width=1)
    assert tuple(expected[trial.key].weights_sha256[:12] for trial in trials) == ALONE[made]
    assert plain(worked(Worker(2), trials, 0.01, 2)) == plain(expected)


@kernel
def squashed(lanes: Lanes, vectors: np.ndarray, numbers: np.ndarray) -> None:
    squash_unfused(lanes, vectors, 0, vectors.shape[0])
    for i in range(numbers.shape[0]):
        for l in range(numbers.shape[1]):
            numbers[i, l] = logistic(numbers[i, l])


def test_squashed_vectors_have_the_bits_of_plain_numbers() -> None:
    rng = np.random.default_rng(1)
    edges = [0.0, -0.0, 80.0, -80.0, 1e300, -np.inf, np.nan, 5e-324]
    vectors = np.concatenate([edges, rng.normal(0, 1, 5_000), rng.uniform(-90, 90, 4_992)]).reshape(-1, 2)
    numbers = vectors.copy()
    squashed(lanes_tag(2), vectors, numbers)
    np.testing.assert_array_equal(vectors.view(np.int64), numbers.view(np.int64))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": {"name": "lstm1997", "gradient": "full", "growth": "plateau"}}, "takes network.growth=none"),
        ({"training": {"update": "step"}}, "network lstm1997 takes sequence"),
    ],
)
def test_what_the_full_gradient_cannot_do_is_refused(changed: dict[str, Any], message: str) -> None:
    plain = {"task": {"name": "temporal_order"}, "network": {"name": "lstm1997", "gradient": "full"}, "training": {},
             "stop": [{}]}  # fmt: skip
    cell_from_dict(plain)
    with pytest.raises(ValueError, match=message):
        cell_from_dict(plain | changed)
