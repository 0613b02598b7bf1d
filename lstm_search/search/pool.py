"""The trials of the rows that a search has met: which of them wait to be asked for, and what came of the others.

A row may belong to several candidates of a joint search; its trials are the same, and none is trained twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lstm_search.spec import BROKEN, Row, Trial, TrialResult, TrialSpec

_UNUSED: dict[str, Any] = {"curve": (), "weights": b"", "weights_sha256": "", "host": "", "error": ""}
"""What no search looks at: it has all results of a study in memory, of which there may be a hundred thousand. The
record's `known` trials come without."""


def _light(result: TrialResult) -> TrialResult:
    return replace(result, **_UNUSED) if any(getattr(result, name) for name in _UNUSED) else result


@dataclass(eq=False)
class RowTrials:
    """The trials of a row, by replicate. `users`: how many candidates may still get trials of it."""

    row: Row
    waiting: dict[int, TrialSpec]
    ended: dict[int, TrialResult] = field(default_factory=dict)
    users: int = 0

    def size(self, blocks: Iterable[int]) -> int:
        """How many replicates the largest ended block has. A broken trial counts towards the end of a block."""
        done = 0
        for size in blocks:
            if any(number not in self.ended for number in range(self.row.first + done, self.row.first + size)):
                break
            done = size
        return done

    def results(self, size: int) -> list[TrialResult]:
        """The results of the first replicates, without those of broken trials."""
        ended = (self.ended.get(number) for number in range(self.row.first, self.row.first + size))
        return [result for result in ended if result is not None and result.outcome not in BROKEN]


class Pool:
    """The trials of all rows, by the digest of the row's cell."""

    def __init__(self, seed: int) -> None:
        self.remaining = 0
        self._seed = seed
        self._rows: dict[str, RowTrials] = {}

    def join(self, row: Row) -> RowTrials:
        """The trials of a row for one candidate more."""
        place = row.cell.digest
        if place not in self._rows:
            self._rows[place] = RowTrials(row, {spec.replicate: spec for spec in row.trials(self._seed)})
        trials = self._rows[place]
        trials.users += 1
        if trials.users == 1:
            self.remaining += len(trials.waiting)
        return trials

    def leave(self, trials: RowTrials) -> None:
        """One candidate less wants trials of the row."""
        trials.users -= 1
        if trials.users == 0:
            self.remaining -= len(trials.waiting)

    def take(self, trials: RowTrials, replicate: int) -> TrialSpec:
        """A waiting trial, which waits no longer."""
        self.remaining -= trials.users > 0
        return trials.waiting.pop(replicate)

    def end(self, trial: Trial) -> RowTrials | None:
        """Take note of a result; the trials of its row, None where the row was not met."""
        found = self._rows.get(trial.spec.cell.digest)
        if found is not None:
            found.ended[trial.spec.replicate] = _light(trial.result)
            if trial.spec.replicate in found.waiting:  # recorded by an earlier run, perhaps under another cap
                self.take(found, trial.spec.replicate)
        return found
