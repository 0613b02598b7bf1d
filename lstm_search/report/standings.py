"""A search as a table: a line a candidate, the best first, with its settings as columns and why it left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lstm_search.checks import written
from lstm_search.report.layout import Bar, Sheet, number, share
from lstm_search.report.summary import Summary, rate_bar
from lstm_search.spec import Candidate, Row, counted, short_names


@dataclass(frozen=True)
class Standing:
    """A candidate as it stands: `place` says how, in a word or a phrase; `summaries` are of the rows by which it was
    chosen (the last milestone of each), `fresh` of those on fresh replicates. `served`: whether the printed figures of
    a row may be its own; None where nothing is printed or no trial has ended. `worth`: what it competes by; None where
    no trial has ended, infinite where that needs a success and there is none."""

    candidate: Candidate
    place: str
    summaries: Sequence[Summary]
    served: Sequence[bool | None] = ()
    fresh: Sequence[Summary] = ()
    fresh_served: Sequence[bool | None] = ()
    worth: float | None = None


LEGEND = (
    "leader: the best of those that no test dropped; finalist: trained again on fresh seeds; chosen by: the trials "
    "that the choice was made by, whose figures flatter the winner; worse, out of reach: no further trials, because "
    "an exact test found it worse than the leader, or because it could not reach it even by winning all that was "
    "left; {unit}: mean {counted} of the successful trials; ERT: all {unit} spent, failures included, for one "
    "success."
)

LEGEND_JOINT = (
    "A line is one set of settings for all rows. served: printed rows that its trials do not contradict (tests on "
    "solved and on the mean, 5 % together), of those with trials; settings: those searched in which it differs from "
    "the literal ones{fixed}."
)


_BY_WHOM = re.compile(r"(?<=worse) than .*(?= \(p = )|(?<=reach) of .*")
"""In why a candidate left, the name of the leader of then."""


def search_sheet(standings: Sequence[Standing], title: str, most: int, best: str = "") -> Sheet:
    """The table, `most` lines of it (0: all); `best`: the words that train the best one again."""
    shown = standings[:most] if most else standings
    joint = any(len(one.candidate.rows) > 1 for one in standings)
    head, lines = _joint(shown, "-" if _fixed(standings) else "as written") if joint else _single(shown)
    unit = standings[0].candidate.rows[0].unit
    legend = LEGEND.format(unit=unit, counted=counted(unit))
    more = len(standings) - len(shown)
    return Sheet(
        title,
        head,
        lines,
        f"{LEGEND_JOINT.format(fixed=_said(standings))} {legend}" if joint else legend,
        more=f"{more} further candidates are not shown; lines=0 shows all" if more else "",
        last=f"the best: lstm-search run {best}" if best else "",
        bars={} if joint else _bars(head, shown),
    )


def _bars(head: Sequence[str], standings: Sequence[Standing]) -> dict[tuple[int, int], Bar]:
    """Of each line the solved fraction, on the trials it was chosen by and on fresh ones."""
    found = {}
    for line, one in enumerate(standings):
        for column, some in (("chosen by", one.summaries), ("fresh seeds", one.fresh)):
            bar = rate_bar(some[-1]) if some else None
            if bar is not None:
                found[line, head.index(column)] = bar
    return found


def _single(standings: Sequence[Standing]) -> tuple[list[str], list[list[str]]]:
    keys = list(dict.fromkeys(key for one in standings for key, _ in one.candidate.point))
    short = short_names(keys)
    unit = standings[0].candidate.rows[0].unit
    bases = {one.candidate.base for one in standings}
    fresh = any(one.fresh for one in standings)
    head = [*(["row"] if len(bases) > 1 else []), *(short[key] for key in keys), "standing", "chosen by", unit, "ERT"]
    head += ["fresh seeds", unit, "ERT", "published", "verdict"] if fresh else []
    lines = []
    for one in standings:
        point = dict(one.candidate.point)
        line = [*([one.candidate.base] if len(bases) > 1 else [])]
        line += [
            *(written(point[key]) if key in point else "-" for key in keys),
            _place(one),
            *_figures(one.summaries[-1]),
        ]
        if fresh:
            line += (
                [*_figures(one.fresh[-1]), _printed(one.fresh[-1]), one.fresh[-1].verdict or "-"]
                if one.fresh
                else ["-"] * 5
            )
        lines.append(line)
    return head, lines


def _place(one: Standing) -> str:
    """How it stands, in a word or two."""
    return _BY_WHOM.sub("", one.place)


def _figures(row: Summary) -> list[str]:
    rate = f"{row.k}/{row.n}" + (f" {share(row.success_interval)}" if row.n else "")
    return [rate, number(row.mean), number(row.ert)]


def _printed(row: Summary) -> str:
    printed = row.published
    if printed is None or printed.successes is None:
        return "-"
    return f"{printed.successes}/{printed.trials}, {number(printed.mean_sequences)}"


def _joint(standings: Sequence[Standing], literal: str) -> tuple[list[str], list[list[str]]]:
    """The lines; `literal` stands where none of the settings searched differs."""
    tables = list(dict.fromkeys(row.table for row in standings[0].candidate.rows))
    names = [f"table {name}" if name else "rows" for name in tables]
    lines = []
    for one in standings:
        rows = list(zip(one.candidate.rows, one.served, strict=True))
        counts = [_served([pair for pair in rows if pair[0].table == table]) for table in tables]
        total = tuple(map(sum, zip(*counts, strict=True)))
        fresh = _served(list(zip(one.candidate.rows, one.fresh_served, strict=True))) if one.fresh_served else None
        trials = sum(summary.n for summary in one.summaries)
        settings = " ".join(f"{key}={value}" for key, value in _altered(one.candidate)) or literal
        figures = [f"{served}/{tried}" for served, tried in [*counts, total]]
        lines.append([*figures, f"{fresh[0]}/{fresh[1]}" if fresh else "-", str(trials), _place(one), settings])
    return [*names, "served", "fresh seeds", "trials", "standing", "settings"], lines


def _served(rows: Sequence[tuple[Row, bool | None]]) -> tuple[int, int]:
    """How many printed rows the trials do not contradict, and of how many there are trials."""
    tried = [served for _, served in rows if served is not None]
    return sum(tried), len(tried)


def _altered(candidate: Candidate) -> list[tuple[str, str]]:
    """The settings of a set that are not the literal ones of some row."""
    differ = {key for row in candidate.rows for key, _ in (*row.readings, *row.altered)}
    keys = [key for key, _ in candidate.point]
    short = short_names(keys)
    return [(short[key], written(value)) for key, value in candidate.point if key in differ]


def _fixed(standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """The settings, not the literal ones, that some row has in every set, whatever is searched: what follows from a
    setting that is searched differs from set to set."""
    of_sets = [
        dict.fromkeys(pair for row in one.candidate.rows for pair in (*row.readings, *row.altered)) for one in standings
    ]
    searched = {key for one in standings for key, _ in one.candidate.point}
    return [
        (key, value)
        for key, value in of_sets[0]
        if key not in searched and all((key, value) in some for some in of_sets)
    ]


def _said(standings: Sequence[Standing]) -> str:
    found = _fixed(standings)
    short = short_names(list(dict.fromkeys(key for key, _ in found)))
    values = {short[key]: "|".join(value for other, value in found if other == key) for key, _ in found}
    return f"; all have {' '.join(f'{key}={value}' for key, value in values.items())}" if found else ""
