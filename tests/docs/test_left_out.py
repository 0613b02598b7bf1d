"""docs/readings.md: the steps of the argument why task 2b cannot come out as the text has it, checked on nets."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import naive

from lstm_search.config import compose
from lstm_search.networks import Lstm1997

P = 12  # x is symbol P - 1, y is symbol P
HIGH = np.log(3.0)  # the net input at which a logistic output is .75


def net(seed: int) -> tuple[Lstm1997, np.ndarray]:
    """The net of the row, and random hidden weights."""
    network = compose(["table=2b"]).rows_ahead()[0].cell.network
    assert isinstance(network, Lstm1997)
    assert (network.recurrent, network.blocks * network.size, network.output_gates) == ("none", 1, False)
    return network, np.random.default_rng(seed).normal(0, 1, (2, P + 1))


def states(network: Lstm1997, hidden: np.ndarray, first: int, middle: list[int]) -> list[float]:
    """The cell's state after each step of a sequence."""
    output = np.zeros((P + 1, P + 1 + network.blocks * network.size + network.output_bias))
    return [step.s[0] for step in naive.forward(network, hidden, output, [first, *middle])]


@pytest.mark.parametrize("seed", range(20))
def test_states_of_two_sequences_that_differ_in_their_first_symbol_differ_by_a_constant(seed: int) -> None:
    network, hidden = net(seed)
    middle = np.random.default_rng(seed + 100).integers(0, P - 1, 30).tolist()
    apart = np.subtract(*(states(network, hidden, first, middle) for first in (P - 1, P)))
    np.testing.assert_allclose(apart, apart[0], rtol=0, atol=1e-12)


def passing(network: Lstm1997, hidden: np.ndarray, middles: list[list[int]]) -> np.ndarray:
    """Output weights with which all these sequences are right at their ends, after either first symbol.

    Outputs x and y have one weight from the cell, and from each symbol what puts them at .75 for the hardest sequence
    that ends with it."""
    ends = [[states(network, hidden, first, middle)[-1] for first in (P - 1, P)] for middle in middles]
    sign = np.sign(ends[0][0] - ends[0][1])
    output = np.zeros((P + 1, P + 2))
    for k, own in ((P - 1, 0), (P, 1)):
        up = sign if own == 0 else -sign
        for a in range(P - 1):
            some = [end for middle, end in zip(middles, ends, strict=True) if middle[-1] == a]
            least, most = min(up * end[own] for end in some), max(up * end[1 - own] for end in some)
            assert most < least, "no weights pass: the symbols between move the state by more than the first one"
            output[k, P + 1] = max(output[k, P + 1], 2.0 * HIGH / (least - most))
        for a in range(P - 1):
            least = min(up * end[own] for middle, end in zip(middles, ends, strict=True) if middle[-1] == a)
            output[k, a] = HIGH - output[k, P + 1] * least
        output[k, P + 1] *= up
    return output


def shut(seed: int) -> tuple[Lstm1997, np.ndarray, list[list[int]]]:
    """A net whose gate is nearly shut for the symbols between, and open for the first one, else no net passes at all;
    and such symbols."""
    network, hidden = net(seed)
    rng = np.random.default_rng(seed + 200)
    hidden[1, : P - 1] -= 8.0
    hidden[1, P - 1 :] = 3.0
    return network, hidden, [[*rng.integers(0, P - 1, P - 2).tolist(), a] for a in range(P - 1) for _ in range(6)]


@pytest.mark.parametrize("seed", range(10))
def test_a_net_that_passes_the_test_predicts_x_or_y_at_every_step(seed: int) -> None:
    network, hidden, middles = shut(seed)
    output = passing(network, hidden, middles)
    for middle in middles:
        x, y = (naive.forward(network, hidden, output, [first, *middle]) for first in (P - 1, P))
        assert x[-1].y[P - 1] >= 0.75 - 1e-9 >= 0.25 + 1e-9 >= x[-1].y[P]
        assert y[-1].y[P] >= 0.75 - 1e-9 >= 0.25 + 1e-9 >= y[-1].y[P - 1]
        wrongly = [max(x[t].y[P - 1], y[t].y[P]) for t in range(1, P - 1)]
        assert min(wrongly) >= 0.75 - 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_a_net_that_never_predicts_x_or_y_pays_less_than_one_that_passes(seed: int) -> None:
    network, hidden, middles = shut(seed)
    output = passing(network, hidden, middles)
    silent = output.copy()
    silent[P - 1 :] = 0.0
    silent[P - 1 :, : P + 1] = -40.0
    for middle in middles:
        paid, paid_silent = (error(network, hidden, weights, middle) for weights in (output, silent))
        assert paid >= (P - 2) * 0.75**2 - 1e-9
        assert paid_silent == pytest.approx(2.0, abs=1e-9)


def error(network: Lstm1997, hidden: np.ndarray, output: np.ndarray, middle: list[int]) -> float:
    """The squared error of outputs x and y over the x-sequence and the y-sequence: at the end one of them is due."""
    total = 0.0
    for first in (P - 1, P):
        steps = naive.forward(network, hidden, output, [first, *middle])
        targets = [(0.0, 0.0)] * (P - 2) + [(float(first == P - 1), float(first == P))]
        total += sum(
            float(np.sum(np.subtract(step.y[P - 1 :], due) ** 2)) for step, due in zip(steps[1:], targets, strict=True)
        )
    return total
