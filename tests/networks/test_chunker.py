"""The 2-net chunker against a twin that knows complex steps only, and in lanes of any number."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.naive_chunker import Net, Pair
from helpers.naive_rivals import Weights
from helpers.nets import RANKED, RATE, STOP, I, K, Sequences, assert_close, random_weights, results, trained

from lstm_search.networks import NETWORKS, Chunker, Signal
from lstm_search.spec import Cell, Stop, Training, cell_from_dict
from lstm_search.tasks import Adding, EmbeddedReber, LongLag, VeryLongLag

PLAIN = Signal(RATE)
NETWORK = Chunker(hidden=2, surprise=0.5, history=3)
SETTINGS = pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        replace(NETWORK, bias=True, reset=0.5),
        replace(NETWORK, hidden=1, history=1),
        replace(NETWORK, imitates="all"),
    ],
    ids=str,
)


def sequences(seed: int, number: int) -> Sequences:
    """Sequences of 1 to 9 symbols with targets at all steps."""
    rng = np.random.default_rng(seed)
    found: Sequences = []
    for steps in rng.integers(1, 10, number):
        targets = (rng.uniform(size=(steps, K)) < 0.5).astype(float)
        found.append((rng.integers(0, I, steps), dict(enumerate(targets))))
    return found


def pair_of(network: Chunker, weights: Weights, signal: Signal = PLAIN) -> Pair:
    hidden, output = weights
    n, first = network.hidden, len(output) - K
    nets = [Net(network, part, I) for part in ((hidden[:n], output[:first]), (hidden[n:], output[first:]))]
    return Pair(network, *nets, signal)


def assert_same(found: Weights, pair: Pair) -> None:
    parts = zip(pair.automatizer.weights, pair.chunker.weights, strict=True)
    assert_close(found, tuple(np.concatenate(part) for part in parts), 1e-10)


@SETTINGS
def test_both_nets_learn_as_their_twins_do(network: Chunker) -> None:
    weights, lane = random_weights(network, 1), sequences(2, 40)
    pair = pair_of(network, weights)
    for x, targets in lane:
        pair.learn(x, np.array(list(targets.values())), by_step=False)
    [found], _ = trained(network, [weights], [lane], symbols=True)
    assert_same(found, pair)
    lengths = [len(x) for x, _ in lane]
    assert len(lane) < sum(pair.surprises) < sum(lengths)
    assert max(pair.surprises) > network.history + 1


SIGNALS = [Signal(RATE, margin=0.3), Signal(RATE, constant=0.1), Signal(0.3, 0.2, 0.0, 1.0)]


@pytest.mark.parametrize("signal", SIGNALS, ids=str)
@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("imitates", ["units", "all"])
def test_both_nets_learn_by_other_error_signals_as_their_twins_do(signal: Signal, by_step: bool, imitates: Any) -> None:
    """What the automatizer imitates has the margin and the slope of targets."""
    network = replace(NETWORK, imitates=imitates)
    weights, lane = random_weights(network, 1), sequences(2, 20)
    pair = pair_of(network, weights, signal)
    for x, targets in lane:
        pair.learn(x, np.array(list(targets.values())), by_step=by_step)
    [found], _ = trained(network, [weights], [lane], symbols=True, sums=not by_step, signals=[signal])
    assert_same(found, pair)


@pytest.mark.parametrize("imitates", ["units", "all"])
def test_on_line_each_step_finds_the_weights_that_the_one_before_left(imitates: Any) -> None:
    network = replace(NETWORK, imitates=imitates)
    weights, lane = random_weights(network, 1), sequences(2, 40)
    pair = pair_of(network, weights)
    for x, targets in lane:
        pair.learn(x, np.array(list(targets.values())), by_step=True)
    [found], _ = trained(network, [weights], [lane], symbols=True, sums=False)
    assert_same(found, pair)


def test_a_chunker_that_is_never_surprised_sees_the_first_input_only_and_learns_nothing() -> None:
    network = replace(NETWORK, surprise=1 - 1e-12)
    weights, lane = random_weights(network, 1), sequences(2, 10)
    [(hidden, output)], _ = trained(network, [weights], [lane], symbols=True)
    assert hidden[2:].tobytes() == weights[0][2:].tobytes()
    assert output[K + 2 :].tobytes() == weights[1][K + 2 :].tobytes()
    assert (output[: K + 2] != weights[1][: K + 2]).all()


def test_a_lane_gives_the_same_bits_at_every_width() -> None:
    weights = [random_weights(NETWORK, seed) for seed in range(8)]
    lanes = [sequences(seed, 8) for seed in range(8)]
    together, _ = trained(NETWORK, weights, lanes, symbols=True)
    for width in (1, 4):
        alone, _ = trained(NETWORK, weights[:width], lanes[:width], symbols=True)
        for found, expected in zip(alone, together[:width], strict=True):
            assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]


def test_lanes_that_do_not_learn_keep_their_weights() -> None:
    weights = [random_weights(NETWORK, seed) for seed in range(4)]
    found, stop = trained(NETWORK, weights, [sequences(seed, 1) for seed in range(4)], symbols=True, learning=0)
    for before, after in zip(weights, found, strict=True):
        assert [a.tobytes() for a in after] == [a.tobytes() for a in before]
    assert stop.total.all()


CELLS = [
    Cell(LongLag(4), Chunker(init=0.5), Training(1.0), (STOP,)),
    Cell(LongLag(6, regular=False), Chunker(hidden=2, imitates="all"), Training(1.0, "step"), (STOP,)),
    Cell(EmbeddedReber(), Chunker(), Training(0.5), (RANKED,)),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.task.name}-{cell.training.update}")
def test_a_trial_is_the_same_bits_in_packs_of_four_and_eight(cell: Cell) -> None:
    few, many = results(cell, 4, range(12)), results(cell, 8, range(12))
    for one, other in zip(few, many, strict=True):
        assert replace(one, seconds=0, host="") == replace(other, seconds=0, host="")
    assert len({result.weights_sha256 for result in few}) == 12
    assert cell_from_dict(cell.as_dict()).digest == cell.digest


def test_the_automatizer_has_as_many_weights_as_printed() -> None:
    network = Chunker()
    hidden, output = network.initial(np.uint64(1), 101, 101)
    assert hidden[:1].size + output[:102].size == 10506
    assert network.n_weights(101, 101) == hidden.size + output.size == 10506 + 10404
    assert Chunker(imitates="all").n_weights(101, 101) == 10506 + 10404 + 101 * 102


@pytest.mark.parametrize("task", [Adding(), VeryLongLag()])
def test_a_task_that_does_not_ask_for_the_next_symbol_is_refused(task: Any) -> None:
    message = f"network=chunker: cannot learn task {task.name}; takes embedded_reber or long_lag"
    with pytest.raises(ValueError, match=message):
        Cell(task, Chunker(), Training(1.0), (Stop(),))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"surprise": 0}, "network.surprise=0.0: takes a number above 0 and below 1"),
        ({"surprise": 1.0}, "network.surprise=1.0: takes a number above 0 and below 1"),
        ({"surprise": -0.2}, "network.surprise=-0.2: takes a number above 0 and below 1"),
        ({"surprise": float("nan")}, "network.surprise=nan: takes a number above 0 and below 1"),
        ({"imitates": "outputs"}, "network.imitates=outputs: takes one of units, all"),
        ({"hidden": 0}, "network.hidden=0: takes a whole number from 1 to 64"),
        ({"history": 0}, "network.history=0: takes a whole number from 1 to 1000"),
        ({"reset": 0.25}, "network.reset=0.25: takes 0.0 or 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NETWORKS["chunker"](**options)
