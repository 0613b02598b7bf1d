"""What a search and a report together make of a record: how its candidates stand, and the study on one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lstm_search.report import Contents, Standing, render_page, summarise
from lstm_search.search import SearchSettings, importances, loss_of, objective_of, serves, standings
from lstm_search.spec import Candidate, Definition, Trial, points_of

Trials = Mapping[str, Sequence[Trial]]


def standings_of(
    search: SearchSettings, definition: Definition, trials: Trials, met: Sequence[Candidate]
) -> list[Standing]:
    """The candidates as they stand, the best first, with what their trials come to, on the replicates they were chosen
    by and on fresh ones."""
    again = {row.cell.digest: row for row in definition.rows if row.first}
    found = []
    for one, place in standings(search, met, trials):
        fresh = [again[row.cell.digest] for row in one.rows if row.cell.digest in again]
        fresh = fresh if len(fresh) == len(one.rows) else []
        results = {row.name: row.finished(trials[row.name]) for row in (*one.rows, *fresh)}
        found.append(
            Standing(
                one,
                place,
                [summarise(row, trials[row.name])[-1] for row in one.rows],
                [serves(row, results[row.name]) for row in one.rows],
                [summarise(row, trials[row.name])[-1] for row in fresh],
                [serves(row, results[row.name]) for row in fresh],
                _worth(search, one, trials),
            )
        )
    return found


def _worth(search: SearchSettings, one: Candidate, trials: Trials) -> float | None:
    if not any(trials[row.name] for row in one.rows):
        return None
    return objective_of(one.rows, search.objective, search.milestone).worth(loss_of(search, one, trials))


def report(
    search: SearchSettings,
    definition: Definition,
    trials: Trials,
    met: Sequence[Candidate],
    *,
    provenance: Mapping[str, str],
    command: str = "",
) -> str:
    """The study on one page of HTML, which needs no network. `met`: the candidates, where the record has any;
    `provenance`: with what the trials were computed; `command`: the words that repeat the study."""
    varied = [one for one in met if one.point]
    meaning = objective_of(varied[0].rows, search.objective, search.milestone).meaning if varied else ""
    return render_page(
        Contents(
            definition,
            trials,
            standings_of(search, definition, trials, varied),
            meaning,
            _importances(search, varied, trials),
            provenance,
            command,
        )
    )


def _importances(search: SearchSettings, met: Sequence[Candidate], trials: Trials) -> dict[str, float]:
    levels = [
        objective_of(one.rows, search.objective, search.milestone).level(loss_of(search, one, trials))
        if any(trials[row.name] for row in one.rows)
        else math.nan
        for one in met
    ]
    return importances(points_of(met), levels)
