"""The stop rule against a twin that keeps every error and counts the window afresh after every sequence."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lstm_search.simd.jit import kernel
from lstm_search.simd.stopping import (
    ABSOLUTE,
    ACTIVE,
    CHECKPOINTS,
    DIVERGED,
    LEARNING,
    PAUSED,
    REACHED,
    RUNNING,
    SQUARED,
    TESTED,
    StopState,
    end_sequence,
    look_back,
    new_stop_state,
    reached,
)

NAMES = {RUNNING: "running", REACHED: "reached", PAUSED: "capped", DIVERGED: "diverged", TESTED: "tested"}


@dataclass(frozen=True)
class Criterion:
    window: int = 3
    max_wrong: int = 0
    below: float = 1.0
    tolerance: float = 1.0
    measure: int = ABSOLUTE
    limit: int = 1000
    every: int = 1


@dataclass(frozen=True)
class Error:
    """The errors of one sequence: mean absolute, mean squared, the worst; over how many steps with a target."""

    absolute: float
    squared: float
    worst: float
    steps: int = 1

    @property
    def tally(self) -> list[float]:
        return [self.absolute * self.steps, self.squared * self.steps, self.worst, self.steps]

    def measured(self, criterion: Criterion) -> float:
        """As the kernel sees it: the mean of a sum, not the number it was made from."""
        return self.tally[criterion.measure] / self.steps

    def wrong(self, criterion: Criterion) -> bool:
        return math.isnan(self.worst) or self.worst >= criterion.tolerance


def even(worst: float, share: float = 1.0) -> Error:
    return Error(worst * share, worst**2 * share, worst)


@dataclass(frozen=True)
class Verdict:
    reason: str
    done: int


def twin_of_training(criterion: Criterion, errors: list[Error]) -> Verdict:
    """How training ends, from all errors since it began."""
    for done in range(1, len(errors) + 1):
        if not math.isfinite(errors[done - 1].measured(criterion)):
            return Verdict("diverged", done)
        window = errors[max(done - criterion.window, 0) : done]
        mean = math.fsum(error.measured(criterion) for error in window) / len(window)
        few = sum(error.wrong(criterion) for error in window) <= criterion.max_wrong
        due = (done - criterion.window) % criterion.every == 0
        if done >= criterion.window and due and few and mean < criterion.below:
            return Verdict("reached", done)
        if done == criterion.limit:
            return Verdict("capped", done)
    return Verdict("running", len(errors))


@kernel
def feed(stop: StopState, tallies: NDArray) -> None:
    """Let every active lane l end a sequence with `tallies[t, :, l]`, t = 0, 1, ..."""
    for t in range(tallies.shape[0]):
        for l in range(tallies.shape[2]):
            if stop.masks[ACTIVE] >> l & 1:
                for row in range(tallies.shape[1]):
                    stop.tally[row, l] = tallies[t, row, l]
                end_sequence(stop, l, t)


def aim(stop: StopState, l: int, criterion: Criterion, *, learning: bool = True) -> None:
    for name, value in vars(criterion).items():
        getattr(stop, name)[l] = value
    stop.masks[ACTIVE] |= 1 << l
    stop.masks[LEARNING] |= learning << l


def judged(criteria: list[Criterion], errors: list[list[Error]], ring: int, *, learning: bool = True) -> StopState:
    """The state of the stop rules after lane l, with criterion l, has seen `errors[l]` (all of the same number)."""
    stop = new_stop_state(len(criteria), ring)
    for l, criterion in enumerate(criteria):
        aim(stop, l, criterion, learning=learning)
    feed(stop, np.array([[error.tally for error in lane] for lane in errors]).transpose(1, 2, 0))
    return stop


def verdict(stop: StopState, l: int = 0) -> Verdict:
    return Verdict(NAMES[int(stop.reason[l])], int(stop.done[l]))


small = st.floats(0, 2).map(lambda x: round(x, 2))
plain = st.builds(Error, small, small, small, st.integers(1, 5))
odd = st.sampled_from([even(1e16), even(1e5), even(math.nan), even(math.inf), even(1.0)])
errors = st.lists(st.one_of(plain, plain, plain, plain, odd), min_size=1, max_size=60)
criteria = st.builds(
    Criterion,
    window=st.integers(1, 9),
    max_wrong=st.integers(0, 5),
    below=st.floats(0.3, 2),
    tolerance=st.floats(0.3, 2.5),
    measure=st.sampled_from([ABSOLUTE, SQUARED]),
    limit=st.integers(1, 80),
    every=st.integers(1, 4),
)


@settings(max_examples=400, deadline=None)
@given(criterion=criteria, errors=errors)
@example(Criterion(window=2, max_wrong=1), [even(0.9), even(1e17), even(0.9), even(0.9)])
@example(Criterion(window=2, max_wrong=1, below=0.5), [even(0.9), even(1e17), even(0.9), even(0.9)])
def test_training_ends_as_the_twin_says(criterion: Criterion, errors: list[Error]) -> None:
    stop = judged([criterion], [errors], ring=9)
    assert verdict(stop) == twin_of_training(criterion, errors)
    assert stop.masks[ACTIVE] == stop.masks[LEARNING] == (stop.reason[0] == RUNNING)


@pytest.mark.parametrize("seed", range(3))
def test_every_lane_is_judged_by_its_own_criterion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lanes = [
        Criterion(
            window=int(rng.integers(1, 200)),
            max_wrong=int(rng.integers(0, 12)),
            below=rng.uniform(0.2, 0.6),
            tolerance=rng.uniform(0.8, 1),
            measure=int(rng.integers(0, 2)),
            limit=int(rng.integers(500, 3000)),
        )
        for _ in range(16)
    ]
    decay = np.exp(-np.arange(3000) / 2000)
    errors = [[Error(*values) for values in rng.uniform(0, 1.2, (3000, 3)) * decay[:, None]] for _ in lanes]
    stop, expected = judged(lanes, errors, ring=200), list(map(twin_of_training, lanes, errors))
    assert [verdict(stop, l) for l in range(16)] == expected
    assert {found.reason for found in expected} == {"reached", "capped"}
    for l, found in enumerate(expected):
        assert stop.at[l] == found.done - 1


def test_the_criterion_wins_over_the_cap() -> None:
    right, wrong = even(0.1), even(2.0)
    for last, reason in ((right, "reached"), (wrong, "capped")):
        stop = judged([Criterion(limit=4)], [[wrong, right, right, last]], ring=3)
        assert verdict(stop) == Verdict(reason, 4)


def test_an_error_of_the_tolerance_is_wrong() -> None:
    assert judged([Criterion(tolerance=0.5, window=5)], [[even(0.5)]], ring=5).wrong[0] == 1
    assert judged([Criterion(tolerance=0.5, window=5)], [[even(np.nextafter(0.5, 0))]], ring=5).wrong[0] == 0


def test_a_stopped_lane_counts_no_further() -> None:
    errors = [[even(0.5)] * 10, [even(2.0)] * 10]
    stop = judged([Criterion(), Criterion()], errors, ring=3)
    assert [verdict(stop, l) for l in (0, 1)] == [Verdict("reached", 3), Verdict("running", 10)]
    assert stop.masks[:2].tolist() == [2, 2]


def test_the_sum_does_not_drift() -> None:
    """After a million sequences, some with huge errors, the running sum is that of the window."""
    n = 1_000_000
    rng = np.random.default_rng(0)
    tallies = np.ones((n, 4, 1))
    tallies[:, :3, 0] = rng.uniform(0, 0.01, (n, 1)) * rng.choice([1, 1e16], p=[0.999, 0.001], size=(n, 1))
    tallies[-2000:, :3, 0] = rng.uniform(0, 0.01, (2000, 1))
    stop = new_stop_state(1, 2000)
    aim(stop, 0, Criterion(window=2000, below=0.0, limit=2 * n))
    feed(stop, tallies)
    assert stop.total[0] + stop.lost[0] == pytest.approx(math.fsum(tallies[-2000:, 0, 0]), rel=1e-9)


def test_checkpoints_are_ten_a_decade() -> None:
    assert CHECKPOINTS[:11].tolist() == [10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100]
    assert CHECKPOINTS[-1] == 10**8
    assert len(CHECKPOINTS) == 71


def test_the_curve_has_means_between_checkpoints() -> None:
    rng = np.random.default_rng(1)
    errors = [Error(*values) for values in rng.uniform(0, 2, (1000, 3))]
    criterion = Criterion(below=0.0)
    stop = judged([criterion], [errors], ring=3)
    assert stop.point[0] == 21
    for point, (first, last) in enumerate(zip([0, *CHECKPOINTS], CHECKPOINTS[:21], strict=False)):
        between = errors[first:last]
        mean = np.mean([error.measured(criterion) for error in between])
        wrong = np.mean([error.wrong(criterion) for error in between])
        np.testing.assert_allclose(stop.curve[point, :, 0], (mean, wrong), rtol=1e-12)
    assert not stop.curve[21:].any()


@settings(max_examples=200, deadline=None)
@given(criterion=criteria, errors=st.lists(plain, min_size=1, max_size=30))
def test_a_test_ends_after_its_length_or_where_it_is_hopeless(criterion: Criterion, errors: list[Error]) -> None:
    stop = judged([criterion], [errors], ring=9, learning=False)
    expected = Verdict("running", len(errors))
    for n in range(len(errors), 0, -1):
        wrong, total = counted(criterion, errors[:n])
        if n >= criterion.limit or wrong > criterion.max_wrong or total > criterion.below * criterion.limit:
            expected = Verdict("tested", n)
    assert verdict(stop) == expected
    wrong, total = counted(criterion, errors[: expected.done])
    assert stop.wrong[0] == wrong
    np.testing.assert_allclose(stop.total[0] + stop.lost[0], total, rtol=1e-12)
    assert stop.point[0] == 0
    assert not stop.ring.any()


def counted(criterion: Criterion, errors: list[Error]) -> tuple[int, float]:
    """Wrong sequences and summed error."""
    return sum(e.wrong(criterion) for e in errors), math.fsum(e.measured(criterion) for e in errors)


def test_a_test_without_limits_goes_on_whatever_comes() -> None:
    errors = [even(1e9), even(0.1), even(math.inf), even(math.nan), even(0.1)]
    criterion = Criterion(limit=4, max_wrong=10**9, below=math.inf)
    assert verdict(judged([criterion], [errors], ring=1, learning=False)) == Verdict("tested", 4)


@settings(max_examples=200, deadline=None)
@given(before=criteria, after=criteria, errors=st.lists(plain, min_size=1, max_size=30))
def test_looking_back_counts_as_if_the_criterion_had_always_been_this_one(
    before: Criterion, after: Criterion, errors: list[Error]
) -> None:
    """Errors that a first criterion has judged, seen through a second one with another window and tolerance."""
    before = Criterion(**{**vars(before), "below": 0.0, "limit": 1000})
    stop = judged([before], [errors], ring=9)
    aim(stop, 0, after)
    look_back(stop, 0)
    window = errors[-after.window :]
    assert stop.wrong[0] == sum(error.wrong(after) for error in window)
    assert stop.total[0] == math.fsum(error.measured(after) for error in window)
    mean = math.fsum(error.measured(after) for error in window) / len(window)
    few = stop.wrong[0] <= after.max_wrong
    due = (len(errors) - after.window) % after.every == 0
    assert reached(stop, 0) == (len(window) == after.window and due and few and mean < after.below)


def test_a_sequence_whose_worst_error_is_no_number_is_wrong() -> None:
    stop = judged([Criterion(limit=1)], [[Error(math.nan, math.nan, math.nan)]], ring=3, learning=False)
    assert stop.wrong[0] == 1
    assert math.isnan(stop.total[0])
