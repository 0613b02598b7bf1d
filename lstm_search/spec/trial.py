"""A trial: what is asked, what came of it, its key, and its form as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import repeat
from typing import Any, TypeVar, get_origin, get_type_hints

from lstm_search.spec.canonical import digest, sha256
from lstm_search.spec.cell import SCHEMA_VERSION, Cell
from lstm_search.spec.curve import Curve, CurvePoint

T = TypeVar("T")


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
class TrialSpec:
    """One cell with one seed. The cap (training sequences) bounds the work and is no part of the identity."""

    cell: Cell
    replicate: int
    seed: int
    cap: int

    @cached_property
    def key(self) -> str:
        """The trial's identity, see `trial_key`."""
        return trial_key(SCHEMA_VERSION, self.cell.text, self.replicate, self.seed)


def trial_key(version: int, cell: str, replicate: int, seed: int) -> str:
    """SHA-256 (hex) of the canonical JSON of [schema version, cell, replicate, seed].

    `cell` is canonical JSON: in version 1 of the whole description (`Cell.as_dict`), since version 2 `Cell.text`.
    """
    return sha256(f"[{version},{cell},{replicate},{seed}]")


@dataclass(frozen=True)
class Reached:
    """A milestone that a trial reached: after how many training sequences, and its own test there."""

    name: str
    sequences: int
    test_sequences: int
    test_wrong: int
    test_error: float


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
    curve: Sequence[CurvePoint] = ()
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
    """A trial that has ended: what was asked, what came of it, and at which attempt (1, 2, 3)."""

    spec: TrialSpec
    result: TrialResult
    attempts: int = 1

    def plain(self) -> dict[str, Any]:
        """The trial as one flat mapping. The names are the same in the record, in what is exported, and in MLflow.

        Milestones and curve are sequences of `Reached` and `CurvePoint`; the cell is named by its digest.
        """
        asked = self.spec
        return {
            "cell": asked.cell.digest,
            "replicate": asked.replicate,
            "seed": asked.seed,
            "cap": asked.cap,
            **vars(self.result),
            "attempts": self.attempts,
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that is recorded of the trial but of the words of its error: of its weights, theirs.

        Written with the trial, here and in MLflow, it tells whether a value was changed since.
        """
        values = {name: value for name, value in self.plain().items() if name not in _APART}
        return digest(values | {name: [vars(entry) for entry in values[name]] for name in _LISTS})


_APART = frozenset({"error", "weights"})
"""MLflow has the first in part and the second not at all."""

_LISTS = ("milestones", "curve")


def trial_from_plain(cell: Cell, seed: int, values: Mapping[str, Any]) -> Trial:
    """The inverse of `Trial.plain`. Numbers may be text, whole ones floats; what the values lack has its default."""
    asked = TrialSpec(cell, int(values["replicate"]), seed, int(values["cap"]))
    return Trial(asked, from_plain(TrialResult, values), int(values.get("attempts", 1)))


def trials_from_plain(cell: Cell, seed: int, columns: Mapping[str, Sequence[Any]]) -> list[Trial]:
    """The same of very many trials at once, which takes less time: the values of all of them, as many of each name."""
    asked = map(TrialSpec, repeat(cell), map(int, columns["replicate"]), repeat(seed), map(int, columns["cap"]))
    attempts = map(int, columns.get("attempts", repeat(1)))
    return list(map(Trial, asked, all_from_plain(TrialResult, columns), attempts))


def all_from_plain(kind: type[T], columns: Mapping[str, Sequence[Any]]) -> Iterator[T]:
    """As `from_plain`, of one or more at once: the values of all of them by name."""
    values = (
        map(convert, columns[name]) if name in columns else repeat(getattr(kind, name))
        for name, convert in _CONVERSIONS[kind].items()
    )
    return map(kind, *values)


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """A result or a milestone (`TrialResult`, `Reached`) from plain values by name; other values are passed over."""
    return kind(**{name: convert(values[name]) for name, convert in _CONVERSIONS[kind].items() if name in values})


_CONVERSIONS: dict[type, dict[str, Callable[[Any], Any]]] = {
    kind: {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
    for kind in (TrialResult, Reached)
}
"""By field, what makes its value: int, float, str, bytes, Outcome; tuple for a tuple of anything."""
_CONVERSIONS[TrialResult]["curve"] = lambda points: points if isinstance(points, Curve) else tuple(points)
"""A curve that is packed stays so."""
