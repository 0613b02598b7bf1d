"""A small study made up by hand, with every situation that a table or a figure has to cope with."""

from __future__ import annotations

from dataclasses import replace

from lstm_search.networks import Lstm1997
from lstm_search.spec import Cell, CurvePoint, Outcome, Reached, Row, Stop, Training, Trial, TrialResult
from lstm_search.tasks import Adding, TemporalOrder

SEED = 7
CAPPED, DIVERGED, FAILED, LOST = Outcome.CAPPED, Outcome.DIVERGED, Outcome.FAILED, Outcome.LOST

TEMPORAL = Cell(TemporalOrder(), Lstm1997(), Training(), (Stop(tolerance=0.3, mean_error=0.1),))
ADDING = Cell(Adding(), Lstm1997(), Training(), (Stop(),))
STEPWISE = replace(TEMPORAL, task=TemporalOrder(marks=3), training=Training(0.1, "step"))
QUICK = replace(TEMPORAL, training=Training(0.3))
TWO_STOPS = replace(TEMPORAL, stop=(Stop(milestone="st1"), Stop(milestone="st2")))


def solved(sequences: int, wrong: int = 1, milestones: tuple[str, ...] = ("solved",)) -> TrialResult:
    """A success: the first milestone at half of `sequences` where there are two."""
    last = len(milestones) - 1
    reached = tuple(
        Reached(name, sequences if index == last else sequences // 2, 2560, wrong, wrong / 256)
        for index, name in enumerate(milestones)
    )
    return TrialResult("", Outcome.SOLVED, sequences, sequences * 105, reached, _curve(sequences), b"w", "ab" * 32, 1.5)


def ended(outcome: Outcome, sequences: int, reached: tuple[Reached, ...] = ()) -> TrialResult:
    """A trial without success."""
    error = "Traceback ..." if outcome == FAILED else ""
    return TrialResult("", outcome, sequences, sequences * 105, reached, _curve(sequences), b"", "", 2.0, error)


def trials(row: Row, *results: TrialResult) -> list[Trial]:
    """The results as the row's first replicates."""
    return [Trial(spec, replace(result, key=spec.key)) for spec, result in zip(row.trials(SEED), results, strict=False)]


def row(name: str, cell: Cell = TEMPORAL, replicates: int = 20, cap: int = 156_950, **more: object) -> Row:
    return Row(name, cell, replicates, cap, **more)  # type: ignore[arg-type]  # the tests say which


def study() -> tuple[list[Row], dict[str, list[Trial]]]:
    """Rows that are finished, failing, unfinished, altered, read otherwise and not begun."""
    good = row("6a", table="9", published="6a")
    poor = row("6b", STEPWISE, 10, 2_855_500, table="9", published="6b", readings=(("update", "step"),))
    running = row("T100", ADDING, 10, 370_000, table="7", published="T100")
    altered = row("6a rate", QUICK, 3, table="9", published="6a", altered=(("training.rate", "0.3"),))
    stages = row("T100-N3", TWO_STOPS, 5, 400_000, table="4", published="T100-N3")
    waiting = row("T500", ADDING, 10, 1_045_000, table="7", published="T500")
    reached = (Reached("st1", 30_000, 2560, 4, 0.01),)
    return [good, poor, running, altered, stages, waiting], {
        "6a": trials(good, *(solved(24_000 + 800 * index, index % 4) for index in range(19)), solved(41_390)),
        "6b": trials(
            poor,
            *map(solved, (400_000, 650_000)),
            *[ended(CAPPED, 2_855_500)] * 6,
            ended(DIVERGED, 900),
            ended(FAILED, 7),
        ),
        "T100": trials(running, *map(solved, (60_000, 70_000, 90_000)), ended(CAPPED, 370_000), ended(LOST, 0)),
        "6a rate": trials(altered, *map(solved, (20_000, 22_000, 25_000))),
        "T100-N3": trials(
            stages,
            *(solved(time, 0, ("st1", "st2")) for time in (40_000, 50_000, 60_000, 70_000)),
            ended(CAPPED, 400_000, reached),
        ),
    }


def _curve(sequences: int) -> tuple[CurvePoint, ...]:
    points = [sequences * part // 4 for part in (1, 2, 3, 4)]
    return tuple(CurvePoint(point, 0.4 / (index + 1), 0.5) for index, point in enumerate(points) if point)
