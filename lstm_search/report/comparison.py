"""Two studies side by side: whether one cell is more reliable, or faster, than another. Pure functions of the records.

Where both studies have the same seed, trials of the same replicate saw the same data and are compared in pairs.
Otherwise their success rates are compared by Boschloo's exact test, which is more powerful than Fisher's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from lstm_search import stats
from lstm_search.report.layout import cell, json_text
from lstm_search.spec import BROKEN, Definition, Row, Trial, TrialResult, unit_of

Recorded = tuple[Definition, Mapping[str, Sequence[Trial]]]
"""A study: its definition, and its trials by row name."""

Times = tuple[list[int], list[int]]


@dataclass(frozen=True)
class Comparison:
    """Two rows at one milestone. Times are in the `unit` that both count, training sequences for learners.

    `k` of `n` trials reached the milestone in each study. `p_rate`: McNemar's exact test where all trials are paired
    (`pairs` have a seed in common, and of `only` so many one study alone was solved), else Boschloo's; `p_time`: the
    log-rank test on the times; both are adjusted for the number of rows compared (Holm). `ratio`: expected running time
    of the first over the second. `finished` of the `planned` trials have ended, at their `caps` at the latest. Where
    some have not, and are not held back by a race, what would be told of both is None: the first to end are the fast
    ones.
    """

    name: str
    milestone: str
    k: tuple[int, int]
    n: tuple[int, int]
    finished: tuple[int, int]
    planned: tuple[int, int]
    caps: tuple[int, int]
    ert: tuple[float | None, float | None]
    pairs: int
    only: tuple[int, int]
    p_rate: float | None
    p_time: float | None
    ratio: float | None
    ratio_interval: stats.Interval | None
    unit: str
    race: tuple[bool, bool] = (False, False)

    @property
    def compared(self) -> bool:
        """Whether all trials are there that are to be compared."""
        return self.p_time is not None


def compare(first: Recorded, second: Recorded) -> list[Comparison]:
    """The rows that two studies have in common, at each milestone that both have.

    Rows are matched by name; two studies of one row each are compared whatever the names. Raises ValueError where
    nothing matches, or where no matching rows have trials yet.
    """
    unit_of([*first[0].rows, *second[0].rows])
    found = [
        _compared(first, a, second, b, stop.milestone)
        for a, b in _matched(first[0], second[0])
        for stop in a.cell.stop
        if stop.milestone in [other.milestone for other in b.cell.stop]
    ]
    if not any(min(entry.n) for entry in found):
        empty = next(study for study, n in zip((first, second), found[0].n, strict=True) if not n)
        raise ValueError(f"study={empty[0].name}: no row has a finished trial yet that can be compared; train it first")
    rates, times = (_adjusted([getattr(entry, name) for entry in found]) for name in ("p_rate", "p_time"))
    return [replace(entry, p_rate=p, p_time=q) for entry, p, q in zip(found, rates, times, strict=True)]


def _adjusted(values: Sequence[float | None]) -> list[float | None]:
    """By Holm's method, for the number of those that were compared."""
    known = iter(stats.holm([value for value in values if value is not None]))
    return [value if value is None else next(known) for value in values]


def unmatched(first: Definition, second: Definition) -> tuple[list[str], list[str]]:
    """The rows that only one of two studies has, of each."""
    if len(first.rows) == len(second.rows) == 1:
        return [], []
    a, b = ([row.name for row in study.rows] for study in (first, second))
    return [name for name in a if name not in b], [name for name in b if name not in a]


def _matched(first: Definition, second: Definition) -> list[tuple[Row, Row]]:
    if len(first.rows) == len(second.rows) == 1:
        return [(first.rows[0], second.rows[0])]
    others = {row.name: row for row in second.rows}
    pairs = [(row, others[row.name]) for row in first.rows if row.name in others]
    if not pairs:
        raise ValueError(
            f"studies {first.name} ({', '.join(row.name for row in first.rows)}) and {second.name} "
            f"({', '.join(others)}) have no row in common; choose one of each with rows="
        )
    return pairs


def _compared(first: Recorded, a: Row, second: Recorded, b: Row, milestone: str) -> Comparison:
    results = _valid(first, a), _valid(second, b)
    times = a.times(results[0].values(), milestone), b.times(results[1].values(), milestone)
    shared = results[0].keys() & results[1].keys() if first[0].seed == second[0].seed else set()
    solved = [{r for r in shared if found[r].reached(milestone)} for found in results]
    only = len(solved[0] - solved[1]), len(solved[1] - solved[0])
    n = len(results[0]), len(results[1])
    k = len(times[0][0]), len(times[1][0])
    ert = stats.expected_running_time(*times[0]), stats.expected_running_time(*times[1])
    finished = len(a.finished(first[1].get(a.name, ()))), len(b.finished(second[1].get(b.name, ())))
    race = a.purpose == "race", b.purpose == "race"
    planned = a.replicates, b.replicates
    whole = min(n) > 0 and all(race[i] or finished[i] >= planned[i] for i in range(2))
    paired = len(shared) == max(n)
    return Comparison(
        name=a.name if a.name == b.name else f"{a.name} / {b.name}",
        milestone=milestone,
        k=k,
        n=n,
        finished=finished,
        planned=planned,
        caps=(a.cap, b.cap),
        ert=ert,
        pairs=len(shared),
        only=only,
        p_rate=(stats.mcnemar_p(*only) if paired else stats.boschloo_p(k[0], n[0], k[1], n[1])) if whole else None,
        p_time=stats.logrank_p(*times) if whole else None,
        ratio=ert[0] / ert[1] if whole and ert[0] and ert[1] and k[1] else None,
        ratio_interval=stats.ratio_interval(*times) if whole else None,
        unit=a.unit,
        race=race,
    )


def _valid(study: Recorded, row: Row) -> dict[int, TrialResult]:
    """Results by replicate, without those that broke."""
    trials = study[1].get(row.name, ())
    ended = {result.key: result for result in row.finished(trials) if result.outcome not in BROKEN}
    return {trial.spec.replicate: ended[trial.spec.key] for trial in trials if trial.spec.key in ended}


HEADER = ("row", "{a}", "{b}", "p (rate)", "ERT {a}", "ERT {b}", "ratio", "p (times)")

LEGEND = (
    "{a}, {b}: solved; p (rate): of McNemar's exact test over trials with the same seed where all are paired, else of "
    "Boschloo's exact test; ERT: all {unit} spent, failures included, for one success; ratio: of the two, with its "
    "95 % bootstrap interval; p (times): of the log-rank test, censored trials included. Both p are adjusted for the "
    "number of lines (Holm)."
)


LEGEND_UNFINISHED = (
    "unfinished: not compared yet, because the first trials to end are the fast ones; replicates=N compares the first "
    "N of each row."
)


def render_comparison(first: Recorded, second: Recorded, format: str = "markdown") -> str:  # noqa: A002
    """Two studies side by side as text; `format` is one of COMPARED. Raises what `compare` raises."""
    found, alone = compare(first, second), unmatched(first[0], second[0])
    return COMPARED[format](found, (first[0].name, second[0].name), alone)


def _markdown(found: Sequence[Comparison], names: tuple[str, str], alone: tuple[list[str], list[str]]) -> str:
    a, b = names
    head = [text.format(a=a, b=b) for text in HEADER]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *map(_cells, found))]
    legend = [LEGEND.format(a=a, b=b, unit=found[0].unit)]
    legend += [LEGEND_UNFINISHED] if not all(entry.compared for entry in found) else []
    legend += [f"{caps}; a trial that its cap ended counts as not solved." for caps in _other_caps(found)]
    legend += [f"only in {name}: {', '.join(rows)}." for name, rows in zip(names, alone, strict=True) if rows]
    return "\n".join([*lines, "", *legend, ""])


def _other_caps(found: Sequence[Comparison]) -> list[str]:
    """What is to be said of rows whose trials may train for different times."""
    differ = {entry.name: entry.caps for entry in found if entry.caps[0] != entry.caps[1]}
    return [
        f"{name}: caps of {caps[0]:,} and {caps[1]:,} {found[0].unit.replace('_', ' ')}"
        for name, caps in differ.items()
    ]


def _json(found: Sequence[Comparison], names: tuple[str, str], alone: tuple[list[str], list[str]]) -> str:
    rows = [{**asdict(entry), "compared": entry.compared} for entry in found]
    return json_text({"studies": names, "rows": rows, "unmatched": alone})


COMPARED = {"markdown": _markdown, "json": _json}


def _cells(entry: Comparison) -> list[str]:
    name = entry.name if entry.milestone == "solved" else f"{entry.name} {entry.milestone}"
    pairs = f" ({entry.pairs} pairs: {entry.only[0]} and {entry.only[1]} alone)" if entry.pairs else ""
    low, high = entry.ratio_interval or (None, None)
    return [
        cell(name),
        *(_solved(entry, i) for i in range(2)),
        "-" if entry.p_rate is None else f"{entry.p_rate:.2g}{pairs}",
        *("-" if ert is None else f"{ert:,.0f}" for ert in entry.ert),
        "-" if low is None else f"{'-' if entry.ratio is None else f'{entry.ratio:.2f}'} [{low:.2f} to {high:.2f}]",
        "-" if entry.p_time is None else f"{entry.p_time:.2g}",
    ]


def _solved(entry: Comparison, i: int) -> str:
    """Solved of the valid trials of the i-th study, and whether some are still to come."""
    rate = f"{entry.k[i]}/{entry.n[i]}"
    if entry.race[i]:
        return f"{rate} (of at most {entry.planned[i]})"
    unfinished = entry.finished[i] < entry.planned[i]
    return f"{rate} (unfinished: {entry.finished[i]} of {entry.planned[i]})" if unfinished else rate
