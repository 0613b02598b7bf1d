"""The 1997 net in lanes against its slow twin and against the gradient that truncation means."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import naive
from helpers.lstm1997_cases import CASES, N_INPUTS, N_OUTPUTS, READINGS, Case, cases, name_of
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997
from lstm_search.networks.lstm1997_state import RING
from lstm_search.simd.lanes import lanes_tag
from lstm_search.simd.stopping import new_stop_state
from lstm_search.simd.streams import Block, Layout, new_block
from lstm_search.spec import Training

WIDTH = 4
BLOCK = 8 * RING

Weights = tuple[NDArray, NDArray]
Sequences = list[tuple[NDArray, dict[int, NDArray]]]


def random_weights(network: Lstm1997, seed: int) -> Weights:
    """Random weights where weights exist, in the order of the twin."""
    rng = np.random.default_rng(seed)
    hidden, output = (rng.normal(0, 0.5, mask.shape) * mask for mask in naive.exists(network, N_INPUTS, N_OUTPUTS))
    return hidden, output


def random_sequences(case: Case, seed: int, number: int) -> Sequences:
    """Sequences of 1 to 9 steps, each with a target at least."""
    rng = np.random.default_rng(seed)
    found: Sequences = []
    for steps in rng.integers(1, 10, number):
        x = rng.integers(0, N_INPUTS, steps) if case.symbols else rng.normal(0, 1, (steps, N_INPUTS))
        due = [steps - 1] if case.targets == "last" else {rng.integers(0, steps), *rng.integers(0, steps, steps // 2)}
        found.append((x, {int(t): rng.uniform(0, 1, N_OUTPUTS) for t in due}))
    return found


def in_kernel_order(network: Lstm1997, hidden: NDArray) -> NDArray:
    """The twin's hidden weights with the column of biases behind the inputs instead of last."""
    if not naive.has_bias_column(network):
        return hidden
    return np.concatenate([hidden[:, :N_INPUTS], hidden[:, -1:], hidden[:, N_INPUTS:-1]], axis=1)


def in_twins_order(network: Lstm1997, hidden: NDArray) -> NDArray:
    if not naive.has_bias_column(network):
        return hidden
    return np.concatenate([hidden[:, :N_INPUTS], hidden[:, N_INPUTS + 1 :], hidden[:, N_INPUTS : N_INPUTS + 1]], axis=1)


def blocks_of(lanes: list[Sequences], *, symbols: bool) -> list[Block]:
    """The lanes' sequences end to end, in blocks that cut them anywhere; all lanes are filled up with idle steps."""
    steps = max(sum(len(x) for x, _ in lane) for lane in lanes)
    whole = new_block(-(-steps // BLOCK) * BLOCK, len(lanes), Layout(N_INPUTS, N_OUTPUTS, symbols=symbols))
    for l, lane in enumerate(lanes):
        start = 0
        for x, targets in lane:
            (whole.symbol if symbols else whole.x)[start : start + len(x), ..., l] = x
            for t, target in targets.items():
                whole.target[start + t, :, l] = target
                whole.due[start + t] |= 1 << l
            start += len(x)
            whole.ends[start - 1] |= 1 << l
    parts = range(0, len(whole.due), BLOCK)
    *arrays, inputs = whole
    return [Block(*(array if not array.size else array[t : t + BLOCK] for array in arrays), inputs) for t in parts]


def trained(
    case: Case,
    weights: list[Weights],
    lanes: list[Sequences],
    *,
    learning: int = -1,
    trainings: Sequence[Training] = (),
) -> SimpleNamespace:
    """The kernel's weights after each lane's sequences (in the twin's order), its state, and that of its stop rules.
    `trainings`: how each lane learns, where they do not all learn as the case says."""
    network, width = case.network, len(lanes)
    sums = case.training.update == "sequence" and case.targets != "last"
    variant = network.variant(N_INPUTS, symbols=case.symbols, sums=sums)
    state, stop = network.kernels.new_state(width, variant, N_OUTPUTS), new_stop_state(width, 1)
    for l, (hidden, output) in enumerate(weights):
        signal = (trainings[l] if trainings else case.training).signal
        network.kernels.put(state, variant, l, network, (in_kernel_order(network, hidden), output), signal)
    state.alive[:] = 1.0
    stop.masks[:] = (1 << width) - 1
    stop.masks[1] &= learning
    stop.limit[:] = 10**9
    tag = lanes_tag(width)
    network.kernels.restart(tag, variant, state, (1 << width) - 1)
    for block in blocks_of(lanes, symbols=case.symbols):
        network.kernels.advance(tag, variant, state, block, stop)
    both = [network.kernels.weights(state, variant, l) for l in range(width)]
    found = [(in_twins_order(network, hidden), output) for hidden, output in both]
    return SimpleNamespace(weights=found, state=state, stop=stop)


def assert_close(found: Weights, expected: Weights, rtol: float = 1e-12, atol: float = 1e-12) -> None:
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_weights_after_50_sequences_are_those_of_the_twin(case: Case) -> None:
    """Lane 0 has 50 sequences of its own; the others, with other weights and data, end theirs at other steps."""
    weights = [random_weights(case.network, seed) for seed in range(WIDTH)]
    lanes = [random_sequences(case, seed, 50 if seed == 0 else 8) for seed in range(WIDTH)]
    found = trained(case, weights, lanes)
    for l in range(WIDTH):
        *expected, _ = naive.train(case.network, case.training, *weights[l], lanes[l])
        assert_close(found.weights[l], tuple(expected))
        assert np.abs(found.weights[l][1] - weights[l][1]).max() > 1e-4


OPTIONS = {
    "recurrent": 3, "gates_biased": 2, "cell_bias": 3, "output_bias": 2, "g": 3, "h": 3, "output": 2, "reset": 2,
    "size": 3, "blocks": 3, "output_gates": 2, "direct": 2, "hidden": 3, "recurrent_to": 2,
}  # fmt: skip


@pytest.mark.parametrize(("option", "values"), OPTIONS.items())
def test_the_cases_reach_every_option_of_the_net_with_both_inputs_and_updates(option: str, values: int) -> None:
    for of_training in (lambda case: case.symbols, lambda case: case.training.update, lambda case: case.targets):
        assert len({(getattr(case.network, option), of_training(case)) for case in CASES}) == 2 * values


def test_the_margin_cuts_some_error_signals_and_not_others() -> None:
    cases = [case for case in READINGS if case.training.margin]
    for case in cases:
        lane = random_sequences(case, 0, 50)
        *_, outputs = naive.train(case.network, case.training, *random_weights(case.network, 0), lane)
        errors = [targets[t] - y[t] for (_, targets), y in zip(lane, outputs, strict=True) for t in targets]
        cut = np.mean(np.abs(errors) < case.training.margin)
        assert 0.2 < cut < 0.8
    assert len(cases) == 24


LANES = (
    Training(0.3),
    Training(0.2, slope=False, margin=0.2),
    Training(0.3, slope_added=0.1, error_scale=2.0),
    Training(0.1, margin=0.4),
)


@pytest.mark.parametrize("symbols", [False, True])
def test_each_lane_learns_by_an_error_signal_of_its_own(symbols: bool) -> None:
    case = Case(Lstm1997(hidden=1), symbols=symbols)
    weights = [random_weights(case.network, seed) for seed in range(WIDTH)]
    lanes = [random_sequences(case, seed, 20) for seed in range(WIDTH)]
    found = trained(case, weights, lanes, trainings=LANES)
    for l, training in enumerate(LANES):
        *expected, _ = naive.train(case.network, training, *weights[l], lanes[l])
        assert_close(found.weights[l], tuple(expected))


def test_the_cases_reach_every_scale_of_the_error() -> None:
    assert len({(case.training.error_scale, case.training.update, case.symbols) for case in CASES}) == 12


@pytest.mark.parametrize("case", CASES[::5], ids=name_of)
def test_symbols_are_rows_with_a_single_one(case: Case) -> None:
    of_symbols = replace(case, symbols=True)
    weights = [random_weights(case.network, seed) for seed in range(WIDTH)]
    lanes = [random_sequences(of_symbols, seed, 20) for seed in range(WIDTH)]
    rows = [[(np.eye(N_INPUTS)[x], targets) for x, targets in lane] for lane in lanes]
    found, expected = trained(of_symbols, weights, lanes), trained(replace(case, symbols=False), weights, rows)
    for l in range(WIDTH):
        assert_close(found.weights[l], expected.weights[l])


def complex_step(case: Case, weights: Weights, value: Callable[[NDArray, NDArray], complex]) -> Weights:
    """d value/dw for every weight that exists, exact to rounding."""
    gradients = tuple(np.zeros_like(array) for array in weights)
    for number, mask in enumerate(naive.exists(case.network, N_INPUTS, N_OUTPUTS)):
        for entry in map(tuple, np.argwhere(mask)):
            moved = [array.astype(complex) for array in weights]
            moved[number][entry] += 1e-30j
            gradients[number][entry] = value(*moved).imag / 1e-30
    return gradients


GRADIENTS = cases() + [
    case for case in READINGS if case.training == Training(case.training.rate) and case.targets == "some"
]


@pytest.mark.parametrize("case", GRADIENTS, ids=name_of)
def test_one_sequence_changes_the_weights_by_rate_times_the_truncated_gradient(case: Case) -> None:
    """The derivative of the loss with the activations fed back from t-1 frozen: what truncation means (appendix A.1).

    An update at every step would move the weights under the gradient, so contributions are summed here."""
    case = replace(case, training=Training(0.5, "sequence", 2.0))
    weights = random_weights(case.network, 7)
    [(x, targets)] = lane = random_sequences(case, 9, 1)
    frozen = naive.forward(case.network, *weights, x)

    def loss(hidden: NDArray, output: NDArray) -> complex:
        steps = naive.forward(case.network, hidden, output, x, frozen)
        return sum((target[k] - steps[t].y[k]) ** 2 / 2 for t, target in targets.items() for k in range(N_OUTPUTS))

    assert len(x) > 3
    found = trained(case, [weights], [lane]).weights[0]
    gradient = complex_step(case, weights, loss)
    change = tuple(array - before for array, before in zip(found, weights, strict=True))
    assert_close(change, tuple(-array for array in gradient), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("case", CASES[::6], ids=name_of)
def test_a_lane_gives_the_same_bits_at_every_width(case: Case) -> None:
    weights = [random_weights(case.network, seed) for seed in range(16)]
    lanes = [random_sequences(case, seed, 6) for seed in range(16)]
    together = trained(case, weights, lanes).weights
    for width in (1, 4, 8):
        for array, other in zip(
            trained(case, weights[:width], lanes[:width]).weights[-1], together[width - 1], strict=True
        ):
            assert array.tobytes() == other.tobytes()


@pytest.mark.parametrize("case", CASES[::6], ids=name_of)
def test_lanes_that_do_not_learn_keep_their_weights(case: Case) -> None:
    weights = [random_weights(case.network, seed) for seed in range(WIDTH)]
    lanes = [random_sequences(case, seed, 6) for seed in range(WIDTH)]
    found, all_learn = trained(case, weights, lanes, learning=0b0101), trained(case, weights, lanes)
    for l in range(WIDTH):
        for array, other in zip(found.weights[l], (all_learn.weights if l in (0, 2) else weights)[l], strict=True):
            assert array.tobytes() == np.ascontiguousarray(other).tobytes()


@pytest.mark.parametrize("case", CASES[:12], ids=name_of)
def test_errors_of_a_sequence_are_means_over_its_targets(case: Case) -> None:
    """One sequence a lane, none learning: the state of the stop rules has the errors of the twin's outputs."""
    lanes = [random_sequences(case, seed, 1) for seed in range(9, 9 + WIDTH)]
    weights = [random_weights(case.network, seed) for seed in range(WIDTH)]
    stop = trained(case, weights, lanes, learning=0).stop
    for l, [(x, targets)] in enumerate(lanes):
        steps = naive.forward(case.network, *weights[l], x)
        errors = np.array([target - steps[t].y for t, target in targets.items()])
        np.testing.assert_allclose(stop.total[l], np.abs(errors).mean(), rtol=1e-12)
        assert stop.done[l] == 1
