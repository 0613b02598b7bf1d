"""Trials that nobody trains: their results are drawn from a response surface, and time is virtual.

A search, its tests and its benchmarks need thousands of trials, and need not wait for nets to learn. Whether a trial
is solved, and after how many sequences, is drawn from the digits of its own key. As with real trials, the same trial
always gives the same result, whatever the order, the number of workers and the run.

A simulated trial has the key of the real one. What tells them apart: `host` and `weights_sha256` of a simulated result
are "simulated", it has no weights, and the title of its study says so. The title is a part of a study's identity, so a
record takes either simulated trials or real ones.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

from lstm_search.spec import Cell, Definition, Outcome, Reached, Stop, Trial, TrialResult, TrialSpec

HOST = "simulated"
"""The host of a simulated trial, and what stands in place of the SHA-256 of its weights."""

SECONDS_A_STEP = 1e-7
"""Virtual seconds that a trial takes for one time step."""

_TITLE = "Simulated by surface "
_LENGTHS = 100  # mean training sequences where all settings are at their default, in lengths of a sequence
_FARTHEST = 2.0  # most that one setting counts: e^2 times the sequences
_CHOICE = 0.2  # what a choice counts that is not the default
_DIGITS = 13  # hexadecimal digits of a key that make one uniform number


@dataclass(frozen=True)
class Response:
    """How the trials of a cell end: the fraction `solved`; the mean training sequences of these, and the standard
    deviation of their natural logarithms (`spread`), which are normally distributed."""

    solved: float
    mean: float
    spread: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.solved <= 1 and 1 <= self.mean < math.inf and 0 <= self.spread < math.inf):
            raise ValueError(f"{self}: takes a fraction from 0 to 1, a mean from 1, and a spread from 0, all finite")


Surface = Callable[[Cell], Response]
"""What is to be expected of a cell; a function of nothing else."""


def smooth(cell: Cell) -> Response:
    """One valley. Let x be the sum of `_away` over the settings of the learner; it is 0 where all are at their default.
    Then mean = 100 e^x lengths of a sequence, and solved = 1 / (1 + e^(1.5 x - 2)): the defaults solve 88 %."""
    both = [(getattr(part, of.name), of.default) for part in (cell.network, cell.training) for of in fields(part)]
    x = sum(_away(value, default) for value, default in both if value != default)
    return Response(1 / (1 + math.exp(1.5 * x - 2)), _easy(cell) * math.exp(x))


def needle(cell: Cell) -> Response:
    """About one cell in 500 is good (90 % solved), of a space of the settings NEEDLE over one decade each. A setting is
    right where its leading figures are 2 to 4.5, a third of a decade; each that is wrong leaves 40 % of the successes
    and takes 1.5 times the sequences."""
    found = {f"training.{name}": value for name, value in vars(cell.training).items()}
    found |= {f"network.{name}": value for name, value in vars(cell.network).items()}
    wrong = sum(not _right(found[key]) for key in NEEDLE if key in found)
    return Response(0.9 * 0.4**wrong, _easy(cell) * 1.5**wrong)


def alike(cell: Cell) -> Response:
    """All cells of a task are the same, so whichever is dropped is dropped by mistake."""
    return Response(0.5, _easy(cell))


SURFACES: dict[str, Surface] = {"smooth": smooth, "needle": needle, "alike": alike}
"""What `execute.surface` takes."""

NEEDLE = (
    *("training.rate", "network.init", "network.input_gate_bias", "network.output_gate_bias"),
    *("network.blocks", "network.size"),
)
"""The axes of the surface `needle`; a setting that a cell's network does not have is right."""


def _easy(cell: Cell) -> float:
    return max(1.0, _LENGTHS * cell.task.length)


def _away(value: Any, default: Any) -> float:
    """Squared distance of a setting from its best value, less that of its default; far away it grows no more.

    Where value and default are positive, the distance is in decades, and twice the default is best. Otherwise, and for
    the mean of a list, it is in tens, and 3 below the default is best. Of choices the default is the best.
    """
    if isinstance(value, tuple) and all(isinstance(entry, float) for entry in value):
        value, default = (sum(some) / max(len(some), 1) for some in (value, default))
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in (value, default)):
        return _CHOICE
    logs = value > 0 and default > 0
    shift, best = (math.log10(value / default), math.log10(2)) if logs else ((value - default) / 10, -0.3)
    return min(float((shift - best) ** 2 - best**2), _FARTHEST)


def _right(value: Any) -> bool:
    """Whether the leading figures of a number, or of the mean of several, are 2 to 4.5."""
    number = abs(sum(value) / max(len(value), 1) if isinstance(value, tuple) else value)
    return bool(number) and 2 <= number / 10 ** math.floor(math.log10(number)) < 4.5


def titled(definition: Definition, surface: str | None) -> Definition:
    """`definition` with a title that says by which surface the study is simulated; None: it is trained.

    Raises ValueError for a definition that is simulated in another way, or is to be trained although it was simulated.
    """
    title = f"{_TITLE}{surface}, nothing was trained: " if surface else ""
    if not simulates(definition):
        return replace(definition, title=title + definition.title)
    if not (title and definition.title.startswith(title)):
        was = definition.title.removeprefix(_TITLE).partition(",")[0]
        raise ValueError(
            f"study={definition.name} is simulated: go on with execute=simulated execute.surface={was}, or take "
            "another name (study=NAME)"
        )
    return definition


def simulates(definition: Definition) -> bool:
    """Whether the trials of a study are simulated."""
    return definition.title.startswith(_TITLE)


def drawn(spec: TrialSpec, response: Response) -> TrialResult:
    """The result of a trial of a cell with this response. Under another cap it is the same trial, cut off elsewhere."""
    solved, length, wrong, error = _uniforms(spec.key)
    mu = math.log(response.mean) - response.spread**2 / 2
    whole = max(len(spec.cell.stop), round(math.exp(mu + response.spread * NormalDist().inv_cdf(length))))
    reached = _milestones(spec.cell.stop, whole, wrong, error) if solved < response.solved else ()
    reached = tuple(milestone for milestone in reached if milestone.sequences <= spec.cap)
    done = len(reached) == len(spec.cell.stop)
    sequences = whole if done else spec.cap
    steps = round(sequences * spec.cell.task.length)
    return TrialResult(
        key=spec.key,
        outcome=Outcome.SOLVED if done else Outcome.CAPPED,
        sequences=sequences,
        steps=steps,
        milestones=reached,
        weights_sha256=HOST,
        seconds=steps * SECONDS_A_STEP,
        host=HOST,
    )


def _uniforms(key: str) -> list[float]:
    """Four independent numbers, uniform between 0 and 1, from the digits of a SHA-256."""
    starts = range(0, 4 * _DIGITS, _DIGITS)
    return [(int(key[start : start + _DIGITS], 16) + 0.5) / 16**_DIGITS for start in starts]


def _milestones(rules: Sequence[Stop], whole: int, wrong: float, error: float) -> tuple[Reached, ...]:
    """The milestones of a trial that is solved after `whole` sequences, evenly apart; of the test sequences of each up
    to two are wrong, and the mean error is up to half of what the rule asks for."""
    return tuple(
        Reached(
            rule.milestone,
            math.ceil(whole * number / len(rules)),
            rule.test_sequences,
            min(int(3 * wrong), rule.test_sequences),
            error * (rule.mean_error or rule.tolerance) / 2 if rule.test_sequences else 0.0,
        )
        for number, rule in enumerate(rules, start=1)
    )


class Simulated:
    """An `Executor` whose workers train nothing, one trial each at a time, in virtual time. No call ever waits.

    `now`: virtual seconds since the start, at which the trial ended that was gathered last.
    """

    def __init__(self, surface: Surface, workers: int) -> None:
        self.workers = workers
        self.now = 0.0
        self._response = lru_cache(2**16)(surface)
        self._queue: deque[TrialSpec] = deque()
        self._running: list[tuple[float, int, float, TrialSpec, TrialResult]] = []  # a heap by end; number, start
        self._started = 0

    @property
    def pending(self) -> int:
        """See `Executor`."""
        return len(self._queue) + len(self._running)

    @property
    def room(self) -> int:
        """See `Executor`: a trial for every worker, and as many in reserve."""
        return max(0, 2 * self.workers - self.pending)

    def submit(self, specs: Sequence[TrialSpec]) -> None:
        """See `Executor`."""
        self._queue.extend(specs)
        self._start(self.now)

    def gather(self, seconds: float) -> list[Trial]:
        """The trials that end next, all within so many virtual seconds of the first."""
        finished: list[Trial] = []
        latest = self._running[0][0] + seconds if self._running else 0.0
        while self._running and self._running[0][0] <= latest:
            self.now, _, _, spec, result = heapq.heappop(self._running)
            finished.append(Trial(spec, result))
            self._start(self.now)
        return finished

    def progress(self) -> dict[str, int]:
        """See `Executor`."""
        return {
            spec.key: int(result.sequences * (self.now - start) / (end - start))
            for end, _, start, spec, result in self._running
        }

    def _start(self, now: float) -> None:
        """Every free worker begins with the next trial."""
        while self._queue and len(self._running) < self.workers:
            spec = self._queue.popleft()
            result = drawn(spec, self._response(spec.cell))
            self._started += 1
            heapq.heappush(self._running, (now + result.seconds, self._started, now, spec, result))
