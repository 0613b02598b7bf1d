"""Packs and workers: a trial's result is the same bits however it was packed, and is what the slow twins say it is."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from helpers import naive
from helpers.adders import ADDER, ADDERS, CLASSIFIER, SEED, WILD, cell, stops
from helpers.naive_tasks import adding, draw, temporal_order
from helpers.packs import Results, alone, by_key, finished, permuted, weights_of, worked
from helpers.waiting import until
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997
from lstm_search.networks.elman import Elman
from lstm_search.simd.draws import TESTS, TRAINING, WEIGHTS, stream_key
from lstm_search.simd.lanes import full_width, lanes_tag
from lstm_search.spec import Outcome, Row, Stop, Training, TrialResult, TrialSpec
from lstm_search.tasks import Adding, EmbeddedReber, LongLag, TemporalOrder, VeryLongLag
from lstm_search.worker.pack import Pack, joined
from lstm_search.worker.shape import Shape, block_steps, most_lanes, shape_of
from lstm_search.worker.trial import Worker, demand, seats, warm

ORDER = cell(TemporalOrder(2, 20), CLASSIFIER, 0.5, stops(0.45, 0.2, 60, 10))
UNLIKE = (  # milestones that look at the same sequences through other windows, tolerances and measures
    Stop("rough", 0.45, window=200, max_wrong=60, mean_error=0.2, test_sequences=100),
    Stop("fine", 0.4, window=100, max_wrong=3, mean_error=0.02, error="squared", test_sequences=50),
)
CELLS = [  # cell, cap
    *ADDERS,
    (cell(Adding(25), replace(ADDER, h="identity", g="logistic"), WILD, stops(0.2, 0.08, 0)), 20_000),
    (cell(Adding(21), replace(CLASSIFIER, recurrent="none"), 0.5, stops(0.3, 0.1, 20), update="step"), 4_000),
    (ORDER, 20_000),
    (cell(TemporalOrder(2, 30), CLASSIFIER, 1.0, stops(0.45, 0.2, 10)), 20_000),
    (cell(TemporalOrder(2, 25), CLASSIFIER, 0.7, stops(0.45, 0.2, 60, 10)), 3_000),
    (cell(TemporalOrder(2, 20), replace(CLASSIFIER, reset=0.5), 0.6, UNLIKE, error_scale=2.0), 20_000),
    (cell(TemporalOrder(2, 22), replace(CLASSIFIER, gates_biased=False, cell_bias="none", input_gate_bias=()), 1.0,
          stops(0.45, 0.2, 10)), 5_000),
    (cell(TemporalOrder(3, 30), Lstm1997(3, 2), 0.5, stops(0.45, 0.2, 60)), 30_000),
]  # fmt: skip
TRIALS = [TrialSpec(cell, replicate, SEED, cap) for cell, cap in CELLS for replicate in range(2)]


@cache
def expected() -> Results:
    """All trials together."""
    return worked(Worker(16), TRIALS)


def result_of(trial: TrialSpec) -> TrialResult:
    return expected()[trial.key]


def name_of(trial: TrialSpec) -> str:
    return f"{trial.cell.task.name}-{trial.cell.training.rate:g}-{trial.replicate}"


def test_the_trials_come_to_every_end() -> None:
    outcomes = [result.outcome for result in expected().values()]
    assert len(outcomes) == len(TRIALS) == 24
    assert {outcome: outcomes.count(outcome) for outcome in set(outcomes)} == {
        Outcome.SOLVED: 15, Outcome.CAPPED: 5, Outcome.DIVERGED: 4,
    }  # fmt: skip
    twice = [result for result in expected().values() if len(result.milestones) == 2]
    assert any(result.milestones[0].sequences < result.milestones[1].sequences for result in twice)
    assert any(result.milestones[0].sequences == result.milestones[1].sequences for result in twice)


@pytest.mark.parametrize("trial", TRIALS, ids=name_of)
def test_a_trial_alone_gives_the_same_bits(trial: TrialSpec) -> None:
    assert alone(trial) == result_of(trial)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
def test_every_width_gives_the_same_bits(width: int) -> None:
    packs: dict = {}
    for trial in TRIALS:
        packs.setdefault(shape_of(trial.cell), []).append(trial)
    found: Results = {}
    for shape, trials in packs.items():
        pack = Pack(shape, width)
        while trials or pack.running:
            while trials and pack.free:
                pack.add(trials.pop())
            found |= by_key(pack.advance())
    assert found == expected()


@pytest.mark.parametrize("seed", range(3))
def test_any_order_gives_the_same_bits(seed: int) -> None:
    shuffled = [TRIALS[i] for i in np.random.default_rng(seed).permutation(len(TRIALS))]
    assert worked(Worker(16), shuffled) == expected()


def test_the_same_worker_gives_the_same_bits_again() -> None:
    worker = Worker(4)
    assert worked(worker, TRIALS) == worked(worker, TRIALS[::-1]) == expected()


@pytest.mark.parametrize(("width", "at_once"), [(4, 1), (16, 2), (16, 24)])
def test_tiny_slices_give_the_same_bits(width: int, at_once: int) -> None:
    assert worked(Worker(width), TRIALS, seconds=1e-3, at_once=at_once) == expected()


def test_the_width_of_the_processor_gives_the_same_bits() -> None:
    worker = Worker()
    assert worker.width == full_width()
    assert worked(worker, TRIALS[:6]) == {trial.key: result_of(trial) for trial in TRIALS[:6]}


@pytest.mark.parametrize("every", [1, 2, 5])
def test_moving_to_another_width_in_the_middle_changes_nothing(every: int) -> None:
    """In training and in tests; lanes change places when those of finished trials are given up."""
    trials = [trial for trial in TRIALS if shape_of(trial.cell) == shape_of(ORDER)]
    pack, found, widths = Pack(shape_of(ORDER), 16), [], [8, 16, 8, 4, 16]
    for trial in trials:
        pack.add(trial)
    while pack.running:
        for _ in range(every):
            found += pack.advance() if pack.running else []
        widths.append(widths.pop(0))
        if widths[-1] >= len(pack.running):
            pack = joined(pack.shape, widths[-1], [pack])
    assert by_key(found) == {trial.key: result_of(trial) for trial in trials}


def test_a_refilled_lane_has_nothing_of_the_trial_before() -> None:
    """One lane takes trial after trial, the diverged ones with their nans first."""
    trials = [trial for trial in TRIALS if shape_of(trial.cell) == shape_of(CELLS[3][0])]
    trials.sort(key=lambda trial: result_of(trial).outcome != Outcome.DIVERGED)
    assert [result_of(trial).outcome for trial in trials[:2]] == [Outcome.DIVERGED] * 2
    pack = Pack(shape_of(trials[0].cell), 1)
    for trial in trials:
        pack.add(trial)
        assert finished(pack) == {trial.key: result_of(trial)}


def test_a_stopped_lane_is_frozen() -> None:
    """Its weights stay those at its stop while the other lanes go on, in that block and in later ones."""
    capped, other = replace(TRIALS[0], cap=30), TRIALS[1]
    pack = Pack(shape_of(capped.cell), 2)
    pack.add(capped)
    pack.add(other)
    hidden, output = weights_of(alone(capped))
    pack.shape.kernels.restart(lanes_tag(2), pack.shape.variant, pack.state, pack.fresh)
    for _ in range(5):
        pack.shape.task.fill(pack._block, pack.stream)
        pack.shape.kernels.advance(lanes_tag(2), pack.shape.variant, pack.state, pack._block, pack.stop)
        assert pack.stop.masks[:2].tolist() == [0b10, 0b10]
        assert pack.stop.done[0] == 30
        assert not pack.stop.tally[:, 0].any()
        frozen = pack.shape.kernels.weights(pack.state, pack.shape.variant, 0)
        assert [array.tobytes() for array in frozen] == [hidden.tobytes(), output.tobytes()]
    assert pack.stop.done[1] > 100


TWICE = [trial for trial in TRIALS if len(trial.cell.stop) == 2]


@pytest.mark.parametrize("trial", TWICE, ids=name_of)
def test_a_test_in_the_middle_does_not_disturb_training(trial: TrialSpec) -> None:
    """The second milestone is reached at the same sequence, with the same weights, as without the first."""
    last_only = replace(trial, cell=replace(trial.cell, stop=trial.cell.stop[1:]))
    found, other = result_of(trial), alone(last_only, 4)
    assert (found.outcome, found.sequences, found.steps) == (other.outcome, other.sequences, other.steps)
    assert found.weights_sha256 == other.weights_sha256
    assert found.curve == other.curve or trial.cell.stop is UNLIKE  # the curve is of the errors looked at then
    assert [entry.name for entry in found.milestones[1:]] == [entry.name for entry in other.milestones]


@pytest.mark.parametrize("trial", TRIALS, ids=name_of)
def test_a_lower_cap_ends_the_same_trial_earlier(trial: TrialSpec) -> None:
    """At a milestone, a sequence before, or anywhere: what is reached at the cap counts, what comes later does not."""
    full = result_of(trial)
    reached = [entry.sequences for entry in full.milestones]
    for cap in {1, 40, *reached, *(n - 1 for n in reached), full.sequences, trial.cap}:
        capped, short = alone(replace(trial, cap=cap), 4), full.under_cap(cap)
        for name in ("key", "outcome", "sequences", "milestones", "curve"):
            assert getattr(capped, name) == getattr(short, name), (cap, name)
        if cap >= full.sequences:
            assert capped == full


def twin_sequence(task: Adding | TemporalOrder, key: int) -> tuple[list, dict[int, Any]]:
    """One sequence as the net's twin takes it."""
    of_task = adding if task.name == "adding" else partial(temporal_order, marks=task.marks)
    steps = of_task(key, T=task.T)
    return [step.x for step in steps], {len(steps) - 1: steps[-1].target}


def twin_sequences(trial: TrialSpec, stream: int, number: int) -> list:
    key = int(stream_key(trial.seed, trial.replicate, stream))
    return [twin_sequence(trial.cell.task, draw(key, n)) for n in range(number)]


def errors_of(sequences: list, outputs: list) -> NDArray:
    """Mean absolute and worst error of each sequence, from the twin's outputs."""
    ends = [np.abs(np.array(targets[len(x) - 1]) - y[-1]) for (x, targets), y in zip(sequences, outputs, strict=True)]
    return np.array([(error.mean(), error.max()) for error in ends])


LEARNERS = [trial for trial in TRIALS if trial.replicate == 0 and trial.cell.training.rate != WILD]


@pytest.mark.parametrize("trial", LEARNERS, ids=name_of)
def test_training_is_that_of_the_twins(trial: TrialSpec) -> None:
    """Weights and learning curve after 50 sequences: draws, task, net, stop rule and pack against plain loops."""
    c = trial.cell
    key = stream_key(trial.seed, trial.replicate, WEIGHTS)
    hidden, output = c.network.initial(key, c.task.layout.inputs, c.task.layout.outputs)
    sequences = twin_sequences(trial, TRAINING, 50)
    *twins, outputs = naive.train(c.network, c.training, permuted(trial, hidden, to_twin=True), output, sequences)
    found = alone(replace(trial, cap=50), 4)
    for array, twin in zip(weights_of(found), (permuted(trial, twins[0], to_twin=False), twins[1]), strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-11, atol=1e-12)
    errors = errors_of(sequences, outputs)
    assert found.steps == sum(len(x) for x, _ in sequences)
    for point, first in zip(found.curve, [0, *(point.sequences for point in found.curve)], strict=False):
        assert point.error == pytest.approx(errors[first : point.sequences, 0].mean(), rel=1e-9)
        assert point.wrong == np.mean(errors[first : point.sequences, 1] >= c.stop[0].tolerance)
    assert [point.sequences for point in found.curve] == [10, 13, 16, 20, 25, 32, 40, 50]


@pytest.mark.parametrize("trial", [TRIALS[2], TRIALS[14], TWICE[-1]], ids=name_of)
def test_the_test_of_the_last_milestone_is_that_of_the_twins(trial: TrialSpec) -> None:
    """The final weights, applied by plain loops to the sequences of the test's own stream."""
    found, c = result_of(trial), trial.cell
    (hidden, output), stage = weights_of(found), len(c.stop) - 1
    sequences = twin_sequences(trial, TESTS + stage, c.stop[stage].test_sequences)
    hidden = permuted(trial, hidden, to_twin=True)
    outputs = [[naive.forward(c.network, hidden, output, x)[-1].y] for x, _ in sequences]
    errors = errors_of(sequences, outputs)
    mean = (errors[:, 0] if c.stop[stage].error == "absolute" else squared_errors(sequences, outputs)).mean()
    assert found.milestones[-1].test_wrong == np.count_nonzero(errors[:, 1] >= c.stop[stage].tolerance)
    assert found.milestones[-1].test_error == pytest.approx(mean, rel=1e-9)


def squared_errors(sequences: list, outputs: list) -> NDArray:
    targets = [np.array(targets[len(x) - 1]) for x, targets in sequences]
    return np.array([((target - y[-1]) ** 2).mean() for target, y in zip(targets, outputs, strict=True)])


def test_a_diverged_trial_ends_with_the_sequence_whose_error_is_no_number() -> None:
    for trial in TRIALS:
        result = result_of(trial)
        finite = all(np.isfinite(array).all() for array in weights_of(result))
        assert finite == (result.outcome != Outcome.DIVERGED)
        if not finite:
            before = alone(replace(trial, cap=result.sequences - 1))
            assert before.outcome in (Outcome.CAPPED, Outcome.DIVERGED)
            assert before.sequences == result.sequences - 1


def test_a_worker_says_what_it_is_doing() -> None:
    worker = Worker(4)
    trials = [TrialSpec(ORDER, replicate, SEED, 10**6) for replicate in range(6)]
    trials = [replace(t, cell=replace(ORDER, training=Training(1e-6))) for t in trials]  # too slow to get anywhere
    progress = worker.advance(trials, 0.05)
    while not progress.sequences:  # a busy machine lets the time go by without a block
        progress = worker.advance([], 0.05)
    assert progress.finished == ()
    assert [len(queue) for queue in worker._queues.values()] == [2]
    assert set(progress.sequences) == {trial.key for trial in trials[:4]}
    assert all(number > 0 for number in progress.sequences.values())
    until(lambda: all(worker.advance([], 0.05).sequences[key] > number for key, number in progress.sequences.items()))


def test_an_idle_worker_has_nothing_to_say() -> None:
    progress = Worker(4).advance([], 0.01)
    assert (progress.finished, progress.sequences) == ((), {})


def test_demand_counts_trials_by_shape() -> None:
    rows = [Row(str(n), replace(ORDER, training=Training(n / 10)), replicates=8, cap=9) for n in (1, 2)]
    wider = replace(ORDER, network=Lstm1997(blocks=3))
    demanded = demand([*rows, Row("wider", wider, replicates=5, cap=9)])
    assert [(spec.cell.network.blocks, count) for spec, count in demanded] == [(ORDER.network.blocks, 16), (3, 5)]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_warming_up_leaves_no_trace(width: int) -> None:
    warm([(spec, 1) for spec in TRIALS[:3]], width=width)
    assert alone(TRIALS[0], 4) == result_of(TRIALS[0])


@pytest.mark.parametrize(
    ("trials", "full", "width"),
    [
        (1, 16, 4),
        (4, 16, 4),
        (5, 16, 8),
        (9, 16, 16),
        (40, 16, 16),
        (1, 4, 1),
        (2, 4, 2),
        (1, 2, 1),
        (2, 2, 2),
        (3, 1, 1),
    ],
)
def test_a_pack_is_as_wide_as_its_trials_need(trials: int, full: int, width: int) -> None:
    assert seats(trials, full) == width


LARGER = cell(TemporalOrder(2, 20), Lstm1997(blocks=4, size=2), 0.5, (Stop(window=20, max_wrong=0),))


def test_nets_that_outgrow_the_first_level_cache_are_trained_in_packs_of_half_the_width() -> None:
    shape, small = shape_of(LARGER), shape_of(ORDER)
    assert [most_lanes(shape, width) for width in (16, 4, 1)] == [8, 4, 1]
    assert most_lanes(small, 16) == 16
    assert most_lanes(shape_of(replace(LARGER, network=Elman(hidden=60))), 16) == 16, "there each lane is by itself"
    worker, trials = Worker(16), [TrialSpec(LARGER, number, 7, 300 + 20 * number) for number in range(20)]
    found: dict[str, TrialResult] = by_key(worker.advance(trials, 1e-3).finished)
    worker._fill()
    assert [(pack.width, pack.free) for pack in worker._every()] == [(8, 0), (8, 0)]
    widths = []
    while len(found) < len(trials):
        found |= by_key(worker.advance([], 1e-3).finished)
        worker._fill()
        if sum(len(pack.running) for pack in worker._every()) <= 8:
            widths.append([pack.width for pack in worker._every()])
    assert found == {trial.key: alone(trial) for trial in trials}
    assert widths[0] == [8]
    assert [4] in widths
    assert {tuple(each) for each in widths} == {(8,), (4,), ()}, "the last trials share a pack"


def test_warming_up_makes_packs_of_the_widths_that_a_large_net_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Seen(Pack):
        def __init__(self, shape: Shape, width: int) -> None:
            made.append(width)
            super().__init__(shape, width)

    monkeypatch.setattr("lstm_search.worker.trial.Pack", Seen)
    for replicates in (20, 3):
        warm([(TrialSpec(LARGER, 0, 0, cap=1), replicates)], width=16)
    assert made == [4, 8, 4]


def test_what_a_step_goes_through_leaves_out_what_belongs_to_other_symbols() -> None:
    wide, narrow = (shape_of(replace(LARGER, task=VeryLongLag(q=q, p=50))) for q in (1000, 50))
    sizes = [shape.kernels.touched(shape.kernels.new_state(16, shape.variant, 2)) for shape in (wide, narrow)]
    assert sizes[0] == sizes[1] > 0


def test_temporal_order_is_learned_as_published() -> None:
    """Table 9, row 6a: 20 of 20 after 31,390 sequences on average."""
    solved = Stop(tolerance=0.3, mean_error=0.1)
    row = cell(TemporalOrder(2, 100), Lstm1997(2, 2, input_gate_bias=(-2.0, -4.0)), 0.5, (solved,))
    found = worked(Worker(), [TrialSpec(row, replicate, 1997, 5 * 31_390) for replicate in range(20)])
    sequences = [result.sequences for result in found.values() if result.outcome == Outcome.SOLVED]
    assert len(sequences) >= 19
    assert 25_000 < np.mean(sequences) < 40_000
    assert np.mean([result.milestones[0].test_wrong for result in found.values() if result.milestones]) < 10


def test_a_block_is_shorter_for_larger_nets() -> None:
    assert block_steps(93, Adding.layout, 16) == Adding.layout.steps
    assert [block_steps(weights, Adding.layout, 16) % 8 for weights in (10_504, 300_000, 10**9)] == [0, 0, 0]
    assert block_steps(10**9, Adding.layout, 16) == 8


def test_a_block_is_shorter_for_short_sequences_and_wide_targets() -> None:
    assert block_steps(264, EmbeddedReber().layout, 16) == 256
    assert 8 * 16 * 102 * block_steps(10_504, LongLag(100).layout, 16) <= 2 << 20
