"""Two studies side by side: whether one cell is more reliable, or faster, than another. Pure functions of the records.

Where both studies have the same seed, trials of the same replicate saw the same data and are compared in pairs.
Otherwise their success rates are compared by Boschloo's exact test, which is more powerful than Fisher's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lstm_search import stats
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
    of the first over the second.
    """

    name: str
    milestone: str
    k: tuple[int, int]
    n: tuple[int, int]
    ert: tuple[float | None, float | None]
    pairs: int
    only: tuple[int, int]
    p_rate: float
    p_time: float
    ratio: float | None
    ratio_interval: stats.Interval
    unit: str


def compare(first: Recorded, second: Recorded) -> list[Comparison]:
    """The rows that two studies have in common, at each milestone that both have.

    Rows are matched by name; two studies of one row each are compared whatever the names. Raises ValueError where
    nothing matches, or where a row has no trial yet.
    """
    unit_of([*first[0].rows, *second[0].rows])
    found = [
        _compared(first, a, second, b, stop.milestone)
        for a, b in _matched(first[0], second[0])
        for stop in a.cell.stop
        if stop.milestone in [other.milestone for other in b.cell.stop]
    ]
    rates, times = (stats.holm([getattr(entry, name) for entry in found]) for name in ("p_rate", "p_time"))
    return [replace(entry, p_rate=p, p_time=q) for entry, p, q in zip(found, rates, times, strict=True)]


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
    paired = len(shared) == max(n)
    return Comparison(
        name=a.name if a.name == b.name else f"{a.name} / {b.name}",
        milestone=milestone,
        k=k,
        n=n,
        ert=ert,
        pairs=len(shared),
        only=only,
        p_rate=stats.mcnemar_p(*only) if paired else stats.boschloo_p(k[0], n[0], k[1], n[1]),
        p_time=stats.logrank_p(*times),
        ratio=ert[0] / ert[1] if ert[0] and ert[1] and k[1] else None,
        ratio_interval=stats.ratio_interval(*times),
        unit=a.unit,
    )


def _valid(study: Recorded, row: Row) -> dict[int, TrialResult]:
    """Results by replicate, without those that broke. Raises ValueError for none."""
    trials = study[1].get(row.name, ())
    ended = {result.key: result for result in row.finished(trials) if result.outcome not in BROKEN}
    found = {trial.spec.replicate: ended[trial.spec.key] for trial in trials if trial.spec.key in ended}
    if not found:
        raise ValueError(f"study={study[0].name}: row {row.name} has no finished trial yet; train it first")
    return found


HEADER = ("row", "{a}", "{b}", "p (rate)", "ERT {a}", "ERT {b}", "ratio", "p (times)")

LEGEND = (
    "{a}, {b}: solved; p (rate): of McNemar's exact test over trials with the same seed where all are paired, else of "
    "Boschloo's exact test; ERT: all {unit} spent, failures included, for one success; ratio: of the two, with its "
    "95 % bootstrap interval; p (times): of the log-rank test, censored trials included. Both p are adjusted for the "
    "number of lines (Holm)."
)


def comparison_table(found: Sequence[Comparison], a: str, b: str) -> str:
    """The comparison as a table of Markdown, `a` and `b` being the names of the studies."""
    head = [text.format(a=a, b=b) for text in HEADER]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *map(_cells, found))]
    return "\n".join([*lines, "", LEGEND.format(a=a, b=b, unit=found[0].unit), ""])


def _cells(entry: Comparison) -> list[str]:
    name = entry.name if entry.milestone == "solved" else f"{entry.name} {entry.milestone}"
    low, high = entry.ratio_interval
    pairs = f" ({entry.pairs} pairs: {entry.only[0]} and {entry.only[1]} alone)" if entry.pairs else ""
    return [
        name,
        *(f"{k}/{n}" for k, n in zip(entry.k, entry.n, strict=True)),
        f"{entry.p_rate:.2g}{pairs}",
        *("-" if ert is None else f"{ert:,.0f}" for ert in entry.ert),
        f"{'-' if entry.ratio is None else f'{entry.ratio:.2f}'} [{low:.2f} to {high:.2f}]",
        f"{entry.p_time:.2g}",
    ]
