"""The twin itself: its change of the weights is the gradient that section 3 and appendix A.1 define.

Truncation means that gates and cells take the activations fed back from t-1 for constants. So the oracle is the
derivative of the loss with those activations frozen at their recorded values, by complex step: exact to rounding.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import naive
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997
from lstm_search.spec import Training

CONNECTIVITY = list(itertools.product(("all", "cells", "none"), (True, False), ("random", "none")))
SQUASHES = list(itertools.product(("bipolar", "logistic"), ("bipolar", "identity"), ("logistic", "linear")))
SHAPES = [(1, 1), (2, 2), (1, 3), (3, 1), (2, 3), (2, 1), (1, 2)]
N_INPUTS, N_OUTPUTS, STEPS = 3, 2, 5
TARGET_STEPS = (1, 3, 4)


Problem = tuple[NDArray, NDArray, NDArray, dict[int, NDArray]]


def problem(network: Lstm1997, *, symbols: bool) -> Problem:
    """Random weights where weights exist, one sequence, and targets at several steps."""
    rng = np.random.default_rng(0)
    hidden, output = (rng.normal(0, 0.8, mask.shape) * mask for mask in naive.exists(network, N_INPUTS, N_OUTPUTS))
    x = rng.integers(0, N_INPUTS, STEPS) if symbols else rng.normal(0, 1, (STEPS, N_INPUTS))
    return hidden, output, x, {t: rng.uniform(0, 1, N_OUTPUTS) for t in TARGET_STEPS}


def loss(steps: list[naive.Step], targets: naive.Targets) -> complex:
    return sum((target[k] - steps[t].y[k]) ** 2 / 2 for t, target in targets.items() for k in range(N_OUTPUTS))


def complex_step(network: Lstm1997, weights: tuple[NDArray, NDArray], value: Callable) -> list[NDArray]:
    """d value(hidden, output)/dw for every weight that exists."""
    masks = naive.exists(network, N_INPUTS, N_OUTPUTS)
    gradients = [np.zeros_like(array) for array in weights]
    for array, entry in ((array, tuple(entry)) for array, mask in enumerate(masks) for entry in np.argwhere(mask)):
        moved = [values.astype(complex) for values in weights]
        moved[array][entry] += 1e-30j
        gradients[array][entry] = value(*moved).imag / 1e-30
    return gradients


def gradient(network: Lstm1997, data: Problem, *, truncated: bool = True) -> list[NDArray]:
    hidden, output, x, targets = data
    frozen = naive.forward(network, hidden, output, x) if truncated else None
    return complex_step(
        network, (hidden, output), lambda *weights: loss(naive.forward(network, *weights, x, frozen), targets)
    )


def assert_close(actual: NDArray, expected: NDArray, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=1e-3 * tolerance * np.abs(expected).max())


def cases() -> list[tuple[Lstm1997, bool]]:
    """Every connectivity with every squash, for symbols and dense rows; shapes, resets and output bias change along."""
    found = []
    for number, (fed, squashes, symbols) in enumerate(itertools.product(CONNECTIVITY, SQUASHES, (False, True))):
        options = dict(zip(("recurrent", "gates_biased", "cell_bias"), fed, strict=True))
        options |= zip(("g", "h", "output"), squashes, strict=True)
        options |= zip(("blocks", "size"), SHAPES[number % len(SHAPES)], strict=True)
        found.append((Lstm1997(**options, output_bias=number % 3 > 0, reset=0.5 * (number % 5 > 2)), symbols))
    return found + cases_beside_the_text()


def cases_beside_the_text() -> list[tuple[Lstm1997, bool]]:
    """Conventional units, what recurrent connections lead to, and the ranges of the caption of table 10."""
    found = []
    fed = itertools.product((0, 1, 3), ("all", "cells", "none"), ("all", "gates"), (False, True))
    for number, (hidden, recurrent, recurrent_to, symbols) in enumerate(fed):
        network = Lstm1997(
            *SHAPES[number % len(SHAPES)],
            hidden=hidden,
            recurrent=recurrent,
            recurrent_to=recurrent_to,
            g=("half", "bipolar", "half")[number % 3],
            h=("bipolar", "double", "double", "identity")[number % 4],
            gates_biased=number % 5 > 1,
            cell_bias=("random", "none")[number % 7 > 3],
            output_gates=number % 11 > 3,
            direct=number % 13 > 6,
            reset=0.5 * (number % 5 > 2),
        )
        found.append((network, symbols))
    return found


@pytest.mark.parametrize(("network", "symbols"), cases())
def test_a_sequence_changes_the_weights_by_rate_times_the_truncated_gradient(network: Lstm1997, symbols: bool) -> None:
    data = hidden, output, x, targets = problem(network, symbols=symbols)
    training = Training(rate=0.25, error_scale=2.0)
    new_hidden, new_output, _ = naive.train(network, training, hidden, output, [(x, targets)])
    d_hidden, d_output = gradient(network, data)
    assert_close(new_hidden - hidden, -0.5 * d_hidden)
    assert_close(new_output - output, -0.5 * d_output)


OPTIONS = {  # how many values each takes
    "recurrent": 3, "gates_biased": 2, "cell_bias": 2, "output_bias": 2, "g": 3, "h": 3, "output": 2, "reset": 2,
    "size": 3, "blocks": 3, "hidden": 3, "recurrent_to": 2, "output_gates": 2, "direct": 2,
}  # fmt: skip


@pytest.mark.parametrize(("option", "values"), OPTIONS.items())
def test_the_cases_reach_every_option(option: str, values: int) -> None:
    assert len({(getattr(network, option), symbols) for network, symbols in cases()}) == 2 * values


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("hidden", [0, 2])
def test_without_recurrent_connections_nothing_is_truncated(symbols: bool, hidden: int) -> None:
    network = Lstm1997(recurrent="none", hidden=hidden)
    data = problem(network, symbols=symbols)
    for truncated, full in zip(gradient(network, data), gradient(network, data, truncated=False), strict=True):
        assert_close(truncated, full)


def test_with_recurrent_connections_the_full_gradient_is_another() -> None:
    network = Lstm1997()
    data = problem(network, symbols=False)
    truncated, full = gradient(network, data)[0], gradient(network, data, truncated=False)[0]
    assert np.abs(truncated - full).max() > 1e-2 * np.abs(full).max()


def test_error_flows_through_a_cell_unchanged() -> None:
    """An input seen only at t moves the last state by y_in(t) g'(net_c(t)), however long ago t was (section 3.2)."""
    network, steps = Lstm1997(blocks=1, size=1), 12
    rng = np.random.default_rng(1)
    hidden, output = (rng.normal(0, 0.8, mask.shape) for mask in naive.exists(network, steps, 1))
    recorded = naive.forward(network, hidden, output, range(steps))
    for t, step in enumerate(recorded):
        moved = hidden.astype(complex)
        moved[0, t] += 1e-30j
        last = naive.forward(network, moved, output, range(steps), recorded)[-1]
        assert last.s[0].imag / 1e-30 == pytest.approx(step.y_in[0] * (2 + step.g[0]) * (2 - step.g[0]) / 4, rel=1e-12)


def test_with_one_target_at_the_end_both_kinds_of_update_agree() -> None:
    network = Lstm1997()
    hidden, output, x, targets = problem(network, symbols=False)
    sequences = [(x, {STEPS - 1: targets[STEPS - 1]})] * 2
    by_step, by_sequence = (
        naive.train(network, Training(update=update), hidden, output, sequences) for update in ("step", "sequence")
    )
    np.testing.assert_array_equal(by_step[0], by_sequence[0])
    np.testing.assert_array_equal(by_step[1], by_sequence[1])


def test_an_update_per_step_acts_from_the_next_step_on() -> None:
    """Without feedback a state is a sum over steps: here two by the old weights, then one by the new."""
    network, training = Lstm1997(recurrent="none"), Training(update="step", rate=0.25)
    hidden, output, x, targets = problem(network, symbols=True)
    sequence = x, {1: targets[1]}
    new_hidden, new_output, [outputs] = naive.train(network, training, hidden, output, [sequence])
    d_hidden, d_output = gradient(network, (hidden, output, *sequence))
    assert_close(new_hidden - hidden, -0.25 * d_hidden)
    assert_close(new_output - output, -0.25 * d_output)
    old, new = naive.forward(network, hidden, output, x), naive.forward(network, new_hidden, new_output, x)
    s = [old[1].s[c] + new[2].s[c] - new[1].s[c] for c in range(4)]
    y_c = [new[2].y_out[c // 2] * naive.h_of(network, s[c]) for c in range(4)]
    assert outputs[:2] == [old[0].y, old[1].y]
    assert outputs[2] == pytest.approx([naive.f(naive.dot(row, [*y_c, 1.0])) for row in new_output], rel=1e-12)


def test_a_symbol_is_a_row_with_a_single_one() -> None:
    network = Lstm1997()
    hidden, output, symbols, targets = problem(network, symbols=True)
    of_symbols, of_rows = (
        naive.train(network, Training(), hidden, output, [(x, targets)] * 3)
        for x in (symbols, np.eye(N_INPUTS)[symbols])
    )
    np.testing.assert_array_equal(of_symbols[0], of_rows[0])
    np.testing.assert_array_equal(of_symbols[1], of_rows[1])


def test_weights_that_do_not_exist_stay_zero() -> None:
    network = Lstm1997(cell_bias="none")
    hidden, output, x, targets = problem(network, symbols=False)
    new_hidden, _, _ = naive.train(network, Training(), hidden, output, [(x, targets)] * 3)
    assert not new_hidden[:4, -1].any()
    assert new_hidden[4:, -1].all()


@pytest.mark.parametrize(("g", "h"), [("bipolar", "bipolar"), ("half", "double"), ("logistic", "identity")])
def test_ranges_are_those_that_the_text_and_the_caption_print(g: Any, h: Any) -> None:
    """And slopes are the derivatives, by complex step."""
    network = Lstm1997(g=g, h=h)
    low, high = {"bipolar": (-2, 2), "half": (-1, 1), "logistic": (0, 1)}[g]
    assert naive.g_of(network, -40.0) == pytest.approx(low)
    assert naive.g_of(network, 40.0) == pytest.approx(high)
    if h != "identity":
        most = {"bipolar": 1, "double": 2}[h]
        assert naive.h_of(network, -40.0) == pytest.approx(-most)
        assert naive.h_of(network, 40.0) == pytest.approx(most)
    for x in (-3.0, 0.1, 2.0):
        for of, slope in ((naive.g_of, naive.g_prime), (naive.h_of, naive.h_prime)):
            assert of(network, x + 1e-30j).imag / 1e-30 == pytest.approx(slope(network, of(network, x)), rel=1e-12)


def test_a_margin_and_a_slope_change_what_outputs_are_told() -> None:
    """Of three outputs that err by .05, .1 and .5."""
    network = Lstm1997()
    y, errors = [0.9, 0.5, 0.2], [0.05, 0.1, -0.5]

    def told(**training: Any) -> list[float]:
        return [naive.error_signal(network, Training(**training), *both) for both in zip(y, errors, strict=True)]

    assert told() == pytest.approx([0.05 * 0.09, 0.1 * 0.25, -0.5 * 0.16])
    assert told(margin=0.1) == pytest.approx([0, 0.1 * 0.25, -0.5 * 0.16])
    assert told(slope=False) == errors
    assert told(slope_added=0.1, margin=0.2) == pytest.approx([0, 0, -0.5 * 0.26])


# The order of changes in a published simulator: what a sequence brings is applied after the next one's first step


def quiet_start(number: int) -> list[tuple[NDArray, dict[int, NDArray]]]:
    """Sequences whose first step sees zeros and has no target. The last is no more than that."""
    rng = np.random.default_rng(3)
    steps = [rng.normal(0, 1, (STEPS, N_INPUTS)) * (np.arange(STEPS) > 0)[:, None] for _ in range(number)]
    targets = [{t: rng.uniform(0, 1, N_OUTPUTS) for t in TARGET_STEPS} for _ in range(number)]
    return [*zip(steps, targets, strict=True), (np.zeros((1, N_INPUTS)), {})]


@pytest.mark.parametrize("hidden", [0, 2])
def test_where_first_steps_bring_nothing_late_changes_are_the_same_changes(hidden: int) -> None:
    """Without hidden biases such a step is the same whatever the weights are, and leaves no trace: only its outputs
    tell which weights were in force."""
    network = Lstm1997(gates_biased=False, cell_bias="none", hidden=hidden)
    weights = problem(network, symbols=False)[:2]
    *at_once, outputs = naive.train(network, Training(), *weights, quiet_start(20))
    *late, outputs_late = naive.train(network, Training(), *weights, quiet_start(20), late=True)
    for found, expected in zip(late, at_once, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    for found, expected in zip(outputs_late[:20], outputs[:20], strict=True):
        np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-12, atol=1e-12)
    assert all(found[0] != expected[0] for found, expected in zip(outputs_late[1:20], outputs[1:20], strict=True))


def test_late_changes_differ_by_the_square_of_the_rate() -> None:
    network = Lstm1997()
    hidden, output, *_ = problem(network, symbols=False)
    rng = np.random.default_rng(4)
    sequences = [(rng.normal(0, 1, (STEPS, N_INPUTS)), {t: rng.uniform(0, 1, N_OUTPUTS) for t in (0, 2, 4)})] * 5

    def apart(rate: float) -> float:
        at_once, _, _ = naive.train(network, Training(rate), hidden, output, sequences)
        late, _, _ = naive.train(
            network, Training(rate), hidden, output, [*sequences, (np.zeros((1, N_INPUTS)), {})], late=True
        )
        return float(np.abs(at_once - late).max())

    assert apart(1e-3) / apart(5e-4) == pytest.approx(4, rel=0.02)


UNBIASED = {"cell_bias": "none", "output_bias": False}
PRINTED_COUNTS = [  # tables 1, 2c, 5, 7 and 9 of the paper
    (264, Lstm1997(4, 1, **UNBIASED), 7, 7),
    (276, Lstm1997(3, 2, **UNBIASED), 7, 7),
    (364, Lstm1997(2, 1, gates_biased=False, **UNBIASED), 54, 2),
    (6064, Lstm1997(2, 1, gates_biased=False, **UNBIASED), 1004, 2),
    (102, Lstm1997(3, 1, output_bias=False), 1, 1),
    (93, Lstm1997(2, 2), 2, 1),
    (156, Lstm1997(2, 2), 8, 4),
    (308, Lstm1997(3, 2), 8, 8),
]


@pytest.mark.parametrize(("printed", "network", "n_inputs", "n_outputs"), PRINTED_COUNTS)
def test_the_weights_are_as_many_as_printed(printed: int, network: Lstm1997, n_inputs: int, n_outputs: int) -> None:
    assert sum(mask.sum() for mask in naive.exists(network, n_inputs, n_outputs)) == printed


def test_reset_feeds_the_first_step_only() -> None:
    network = Lstm1997()
    hidden, output, x, _ = problem(network, symbols=False)
    zero, half = (naive.forward(replace(network, reset=reset), hidden, output, x) for reset in (0.0, 0.5))
    assert zero[0].z[N_INPUTS:-1] == [0.0] * 8
    assert half[0].z[N_INPUTS:-1] == [0.5] * 8
    assert half[1].z[N_INPUTS:-1] == half[0].y_c + half[0].y_in + half[0].y_out
