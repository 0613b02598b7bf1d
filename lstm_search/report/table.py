"""Records as tables: what each row came to, beside what was printed in 1997. Pure functions of rows and trials."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from lstm_search import stats
from lstm_search.checks import written
from lstm_search.published import Published
from lstm_search.report.columns import settings_by_row
from lstm_search.report.layout import Bar, Sheet, json_text, markdown, number, time_bars
from lstm_search.report.summary import Summary, rate_bar
from lstm_search.report.typeset import html, latex
from lstm_search.spec import (
    SEQUENCES,
    Outcome,
    Row,
    Trial,
    counted,
    digest,
    unit_of,
)

OPERATIONAL = frozenset({Outcome.TIMEOUT, Outcome.OOM, Outcome.LOST})
"""Outcomes that depend on the machine: outside the canonical hash."""


def render(rows: Sequence[Summary], format: str = "markdown", title: str = "") -> str:  # noqa: A002  # the key users type
    """The table as text; `format` is one of RENDERERS, `title` stands in the caption."""
    if format not in RENDERERS:
        raise ValueError(f"format={format}: a table is rendered as {', '.join(RENDERERS)}")
    return RENDERERS[format](rows, title)


HEADER = ("row", "solved", "{unit}", "ERT", "wrong", "test error", "published", "verdict")

LEGEND = (
    "solved: with the exact 95 % interval; {unit}: mean {counted} of the successful trials, with its 95 % "
    "bootstrap interval; ERT: all {unit} spent, failures included, for one success; wrong: of 2560 test sequences, "
    "mean over the successful trials (worst trial in parentheses); published: solved, {unit}, wrong; verdict: from "
    "Fisher's exact test on solved and the 95 % prediction for a mean of the published number of successes; median: "
    "Kaplan-Meier, censored trials included."
)


LEGEND_CHOICE = (
    "tuning: the trials by which cells were chosen, whose figures flatter the winner; race: such trials, how many of "
    "which there were depended on their results, and no interval beside them accounts for that; fresh seeds: trials "
    "that no choice was made by."
)


def sheet(rows: Sequence[Summary], title: str = "") -> Sheet:
    """The table as it is read: a line a summary, and below it what the figures mean and how each line is judged."""
    rows = sorted(rows, key=_standing)
    unit = rows[0].unit if rows else SEQUENCES
    legend = LEGEND.format(unit=unit, counted=counted(unit))
    if any(row.purpose != "report" for row in rows):
        legend += f" {LEGEND_CHOICE}"
    head = [text.format(unit=unit) for text in HEADER]
    notes = [_note(row) for row in rows]
    return Sheet(_caption(rows, title), head, [_columns(row) for row in rows], legend, notes, bars=_bars(rows))


def _bars(rows: Sequence[Summary]) -> dict[tuple[int, int], Bar]:
    """Of each line the solved fraction and the mean, beside what was printed."""
    solved = {(line, HEADER.index("solved")): rate_bar(row) for line, row in enumerate(rows)}
    means = time_bars(
        [(row.mean_interval, row.mean, row.published.mean_sequences if row.published else None) for row in rows]
    )
    both = solved | {(line, HEADER.index("{unit}")): bar for line, bar in enumerate(means)}
    return {place: bar for place, bar in both.items() if bar is not None}


def _standing(row: Summary) -> tuple[bool, float]:
    """Rows of a report stay in their order and come first; those that were for choosing are ordered by their ERT."""
    return row.purpose != "report", 0 if row.purpose == "report" or row.ert is None else row.ert


def _caption(rows: Sequence[Summary], title: str) -> str:
    tables = sorted({row.published.table for row in rows if row.published})
    numbered = [name for name in tables if name[0].isdigit()]
    word = f"table{'s' if len(numbered) > 1 else ''} {', '.join(numbered)}" if numbered else "in the text"
    source = f"Published: Hochreiter & Schmidhuber (1997), {word}" if tables else ""
    return ". ".join(part for part in (title, source) if part) or "Results"


def _columns(row: Summary) -> tuple[str, ...]:
    return (
        row.name + {"report": "", "tune": " (tuning)", "race": " (race)"}[row.purpose],
        _solved(row),
        number(row.mean) + (f" [{_span(row.mean_interval)}]" if row.mean_interval else ""),
        number(row.ert),
        "-" if row.wrong is None else f"{row.wrong:.3g} ({row.wrong_worst:.3g})",
        "-" if row.test_error is None else f"{row.test_error:.3g}",
        _printed(row.published),
        row.verdict or "-",
    )


def _solved(row: Summary) -> str:
    low, high = row.success_interval
    rate = f"{row.k}/{row.n} [{100 * low:.0f} to {100 * high:.0f} %]" if row.n else "0/0"
    if row.purpose == "race":
        return f"{rate} (of at most {row.planned})"
    return rate + (f" (unfinished: {row.finished} of {row.planned})" if row.finished < row.planned else "")


def _printed(row: Published | None) -> str:
    if row is None:
        return "-"
    solved = "-" if row.successes is None else f"{row.successes}/{row.trials}"
    sequences = row.sequences if row.mean_sequences is None else number(row.mean_sequences)
    return ", ".join([solved, sequences, *([] if row.wrong_of_2560 is None else [f"{row.wrong_of_2560:g}"])])


def _note(row: Summary) -> str:
    lost = {"capped": row.capped, "diverged": row.diverged, "broken": row.broken}
    parts = [
        f"cap {row.cap:,}",
        *(f"{count} {word}" for word, count in lost.items() if count),
        *([] if row.median is None else [f"median {number(row.median)}"]),
        *([_spent(row.core_seconds)] if row.finished else []),
        *([f"readings {_pairs(row.readings)}"] if row.readings else []),
        *([f"altered {_pairs(row.altered)}"] if row.altered else []),
    ]
    judged = f" {(row.verdict or 'no verdict').capitalize()}: {row.reason}." if row.published else ""
    return f"{row.name}: {', '.join(parts)}.{judged}"


def _spent(seconds: float) -> str:
    return (
        f"{number(seconds)} core-seconds"
        if seconds >= 1.5
        else "1 core-second"
        if seconds >= 0.5
        else "less than half a core-second"
    )


def _span(interval: stats.Interval) -> str:
    return f"{interval[0]:,.0f} to {interval[1]:,.0f}"


def _pairs(settings: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings)


def _csv_table(rows: Sequence[Summary], _title: str) -> str:
    lines = [summary_line(row) for row in rows]
    return _csv(lines[0] if lines else (), lines)


def summary_line(row: Summary) -> dict[str, Any]:
    """A summary as one line of plain values: an interval takes two columns, the settings one."""
    plain = {field.name: getattr(row, field.name) for field in fields(row) if field.name != "published"}
    flat: dict[str, Any] = {}
    for name, value in plain.items():
        if name in ("success_interval", "mean_interval", "prediction"):
            flat[f"{name}_low"], flat[f"{name}_high"] = value or (None, None)
        else:
            flat[name] = _pairs(value) if name in ("readings", "altered") else value
    flat |= {f"published_{name}": row.published and getattr(row.published, name) for name in PRINTED}
    return _in_unit(flat, row.unit)


def _in_unit(values: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """The values, with the unit in place of "sequences" in the names of what is counted in it."""
    return {name.replace(SEQUENCES, unit) if name in COUNTED else name: value for name, value in values.items()}


COUNTED = frozenset({"sequences", "sequences_total", "published_sequences"})


PRINTED = ("table", "row", "successes", "trials", "weights", "sequences", "wrong_of_2560", "test_error")


def _csv(header: Iterable[str], lines: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_safe(value) for value in line.values()] for line in lines)
    return text.getvalue()


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value


def _json_table(rows: Sequence[Summary], title: str) -> str:
    return json_text({"title": title, "rows": [_named(asdict(row)) for row in rows]})


def _named(plain: dict[str, Any]) -> dict[str, Any]:
    printed = plain["published"] and _in_unit(plain["published"], plain["unit"])
    pairs = {name: dict(plain[name]) for name in ("readings", "altered")}
    return _in_unit(plain | pairs | {"published": printed}, plain["unit"])


SHEETS: dict[str, Callable[[Sheet], str]] = {"markdown": markdown, "latex": latex, "html": html}
"""In what a table that is read is written."""

RENDERERS: dict[str, Callable[[Sequence[Summary], str], str]] = {
    "markdown": lambda rows, title: markdown(sheet(rows, title)),
    "csv": _csv_table,
    "json": _json_table,
    "latex": lambda rows, title: latex(sheet(rows, title)),
    "html": lambda rows, title: html(sheet(rows, title)),
}


def export_trials(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]], format: str = "csv") -> str:  # noqa: A002
    """Every trial as text, in order of row and replicate; `format` is one of EXPORTERS.

    One line a milestone that the trial reached under its row's cap, and one without a milestone for a trial that
    missed some: after how many sequences it was censored. The settings of the trial stand last.
    """
    if format not in EXPORTERS:
        raise ValueError(f"format={format}: trials are exported as {', '.join(EXPORTERS)}")
    return EXPORTERS[format](rows, trials)


def trial_lines(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]]) -> list[dict[str, Any]]:
    """The lines of `export_trials`, as plain values by column."""
    settings = settings_by_row(rows)
    return [
        line | settings[row.name]
        for row in rows
        for trial in sorted(trials.get(row.name, ()), key=lambda trial: trial.spec.replicate)
        for line in _trial_lines(row, trial)
    ]


def _trial_lines(row: Row, trial: Trial) -> list[dict[str, Any]]:
    result = trial.result.under_cap(row.cap)
    ends: list[dict[str, Any]] = [{**vars(there), "milestone": there.name} for there in result.milestones]
    if not ends or result.outcome != Outcome.SOLVED:
        ends.append({"milestone": "", "sequences": result.sequences, "test_wrong": None, "test_error": None})
    plain = replace(trial, result=result).plain() | {"row": row.name, "outcome": str(result.outcome)}
    return [_in_unit({name: (plain | end)[name] for name in TRIAL_COLUMNS}, row.unit) for end in ends]


TRIAL_COLUMNS = (
    *("key", "row", "cell", "replicate", "outcome"),
    *("milestone", "sequences", "test_wrong", "test_error", "seconds", "weights_sha256"),
)


def canonical_hash(trials: Mapping[str, Sequence[Trial]]) -> str:
    """SHA-256 of the canonical table: all results by key, floats in hex; no times, hosts, attempts or tracebacks.

    The same for any workers, packing, order and number of interruptions. Trials that the machine ended (TIMEOUT, OOM,
    LOST) are left out.
    """
    recorded = {trial.spec.key: trial.result for some in trials.values() for trial in some}
    return digest(
        [
            [
                key,
                str(result.outcome),
                result.sequences,
                result.steps,
                [asdict(there) for there in result.milestones],
                [asdict(point) for point in result.curve],
                result.weights_sha256,
            ]
            for key, result in sorted(recorded.items())
            if result.outcome not in OPERATIONAL
        ]
    )


def _csv_trials(rows: Sequence[Row], trials: Mapping[str, Sequence[Trial]]) -> str:
    lines = ({name: _in_words(value) for name, value in line.items()} for line in trial_lines(rows, trials))
    return _csv(trial_columns(rows), lines)


def trial_columns(rows: Sequence[Row]) -> list[str]:
    """The names of what a line of `trial_lines` has, also where there is none yet."""
    settings = next(iter(settings_by_row(rows).values()), {})
    return [*_in_unit(dict.fromkeys(TRIAL_COLUMNS), unit_of(rows)), *settings]


def _in_words(value: Any) -> Any:
    """Lists and truth values as they are written on the command line."""
    return written(value) if isinstance(value, list | bool) else value


EXPORTERS: dict[str, Callable[[Sequence[Row], Mapping[str, Sequence[Trial]]], str]] = {
    "csv": _csv_trials,
    "json": lambda rows, trials: json_text(trial_lines(rows, trials)),
    "hash": lambda _rows, trials: canonical_hash(trials) + "\n",
}
