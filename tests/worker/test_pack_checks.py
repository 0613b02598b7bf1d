"""Checks in the middle of training, growth, and every task in every packing, against the slow twins."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers import naive, naive_tasks
from helpers.naive_tasks import coded, draw
from helpers.packs import alone, by_key, finished, permuted, weights_of, worked
from helpers.reber import following, strings
from numpy.typing import NDArray

from lstm_search.networks import Lstm1997, Signal
from lstm_search.simd.draws import CHECKS, TRAINING, WEIGHTS, stream_key
from lstm_search.simd.lanes import lanes_tag
from lstm_search.simd.stopping import ABSOLUTE, EVERY, RANKED, new_stop_state
from lstm_search.simd.streams import Block, Layout, new_block
from lstm_search.spec import Cell, Outcome, Stop, Training, TrialResult, TrialSpec
from lstm_search.tasks import EmbeddedReber, LongLag, Multiplication, TwoSequence, VeryLongLag
from lstm_search.tasks.embedded_reber import STRINGS, SYMBOLS
from lstm_search.worker.pack import Pack, joined
from lstm_search.worker.shape import shape_of
from lstm_search.worker.trial import Worker

SEED = 1997
NO_BIAS: dict[str, Any] = {"gates_biased": False, "cell_bias": "none", "output_bias": False}
DIRECT = Lstm1997(
    1, 1, init=0.2, recurrent="none", output_gates=False, direct=True, g="logistic", h="identity", **NO_BIAS
)
GROWING = replace(DIRECT, growth="plateau", growth_window=50)
CONVENTIONAL = Lstm1997(1, 1, hidden=2, init=0.2, direct=True, recurrent_to="gates", g="half", h="double")
CHECKED = Stop(tolerance=0.25, window=100, mean_error=None, check_every=20, test_sequences=0)
ST1 = Stop("st1", 0.3, window=64, mean_error=None, check_every=50, test_sequences=0)
ST2 = replace(ST1, milestone="st2", mean_error=0.05, test_sequences=100)
GATED = Lstm1997(3, 1, input_gate_bias=(-1.0, -3.0, -5.0), output_gate_bias=(-2.0, -4.0, -6.0), output_bias=False)
GRAMMAR = Stop(correct="ranked", window=2 * STRINGS, mean_error=None, check_every=100, test_sequences=0)
LEARNER = Lstm1997(
    4, 1, init=0.2, input_gate_bias=(-1.0,) * 4, output_gate_bias=(-1.0, -2.0, -3.0, -4.0), recurrent_init="zero"
)
FEW = (Stop("n40", window=200, max_wrong=39, tolerance=0.2, mean_error=None, test_sequences=50),
       Stop("n9", window=200, max_wrong=8, tolerance=0.2, mean_error=None, test_sequences=50))  # fmt: skip

CELLS: dict[str, tuple[Cell, int]] = {
    "1": (Cell(EmbeddedReber(), LEARNER, Training(0.2), (GRAMMAR,)), 20_000),
    "1-literal": (Cell(EmbeddedReber("distinct"), Lstm1997(3, 2, init=0.2, cell_bias="none", output_bias=False),
                       Training(0.5), (GRAMMAR,)), 2_000),
    "2a": (Cell(LongLag(4), DIRECT, Training(1.0), (CHECKED,)), 20_000),
    "2a-learning": (Cell(LongLag(4), DIRECT, Training(1.0), (replace(CHECKED, learn_while_tested=True),)), 20_000),
    "2a-growing": (Cell(LongLag(4), GROWING, Training(1.0), (CHECKED,)), 20_000),
    "2b": (Cell(LongLag(4, regular=False), DIRECT, Training(0.5, "step"),
           (replace(CHECKED, judged="last", tolerance=0.7),)), 20_000),
    "2a-coded": (Cell(LongLag(4), DIRECT, Training(1.0, targets=(0.1, 0.9), margin=0.05), (CHECKED,)), 20_000),
    "2a-hidden": (Cell(LongLag(4), CONVENTIONAL, Training(1.0, targets=(0.2, 0.8), slope_added=0.1), (CHECKED,)),
                  20_000),
    "2b-last": (Cell(LongLag(4, regular=False, at_end=True), replace(DIRECT, hidden=1, h="double"),
                Training(0.5, slope=False, targets=(0.05, 0.95)), (CHECKED,)), 20_000),
    "2c": (Cell(VeryLongLag(3, 3), Lstm1997(2, 1, init=0.2, **NO_BIAS), Training(0.3), (CHECKED,)), 20_000),
    "3a": (Cell(TwoSequence(12), GATED, Training(1.0), (ST1, ST2)), 20_000),
    "3b": (Cell(TwoSequence(11, noisy_input=True), GATED, Training(1.0),
                (replace(ST1, fresh_test_set=False, max_wrong=3),)), 20_000),
    "3c": (Cell(TwoSequence(10, noisy_target=True), GATED, Training(0.3), (replace(ST1, tolerance=0.2),)), 20_000),
    "5": (Cell(Multiplication(12), Lstm1997(2, 2), Training(0.5), FEW), 20_000),
}  # fmt: skip
TRIALS = {f"{name}-{r}": TrialSpec(cell, r, SEED, cap) for name, (cell, cap) in CELLS.items() for r in (0, 5)}
EACH = pytest.mark.parametrize("name", TRIALS)


@cache
def expected() -> dict[str, TrialResult]:
    """All trials together."""
    return worked(Worker(16), list(TRIALS.values()))


def result_of(name: str) -> TrialResult:
    return expected()[TRIALS[name].key]


def test_the_trials_come_to_both_ends() -> None:
    solved = {name for name in TRIALS if result_of(name).outcome == Outcome.SOLVED}
    assert {name.split("-")[0] for name in solved} == {"1", "2a", "2b", "2c", "3a", "3b", "3c", "5"}
    assert {result_of(name).outcome for name in TRIALS} == {Outcome.SOLVED, Outcome.CAPPED}


@EACH
def test_a_trial_alone_gives_the_same_bits(name: str) -> None:
    assert alone(TRIALS[name]) == result_of(name)


@pytest.mark.parametrize("width", [2, 3, 8, 16])
def test_every_width_and_order_gives_the_same_bits(width: int) -> None:
    backwards = list(reversed(TRIALS.values()))
    assert worked(Worker(width), backwards, seconds=0.01, at_once=3) == expected()


@EACH
def test_a_trial_that_moves_to_another_pack_goes_on_as_it_was(name: str) -> None:
    pack = Pack(shape_of(TRIALS[name].cell), 4)
    pack.add(TRIALS[name])
    found = []
    for _ in range(3):
        found += pack.advance() if pack.running else []
    assert by_key(found) | finished(joined(pack.shape, 8, [pack])) == {TRIALS[name].key: result_of(name)}


# What a check says


def twin_of_check(trial: TrialSpec, number: int) -> list[tuple[list, dict[int, Any]]]:
    """The sequences of a check, as the net's twin takes them."""
    stop, task = trial.cell.stop[0], trial.cell.task
    key = int(stream_key(trial.seed, trial.replicate, CHECKS))
    first = number * stop.window if stop.fresh_test_set else 0
    twins: dict[str, Any] = {
        "long_lag": lambda key: naive_tasks.long_lag(key, task.p, regular=task.regular, at_end=task.at_end),
        "very_long_lag": lambda key: naive_tasks.very_long_lag(key, task.p, task.q),
        "two_sequence": lambda key: naive_tasks.two_sequence(
            key, task.T, task.N, noisy_input=task.noisy_input, noisy_target=False
        ),
    }
    found = [twins[task.name](draw(key, first + n)) for n in range(stop.window)]
    if task.name == "two_sequence" and task.noisy_target:
        raised = {(1.0,): (0.2,), (0.0,): (0.8,)}
        found = [[*steps[:-1], steps[-1]._replace(target=raised[steps[-1].target])] for steps in found]
    else:
        found = [coded(steps, *trial.cell.training.targets) for steps in found]
    return [
        ([step.x for step in steps], {t: s.target for t, s in enumerate(steps) if s.target is not None})
        for steps in found
    ]


def figures(trial: TrialSpec, weights: tuple[NDArray, NDArray], number: int) -> tuple[int, float]:
    """How many sequences of a check are wrong, and their mean error, by the twins."""
    hidden, output = permuted(trial, weights[0], to_twin=True), weights[1]
    stop, wrong, errors = trial.cell.stop[0], 0, []
    for x, targets in twin_of_check(trial, number):
        steps = naive.forward(trial.cell.network, hidden, output, x)
        error = {t: np.abs(np.array(target) - steps[t].y) for t, target in targets.items()}
        counted = error.values() if stop.judged == "all" else [error[len(x) - 1]]
        wrong += max(e.max() for e in counted) >= stop.tolerance
        errors.append(np.mean(list(error.values())))
    return wrong, float(np.mean(errors))


CODED = ["2a-coded-0", "2a-hidden-0", "2b-last-0"]


@pytest.mark.parametrize("name", ["2a-0", "2b-0", "2c-0", "3a-0", "3b-0", "3c-0", *CODED])
def test_a_milestone_is_reached_at_the_first_check_that_the_twins_pass(name: str) -> None:
    trial, found = TRIALS[name], result_of(name)
    stop, at = trial.cell.stop[0], found.milestones[0].sequences
    every = stop.check_every or 1
    assert at % every == 0
    for number in (at // every, at // every - 1, max(at // every // 2, 1)):
        weights = weights_of(alone(replace(trial, cap=number * every)))
        wrong, _ = figures(trial, weights, number)
        assert (wrong <= stop.max_wrong) == (number == at // every)


def test_the_second_milestone_asks_for_the_mean_error_too() -> None:
    trial, found = TRIALS["3a-0"], result_of("3a-0")
    st1, st2 = found.milestones
    assert st1.sequences < st2.sequences
    assert (st1.test_sequences, st2.test_sequences) == (0, 100)
    number = st2.sequences // 50
    wrong, error = figures(trial, weights_of(found), number)
    assert wrong == 0
    assert error < 0.05
    _, before = figures(trial, weights_of(alone(replace(trial, cap=st1.sequences))), st1.sequences // 50)
    assert before >= 0.05


def test_one_check_can_reach_both_milestones() -> None:
    easy = replace(TRIALS["3a-0"].cell, stop=(ST1, replace(ST2, mean_error=0.9)))
    found = alone(replace(TRIALS["3a-0"], cell=easy))
    assert found.milestones[0].sequences == found.milestones[1].sequences == result_of("3a-0").milestones[0].sequences


@pytest.mark.parametrize("name", ["2c-0", "3a-0", "1-literal-0"])
def test_checks_do_not_disturb_training(name: str) -> None:
    """The weights at a cap are those of a trial that is never checked."""
    trial = replace(TRIALS[name], cap=330)
    never = replace(trial.cell.stop[-1], check_every=10**9)
    unchecked = replace(trial, cell=replace(trial.cell, stop=(never,)))
    found, other = alone(trial), alone(unchecked)
    assert (found.outcome, other.outcome) == (Outcome.CAPPED, Outcome.CAPPED)
    assert found.weights_sha256 == other.weights_sha256
    assert found.steps == other.steps


def test_a_check_at_the_cap_still_counts() -> None:
    trial, full = TRIALS["2c-0"], result_of("2c-0")
    assert alone(replace(trial, cap=full.sequences)) == full
    assert alone(replace(trial, cap=full.sequences - 1)).outcome == Outcome.CAPPED


def test_where_learning_goes_on_a_check_is_made_of_training_sequences() -> None:
    found = result_of("2a-learning-0")
    assert found.outcome == Outcome.SOLVED
    assert found.sequences == found.milestones[0].sequences
    assert found.sequences % 20 == 0
    assert found.steps == 4 * (found.sequences + 100)


# The grammar


def test_the_criterion_of_experiment_1_is_every_symbol_of_both_sets() -> None:
    """The trained net passes by the automaton's word; at the check before it, it did not."""
    name = next(name for name in TRIALS if name.startswith("1-") and result_of(name).outcome == Outcome.SOLVED)
    trial, at = TRIALS[name], result_of(name).sequences
    assert misjudged(trial, weights_of(result_of(name))) == 0
    before = alone(replace(trial, cap=at - 100))
    assert before.outcome == Outcome.CAPPED
    assert misjudged(trial, weights_of(before)) > 0


def misjudged(trial: TrialSpec, weights: tuple[NDArray, NDArray]) -> int:
    """Symbols of both sets after which some illegal symbol's output is not below all legal ones'."""
    training, tests = (list(dict.fromkeys(some)) for some in strings_of(trial))
    hidden, wrong = permuted(trial, weights[0], to_twin=True), 0
    for string in training + tests:
        x = [SYMBOLS.index(symbol) for symbol in string[:-1]]
        for t, step in enumerate(naive.forward(trial.cell.network, hidden, weights[1], x)):
            legal = [step.y[SYMBOLS.index(symbol)] for symbol in following(string[: t + 1])]
            illegal = [y for k, y in enumerate(step.y) if SYMBOLS[k] not in following(string[: t + 1])]
            wrong += not min(legal) > max(illegal)
    return wrong


def strings_of(trial: TrialSpec) -> tuple[list[str], list[str]]:
    return strings(distinct=trial.cell.task.training_strings == "distinct", pair=trial.replicate // 10)


def knowing(spelled: list[str]) -> tuple[Block, NDArray]:
    """Strings in a block whose every step has an input of its own, and weights to the outputs that know them."""
    steps = sum(len(string) - 1 for string in spelled)
    block, weights = new_block(-(-steps // 8) * 8, 1, Layout(steps, 7, symbols=True, legal=True)), np.zeros((7, steps))
    t = 0
    for string in spelled:
        for n in range(1, len(string)):
            block.symbol[t], block.due[t] = t, 1
            block.target[t, SYMBOLS.index(string[n])] = 1.0
            for symbol in following(string[:n]):
                block.legal[t, SYMBOLS.index(symbol)] = 1
                weights[SYMBOLS.index(symbol), t] = 1.0
            t += 1
        block.ends[t - 1] = 1
    return block, weights


def wrong_strings(block: Block, weights: NDArray) -> int:
    """Of the strings in the block, as a net without working cells judges them."""
    network, steps = replace(DIRECT, g="bipolar"), weights.shape[1]
    variant = network.variant(steps, symbols=True, sums=False)
    state, stop = network.kernels.new_state(1, variant, 7), new_stop_state(1, 1)
    hidden, output = np.zeros((2, steps)), np.concatenate([weights, np.zeros((7, 1))], axis=1)
    network.kernels.put(state, variant, 0, network, (hidden, output), Signal(0.0))
    stop.masks[:] = (1, 0, 1, 1)
    stop.limit[:], stop.max_wrong[:], stop.below[:], stop.tolerance[:] = 10**9, 10**9, np.inf, 0.5
    assert (EVERY, RANKED, ABSOLUTE) == (2, 3, 0)
    network.kernels.advance(lanes_tag(1), variant, state, block, stop)
    return int(stop.wrong[0])


def test_a_net_that_knows_the_grammar_passes_and_one_with_a_single_wrong_symbol_fails() -> None:
    spelled = strings()[0][:20]
    block, weights = knowing(spelled)
    assert wrong_strings(block, weights) == 0
    for t in range(0, weights.shape[1], 7):
        for k in range(7):
            flipped = weights.copy()
            flipped[k, t] = -1.0 if block.legal[t, k] else 2.0
            assert wrong_strings(block, flipped) == 1


# Growth


@pytest.mark.parametrize(("now", "grows"), [(0.98, False), (0.995, True), (1.2, True)])
def test_hidden_units_join_in_when_the_error_no_longer_falls(now: float, grows: bool) -> None:
    trial = TRIALS["2a-growing-0"]
    pack = Pack(shape_of(trial.cell), 2)
    pack.add(trial)
    (run,) = [run for run in pack.runs if run]
    ring, window = pack.stop.ring, trial.cell.network.growth_window
    assert not pack.state.alive[0, 0]
    for done in (window, 2 * window - 1, 3 * window):
        run.trained = done
        ring[:, ABSOLUTE, 0] = now
        ring[np.arange(done - 2 * window, done - window) % len(ring), ABSOLUTE, 0] = 1.0
        pack._grow(0, run)
        assert (run.growth is None) == bool(pack.state.alive[0, 0]) == (grows and done == 3 * window)
    assert [entry.sequences for entry in run.reached if entry.name == "grown"] == [3 * window] * grows


def test_until_then_only_weights_between_inputs_and_outputs_learn() -> None:
    trial, found = TRIALS["2a-growing-0"], result_of("2a-growing-0")
    grown = next(entry.sequences for entry in found.milestones if entry.name == "grown")
    assert grown % trial.cell.network.growth_window == 0
    first = trial.cell.network.initial(stream_key(SEED, 0, WEIGHTS), 5, 5)
    before = weights_of(alone(replace(trial, cap=grown)))
    after = weights_of(alone(replace(trial, cap=grown + 30)))
    np.testing.assert_array_equal(before[0], first[0])
    np.testing.assert_array_equal(before[1][:, 5], first[1][:, 5])
    assert (before[1][:, :5] != first[1][:, :5]).any()
    assert (after[0] != first[0]).any()
    assert (after[1][:, 5] != first[1][:, 5]).all()


@pytest.mark.parametrize("name", ["2a-0", "2b-0", "2c-0", *CODED])
def test_training_on_symbols_is_that_of_the_twins(name: str) -> None:
    """Weights after 40 sequences: draws, task, net and pack against plain loops."""
    trial = replace(TRIALS[name], cap=40)
    c, key = trial.cell, int(stream_key(SEED, 0, TRAINING))
    hidden, output = c.network.initial(stream_key(SEED, 0, WEIGHTS), c.task.layout.inputs, c.task.layout.outputs)
    check = replace(trial, cell=replace(c, stop=(replace(c.stop[0], window=40),)))
    sequences = [twin_of_training(check, draw(key, n)) for n in range(40)]
    *twins, _ = naive.train(c.network, c.training, permuted(trial, hidden, to_twin=True), output, sequences)
    found = weights_of(alone(replace(check, cap=40)))
    for array, twin in zip(found, (permuted(trial, twins[0], to_twin=False), twins[1]), strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-11, atol=1e-12)


def twin_of_training(trial: TrialSpec, key: int) -> tuple[list, dict[int, Any]]:
    task = trial.cell.task
    if task.name == "long_lag":
        steps = naive_tasks.long_lag(key, task.p, regular=task.regular, at_end=task.at_end)
    else:
        steps = naive_tasks.very_long_lag(key, task.p, task.q)
    steps = coded(steps, *trial.cell.training.targets)
    return [step.x for step in steps], {t: s.target for t, s in enumerate(steps) if s.target is not None}


# Settings that contradict each other


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"check_every": None, "learn_while_tested": True}, "stop.learn_while_tested=true: speaks of checks"),
        ({"learn_while_tested": True, "fresh_test_set": False}, "contradict each other"),
        ({"check_every": 0}, "stop.check_every=0: takes a whole number from 1"),
        ({"mean_error": 0.0}, "stop.mean_error=0.0: takes a finite number above 0"),
        ({"judged": "first"}, "stop.judged=first: takes one of all, last"),
        ({"test_sequences": -1}, "stop.test_sequences=-1: takes a whole number from 0"),
    ],
)
def test_stop_rules_that_make_no_sense_are_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        replace(CHECKED, **change)


@pytest.mark.parametrize(
    ("name", "stop", "what"),
    [
        ("3a", (GRAMMAR,), "stop.correct=ranked: needs a grammar, and task two_sequence has none"),
        ("1", (replace(GRAMMAR, window=256),), "stop.window=256: a check of task embedded_reber takes all its strings"),
        ("1", (replace(GRAMMAR, learn_while_tested=True),), "tested on strings that are never learned from"),
        ("3a", (ST1, ST1), "takes names that differ"),
    ],
)
def test_stop_rules_that_do_not_fit_the_task_are_refused(name: str, stop: tuple[Stop, ...], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        replace(CELLS[name][0], stop=stop)
