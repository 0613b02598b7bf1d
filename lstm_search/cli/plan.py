"""The verb `plan`: what a study is made of and what it may cost."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lstm_search.cli.shell import Exit, chosen, say
from lstm_search.config import SECTIONS, Settings
from lstm_search.published import published_at
from lstm_search.report import json_text
from lstm_search.search import Space
from lstm_search.spec import Outcome, Row, counted, unit_of
from lstm_search.stats import rate_told_apart
from lstm_search.worker import Worker, demand, warm

SLICE = 0.5
"""Seconds that a slice of the pilot takes."""

PILOT_TRIALS = 64
"""More than any processor has lanes: a slice is trained with all of them in use."""

MOST_TOLD = 200
"""Trials of a row up to which `plan` computes what success rates they tell apart."""


MOST_LISTED = 20
"""Rows that are listed; of a search with more, the first ones."""


def plan(settings: Settings) -> int:
    """Print rows, trials, caps and the cost; nothing is recorded."""
    rows = chosen(settings, "plan")
    listed = rows[:MOST_LISTED] if settings.space.axes else rows
    work = _work(settings, rows)
    cost = _cost(rows, work, settings) if settings.search.pilot else None
    print(_json(settings, listed, work, cost) if settings.format == "json" else _text(settings, listed, work, cost))
    return Exit.DONE


def _text(settings: Settings, listed: Sequence[Row], work: _Work, cost: _Cost | None) -> str:
    lines = [settings.definition.title, "", "| row | trials | cap | readings | altered |", "|---|---:|---:|---|---|"]
    lines += [
        f"| {row.name} | {row.replicates} | {row.cap:,} | {_pairs(row.readings)} | {_pairs(row.altered)} |"
        for row in listed
    ]
    if len(listed) < work.rows:
        lines += ["", f"and {work.rows - len(listed):,} rows more, which the search meets"]
    what, seed = counted(unit_of(listed)), settings.definition.seed
    trials = f"{work.trials:,} trials in {work.rows:,} rows"
    most = f"at most {work.sequences:,} {what} ({work.steps:.1e} time steps)"
    lines += ["", f"{trials}, {most}, seed {seed}", _told_apart(work.fewest), *_searched(settings, work)]
    return "\n".join([*lines, *([_told(cost)] if cost else [])])


def _json(settings: Settings, listed: Sequence[Row], work: _Work, cost: _Cost | None) -> str:
    asked, search = settings.definition, settings.search
    told = {
        "study": asked.name,
        "title": asked.title,
        "seed": asked.seed,
        "rows": [_plain(row) for row in listed],
        "rows_in_all": work.rows,
        "trials": work.trials,
        "fewest_trials": _least(settings, work),
        "fresh_trials": _fresh(settings),
        "most_sequences": work.sequences,
        "most_steps": work.steps,
        "unit": unit_of(listed),
        "proposer": search.proposes,
        "allocator": search.allocates,
        "budget_hours": settings.budget_hours,
        "cost": cost and cost._asdict(),
    }
    return json_text(told).rstrip()


def _plain(row: Row) -> dict[str, object]:
    pairs = {"readings": dict(row.readings), "altered": dict(row.altered)}
    return {"row": row.name, "trials": row.replicates, "cap": row.cap, **pairs}


class _Work(NamedTuple):
    """What a study may take at most: rows, trials, training sequences and time steps. `fewest`: trials of a row."""

    rows: int
    trials: int
    sequences: int
    steps: float
    fewest: int


def _work(settings: Settings, rows: Sequence[Row]) -> _Work:
    """Of all cells of a study, of which `rows` are the first."""
    cells = settings.search.cells or settings.space.size() or 1
    firsts = [next(row for row in rows if base.point(row) is not None) for base in settings.space.bases]
    return _Work(
        cells * len(firsts),
        cells * sum(row.replicates for row in firsts),
        cells * sum(row.replicates * row.cap for row in firsts),
        cells * sum(row.replicates * row.cap * row.cell.task.length for row in firsts),
        min(row.replicates for row in rows),
    )


def _told_apart(replicates: int) -> str:
    """Which success rates so many trials of a row tell apart, by the exact test that `compare` makes."""
    n = min(replicates, MOST_TOLD)
    rate = rate_told_apart(n)
    trials = f"{n} of the trials of a row" if replicates > n else f"{n} trial{'' if n == 1 else 's'} a row"
    what = "no success rate from 50 %" if rate is None else f"success rates of 50 % and {math.ceil(100 * rate)} % apart"
    return f"{trials} can tell {what} (Boschloo's exact test at 5 %, power 80 %)"


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return " ".join(f"{key}={value}" for key, value in pairs)


def _searched(settings: Settings, work: _Work) -> list[str]:
    """The space, and how many trials the search may take; nothing for a study that chooses nothing."""
    search, space = settings.search, settings.space
    if not space.axes or all(base.purpose == "report" for base in space.bases):
        return _left_out(space)
    axes = [word for word in settings.overrides if word.partition(".")[0] in SECTIONS]
    drawn = f"{search.cells} cells drawn ({search.proposes})" if search.cells else "every combination"
    lines = [f"space: {' '.join(axes)}; {drawn}", *_left_out(space)]
    if search.allocates == "race":
        looks = ", ".join(map(str, search.blocks))
        least = _least(settings, work)
        lines.append(f"race: {least:,} trials at least; looks after {looks} replicates, error {search.error:g}")
    fresh = _fresh(settings)
    lines.append(
        f"then the best by {search.objective}: {fresh:,} trials on fresh seeds, replicates {search.fresh_from:,} and on"
    )
    budget = "no limit of time" if settings.budget_hours is None else f"{settings.budget_hours:g} hours by the clock"
    return [*lines, f"budget: {budget}, {search.max_trials:,} trials at most"]


def _least(settings: Settings, work: _Work) -> int:
    """The fewest trials: of a race a block of every row, or, where rows are judged together, of every row of a set."""
    search, space = settings.search, settings.space
    if search.allocates != "race":
        return work.trials
    return search.blocks[0] * (len(space.bases) if space.joint else work.rows)


def _fresh(settings: Settings) -> int:
    """Trials on fresh seeds: of the best cells of every contest."""
    search, space = settings.search, settings.space
    if not space.axes:
        return 0
    cells = search.cells or space.size() or 1
    each = (space.size(contest=True) or cells) if search.cells is None else cells
    finalists = min(search.finalists, each) if each > 1 else 0
    return search.confirm * finalists * len(space.bases) * (cells // each)


def _left_out(space: Space) -> list[str]:
    """Which keys are left out for some rows of a joint search."""
    lacking = [(base.name, ", ".join(base.lacks)) for base in space.bases if base.lacks]
    return [f"{name}: without {keys}, which it does not have or cannot take" for name, keys in lacking]


class _Cost(NamedTuple):
    """What the trials will cost, in core-hours, by a pilot on this machine: at most, and were each to take as long as
    `basis` says; that for the fewest trials. None: not known, because no trial succeeded in the pilot."""

    nanoseconds_a_step: float
    most_hours: float
    likely_hours: float | None
    fewest_hours: float | None
    basis: str
    fresh: bool


def _cost(rows: Sequence[Row], work: _Work, settings: Settings) -> _Cost:
    """A pilot of a few slices on one core: at most, and were each trial to take as long as those that were printed, or
    else as those that succeeded in the pilot."""
    sample = rows[:: max(1, len(rows) // settings.search.pilot)][: settings.search.pilot]
    say(f"pilot: {len(sample)} slices of {SLICE:g} s, after compiling what is not in the cache")
    warm([(spec, PILOT_TRIALS) for spec, _ in demand(sample)], settings.execute.width)
    pilots = [_piloted(row, settings) for row in sample]
    step = sum(pilot.seconds for pilot in pilots) / sum(pilot.steps for pilot in pilots)
    fresh = _fresh(settings)
    most = step * work.steps * (1 + fresh / work.trials) / 3600
    steps, basis = _likely_steps(rows, pilots)
    if steps is None:
        return _Cost(1e9 * step, most, None, None, basis, fresh > 0)
    likely = step * steps * work.rows / len(rows) / 3600
    least = _least(settings, work)
    return _Cost(
        1e9 * step, most, likely, None if least == work.trials else likely * least / work.trials, basis, fresh > 0
    )


def _likely_steps(rows: Sequence[Row], pilots: Sequence[_Pilot]) -> tuple[float | None, str]:
    """How many time steps the rows are likely to take, and by what."""
    printed, solved = [_expected(row) for row in rows], sum(pilot.solved for pilot in pilots)
    if None not in printed:
        lengths = (row.replicates * row.cell.task.length for row in rows)
        steps = sum(mean * length for mean, length in zip(printed, lengths, strict=True) if mean)
        return steps, "what was printed"
    if not solved:
        return None, ""
    each = sum(pilot.steps for pilot in pilots) / solved
    steps = sum(row.replicates * min(each, row.cap * row.cell.task.length) for row in rows)
    return steps, f"what the {solved} took that succeeded in the pilot"


def _told(cost: _Cost) -> str:
    most = f"{_hours(cost.most_hours)}{', fresh seeds included' if cost.fresh else ''}"
    text = f"pilot: {cost.nanoseconds_a_step:.0f} ns a trial and time step; at most {most}"
    if cost.likely_hours is None:
        return f"{text}; no trial succeeded in the pilot, so what is likely is not known: raise search.pilot"
    text += f", {_hours(cost.likely_hours)} were every trial to take {cost.basis}"
    return text if cost.fewest_hours is None else f"{text}, {_hours(cost.fewest_hours)} were it so for the fewest"


def _expected(row: Row) -> float | None:
    printed = published_at(row.table, row.published, row.cell.stop[-1].milestone)
    return printed.mean_sequences if printed else None


def _hours(hours: float) -> str:
    return f"{hours:.2g} core-hours"


class _Pilot(NamedTuple):
    """What trials of a row, side by side, did in a slice: seconds of a core, time steps, and successes."""

    seconds: float
    steps: float
    solved: int


def _piloted(row: Row, settings: Settings) -> _Pilot:
    worker = Worker(settings.execute.width)
    many = replace(row, replicates=worker.width).trials(settings.definition.seed)
    began = time.perf_counter()
    progress = worker.advance(many, SLICE)
    spent = time.perf_counter() - began
    done = sum(progress.sequences.values()) + sum(result.sequences for result in progress.finished)
    solved = sum(result.outcome == Outcome.SOLVED for result in progress.finished)
    return _Pilot(spent, max(done * row.cell.task.length, 1.0), solved)
