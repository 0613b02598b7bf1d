"""What a search is for: an order of cells by their trials, and a test that one is worse than another.

Failures count. A censored trial has spent its cap (ERT), or is one success less (success).
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


@dataclass(frozen=True)
class Objective:
    """What cells of one task compete for. `printed`: the row that `published` is the distance to, else None."""

    kind: Kind
    milestone: str
    printed: Published | None = None

    def times(self, row: Row, results: Iterable[TrialResult]) -> Times:
        """Of the results: sequences to the milestone, and sequences of the censored trials."""
        return row.times((result.under_cap(row.cap) for result in results), self.milestone)

    def loss(self, times: Times) -> tuple[float, ...]:
        """The loss of a cell, smallest for the best one and compared from left to right."""
        reached, censored = times
        ert = stats.expected_running_time(reached, censored)
        rate = len(reached) / max(len(reached) + len(censored), 1)
        if self.printed:
            return (_distance(self.printed, reached, rate),)
        cost = math.inf if ert is None else ert
        return (-rate, cost) if self.kind == "success" else (cost, -rate)

    def worse_p(self, worse: Times, better: Times, smallest: float) -> float:
        """P-value of a test that the first cell is no worse than the second: of expected running times by permutation,
        of success rates by Fisher, one-sided. For `published`, that the printed figures are the first cell's, whatever
        the second's. P-values below `smallest` are not told apart."""
        if self.printed:
            return _printed_p(self.printed, worse)
        if self.kind == "ert":
            return stats.ert_p(worse, better, smallest)
        n1, n2 = (len(reached) + len(censored) for reached, censored in (worse, better))
        return stats.fewer_p(len(worse[0]), n1, len(better[0]), n2)


def _distance(printed: Published, reached: Sequence[float], rate: float) -> float:
    """|ln(mean / printed mean)| + |success rate - printed rate|; infinite without a success to take the mean of."""
    rates = abs(rate - (printed.successes or 0) / (printed.trials or 1))
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


def objective_of(row: Row, kind: Kind, milestone: str | None) -> Objective:
    """The objective of the row's task. Raises ValueError where no trial of it could have it."""
    names = [stop.milestone for stop in row.cell.stop]
    if milestone is not None and milestone not in names:
        raise ValueError(f"search.milestone={milestone}: {row.name} has no such milestone; valid: {', '.join(names)}")
    asked = milestone or names[-1]
    printed = published_at(row.table, row.published, asked) if kind == "published" else None
    if kind == "published" and (printed is None or not printed.trials or printed.successes is None):
        raise ValueError(
            f"search.objective=published: nothing is printed of {row.name} to be near to; choose a row of a table, "
            "for example table=7 rows=T100, or search.objective=ert"
        )
    return Objective(kind, asked, printed)


def problem_of(row: Row) -> tuple[object, ...]:
    """Cells compete where they learn one task by one criterion; the rows of a table do not compete with each other."""
    return row.cell.task, row.cell.stop, row.table, row.published
