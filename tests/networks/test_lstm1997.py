"""The 1997 net in lanes against its slow twin and against the gradient that truncation means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import naive
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997
from lstm_search.networks.lstm1997_state import RING
from lstm_search.simd.draws import WEIGHTS, stream_key
from lstm_search.simd.lanes import lanes_tag
from lstm_search.simd.stopping import new_stop_state
from lstm_search.simd.streams import Block, Layout, new_block
from lstm_search.spec import Training

N_INPUTS, N_OUTPUTS, WIDTH = 3, 2, 4
BLOCK = 8 * RING

Weights = tuple[NDArray, NDArray]
Sequences = list[tuple[NDArray, dict[int, NDArray]]]


@dataclass(frozen=True)
class Case:
    """A net, how it learns, and what it is fed."""

    network: Lstm1997
    training: Training = field(default_factory=Training)
    symbols: bool = False
    targets: str = "some"  # at some steps, or only at the "last" one


def cases() -> list[Case]:
    """Every connectivity with every bias option and both kinds of input; all other options change along."""
    connectivity = product(("all", "cells", "none"), (True, False), ("random", "zero", "none"), (True, False))
    shapes = list(product((1, 2, 3), (1, 2, 3)))
    found = []
    for n, (recurrent, gates_biased, cell_bias, symbols) in enumerate(connectivity):
        blocks, size = shapes[n % 9]
        network = Lstm1997(
            blocks=blocks,
            size=size,
            gates_biased=gates_biased,
            recurrent=recurrent,
            cell_bias=cell_bias,
            output_bias=n % 5 < 3,
            g=("bipolar", "logistic")[n // 2 % 2],
            h=("bipolar", "identity")[n // 3 % 2],
            output=("logistic", "linear")[n % 7 > 4],
            output_gates=n % 13 % 3 > 0,
            direct=n % 17 % 2 == 0,
            reset=(0.0, 0.5)[n % 9 > 4],
        )
        rate = 0.02 if network.output == "linear" or network.h == "identity" else 0.3
        training = Training(rate, ("sequence", "step")[n // 4 % 2], (1.0, 2.0, 0.5)[n % 3])
        found.append(Case(network, training, symbols, ("some", "some", "last")[n % 11 % 3]))
    return found


ALONE: list[tuple[dict[str, Any], dict[str, Any]]] = [  # of the net, of the training
    ({"hidden": 1}, {}),
    ({"hidden": 2, "output_gates": False, "direct": True}, {}),
    ({"g": "half"}, {}),
    ({"h": "double"}, {}),
    ({"recurrent_to": "gates"}, {}),
    ({}, {"margin": 0.3}),
    ({}, {"slope": False}),
    ({}, {"slope_added": 0.1}),
]
TOGETHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"hidden": 1, "recurrent_to": "gates", "direct": True}, {"margin": 0.3}),
    ({"hidden": 2, "recurrent": "cells", "recurrent_to": "gates", "h": "double"}, {"slope_added": 0.1}),
    ({"hidden": 2, "recurrent": "none", "g": "half", "output_gates": False, "cell_bias": "none"}, {"slope": False}),
    ({"hidden": 1, "gates_biased": False, "blocks": 3, "size": 1}, {"slope": False, "margin": 0.3}),
    ({"hidden": 2, "gates_biased": False, "cell_bias": "none", "recurrent_to": "gates", "blocks": 1}, {}),
    ({"output": "linear", "hidden": 1, "g": "half", "reset": 0.5, "size": 3}, {"margin": 0.3}),
]
WAYS: list[tuple[Any, str]] = [("sequence", "some"), ("step", "some"), ("sequence", "last")]


def cases_of_readings() -> list[Case]:
    """Each setting that is not in the text, alone and several at once, for both kinds of input, summed or not."""
    found = []
    for (net, training), symbols, (update, targets) in product(ALONE + TOGETHER, (False, True), WAYS):
        rate = 0.05 if net.get("output") == "linear" else 0.3
        found.append(Case(Lstm1997(**net), Training(rate, update, **training), symbols, targets))
    return found


READINGS = cases_of_readings()
CASES = cases() + READINGS


def name_of(case: Case) -> str:
    n = case.network
    kind = f"{'direct-' * n.direct}{'ungated-' * (not n.output_gates)}{n.blocks}x{n.size}-{n.recurrent}-{n.cell_bias}"
    kind += f"-{n.hidden}-to-{n.recurrent_to}" if (n.hidden, n.recurrent_to) != (0, "all") else ""
    margin, *slope = case.training.signal[1:]
    return f"{kind}-{n.g}-{n.h}-{n.output}-{margin:g}-{slope}-{case.training.update}-{case.targets}"


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


UNBIASED = {"cell_bias": "none", "output_bias": False}
NO_BIAS = {"gates_biased": False, **UNBIASED}
PRINTED_COUNTS = [  # tables 1, 3, 5, 7 and 9 of the paper
    (264, Lstm1997(4, 1, **UNBIASED), 7, 7),
    (276, Lstm1997(3, 2, **UNBIASED), 7, 7),
    (364, Lstm1997(2, 1, **NO_BIAS), 50 + 4, 2),
    (664, Lstm1997(2, 1, **NO_BIAS), 100 + 4, 2),
    (1264, Lstm1997(2, 1, **NO_BIAS), 200 + 4, 2),
    (3064, Lstm1997(2, 1, **NO_BIAS), 500 + 4, 2),
    (6064, Lstm1997(2, 1, **NO_BIAS), 1000 + 4, 2),
    (10504, Lstm1997(1, 1, recurrent="none", output_gates=False, direct=True, **NO_BIAS), 101, 101),
    (102, Lstm1997(3, 1, output_bias=False), 1, 1),
    (93, Lstm1997(2, 2), 2, 1),
    (156, Lstm1997(2, 2), 8, 4),
    (308, Lstm1997(3, 2), 8, 8),
]


@pytest.mark.parametrize(("printed", "network", "n_inputs", "n_outputs"), PRINTED_COUNTS)
def test_the_weights_are_as_many_as_printed(printed: int, network: Lstm1997, n_inputs: int, n_outputs: int) -> None:
    assert network.n_weights(n_inputs, n_outputs) == printed
    hidden, output = network.initial(stream_key(0, 0, WEIGHTS), n_inputs, n_outputs)
    assert np.count_nonzero(hidden) + np.count_nonzero(output) == printed


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_number_of_weights_is_that_of_the_twin(case: Case) -> None:
    expected = sum(mask.sum() for mask in naive.exists(case.network, N_INPUTS, N_OUTPUTS))
    assert case.network.n_weights(N_INPUTS, N_OUTPUTS) == expected


def initial(network: Lstm1997, replicate: int = 0, n_inputs: int = 8, n_outputs: int = 4) -> Weights:
    return network.initial(stream_key(1997, replicate, WEIGHTS), n_inputs, n_outputs)


def test_initial_weights_fill_their_range() -> None:
    weights = np.concatenate([np.ravel(array) for r in range(20) for array in initial(Lstm1997(init=0.2), r)])
    assert len(weights) == 20 * 156
    assert -0.2 <= weights.min() < -0.198
    assert 0.198 < weights.max() < 0.2
    assert abs(weights.mean()) < 5 * 0.2 / np.sqrt(3 * len(weights))


def test_initial_weights_belong_to_the_replicate() -> None:
    (hidden, output), (again, _), (other, _) = initial(Lstm1997()), initial(Lstm1997()), initial(Lstm1997(), 1)
    np.testing.assert_array_equal(hidden, again)
    assert (hidden != other).all()
    assert len(np.unique(np.concatenate([hidden.ravel(), output.ravel()]))) == 156


GATES = {"input_gate_bias": (-2.0, -4.0), "output_gate_bias": (-1.0, -3.0)}


def test_stated_gate_biases_replace_the_random_ones_or_are_added() -> None:
    plain, _ = initial(Lstm1997())
    replaced, _ = initial(Lstm1997(**GATES))
    added, _ = initial(Lstm1997(**GATES, gate_bias="adds"))
    stated = np.zeros_like(plain)
    stated[4:, 8] = (-2, -4, -1, -3)
    np.testing.assert_array_equal(replaced, np.where(stated, stated, plain))
    np.testing.assert_array_equal(added, plain + stated)


def test_a_gate_bias_that_is_not_stated_stays_random() -> None:
    plain, _ = initial(Lstm1997())
    found, _ = initial(Lstm1997(input_gate_bias=GATES["input_gate_bias"]))
    np.testing.assert_array_equal(found[6:], plain[6:])
    assert found[4:6, 8].tolist() == [-2, -4]


def test_zeros_stand_where_they_are_asked_for() -> None:
    plain, _ = initial(Lstm1997())
    recurrent, _ = initial(Lstm1997(recurrent_init="zero"))
    assert not recurrent[:, 9:].any()
    np.testing.assert_array_equal(recurrent[:, :9], plain[:, :9])
    for cell_bias in ("zero", "none"):
        cells, _ = initial(Lstm1997(cell_bias=cell_bias))
        assert not cells[:4, 8].any()
        assert np.count_nonzero(cells) == cells.size - 4


def test_conventional_units_come_last_among_units_and_before_the_bias_of_outputs() -> None:
    network = Lstm1997(hidden=3, input_gate_bias=(-2.0, -4.0), output_gate_bias=(-1.0, -3.0))
    hidden, output = initial(network)
    assert hidden.shape == (11, 8 + 1 + 11)
    assert output.shape == (4, 4 + 3 + 1)
    assert hidden[4:8, 8].tolist() == [-2, -4, -1, -3]
    assert np.abs(hidden[8:]).max() <= network.init
    assert np.count_nonzero(hidden) + np.count_nonzero(output) == network.n_weights(8, 4) == 11 * 20 + 4 * 8
    unbiased, _ = initial(replace(network, gates_biased=False, input_gate_bias=(), output_gate_bias=()))
    assert not unbiased[4:, 8].any()


@pytest.mark.parametrize(("fed", "more"), [("all", 8), ("cells", 4), ("none", 0)])
def test_where_gates_alone_are_fed_cells_have_no_recurrent_weights(fed: Any, more: int) -> None:
    network = Lstm1997(recurrent=fed, recurrent_to="gates")
    hidden, output = initial(network)
    plain, _ = initial(replace(network, recurrent_to="all"))
    assert not hidden[:4, 9:].any()
    np.testing.assert_array_equal(hidden[:, :9], plain[:, :9])
    np.testing.assert_array_equal(hidden[4:], plain[4:])
    assert np.count_nonzero(hidden) + np.count_nonzero(output) == network.n_weights(8, 4) == 8 * 9 + 4 * more + 20


def test_the_same_replicate_has_the_same_weights_in_every_cell_of_a_shape() -> None:
    """Cells are compared in pairs: what is configured otherwise differs, and nothing else."""
    plain, output = initial(Lstm1997())
    for options in (GATES, {"g": "logistic"}, {"output": "linear"}, {"reset": 0.5}, {"cell_bias": "zero"}):
        hidden, other_output = initial(Lstm1997(**options))
        np.testing.assert_array_equal(other_output, output)
        np.testing.assert_array_equal(np.delete(hidden, 8, axis=1), np.delete(plain, 8, axis=1))
    wide, wide_output = initial(Lstm1997(init=0.2))
    assert_close((wide, wide_output), (2 * plain, 2 * output), rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "network.blocks=0: takes a whole number from 1 to 64"),
        ({"init": float("nan")}, "network.init=nan: takes a finite number"),
        ({"reset": 0.25}, "network.reset=0.25: takes 0.0 or 0.5"),
        ({"recurrent": "gates"}, "network.recurrent=gates: takes one of all, cells, none"),
        ({"input_gate_bias": (-1.0,)}, "takes one number a block"),
        ({"output_gate_bias": (-1.0, -2.0), "gates_biased": False}, r"takes \[\] where network.gates_biased=false"),
        ({"blocks": 64, "size": 64}, "network.size=64: takes up to 512 gates and cells, not 4224"),
        ({"blocks": 64, "size": 6, "hidden": 1}, "network.hidden=1: takes up to 512 hidden units, not 513"),
        ({"hidden": 65}, "network.hidden=65: takes a whole number from 0 to 64"),
        (
            {"hidden": 2, "growth": "plateau"},
            "takes network.hidden=0 where units join in later, or network.growth=none",
        ),
        ({"g": "double"}, "network.g=double: takes one of bipolar, logistic, half"),
        ({"h": "half"}, "network.h=half: takes one of bipolar, identity, double"),
        ({"recurrent_to": "cells"}, "network.recurrent_to=cells: takes one of all, gates"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lstm1997(**options)
