"""The words of a study as values: cell, trial, outcome, result, row. Plain data that every floor above shares."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from lstm_search import checks
from lstm_search.checks import Setting, setting, settle
from lstm_search.networks import Bptt, Carrousel, Cascade, Chunker, Elman, Guessing, Lstm1997, Rtrl
from lstm_search.tasks import TASKS, Task

SCHEMA_VERSION = 1
"""Changes when the content of a trial's key changes."""

NUMERICS_VERSION = 1
"""Changes when the same key may give other bits; a study recorded under another number is not resumed."""

Network = Lstm1997 | Rtrl | Bptt | Elman | Guessing | Carrousel | Cascade | Chunker


SEQUENCES = "sequences"
"""The unit of a trial that learns from training sequences."""


Purpose = Literal["report", "tune", "race"]


class Outcome(StrEnum):
    """The one terminal state of a trial."""

    SOLVED = "SOLVED"
    CAPPED = "CAPPED"
    DIVERGED = "DIVERGED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    OOM = "OOM"
    LOST = "LOST"


BROKEN = frozenset({Outcome.FAILED, Outcome.TIMEOUT, Outcome.OOM, Outcome.LOST})
"""Outcomes that say nothing about the cell: the machine or the code failed, not the learner."""


@dataclass(frozen=True)
class Training:
    """Plain gradient descent on half the squared error (section 3); `rate` is the paper's learning rate alpha."""

    rate: float = setting(0.5, "learning rate", above=0, example="0.1")
    update: Literal["sequence", "step"] = setting(
        "sequence", "weights change at the end of a sequence, or at every step (step)", reading=True
    )
    error_scale: float = setting(1.0, "factor on the error signal: 1, 2 or 0.5", among=(0.5, 1.0, 2.0), reading=True)

    def __post_init__(self) -> None:
        settle(self, "training")


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
        "within", "right means within the tolerance, or, for a grammar, legal outputs above all illegal ones (ranked)"
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


@dataclass(frozen=True)
class Cell:
    """One configuration without its seed: what is learned, by which net, how, and when it counts as learned."""

    task: Task
    network: Network
    training: Training
    stop: tuple[Stop, ...]

    def __post_init__(self) -> None:
        names = [stop.milestone for stop in self.stop]
        if len(set(names)) < len(names):
            raise ValueError(f"stop.milestone={names}: takes names that differ")
        facts = self.network.facts
        if facts.tasks and self.task.name not in facts.tasks:
            raise ValueError(
                f"network={self.network.name}: cannot learn task {self.task.name}; takes {' or '.join(facts.tasks)}"
            )
        if self.training.update not in facts.updates:
            raise ValueError(
                f"training.update={self.training.update}: network {self.network.name} takes "
                f"{' or '.join(facts.updates)}"
            )
        facts.check(self.network, self.task.layout, self.stop)
        for stop in self.stop:
            self._check_stop(stop)

    def _check_stop(self, stop: Stop) -> None:
        """Refuse a stop rule that this task cannot serve."""
        layout = self.task.layout
        if stop.correct == "ranked" and not layout.legal:
            raise ValueError(
                f"stop.correct=ranked: needs a grammar, and task {self.task.name} has none; take stop.correct=within"
            )
        if layout.keys and stop.checked and stop.window != layout.keys:
            raise ValueError(
                f"stop.window={stop.window}: a check of task {self.task.name} takes all its strings, {layout.keys}"
            )
        if layout.keys and stop.learn_while_tested:
            raise ValueError(
                f"stop.learn_while_tested=true: task {self.task.name} is tested on strings that are never learned from"
            )

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, the task's and the network's catalogue name included."""
        return {
            "task": {"name": self.task.name, **asdict(self.task)},
            "network": {"name": self.network.name, **asdict(self.network)},
            "training": asdict(self.training),
            "stop": [asdict(stop) for stop in self.stop],
        }

    @property
    def unit(self) -> str:
        """What trials count: training sequences, unless the network says otherwise."""
        return self.network.facts.unit or SEQUENCES

    @cached_property
    def text(self) -> str:
        """The canonical JSON of the cell."""
        return canonical_json(self.as_dict())

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return _sha256(self.text)


@dataclass(frozen=True)
class TrialSpec:
    """One cell with one seed. The cap (training sequences) bounds the work and is no part of the identity."""

    cell: Cell
    replicate: int
    seed: int
    cap: int

    @cached_property
    def key(self) -> str:
        """The trial's identity: SHA-256 (hex) of the canonical JSON of [schema version, cell, replicate, seed]."""
        return _sha256(f"[{SCHEMA_VERSION},{self.cell.text},{self.replicate},{self.seed}]")


@dataclass(frozen=True)
class Reached:
    """A milestone that a trial reached: after how many training sequences, and its own test there."""

    name: str
    sequences: int
    test_sequences: int
    test_wrong: int
    test_error: float


@dataclass(frozen=True)
class CurvePoint:
    """The learning curve at one checkpoint: mean error and fraction wrong since the checkpoint before."""

    sequences: int
    error: float
    wrong: float


@dataclass(frozen=True)
class TrialResult:
    """What became of a trial. All but `seconds`, `error` and `host` are the same bits wherever it ran.

    `sequences` and `steps` count the training presented; `weights` holds the final weights as an npz archive;
    `seconds` is the core time spent on it, `error` the traceback of a FAILED trial.
    """

    key: str
    outcome: Outcome
    sequences: int
    steps: int
    milestones: tuple[Reached, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    weights: bytes = b""
    weights_sha256: str = ""
    seconds: float = 0.0
    error: str = ""
    host: str = ""

    def reached(self, milestone: str) -> Reached | None:
        """The milestone of that name, or None where the trial never reached it."""
        return next((entry for entry in self.milestones if entry.name == milestone), None)

    def under_cap(self, cap: int) -> TrialResult:
        """The same trial as if it had been asked for `cap` training sequences at most.

        A trial that went beyond the cap is CAPPED there, and its later milestones and checkpoints do not count. Steps
        and seconds stay what was spent; the weights at the cap are unknown and left out. A BROKEN trial stays as it is.
        """
        if self.sequences <= cap or self.outcome in BROKEN:
            return self
        return replace(
            self,
            outcome=Outcome.CAPPED,
            sequences=cap,
            milestones=tuple(entry for entry in self.milestones if entry.sequences <= cap),
            curve=tuple(point for point in self.curve if point.sequences <= cap),
            weights=b"",
            weights_sha256="",
        )


@dataclass(frozen=True)
class Trial:
    """A recorded trial: what was asked, what came of it, and how often it was attempted."""

    spec: TrialSpec
    result: TrialResult
    attempts: int = 1


@dataclass(frozen=True)
class Row:
    """A cell as a line of a table: its name, its share of work, the printed row beside it, and the open points of the
    paper that it reads otherwise than literally (`readings`: key, value).

    Its trials have the numbers from `first` on. `purpose`: they are for the report; or to choose among cells (tune); or
    to choose among cells that compete (race), and then how many of the `replicates` are trained is up to the results.
    """

    name: str
    cell: Cell
    replicates: int
    cap: int
    table: str = ""
    published: str = ""
    readings: tuple[tuple[str, str], ...] = ()
    altered: tuple[tuple[str, str], ...] = ()
    first: int = 0
    purpose: Purpose = "report"

    @property
    def end(self) -> int:
        """The number after that of the last replicate."""
        return self.first + self.replicates

    @property
    def unit(self) -> str:
        """What the row's trials count."""
        return self.cell.unit

    def trials(self, seed: int) -> list[TrialSpec]:
        """The row's trials under a study seed, in order of replicate."""
        return [TrialSpec(self.cell, replicate, seed, self.cap) for replicate in range(self.first, self.end)]

    def counting(self, trials: Iterable[Trial]) -> list[Trial]:
        """`trials` under this row's cap; a trial CAPPED under a lower one is to run again: left out."""
        return [
            replace(trial, result=trial.result.under_cap(self.cap))
            for trial in trials
            if trial.result.outcome != Outcome.CAPPED or trial.spec.cap >= self.cap
        ]

    def finished(self, trials: Iterable[Trial]) -> list[TrialResult]:
        """The results of `counting`."""
        return [trial.result for trial in self.counting(trials)]

    def times(self, results: Iterable[TrialResult], milestone: str) -> tuple[list[int], list[int]]:
        """Training sequences of the trials that reached `milestone`, and those after which the others were given up.

        No more training would have helped a DIVERGED trial: it counts as given up at the cap. BROKEN ones are left out.
        """
        reached, given_up = [], []
        for result in results:
            if result.outcome in BROKEN:
                continue
            if there := result.reached(milestone):
                reached.append(there.sequences)
            else:
                given_up.append(self.cap if result.outcome == Outcome.DIVERGED else result.sequences)
        return reached, given_up


def counted(unit: str) -> str:
    """What a trial counts, in words."""
    return f"training {unit}" if unit == SEQUENCES else unit


def unit_of(rows: Iterable[Row]) -> str:
    """The one unit that the rows' trials count in. ValueError where they count different things: a column of numbers
    means one thing."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row.unit, row.name)
    if len(first) > 1:
        (unit, name), (other, another) = list(first.items())[:2]
        raise ValueError(
            f"rows {name!r} and {another!r} count {unit} and {other}, which cannot stand side by "
            "side; choose others with rows="
        )
    return next(iter(first), SEQUENCES)


@dataclass(frozen=True)
class Definition:
    """A study as asked for: its rows, its seed, and the exact configuration it was composed from (YAML)."""

    name: str
    seed: int
    rows: tuple[Row, ...]
    title: str = ""
    config: str = ""


def canonical(value: Any) -> Any:
    """`value` in the form that is hashed: floats as hex, -0.0 as 0.0, text in NFC, keys sorted."""
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return (value + 0.0).hex()
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {str(canonical(name)): canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(entry) for entry in value]
    raise TypeError(f"no canonical form for {type(value).__name__}: {value!r}")


def canonical_json(value: Any) -> str:
    """`value` as JSON of which there is only one form."""
    return json.dumps(canonical(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return _sha256(canonical_json(value))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of mappings, as one mapping: `task.T`, `stop.0.window`."""
    if isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
        value = {str(number): entry for number, entry in enumerate(value)}
    if not isinstance(value, Mapping):
        return {name: list(value) if isinstance(value, tuple) else value}
    return {
        path: entry
        for part, inner in value.items()
        for path, entry in flat(inner, f"{name}.{part}" if name else part).items()
    }


def cell_from_dict(data: Mapping[str, Any]) -> Cell:
    """The inverse of `Cell.as_dict`, also of its JSON form (lists for tuples)."""
    from lstm_search.networks import NETWORKS

    return Cell(
        task=_build(TASKS[data["task"]["name"]], data["task"]),
        network=_build(NETWORKS[data["network"]["name"]], data["network"]),
        training=_build(Training, data["training"]),
        stop=tuple(_build(Stop, stop) for stop in data["stop"]),
    )


def _build(kind: Any, data: Mapping[str, Any]) -> Any:
    names = {field.name for field in fields(kind)}
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in data.items() if name in names}
    )
