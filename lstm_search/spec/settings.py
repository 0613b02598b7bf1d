"""The settings of a cell that belong to no task and no network: how it is trained, and when it has learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lstm_search import checks
from lstm_search.checks import Setting, setting, settle, written
from lstm_search.networks import Rule, Signal


@dataclass(frozen=True)
class Training:
    """Gradient descent on half the squared error (section 3); `rate` is the paper's learning rate alpha. The paper has
    plain descent alone. Of Adam, the second moment decays by .999 a sequence, and 1e-8 is added to its root.
    """

    rate: float = setting(0.5, "learning rate", above=0, example="0.1")
    update: Literal["sequence", "step"] = setting(
        "sequence", "weights change at the end of a sequence, or at every step (step)", reading=True
    )
    error_scale: float = setting(
        1.0, "factor on the error signal: 1, 2, 0.5 or 0.25", among=(0.25, 0.5, 1.0, 2.0), reading=True
    )
    targets: tuple[float, ...] = setting(
        (0.0, 1.0), "what stands for the targets 0 and 1 of classes and symbols, such as [0.1,0.9]", reading=True
    )
    margin: float = setting(
        0.0, "an output that errs by less gives no error signal", low=0, below=1, example="0.1", reading=True
    )
    slope: bool = setting(True, "whether the error signal of a logistic output has its derivative f'", reading=True)
    slope_added: float = setting(
        0.0, "added to f' of logistic outputs, against flat spots", low=0, high=1, example="0.1", reading=True
    )
    optimizer: Literal["descent", "momentum", "adam"] = setting(
        "descent", "how weights follow the gradient of a sequence: plain descent, with momentum, or by Adam"
    )
    momentum: float = setting(
        0.9, "of momentum and Adam: what a sequence keeps of the gradients before", low=0, below=1, example="0.95"
    )

    def __post_init__(self) -> None:
        settle(self, "training")
        if len(self.targets) != 2 or not self.targets[0] < self.targets[1]:
            raise ValueError(
                f"training.targets={written(self.targets)}: takes two numbers, the second greater, such as [0.1,0.9]"
            )
        if not self.slope and self.slope_added:
            raise ValueError(
                f"training.slope=false training.slope_added={self.slope_added:g}: takes training.slope_added=0 where "
                "error signals have no f' to add to"
            )
        if self.optimizer == "descent" and self.momentum != Training.momentum:
            raise ValueError(
                f"training.momentum={self.momentum:g}: plain descent has none; take training.optimizer=momentum or adam"
            )
        if self.optimizer != "descent" and self.update != "sequence":
            raise ValueError(
                f"training.optimizer={self.optimizer} training.update={self.update}: takes training.update=sequence"
            )

    @property
    def signal(self) -> Signal:
        """How a net learns from the errors of its outputs."""
        slope, constant = (1.0, self.slope_added) if self.slope else (0.0, 1.0)
        if self.optimizer == "descent":
            return Signal(self.rate * self.error_scale, self.margin, slope, constant)
        return Signal(self.error_scale, self.margin, slope, constant, Rule(self.rate, self.momentum))


@dataclass(frozen=True)
class Stop:
    """When a trial has reached a milestone: of `window` successive sequences at most `max_wrong` are wrong, and their
    mean error is below `mean_error` (None: whatever it is). Then `test_sequences` fresh ones are tested, not learned.

    The window is that of the last training sequences (experiments 4 to 6), or, with `check_every`, a check every so
    many training sequences (1 to 3): on sequences of its own, without learning, after which training goes on as if
    nothing had been. Two readings belong to checks: `fresh_test_set`, whether each has other sequences than the one
    before; and `learn_while_tested`, whether the check is made of the training sequences that come next, learning going
    on. The milestone counts as reached where the check began.

    A sequence is wrong when any output errs by `tolerance` or more (`correct`: within), or when any output that stands
    for a legal symbol is not above all that stand for illegal ones (ranked), at any target or only at its last
    (`judged`).
    """

    milestone: str = setting("solved", "name of the point that a trial reaches, or several")
    tolerance: float = setting(0.04, "a sequence is wrong when any output errs by this much", above=0, example="0.3")
    correct: Literal["within", "ranked"] = setting(
        "within",
        "right means within the tolerance, or, for a grammar, legal outputs above all illegal ones (ranked)",
    )
    judged: Literal["all", "last"] = setting(
        "all", "whether a sequence can be wrong at any of its targets (all) or at the last one only (last)"
    )
    window: int = setting(2000, "number of successive sequences that are judged", low=1, high=1_000_000)
    max_wrong: int = setting(0, "how many of them may be wrong")
    mean_error: float | None = setting(
        0.01, "their mean error must be below this; null for any", above=0, example="0.1"
    )
    error: Literal["absolute", "squared"] = setting(
        "absolute", "what that mean is of: absolute or squared errors", reading=True
    )
    check_every: int | None = setting(
        None,
        "training sequences between checks on sequences not learned from; null judges the training sequences",
        low=1,
        high=1_000_000_000,
        reading=True,
    )
    learn_while_tested: bool = setting(
        False, "whether a check is made of the next training sequences, learning going on", reading=True
    )
    fresh_test_set: bool = setting(True, "whether each check has new sequences", reading=True)
    test_sequences: int = setting(
        2560, "fresh sequences tested after the milestone, without learning", low=0, high=1_000_000
    )

    def __post_init__(self) -> None:
        settle(self, "stop")
        checks.name("stop.milestone", self.milestone)
        Setting(low=0, high=self.window - 1).check("stop.max_wrong", self.max_wrong)
        if self.learn_while_tested and self.check_every is None:
            raise ValueError(
                "stop.learn_while_tested=true: speaks of checks, and there are none with stop.check_every=null; "
                "give a number of training sequences, for example stop.check_every=100"
            )
        if self.learn_while_tested and not self.fresh_test_set:
            raise ValueError(
                "stop.learn_while_tested=true stop.fresh_test_set=false: contradict each other; training sequences are "
                "always fresh"
            )

    @property
    def checked(self) -> bool:
        """Whether the criterion is about sequences that are not learned from."""
        return self.check_every is not None and not self.learn_while_tested

    @property
    def grace(self) -> int:
        """Training sequences after a milestone that its check takes: the cap does not count them."""
        return self.window if self.learn_while_tested else 0

    @property
    def below(self) -> float:
        """What the mean error must be below."""
        return math.inf if self.mean_error is None else self.mean_error
