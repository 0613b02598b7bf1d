"""What the trials of a row come to, and the verdict beside what was printed in 1997: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lstm_search import stats
from lstm_search.published import CAP_FACTOR, Published, published_at
from lstm_search.report.layout import Bar
from lstm_search.spec import BROKEN, SEQUENCES, Outcome, Purpose, Reached, Row, Trial, TrialResult

TESTED = 2560
"""The paper counts wrongly processed test sequences out of this many."""

ALPHA = 0.05
"""Level of each of the two tests behind a verdict; their intervals hold 95 %."""

MOST_BROKEN = 0.1
"""With a larger share of broken trials, those that are left may not be typical of the cell."""

Verdict = Literal["consistent", "differs", "cannot tell", ""]


@dataclass(frozen=True)
class Summary:
    """What a row came to at one milestone. A figure that is not defined yet is None; an infinite one is `math.inf`.

    Of the `planned` trials `n` are valid: `k` of them reached the milestone, `capped` and `diverged` did not. The
    `broken` ones (FAILED, TIMEOUT, OOM, LOST) are counted apart. Sequences are training sequences; `mean` and its 95 %
    bootstrap interval are over the `k` successes, as in the paper, while `ert` and `median` (Kaplan-Meier) take the
    others into account. `wrong` is the mean over the successful trials of the wrongly processed test sequences out of
    2560, `wrong_worst` the largest. `prediction` is where a mean of the paper's number of successes is expected.
    """

    row: str
    milestone: str
    k: int
    n: int
    planned: int
    capped: int
    diverged: int
    broken: int
    cap: int
    success_interval: stats.Interval
    mean: float | None
    mean_interval: stats.Interval | None
    ert: float | None
    median: float | None
    wrong: float | None
    wrong_worst: float | None
    test_error: float | None
    sequences_total: int
    core_seconds: float
    published: Published | None
    fisher_p: float | None
    prediction: stats.Interval | None
    detectable: float | None
    readings: tuple[tuple[str, str], ...]
    altered: tuple[tuple[str, str], ...]
    unit: str = SEQUENCES
    verdict: Verdict = ""
    reason: str = ""
    purpose: Purpose = "report"

    @property
    def name(self) -> str:
        """The row's label; a milestone other than `solved` is part of it."""
        return self.row if self.milestone == "solved" else f"{self.row} {self.milestone}"

    @property
    def finished(self) -> int:
        """Trials that ended in any way."""
        return self.n + self.broken


def rate_bar(row: Summary) -> Bar | None:
    """The solved fraction with its interval and the printed one; None while no trial has ended."""
    printed = row.published
    rate = printed.successes / printed.trials if printed and printed.successes is not None and printed.trials else None
    return Bar(row.success_interval[0], row.k / row.n, row.success_interval[1], rate) if row.n else None


def summarise(row: Row, trials: Sequence[Trial]) -> tuple[Summary, ...]:
    """One summary for each milestone of the row's stop rules; `trials` may be incomplete or empty."""
    results = row.finished(trials)
    return tuple(_judged(_summary(row, results, stop.milestone)) for stop in row.cell.stop)


def summaries(rows: Iterable[Row], trials: Mapping[str, Sequence[Trial]]) -> tuple[Summary, ...]:
    """The summaries of all rows in their order; `trials` by row name."""
    return tuple(summary for row in rows for summary in summarise(row, trials.get(row.name, ())))


def _summary(row: Row, results: Sequence[TrialResult], milestone: str) -> Summary:
    valid = [result for result in results if result.outcome not in BROKEN]
    passed = [there for result in valid if (there := result.reached(milestone))]
    missed = [result for result in valid if not result.reached(milestone)]
    reached, censored = row.times(valid, milestone)
    printed = published_at(row.table, row.published, milestone)
    return Summary(
        row=row.name,
        milestone=milestone,
        k=len(passed),
        n=len(valid),
        planned=row.replicates,
        capped=sum(result.outcome != Outcome.DIVERGED for result in missed),
        diverged=sum(result.outcome == Outcome.DIVERGED for result in missed),
        broken=len(results) - len(valid),
        cap=row.cap,
        success_interval=stats.success_interval(len(passed), len(valid)),
        mean=stats.mean(reached),
        mean_interval=stats.mean_interval(reached),
        ert=stats.expected_running_time(reached, [result.sequences for result in missed]),
        median=stats.median_time(reached, censored),
        **_tested(passed),
        sequences_total=sum(result.sequences for result in results),
        core_seconds=math.fsum(result.seconds for result in results),
        published=printed,
        **_compared(reached, len(valid), printed),
        readings=row.readings,
        altered=row.altered,
        purpose=row.purpose,
        unit=row.unit,
    )


def _tested(passed: Sequence[Reached]) -> dict[str, Any]:
    wrong = [TESTED * there.test_wrong / there.test_sequences for there in passed if there.test_sequences]
    error = [there.test_error for there in passed if there.test_sequences]
    return {"wrong": stats.mean(wrong), "wrong_worst": max(wrong, default=None), "test_error": stats.mean(error)}


def _compared(reached: Sequence[int], n: int, printed: Published | None) -> dict[str, Any]:
    if printed is None or printed.trials is None or printed.successes is None:
        return dict.fromkeys(("fisher_p", "prediction", "detectable"))
    k2, n2 = printed.successes, printed.trials
    return {
        "fisher_p": stats.fisher_p(len(reached), n, k2, n2) if n else None,
        "prediction": _not_below_zero(stats.mean_prediction(reached, k2)) if printed.mean_sequences else None,
        "detectable": stats.detectable_difference(n, k2, n2),
    }


def _not_below_zero(interval: stats.Interval | None) -> stats.Interval | None:
    return interval and (max(interval[0], 0.0), interval[1])


def _judged(summary: Summary) -> Summary:
    verdict, reason = judge(summary)
    return replace(summary, verdict=verdict, reason=reason)


def judge(row: Summary) -> tuple[Verdict, str]:
    """Verdict and its reason in one phrase, from Fisher's exact test on k/n and the prediction for the published mean.

    While trials are running there is none: the first to finish are the fast ones. Each test is at the level ALPHA.
    """
    if row.altered:
        return "", "its settings were altered"
    if row.purpose != "report":
        return "", "these trials were for choosing; those on fresh seeds are for the report"
    if row.published is None:
        return "", "nothing printed to compare with"
    if doubt := _doubt(row):
        return "cannot tell", doubt
    rates = f"{row.k}/{row.n} solved against {row.published.successes}/{row.published.trials} (p = {row.fisher_p:.2g})"
    if row.fisher_p is not None and row.fisher_p < ALPHA:
        return "differs", rates
    verdict, reason = _judge_mean(row, row.published.mean_sequences)
    return verdict, f"{rates}; {reason}"


def _judge_mean(row: Summary, printed: float | None) -> tuple[Verdict, str]:
    if printed is None:
        return "consistent", f"no mean is printed; {_power(row)}"
    if row.prediction is None:
        return "cannot tell", "the successes are too few, or too alike, to predict a mean from"
    low, high = row.prediction
    inside = low <= printed <= high
    place = f"printed mean {printed:,.0f} {'within' if inside else 'outside'} the predicted {low:,.0f} to {high:,.0f}"
    return ("consistent", f"{place}; {_power(row)}") if inside else ("differs", place)


def _power(row: Summary) -> str:
    return f"rates {100 * (row.detectable or 0):.0f} points apart would be noticed"


def _doubt(row: Summary) -> str:
    """Why the trials cannot be judged at all; an empty text where they can."""
    if row.finished < row.planned:
        return f"unfinished: {row.finished} of {row.planned} trials ended"
    if row.broken > MOST_BROKEN * row.finished:
        return f"{row.broken} of {row.finished} trials broke"
    if short_of := _cut_short(row):
        return f"cap {row.cap:,} is below {short_of}"
    if row.fisher_p is None:
        return "no success rate is printed"
    if row.detectable is None or row.n < stats.FEWEST_FOR_PREDICTION:
        return f"{row.n} trials are too few"
    return ""


def _cut_short(row: Summary) -> str:
    """The figure that the cap is below, where trials were censored so early that the paper's might have been, too; an
    empty text where the cap is high enough."""
    if row.published is None or not row.capped:
        return ""
    mean, bound = row.published.mean_sequences, row.published.bound
    if mean is not None and row.cap < CAP_FACTOR * mean:
        return f"{CAP_FACTOR} times the published mean"
    return f"the printed {bound:,.0f}" if bound is not None and row.cap < bound else ""
