"""Between the record and MLflow: the view of a study that is published, and the record rebuilt from what was."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path

from lstm_search import overview
from lstm_search.record import Record, Rescued, acquire, check_name, findings, holder, named_errors, rescued
from lstm_search.report import MOST_BROKEN, Figures, Summary, render, sources, summarise, write_figures
from lstm_search.search import SearchSettings, loss_of
from lstm_search.spec import FINALIST, SEQUENCES, Candidate, Definition, Row, Trial, TrialSpec, digest, dropped_rows
from lstm_search.tracking import (
    RUN_ID,
    CellView,
    NotRecoverable,
    Recovered,
    Status,
    StudyView,
    Tracker,
    recovered,
)

MOST_SHOWN = 12
"""Cells in the description of a study's run, which MLflow limits to 8,000 characters."""

FIGURES = ("solved_fraction", "learning_curves")
"""The figures that this description shows, by the names of their files."""


@dataclass(frozen=True)
class About:
    """What the record of a study does not say in words: the command that makes it, and what its search is for."""

    command: str = ""
    search: SearchSettings = SearchSettings()  # noqa: RUF009  (frozen)


@dataclass
class Activity:
    """What the process that trains a study knows of it: kept up by its loop, read by the thread that publishes.
    `rows`: those it was asked for; `running`: its trials that have no result yet, by row."""

    status: Status = "RUNNING"
    rows: AbstractSet[str] = frozenset()
    running: Mapping[str, Sequence[TrialSpec]] = field(default_factory=dict)


def view(home: Path, name: str, about: About = About(), activity: Activity | None = None) -> StudyView:
    """All that is recorded of a study, whatever part of it was asked for last. Raises UnknownStudy."""
    with Record.read(home, name) as record:
        definition, trials = record.definition(), record.trials()
        created, environment, candidates = record.created(), record.environment(), record.candidates()
    labels = _labels(candidates)
    elsewhere = activity is None and bool(holder(home, name))
    now = activity or Activity("RUNNING" if elsewhere else "", {row.name for row in definition.rows})
    found = {row.name: summarise(row, trials[row.name]) for row in definition.rows}
    cells = [_cell(row, trials[row.name], found[row.name], labels.get(row.name, {}), now) for row in definition.rows]
    every = [summary for row in definition.rows for summary in found[row.name]]
    status = _overall(now.status, cells, [some[0] for some in found.values()])
    known, best = provenance(created, environment), _best(definition.rows, about)
    return StudyView(
        name=name,
        seed=definition.seed,
        created=created,
        cells=cells,
        metrics={"trials": float(sum(map(len, trials.values()))), "rows": float(len(definition.rows))},
        params=environment,
        note=_note(definition, cells, found, about),
        title=definition.title,
        artifacts={
            "table.md": render(every, "markdown", definition.title),
            "table.csv": render(every, "csv", definition.title),
            "table.json": render(every, "json", definition.title),
            "config.yaml": definition.config,
        },
        command=about.command,
        best=best,
        axes=_axes(candidates),
        status=status,
        elsewhere=elsewhere,
        late=[
            cache(partial(_figures, definition, trials, candidates)),
            *([] if status == "RUNNING" else [cache(partial(_page, definition, trials, candidates, known, about))]),
        ],
        depicted=_depicted(definition.rows, trials, candidates, [status == "RUNNING", best]),
    )


def _axes(candidates: Sequence[Candidate]) -> list[str]:
    """The settings that a search of one row varies. Where it has several, they differ in more than that."""
    several = len({one.base for one in candidates}) > 1
    return [] if several else list(dict.fromkeys(key for one in candidates for key, _ in one.point))


def _labels(candidates: Sequence[Candidate]) -> dict[str, dict[str, str]]:
    """By row, who proposed its candidate and why that one left. A row of several sets of a joint search has left when
    all of them have."""
    staying = ("", FINALIST)
    last = sorted(candidates, key=lambda one: staying.index(one.left) if one.left in staying else -1)
    return {row.name: {"proposer": one.proposer, "left": one.left} for one in last for row in one.rows}


def provenance(created: datetime, environment: Mapping[str, str]) -> dict[str, str]:
    """When and with what a study was first recorded."""
    return {"recorded since": f"{created:%Y-%m-%d %H:%M} UTC", **environment}


def _page(
    definition: Definition,
    trials: Mapping[str, Sequence[Trial]],
    candidates: Sequence[Candidate],
    known: Mapping[str, str],
    about: About,
) -> dict[str, str]:
    """The study's page; while trials run it would be old at once."""
    page = overview.report(about.search, definition, trials, candidates, provenance=known, command=about.command)
    return {"report.html": page}


def _figures(
    definition: Definition, trials: Mapping[str, Sequence[Trial]], candidates: Sequence[Candidate]
) -> dict[str, bytes]:
    how = Figures(dropped=dropped_rows(candidates))
    with tempfile.TemporaryDirectory() as folder:
        paths = write_figures(definition.rows, trials, Path(folder), how=how)
        return {path.name: path.read_bytes() for path in paths}


def _depicted(
    rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], candidates: Sequence[Candidate], more: list[object]
) -> str:
    """Changes with what figures and page show, without drawing them: with rows, trials (which outcome, cap and final
    weights tell apart), what a search has met and dropped, `more`, and with the code that draws."""
    ended = [
        [trial.spec.replicate, trial.spec.cap, trial.result.outcome, trial.result.weights_sha256]
        for row in rows
        for trial in trials[row.name]
    ]
    shown = [[row.name, row.cell.digest, row.cap, row.published] for row in rows]
    met = [[one.point, one.left] for one in candidates]
    return digest([shown, ended, met, more, sources()])


def _cell(
    row: Row, trials: Sequence[Trial], found: Sequence[Summary], labels: Mapping[str, str], now: Activity
) -> CellView:
    """A row to publish."""
    first, left = found[0], labels.get("left", "")
    metrics = _metrics(found) | _distance(row, trials)
    progress = f"{first.finished} of {row.replicates} trials" if first.finished < row.replicates else "done"
    return CellView(
        row,
        trials,
        metrics,
        labels,
        {"solved": f"{found[-1].k}/{found[-1].n}", "verdict": found[-1].verdict, "state": left or progress},
        _status(row, first, left, now),
        now.running.get(row.name, ()),
    )


def _status(row: Row, first: Summary, left: str, now: Activity) -> Status:
    """The status of a row's run: it has ended where all its trials have, or where a search has dropped it. Whether
    a race is over, which does not train all, only the process that trains it knows."""
    if first.finished >= row.replicates or left:
        return "FAILED" if first.broken > MOST_BROKEN * first.finished else "FINISHED"
    if row.name in now.rows and (now.status == "RUNNING" or (row.purpose == "race" and now.status in ("", "FINISHED"))):
        return now.status
    return "KILLED"


def _overall(told: Status, cells: Sequence[CellView], found: Sequence[Summary]) -> Status:
    """The status of the study's run, where the process that trained it has `told` its end."""
    if told in ("RUNNING", "FAILED", "KILLED"):
        return told
    statuses = {cell.status for cell in cells}
    if "KILLED" in statuses:
        return "KILLED"
    if "" in statuses:
        return ""
    broken = sum(some.broken for some in found)
    return "FAILED" if broken > MOST_BROKEN * sum(some.finished for some in found) else "FINISHED"


def _best(rows: Sequence[Row], about: About) -> str:
    """The metric that the best cell has the least of (of the success rate, the most), at the search's milestone."""
    unit = rows[0].unit if rows else SEQUENCES
    ert = "ert" if unit == SEQUENCES else f"ert_{unit}"
    names = [stop.milestone for stop in rows[0].cell.stop] if rows else [""]
    milestone = about.search.milestone or names[-1]
    prefix = "" if milestone == names[0] else f"{milestone}/"
    return {"ert": prefix + ert, "success": f"{prefix}success_rate", "published": "distance_to_published"}[
        about.search.objective
    ]


def _distance(row: Row, trials: Sequence[Trial]) -> dict[str, float]:
    """How far the row is from the printed one, as a search for it counts; nothing where nothing is printed."""
    try:
        candidate = Candidate((), (row,), "")
        loss = loss_of(SearchSettings(objective="published"), candidate, {row.name: trials})
    except ValueError:
        return {}
    return {"distance_to_published": loss[0]}


def _note(
    definition: Definition, cells: Sequence[CellView], found: Mapping[str, Sequence[Summary]], about: About
) -> str:
    """What the study's page shows first: the table (the best first, where nothing is printed beside the rows; of many
    the best alone), the command, and the figures."""
    best = _best(definition.rows, about)
    sign = -1 if best.endswith("success_rate") else 1

    def place(cell: CellView) -> tuple[bool, float]:
        figure = sign * cell.metrics.get(best, math.nan)
        return math.isnan(figure), figure

    printed = any(row.published for row in definition.rows) and len(cells) <= MOST_SHOWN
    shown = list(cells) if printed else sorted(cells, key=place)[:MOST_SHOWN]
    table = render([some for cell in shown for some in found[cell.row.name]], "markdown", definition.title)
    more = f"\nThe best {len(shown)} of {len(cells)} cells; table.md below Artifacts has all.\n"
    images = "".join(f"\n![{name}](get-artifact?path={name}.png&run_uuid={RUN_ID})\n" for name in FIGURES)
    command = (
        f"\nMade by `` {about.command} ``\n" if about.command else ""
    )  # as code in a line, it is broken into several
    return table + (more if len(shown) < len(cells) else "") + command + images


def _metrics(found: Sequence[Summary]) -> dict[str, float]:
    """The figures of a row, those of a further milestone under its name."""
    figures: dict[str, float] = {}
    for i, row in enumerate(found):
        low, high = row.success_interval
        prefix = f"{row.milestone}/" if i else ""
        numbers = {
            "k": row.k,
            "n": row.n,
            "success_rate": row.k / row.n if row.n else None,
            "success_rate_low": low,
            "success_rate_high": high,
            f"mean_{row.unit}": row.mean,
            ("ert" if row.unit == SEQUENCES else f"ert_{row.unit}"): row.ert,
            "km_median": row.median,
            "wrong_of_2560": row.wrong,
            "test_error": row.test_error,
        }
        figures |= {prefix + name: math.nan if value is None else float(value) for name, value in numbers.items()}
        figures |= {prefix + name: value for name, value in _printed(row).items() if value is not None}
    return figures


def _printed(row: Summary) -> dict[str, float | None]:
    """What was printed in 1997 beside the figures of the same names."""
    printed = row.published
    if printed is None:
        return {}
    rate = None if printed.success_percent is None else printed.success_percent / 100
    return {
        "published_n": printed.trials,
        "published_success_rate": rate,
        f"published_mean_{row.unit}": printed.mean_sequences,
        "published_wrong_of_2560": printed.wrong_of_2560,
        "published_test_error": printed.test_error,
    }


def recover(home: Path, tracker: Tracker, name: str) -> Recovered:
    """Rebuild the record of study `name` in `home` from MLflow, where it is lost or damaged; what was rebuilt.

    What can still be read of a damaged record stays, weights included, and the damaged file beside the new one. The
    record is made aside and appears whole or not at all.

    Raises NotRecoverable, TrackingFailed, StudyLocked, HomeUnwritable, RecordFull.
    """
    path = home / f"{check_name(name)}.sqlite"
    stored = tracker.stored(name)
    if not stored and not path.exists():
        recovered(name, stored)  # it says so, and nothing is written
    with closing(acquire(home, name)):
        left = rescued(home, name) if _damaged(path) else Rescued()
        found = _completed(partial(recovered, name, stored), left)
        with named_errors(path), tempfile.TemporaryDirectory(prefix=".recover-", dir=home) as folder:
            with Record.open(Path(folder), found.definition) as record:
                record.add([*left.trials, *found.trials])
                record.date(found.created, found.environment)
            _put(Path(folder) / path.name, path)
    return found


def _damaged(path: Path) -> bool:
    """Whether there is a record, and a damaged one. NotRecoverable where it is whole."""
    if not path.exists():
        return False
    if not findings(path.parent, path.stem):
        raise NotRecoverable(
            f"study={path.stem}: {path} is there and whole, nothing is recovered over it; move it away first"
        )
    return True


def _completed(published: Callable[[], Recovered], left: Rescued) -> Recovered:
    """What MLflow holds beside the trials that are left of a damaged record, or these alone where it holds nothing."""
    try:
        found = published()
    except NotRecoverable:
        if left.definition is None or left.created is None:
            raise
        found = Recovered(left.definition, left.created, {}, ())
    here = {trial.result.key for trial in left.trials}
    rest = [trial for trial in found.trials if trial.result.key not in here]
    return replace(found, trials=rest, kept=len(here))


def _put(made: Path, path: Path) -> None:
    """Move a record to its place; a damaged one that is there keeps a name of its own."""
    if not path.exists():
        os.link(made, path)
        return
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    os.link(path, aside)
    made.replace(path)
