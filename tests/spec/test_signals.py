"""How a net learns from its errors: what settings of training mean, and what they refuse."""

from typing import Any

import pytest

from lstm_search.networks import Bptt, Cascade, Chunker, Elman, Guessing, Learner, Lstm1997, Rtrl, Signal
from lstm_search.spec import Cell, Stop, Training
from lstm_search.tasks import Adding, LongLag, Multiplication, Task, TwoSequence

STOP = Stop(check_every=1)


@pytest.mark.parametrize(
    ("training", "signal"),
    [
        (Training(0.3), Signal(0.3)),
        (Training(0.3, error_scale=2.0, margin=0.1), Signal(0.6, 0.1)),
        (Training(0.3, slope_added=0.1), Signal(0.3, 0.0, 1.0, 0.1)),
        (Training(0.3, slope=False), Signal(0.3, 0.0, 0.0, 1.0)),
    ],
)
def test_the_signal_of_a_training(training: Training, signal: Signal) -> None:
    assert training.signal == signal


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"targets": (0.5, 0.5)}, r"training.targets=\[0.5,0.5\]: takes two numbers, the second greater"),
        ({"targets": (1.0, 0.0)}, r"training.targets=\[1,0\]: takes two numbers, the second greater"),
        ({"targets": (0.5,)}, r"training.targets=\[0.5\]: takes two numbers"),
        ({"targets": (0.0, float("nan"))}, "training.targets=nan: takes a finite number"),
        ({"margin": 1.0}, "training.margin=1.0: takes a number from 0 and below 1, for example 0.1"),
        ({"slope_added": -0.1}, "training.slope_added=-0.1: takes a finite number from 0 up to 1"),
        ({"slope": 1}, "training.slope=1: takes true or false"),
        ({"slope": False, "slope_added": 0.1}, "takes training.slope_added=0 where error signals have no f' to add to"),
    ],
)
def test_what_no_training_takes(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Training(**settings)


CODED, SLOPELESS, ADDED = Training(targets=(0.1, 0.9)), Training(slope=False), Training(slope_added=0.1)
REFUSED: list[tuple[Task, Learner, Training, str]] = [
    (Adding(), Lstm1997(), CODED, "targets of task adding are no classes 0 and 1; takes .0,1."),
    (Multiplication(), Lstm1997(), CODED, "targets of task multiplication are no classes"),
    (TwoSequence(noisy_target=True), Lstm1997(), CODED, "targets of task two_sequence are no classes"),
    (LongLag(4), Lstm1997(), Training(targets=(-0.1, 0.9)), "outputs of network lstm1997 are logistic; takes two numb"),
    (
        LongLag(4),
        Rtrl(),
        Training(targets=(0.1, 1.1)),
        "outputs of network rtrl are logistic; takes two numbers from 0",
    ),
    (LongLag(4), Lstm1997(output="linear"), SLOPELESS, "training.slope=false: network lstm1997 has linear outputs"),
    (LongLag(4), Lstm1997(output="linear"), ADDED, "training.slope_added=0.1: network lstm1997 has linear outputs"),
    (LongLag(4), Rtrl(), SLOPELESS, r"network rtrl has its outputs among the recurrent units \(network.wiring=full\)"),
    (LongLag(4), Bptt(), ADDED, r"network bptt has its outputs among the recurrent units .*; takes 0"),
    (LongLag(4), Guessing(), Training(margin=0.1), "training.margin=0.1: network guessing learns by no error signals"),
    (
        LongLag(4),
        Guessing(),
        SLOPELESS,
        "training.slope=false: network guessing learns by no error signals; takes true",
    ),
    (LongLag(4, at_end=True), Chunker(), Training(), "task.at_end=true: network chunker predicts the next symbol"),
]


@pytest.mark.parametrize(("task", "network", "training", "what"), REFUSED)
def test_what_this_cell_does_not_take(task: Task, network: Learner, training: Training, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Cell(task, network, training, (STOP,))


TAKEN: list[tuple[Task, Learner, Training]] = [
    (LongLag(4), Lstm1997(output="linear"), Training(targets=(-1.0, 1.0), margin=0.1)),
    (LongLag(4), Rtrl(), Training(margin=0.1)),
    (LongLag(4), Rtrl(wiring="direct"), SLOPELESS),
    (LongLag(4), Bptt(wiring="layered"), ADDED),
    (LongLag(4), Elman(), ADDED),
    (LongLag(4), Chunker(), SLOPELESS),
    (LongLag(4), Cascade(), ADDED),
    (LongLag(4, at_end=True), Elman(), CODED),
    (TwoSequence(), Guessing(), CODED),
]


@pytest.mark.parametrize(("task", "network", "training"), TAKEN)
def test_what_a_cell_takes(task: Task, network: Learner, training: Training) -> None:
    assert Cell(task, network, training, (STOP,)).training is training
