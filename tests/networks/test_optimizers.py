"""Momentum and Adam against their equations in plain numpy, fed with what single sequences contribute by descent."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.nets import RANKED, STOP, assert_close, random_sequences, random_weights, results, trained

from lstm_search.networks import DESCENT, RULES, Bptt, Elman, Gru, Lstm1997, Lstm2000, Rtrl, Rule, Signal
from lstm_search.spec import Cell, Training, TrialSpec
from lstm_search.tasks import EmbeddedReber, TemporalOrder
from lstm_search.worker.pack import Pack
from lstm_search.worker.shape import shape_of

NETS = [Lstm1997(1, 2, direct=True), Lstm1997(2, 1, gradient="full"), Bptt(2), Rtrl(2, "direct"), Elman(2), Gru(2),
        Lstm2000(1, 2, peepholes=True), Lstm2000(2, 1, peepholes=True, gradient="full")]  # fmt: skip
RULE = Rule(0.3, 0.8)
Arrays = list[np.ndarray]


class Naive:
    """One array of weights and what an optimizer remembers of it."""

    def __init__(self, name: str) -> None:
        self.name, self.n, self.m, self.v = name, 0, np.float64(0.0), np.float64(0.0)

    def step(self, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        self.n += 1
        if self.name == "momentum":
            self.m = RULE.momentum * self.m + g
            return w + RULE.rate * self.m
        self.m = RULE.momentum * self.m + (1 - RULE.momentum) * g
        self.v = 0.999 * self.v + 0.001 * g**2
        m, v = self.m / (1 - RULE.momentum**self.n), self.v / (1 - 0.999**self.n)
        return w + RULE.rate * m / (np.sqrt(v) + 1e-8)


@pytest.mark.parametrize("symbols", [True, False], ids=["symbols", "rows"])
@pytest.mark.parametrize("network", NETS, ids=lambda network: f"{network.name}-{getattr(network, 'gradient', '')}")
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_weights_follow_the_equations(name: str, network: Any, *, symbols: bool) -> None:
    weights, lanes = (
        [random_weights(network, n) for n in (1, 2)],
        [random_sequences(n, 6, symbols=symbols) for n in (3, 4)],
    )
    signals = [Signal(1.0, rule=RULE)] * 2
    found, _ = trained(network, weights, lanes, symbols=symbols, sums=RULES[name], signals=signals)
    for first, lane, both in zip(weights, lanes, found, strict=True):
        expected, twins = first, (Naive(name), Naive(name))
        for sequence in lane:
            [after], _ = trained(
                network, [expected], [[sequence]], symbols=symbols, sums=DESCENT, signals=[Signal(1.0)]
            )
            moves = zip(twins, expected, after, strict=True)
            expected = tuple(twin.step(w, moved - w) for twin, w, moved in moves)
        assert_close(both, expected, 1e-6 if name == "adam" else 1e-11)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
@pytest.mark.parametrize("task", [EmbeddedReber(), TemporalOrder(2)], ids=["symbols-all", "symbols-last"])
@pytest.mark.parametrize("network", [Lstm1997(), Elman(3)], ids=["lstm1997", "elman"])
def test_lanes_do_not_matter(network: Any, task: Any, optimizer: str) -> None:
    rate = 0.02 if optimizer == "momentum" else 0.01
    cell = Cell(
        task, network, Training(rate, optimizer=optimizer), (RANKED if task.name == "embedded_reber" else STOP,)
    )
    alone, together = results(cell, 1, range(3)), results(cell, 4, range(3))
    assert [r.weights_sha256 for r in alone] == [r.weights_sha256 for r in together]
    plain = results(replace(cell, training=Training(rate)), 1, range(1))
    assert plain[0].weights_sha256 not in [r.weights_sha256 for r in alone]


def test_a_lane_forgets_the_moments_of_the_trial_before() -> None:
    cell = Cell(EmbeddedReber(), Lstm1997(), Training(0.01, optimizer="adam"), (RANKED,))
    [fresh] = results(cell, 1, range(1))
    pack = Pack(shape_of(cell), 1)
    hashes = []
    for seed in (1, 0):
        pack.add(TrialSpec(cell, seed, 7, 500 + 30 * seed))
        while pack.running:
            hashes += [result.weights_sha256 for result in pack.advance()]
    assert hashes[1] == fresh.weights_sha256
