"""A race as a diagram: who left when and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lstm_search.report.chart import COLOURS, GREY, Chart, axis, legend_below, safe, short
from lstm_search.report.layout import Sheet
from lstm_search.report.standings import Standing

MOST = 40
"""Candidates that the diagram shows."""


def raced(standings: Sequence[Standing]) -> bool:
    """Whether there was a race."""
    return any(row.purpose == "race" for one in standings for row in one.candidate.rows)


def race_chart(standings: Sequence[Standing]) -> Chart:
    """A bar a candidate, as long as it had trials, the best on top; those hatched were dropped."""
    shown = standings[:MOST]
    names = [f"{place}. {short(one.candidate.name, 30)}" for place, one in enumerate(shown, 1)]
    solved = [sum(row.k for row in one.summaries) for one in shown]
    missed = [sum(row.n for row in one.summaries) - k for one, k in zip(shown, solved, strict=True)]
    texts = [
        f"{safe(one.candidate.name)}<br>{k}/{k + m} solved<br>{safe(one.place)}"
        for one, k, m in zip(shown, solved, missed, strict=True)
    ]
    pattern = {"shape": ["/" if one.candidate.dropped else "" for one in shown], "fillmode": "overlay"}
    traces: list[dict[str, Any]] = [
        {"name": name, "x": x, "marker": {"color": colour, "pattern": pattern}, **more}
        for name, x, colour, more in (
            ("solved", solved, COLOURS[0], {}),
            ("not solved", missed, GREY, {"text": [_word(one) for one in shown], "textposition": "outside"}),
        )
    ]
    common = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "hovertext": texts,
        "hoverinfo": "text",
        "cliponaxis": False,
    }
    most = max(k + m for k, m in zip(solved, missed, strict=True))
    layout = {
        "barmode": "stack",
        "xaxis": axis("trials", range=[0, 1.3 * most], side="top"),
        "yaxis": axis("", type="category", autorange="reversed", tickfont={"size": 11}),
        "legend": legend_below() | {"y": -0.02},
    }
    alt = (
        f"A bar for each of {len(shown)} candidates, the best first, as long as it had trials; hatched bars are of "
        f"candidates that were dropped. {_leader(standings)}"
    )
    return Chart("race", "The race", alt, [{**common, **trace} for trace in traces], layout, 130 + 24 * len(shown))


def _leader(standings: Sequence[Standing]) -> str:
    first, last = standings[0], standings[-1]
    text = f"The leader is {first.candidate.name}."
    return f"{text} {last.candidate.name} left as {last.place}." if last.candidate.dropped else text


def _word(one: Standing) -> str:
    """How a candidate stands, in a word."""
    if one.candidate.dropped:
        return "worse" if one.place.startswith("worse") else "out of reach"
    return safe(one.place).partition(",")[0] if one.place != "not dropped" else ""


def race_sheet(standings: Sequence[Standing]) -> Sheet:
    """How many candidates left, after how many trials, and what that spared."""
    groups: dict[str, list[int]] = {"leaders and finalists": [], "not dropped": [], "worse": [], "out of reach": []}
    for one in standings:
        word = _word(one)
        group = word if word in groups else "leaders and finalists" if word else "not dropped"
        groups[group].append(sum(row.finished for row in one.summaries))
    planned = sum(row.replicates for one in standings for row in one.candidate.rows)
    spent = sum(map(sum, groups.values()))
    return Sheet(
        "Who left, and after how many trials",
        ["standing", "candidates", "trials of each", "trials together"],
        [[name, str(len(some)), _span(some), f"{sum(some):,}"] for name, some in groups.items() if some],
        f"All candidates together had {spent:,} trials; without a race they would have had {planned:,}. worse: an "
        "exact test found it worse than the leader of then; out of reach: it could not reach the leader even by "
        "winning all that was left.",
    )


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
