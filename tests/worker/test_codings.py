"""Coded targets and error signals of lanes side by side, and the sets of strings that replicates share."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import naive
from helpers.naive_tasks import coded, draw, temporal_order
from helpers.packs import alone, finished, permuted, weights_of

from lstm_search.networks import Cascade, Chunker, Elman, Learner, Lstm1997, Rtrl
from lstm_search.simd.draws import TESTS, TRAINING, WEIGHTS, stream_key
from lstm_search.spec import Cell, Stop, Training, TrialSpec
from lstm_search.tasks import EmbeddedReber, LongLag, TemporalOrder
from lstm_search.worker.pack import Pack
from lstm_search.worker.shape import shape_of

SEED = 7
NET = Lstm1997(input_gate_bias=(-2.0, -4.0), hidden=1)
ROUGH = Stop(tolerance=0.42, window=20, max_wrong=19, mean_error=None, test_sequences=200)
CAPPED = Stop(tolerance=0.05, window=60, test_sequences=0)
WAYS = (
    Training(0.5),
    Training(0.5, targets=(0.1, 0.9)),
    Training(0.5, targets=(0.05, 0.95), margin=0.1),
    Training(0.5, targets=(0.2, 0.8), slope=False),
    Training(0.5, slope_added=0.1, margin=0.2),
)


def sequences(trial: TrialSpec, stream: int, number: int) -> list[tuple[list, dict[int, Any]]]:
    """Of the naive task, with the trial's coding."""
    task, key = trial.cell.task, int(stream_key(trial.seed, trial.replicate, stream))
    found = [temporal_order(draw(key, n), task.T, task.marks) for n in range(number)]
    found = [coded(steps, *trial.cell.training.targets) for steps in found]
    return [([step.x for step in steps], {len(steps) - 1: steps[-1].target}) for steps in found]


def errors(some: list, outputs: list) -> np.ndarray:
    """Mean absolute and worst error of each sequence at its last step."""
    each = [np.abs(np.array(targets[len(x) - 1]) - y) for (x, targets), y in zip(some, outputs, strict=True)]
    return np.array([(error.mean(), error.max()) for error in each])


@pytest.mark.parametrize("training", WAYS, ids=str)
@pytest.mark.parametrize("net", [NET, replace(NET, recurrent="none", gradient="full")], ids=lambda net: net.gradient)
def test_training_and_its_curve_are_those_of_the_twins(net: Lstm1997, training: Training) -> None:
    """Weights, and errors against the coded targets, after 40 sequences. Without recurrent connections the full
    gradient is the truncated one."""
    trial = TrialSpec(Cell(TemporalOrder(2, 20), net, training, (replace(CAPPED, tolerance=0.5),)), 0, SEED, 40)
    hidden, output = net.initial(stream_key(SEED, 0, WEIGHTS), 8, 4)
    some = sequences(trial, TRAINING, 40)
    *twins, outputs = naive.train(net, training, permuted(trial, hidden, to_twin=True), output, some)
    found = alone(trial, 4)
    for array, twin in zip(weights_of(found), (permuted(trial, twins[0], to_twin=False), twins[1]), strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-11, atol=1e-12)
    expected = errors(some, [steps[-1] for steps in outputs])
    for point, first in zip(found.curve, [0, *(point.sequences for point in found.curve)], strict=False):
        assert point.error == pytest.approx(expected[first : point.sequences, 0].mean(), rel=1e-9)
        assert point.wrong == np.mean(expected[first : point.sequences, 1] >= 0.5)


@pytest.mark.parametrize("training", WAYS, ids=str)
def test_test_errors_and_tolerances_are_against_the_coded_targets(training: Training) -> None:
    trial = TrialSpec(Cell(TemporalOrder(2, 20), NET, replace(training, rate=1.0), (ROUGH,)), 0, SEED, 20_000)
    found = alone(trial, 4)
    [reached] = found.milestones
    hidden, output = weights_of(found)
    hidden, some = permuted(trial, hidden, to_twin=True), sequences(trial, TESTS, 200)
    outputs = [naive.forward(NET, hidden, output, x)[-1].y for x, _ in some]
    expected = errors(some, outputs)
    assert reached.test_error == pytest.approx(expected[:, 0].mean(), rel=1e-9)
    assert reached.test_wrong == np.count_nonzero(expected[:, 1] >= ROUGH.tolerance)
    uncoded = replace(trial, cell=replace(trial.cell, training=Training()))
    against_0_and_1 = errors(sequences(uncoded, TESTS, 200), outputs)[:, 0].mean()
    assert (abs(reached.test_error - against_0_and_1) > 1e-3) == (training.targets != (0.0, 1.0))


NETS: list[tuple[Any, Learner]] = [
    (TemporalOrder(2, 20), NET),
    (LongLag(4), Lstm1997(1, 1, direct=True, hidden=2)),
    (LongLag(4), Lstm1997(1, 1, direct=True, hidden=2, gradient="full")),
    (LongLag(4), Rtrl(2, "direct")),
    (LongLag(4), Elman(2)),
    (LongLag(4), Chunker()),
    (LongLag(4), Cascade(hidden=2, pool=2, epoch=8)),
]


@pytest.mark.parametrize(("task", "network"), NETS, ids=lambda value: value.name)
def test_each_lane_of_a_pack_learns_in_a_way_of_its_own(task: Any, network: Learner) -> None:
    trials = [TrialSpec(Cell(task, network, training, (CAPPED,)), 0, SEED, 90) for training in WAYS]
    assert len({shape_of(trial.cell) for trial in trials}) == 1
    pack = Pack(shape_of(trials[0].cell), 8)
    for trial in trials:
        pack.add(trial)
    together = finished(pack)
    assert together == {trial.key: alone(trial) for trial in trials}
    assert len({result.weights_sha256 for result in together.values()}) == len(WAYS)


def test_a_lane_forgets_the_coding_of_the_trial_before() -> None:
    coded_first, plain = (
        TrialSpec(Cell(LongLag(4), NET, training, (CAPPED,)), 0, SEED, 60) for training in (WAYS[2], WAYS[0])
    )
    pack = Pack(shape_of(plain.cell), 1)
    pack.add(coded_first)
    finished(pack)
    pack.add(plain)
    assert finished(pack) == {plain.key: alone(plain)}


@pytest.mark.parametrize(
    ("sharing", "pairs"), [(10, [0] * 10 + [1] * 2), (1, list(range(12))), (3, [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3)]
)
def test_replicates_in_a_row_share_sets_of_strings(sharing: int, pairs: list[int]) -> None:
    stop = Stop(correct="ranked", window=512, mean_error=None, check_every=100, test_sequences=0)
    cell = Cell(EmbeddedReber(sharing=sharing), Lstm1997(), Training(), (stop,))
    pack = Pack(shape_of(cell), 16)
    for replicate in range(12):
        pack.add(TrialSpec(cell, replicate, SEED, 100))
    sets = [pack.stream.keys[:, l].tobytes() for l in range(12)]
    assert [sorted(set(sets), key=sets.index).index(one) for one in sets] == pairs
