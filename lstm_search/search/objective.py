"""What a search is for: an order of candidates by their trials, a test that one is worse than another, and the least
loss that one can still end with.

A candidate has one row, or, in a joint search, several that are judged together. Failures count: a censored trial has
spent its cap (ERT), or is one success less (success).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lstm_search import stats
from lstm_search.published import Published, published_at
from lstm_search.spec import Row, TrialResult
from lstm_search.stats import Times

Kind = Literal["ert", "success", "published"]

CONTRADICTED = 0.05
"""Level of the test by which printed figures are not those of a row: with a smaller p-value the row is not served."""


@dataclass(frozen=True)
class Objective:
    """What candidates compete for, of one row or of several (`milestones`: one each). `printed`: the rows to be near
    to, one each; empty where the objective is another."""

    kind: Kind
    milestones: tuple[str, ...]
    printed: tuple[Published, ...] = ()

    def times(self, place: int, row: Row, results: Iterable[TrialResult]) -> Times:
        """Of the results of the row at `place`: sequences to the milestone, and sequences of the censored trials."""
        return row.times((result.under_cap(row.cap) for result in results), self.milestones[place])

    def loss(self, times: Sequence[Times]) -> tuple[float, ...]:
        """The loss of a candidate, smallest for the best one and compared from left to right.

        Of one row: (ERT, -success rate), with infinity and what was spent without a success; (-success rate, ERT); or
        the distance to the printed row. Of several: the mean over rows of ln ERT, where a row without success counts as
        half a success; (-mean success rate, that mean); or (-rows served, mean distance).
        """
        if len(times) == 1:
            return self._loss(times[0])
        if self.printed:
            far = (_distance(printed, *some) for printed, some in zip(self.printed, times, strict=True))
            return -self.served(times), math.fsum(min(distance, 9.0) for distance in far) / len(times)
        cost = math.fsum(math.log(max(_ert_of_half(*some), 1.0)) for some in times) / len(times)
        return (-_mean_rate(times), cost) if self.kind == "success" else (cost,)

    @property
    def meaning(self) -> str:
        """What the first part of a loss is, as a person reads it (`worth`)."""
        several = len(self.milestones) > 1
        return {
            "ert": "ERT, geometric mean over rows" if several else "ERT",
            "success": "mean success rate" if several else "success rate",
            "published": "printed rows served" if several else "distance to the printed row",
        }[self.kind]

    def worth(self, loss: Sequence[float]) -> float:
        """The first part of a loss as a person reads it: a time, a rate, a number of rows, or a distance."""
        if self.kind == "ert":
            return math.exp(loss[0]) if len(self.milestones) > 1 else loss[0]
        return loss[0] if self.kind == "published" and len(self.milestones) == 1 else -loss[0]

    def level(self, loss: Sequence[float]) -> float:
        """A loss as one finite number that cells are compared by: times as logarithms, half a success counted where
        there is none. Not finite where there is no trial."""
        if self.kind == "ert" and len(self.milestones) == 1:
            spent = loss[0] if math.isfinite(loss[0]) else 2 * loss[1]
            return math.log(spent) if spent > 0 else math.nan
        return min(loss[0], 9.0)

    def _loss(self, times: Times) -> tuple[float, ...]:
        reached, censored = times
        if self.printed:
            return (_distance(self.printed[0], reached, censored),)
        ert, rate = stats.expected_running_time(reached, censored), _rate(reached, censored)
        cost = math.inf if ert is None else ert
        if self.kind == "success":
            return -rate, cost
        return cost, (-rate if reached else math.fsum(censored))

    def served(self, times: Sequence[Times], level: float = CONTRADICTED) -> int:
        """In how many rows the printed figures may be the candidate's, by a test of this level."""
        return sum(_printed_p(printed, some) >= level for printed, some in zip(self.printed, times, strict=True))

    def worse_p(self, worse: Sequence[Times], better: Sequence[Times], smallest: float) -> float:
        """P-value of a test that the first candidate is no worse than the second. P-values below `smallest` are not
        told apart.

        Of expected running times by permutation, of success rates by Fisher's test, one-sided, within rows where there
        are several. For `published`, that the printed figures are the first one's, whatever the second's; of several
        rows each is tested by itself (`least`), and this is 1.
        """
        if self.printed:
            return _printed_p(self.printed[0], worse[0]) if len(worse) == 1 else 1.0
        if self.kind == "ert":
            return (
                stats.ert_p(worse[0], better[0], smallest)
                if len(worse) == 1
                else stats.ert_over_rows_p(worse, better, smallest)
            )
        if len(worse) == 1:
            return stats.fewer_p(*_counts(*worse[0]), *_counts(*better[0]))
        return stats.fewer_over_rows_p([_counts(*some) for some in worse], [_counts(*some) for some in better])

    def least(self, tested: Sequence[Times], known: Sequence[Times], waiting: Sequence[int], level: float) -> float:
        """The least that the first part of the loss can still come to, whatever the waiting trials of each row do.

        It is counted from all that is `known`. A row of `published` is lost where the printed figures are not its own
        by a test of this level, made of its ended blocks (`tested`), or where its rate cannot agree with the print.
        """
        if self.kind == "success":
            won = ((([*some[0], *[0.0] * more]), some[1]) for some, more in zip(known, waiting, strict=True))
            return -_mean_rate(list(won))
        if self.printed and len(known) > 1:
            rows = zip(self.printed, tested, known, waiting, strict=True)
            return -sum(
                _printed_p(one, some) >= level and _may_agree(one, all_, more) for one, some, all_, more in rows
            )
        return -math.inf


def _rate(reached: Sequence[float], censored: Sequence[float]) -> float:
    return len(reached) / max(len(reached) + len(censored), 1)


def _mean_rate(times: Sequence[Times]) -> float:
    return math.fsum(_rate(*some) for some in times) / len(times)


def _counts(reached: Sequence[float], censored: Sequence[float]) -> tuple[int, int]:
    return len(reached), len(reached) + len(censored)


def _ert_of_half(reached: Sequence[float], censored: Sequence[float]) -> float:
    """The expected running time, with half a success where there is none."""
    return math.fsum((*reached, *censored)) / max(len(reached), 0.5)


def _distance(printed: Published, reached: Sequence[float], censored: Sequence[float]) -> float:
    """|ln(mean / printed mean)| + |success rate - printed rate|; infinite without a success to take the mean of."""
    rates = abs(_rate(reached, censored) - (printed.successes or 0) / (printed.trials or 1))
    if printed.mean_sequences is None:
        return rates
    mean = stats.mean(reached)
    return math.inf if mean is None else abs(math.log(mean / printed.mean_sequences)) + rates


def _printed_p(printed: Published, times: Times) -> float:
    """Of Fisher's test on the rates and the prediction of the mean together (Bonferroni)."""
    reached, censored = times
    k, n = printed.successes or 0, printed.trials or 0
    found = [stats.fisher_p(len(reached), len(reached) + len(censored), k, n)]
    if printed.mean_sequences is not None:
        mean = stats.prediction_p(reached, k, printed.mean_sequences)
        found += [] if mean is None else [mean]
    return min(1.0, len(found) * min(found))


def _may_agree(printed: Published, times: Times, waiting: int) -> bool:
    """Whether some number of successes among the waiting trials would leave the rate in agreement with the print."""
    k, n = printed.successes or 0, printed.trials or 0
    (reached, total) = _counts(*times)
    return any(
        stats.fisher_p(reached + more, total + waiting, k, n) >= CONTRADICTED / 2 for more in range(waiting, -1, -1)
    )


def objective_of(rows: Sequence[Row], kind: Kind, milestone: str | None) -> Objective:
    """The objective of candidates with these rows. Raises ValueError where no trial of some row could have it."""
    asked = tuple(_milestone(row, milestone) for row in rows)
    if kind != "published":
        return Objective(kind, asked)
    return Objective(kind, asked, tuple(_printed(row, name) for row, name in zip(rows, asked, strict=True)))


def serves(row: Row, results: Iterable[TrialResult]) -> bool | None:
    """Whether the printed figures of a row may be those of these results; None where nothing is printed of it, or no
    trial has ended."""
    try:
        objective = objective_of([row], "published", None)
    except ValueError:
        return None
    times = objective.times(0, row, results)
    return bool(objective.served([times])) if any(times) else None


def _milestone(row: Row, milestone: str | None) -> str:
    names = [stop.milestone for stop in row.cell.stop]
    if milestone is not None and milestone not in names:
        raise ValueError(f"search.milestone={milestone}: {row.name} has no such milestone; valid: {', '.join(names)}")
    return milestone or names[-1]


def _printed(row: Row, milestone: str) -> Published:
    printed = published_at(row.table, row.published, milestone)
    if printed is None or not printed.trials or printed.successes is None:
        raise ValueError(
            f"search.objective=published: nothing is printed of {row.name} to be near to; choose a row of a table, "
            "for example table=7 rows=T100, or search.objective=ert"
        )
    return printed


def problem_of(rows: Sequence[Row]) -> tuple[object, ...]:
    """Candidates compete where they learn the same tasks by the same criteria, beside the same printed rows."""
    return tuple((row.cell.task, row.cell.stop, row.table, row.published) for row in rows)
