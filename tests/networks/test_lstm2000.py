"""Forget gates, the coupled gate and peepholes in lanes: against their twin, their gradient, and the 1997 net."""

import itertools
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from helpers import naive_lstm2000 as naive
from helpers import nets
from helpers.adders import cell, stops
from helpers.packs import alone, by_key, finished, one_by_one

from lstm_search.networks import Lstm1997, Lstm2000
from lstm_search.spec import Training, TrialSpec
from lstm_search.tasks import Adding, TemporalOrder
from lstm_search.worker.pack import Pack, joined
from lstm_search.worker.shape import shape_of

WIDTH = 4
STOPS = stops(0.3, 0.1, 5)

KINDS = list(itertools.product(("gates", "coupled", "none"), (False, True), (False, True)))
"""What is forgotten, peepholes, and whether inputs are symbols."""

SHAPES = ((2, 2), (1, 3), (3, 1), (1, 1))
OPTIONS = [
    {},
    {"recurrent": "cells", "g": "half", "h": "double", "direct": True},
    {"recurrent": "none", "g": "logistic", "h": "identity", "output": "linear", "gates_biased": False},
    {"hidden": 2, "recurrent_to": "gates", "cell_bias": "none", "output_bias": False},
    {"output_gates": False, "reset": 0.5, "direct": True, "hidden": 1},
    {"gates_biased": False, "cell_bias": "none"},
]


def cases() -> list[tuple[Lstm2000, bool, str]]:
    """Every kind with all options: a net, whether inputs are symbols, and when weights change."""
    found = []
    for n, ((forget, peepholes, symbols), options) in enumerate(itertools.product(KINDS, OPTIONS)):
        blocks, size = SHAPES[n % 4]
        network = Lstm2000(blocks, size, forget=forget, peepholes=peepholes, **options)  # type: ignore[arg-type]
        found.append((network, symbols, ("sequence", "step")[n // 3 % 2]))
    return found


CASES = cases()


def name_of(value: object) -> str | None:
    if not isinstance(value, Lstm2000):
        return None if isinstance(value, str) else "symbols" if value else "rows"
    changed = [f"{of.name}={getattr(value, of.name)}" for of in fields(value) if getattr(value, of.name) != of.default]
    return "-".join(changed)


def random_weights(network: Lstm2000, seed: int) -> nets.Weights:
    """Random weights where weights exist."""
    rng = np.random.default_rng(seed)
    hidden, output = (rng.normal(0, 0.5, mask.shape) * mask for mask in naive.exists(network, nets.I, nets.K))
    return hidden, output


def problem(network: Lstm2000, number: int, *, symbols: bool, width: int = WIDTH) -> tuple[list, list]:
    """Weights and sequences of a pack."""
    weights = [random_weights(network, seed) for seed in range(width)]
    return weights, [nets.random_sequences(seed, number, symbols=symbols) for seed in range(width)]


def trained(network: Any, weights: list, lanes: list, *, symbols: bool, update: str = "sequence") -> list[nets.Weights]:
    return nets.trained(network, weights, lanes, symbols=symbols, sums=update == "sequence")[0]


@pytest.mark.parametrize(("network", "symbols", "update"), CASES, ids=name_of)
def test_weights_after_many_sequences_are_those_of_the_twin(network: Lstm2000, symbols: bool, update: Any) -> None:
    weights, lanes = problem(network, 12, symbols=symbols)
    found = trained(network, weights, lanes, symbols=symbols, update=update)
    for l in range(WIDTH):
        expected = naive.train(network, Training(nets.RATE, update), weights[l], lanes[l], nets.I)
        nets.assert_close(found[l], expected, 1e-10)
        assert np.abs(found[l][0] - weights[l][0]).max() > 1e-3


def descent(network: Lstm2000, weights: nets.Weights, sequence: tuple, *, truncated: bool) -> nets.Weights:
    """The weights after one sequence: minus rate x the derivative of its error, by complex steps."""
    x, targets = sequence
    rows = naive.rows_of(x, nets.I)
    frozen = naive.forward(network, *weights, rows) if truncated else None
    changed = tuple(array.copy() for array in weights)
    for array, mask in enumerate(naive.exists(network, nets.I, nets.K)):
        for entry in map(tuple, np.argwhere(mask)):
            moved = [values.astype(complex) for values in weights]
            moved[array][entry] += 1e-30j
            steps = naive.forward(network, *moved, rows, frozen)
            loss = sum((target[k] - steps[t].y[k]) ** 2 / 2 for t, target in targets.items() for k in range(nets.K))
            changed[array][entry] -= nets.RATE * loss.imag / 1e-30
    return changed


@pytest.mark.parametrize(("network", "symbols", "_update"), CASES, ids=name_of)
def test_a_sequence_goes_down_the_truncated_gradient(network: Lstm2000, symbols: bool, _update: str) -> None:
    """What is fed back from t-1, and the states that gates see, are taken for constants."""
    weights, (sequence,) = random_weights(network, 7), nets.one_sequence(8, symbols=symbols)
    found = trained(network, [weights] * WIDTH, [[sequence]] * WIDTH, symbols=symbols)[0]
    nets.assert_close(found, descent(network, weights, sequence, truncated=True), 1e-11)


@pytest.mark.parametrize(("network", "symbols", "_update"), CASES, ids=name_of)
def test_a_sequence_goes_down_the_full_gradient(network: Lstm2000, symbols: bool, _update: str) -> None:
    """Nothing is taken for constant: errors flow back through peepholes, too."""
    network = replace(network, gradient="full")
    weights, (sequence,) = random_weights(network, 7), nets.one_sequence(8, symbols=symbols)
    found = trained(network, [weights], [[sequence]], symbols=symbols)[0]
    nets.assert_close(found, descent(network, weights, sequence, truncated=False), 1e-11)


def same(found: nets.Weights, expected: nets.Weights) -> None:
    for array, other in zip(found, expected, strict=True):
        assert np.ascontiguousarray(array).tobytes() == np.ascontiguousarray(other).tobytes()


@pytest.mark.parametrize(("network", "symbols", "update"), CASES[::5], ids=name_of)
def test_a_lane_gives_the_same_bits_at_every_width(network: Lstm2000, symbols: bool, update: str) -> None:
    weights, lanes = problem(network, 6, symbols=symbols, width=WIDTH)
    together = trained(network, weights, lanes, symbols=symbols, update=update)
    same(trained(network, weights[2:], lanes[2:], symbols=symbols, update=update)[1], together[3])
    same(trained(network, weights[::-1], lanes[::-1], symbols=symbols, update=update)[0], together[3])


# Traces are kept divided by the product of forget gates, and multiplied by it before it is too small


def forgetful(symbols: bool, peepholes: bool) -> tuple[Lstm2000, list, list]:
    """Nets whose forget gates are nearly shut, some more than others, and sequences of up to 300 steps with targets
    everywhere: also where traces were just multiplied."""
    network = Lstm2000(2, 1, peepholes=peepholes, recurrent="cells")
    weights, lanes = [], []
    for seed in range(WIDTH):
        hidden, output = random_weights(network, seed)
        hidden[-2:, nets.I] = (-3.0 - seed, -90.0 / (1 + seed))
        rng, steps = np.random.default_rng(seed), 300 - 70 * seed
        x = rng.integers(0, nets.I, steps) if symbols else rng.normal(0, 1, (steps, nets.I))
        lanes.append([(x, {int(t): rng.uniform(0, 1, nets.K) for t in range(0, steps, 3)})])
        weights.append((hidden, output))
    return network, weights, lanes


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("symbols", [False, True])
def test_long_sequences_of_nets_that_forget_fast_are_learned_as_by_the_twin(symbols: bool, peepholes: bool) -> None:
    network, weights, lanes = forgetful(symbols, peepholes)
    found = trained(network, weights, lanes, symbols=symbols)
    for l in range(WIDTH):
        expected = naive.train(network, Training(nets.RATE), weights[l], lanes[l], nets.I)
        nets.assert_close(found[l], expected, 1e-12)
    for l, apart in enumerate(trained(network, weights[:2], lanes[:2], symbols=symbols)):
        same(apart, found[l])


# In packs

OF_PACKS = [
    TrialSpec(
        cell(TemporalOrder(2, 20), Lstm2000(peepholes=True, forget_gate_bias=(-9.0, 2.0)), 0.5, STOPS), 0, 7, 300
    ),
    TrialSpec(
        cell(TemporalOrder(2, 20), Lstm2000(peepholes=True, forget_gate_bias=(3.0, -40.0)), 0.5, STOPS), 1, 7, 410
    ),
    TrialSpec(cell(Adding(25), Lstm2000(forget="coupled", input_gate_bias=(1.0, 45.0)), 0.5, STOPS), 0, 7, 300),
    TrialSpec(cell(Adding(30), Lstm2000(forget="coupled", input_gate_bias=(-2.0, 0.0)), 0.5, STOPS), 1, 7, 350),
]


@pytest.mark.parametrize("some", [OF_PACKS[:2], OF_PACKS[2:]], ids=["peepholes", "coupled"])
def test_a_trial_has_the_same_bits_alone_beside_others_and_in_a_pack_that_shrinks(some: list[TrialSpec]) -> None:
    together = one_by_one(some)
    pack, found = Pack(shape_of(some[0].cell), 4), []
    for trial in some:
        pack.add(trial)
    for _ in range(3):
        found += pack.advance()
    found += finished(joined(pack.shape, 2, [pack])).values() if pack.running else []
    assert by_key(found) == together
    for trial in some:
        assert by_key([alone(trial, 2)]) == by_key([together[trial.key]])


# The 1997 net is a special case


def without_forgetting(network: Lstm2000) -> Lstm1997:
    """The 1997 net with the same settings."""
    own = {"forget", "forget_gate_bias", "peepholes"}
    return Lstm1997(**{of.name: getattr(network, of.name) for of in fields(network) if of.name not in own})


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_without_forget_gates_and_peepholes_it_has_the_bits_of_the_1997_net(options: Any, symbols: bool) -> None:
    network = Lstm2000(2, 2, forget="none", **options)
    first = [nets.random_weights(net, 3) for net in (network, without_forgetting(network))]
    same(*first)
    assert network.n_weights(nets.I, nets.K) == without_forgetting(network).n_weights(nets.I, nets.K)
    lanes = [nets.random_sequences(seed, 6, symbols=symbols) for seed in range(WIDTH)]
    found, expected = (
        trained(net, [first[0]] * WIDTH, lanes, symbols=symbols) for net in (network, without_forgetting(network))
    )
    for l in range(WIDTH):
        same(found[l], expected[l])


@pytest.mark.parametrize("symbols", [False, True])
def test_with_forget_gates_wide_open_it_learns_as_the_1997_net(symbols: bool) -> None:
    network = Lstm2000(2, 2, forget_gate_bias=(1e3, 1e3), recurrent="cells")
    (hidden, output), gates = nets.random_weights(network, 3), network.blocks
    lanes = [nets.random_sequences(seed, 12, symbols=symbols) for seed in range(WIDTH)]
    found = trained(network, [(hidden, output)] * WIDTH, lanes, symbols=symbols)
    of_1997 = without_forgetting(network)
    expected = trained(of_1997, [(hidden[:-gates], output)] * WIDTH, lanes, symbols=symbols)
    for l in range(WIDTH):
        nets.assert_close((found[l][0][:-gates], found[l][1]), expected[l], 1e-12)
        same(found[l][:1] * 2, (np.concatenate([found[l][0][:-gates], hidden[-gates:]]),) * 2)


@pytest.mark.parametrize(("network", "_symbols", "_update"), CASES, ids=name_of)
def test_first_weights_are_there_where_weights_exist(network: Lstm2000, _symbols: bool, _update: str) -> None:
    masks, weights = naive.exists(network, nets.I, nets.K), nets.random_weights(network, 5)
    for array, mask in zip(weights, masks, strict=True):
        np.testing.assert_array_equal(array != 0.0, mask)
    assert network.n_weights(nets.I, nets.K) == sum(mask.sum() for mask in masks)


def test_biases_of_forget_gates_start_as_configured() -> None:
    network = Lstm2000(2, 1, forget_gate_bias=(1.0, 2.0), input_gate_bias=(-1.0, -2.0), hidden=1)
    hidden, _ = nets.random_weights(network, 1)
    assert hidden[-2:, nets.I].tolist() == [1.0, 2.0]
    assert hidden[2:4, nets.I].tolist() == [-1.0, -2.0]
    added, _ = nets.random_weights(replace(network, gate_bias="adds"), 1)
    random, _ = nets.random_weights(replace(network, forget_gate_bias=()), 1)
    np.testing.assert_array_equal(added[-2:, nets.I], random[-2:, nets.I] + [1.0, 2.0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"forget_gate_bias": (1.0,)}, r"network.forget_gate_bias=\[1.0\]: takes one number a block \(2\)"),
        ({"forget_gate_bias": (1.0, 1.0), "forget": "coupled"}, r"takes \[\] where network.forget=coupled"),
        ({"forget_gate_bias": (1.0, 1.0), "gates_biased": False}, r"takes \[\] where network.gates_biased=false"),
        ({"forget": "gate"}, "network.forget=gate: takes one of gates, coupled, none"),
        ({"blocks": 64, "size": 6}, "takes up to 512 gates and cells, not 576"),
    ],
)
def test_what_makes_no_net_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lstm2000(**settings)
