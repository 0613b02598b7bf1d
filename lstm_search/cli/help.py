"""What `--help` prints: the list of verbs and keys, and a page for each verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lstm_search.cli.verbs import VERBS
from lstm_search.config import COLUMNS, describe, describe_keys, entry, in_effect


class Page(NamedTuple):
    """What the page of a verb has beside its meaning: commands with what they do, and the keys that matter most."""

    examples: Sequence[tuple[str, str]]
    keys: Sequence[str]


_WHAT = ("study", "home")
_WHICH = ("table", "rows", "recipe", "study", "home")

PAGES: Mapping[str, Page] = {
    "run": Page(
        (
            ("run table=9", "fill table 9 of the paper"),
            ("run task=adding training.rate=0.1,0.5 study=rates", "a grid over an axis"),
            ("run task=adding search=race training.rate=0.1,0.5", "the bad cells drop out"),
            ("run study=rates", "go on with what is recorded"),
        ),
        (
            *("table", "rows", "study", "replicates", "seed", "cap", "training.rate", "search.cells"),
            *("search.objective", "search.confirm", "execute.workers", "execute.device"),
            *("tracking.uri", "tracking.wait", "budget.hours", "retry", "home", "format"),
        ),
    ),
    "plan": Page(
        (
            ("plan table=9", "its rows, trials and caps"),
            ("plan task=adding search=race training.rate=0.1,0.5", "and what it may cost"),
            ("plan table=9 format=json", "for a program"),
        ),
        (*_WHICH, "replicates", "cap", "search.cells", "search.confirm", "search.pilot", "search.max_trials", "format"),
    ),
    "status": Page(
        (
            ("status", "all studies in the home folder"),
            ("status study=rates format=json", "one, for a program"),
            ("status source=shipped", "what comes with the program"),
        ),
        ("study", "home", "format", "source", "submit.address"),
    ),
    "table": Page(
        (
            ("table study=rates", "a study by its name"),
            ("table study=rates format=csv", "for a spreadsheet"),
            ("table study=rates format=latex", "for a paper"),
            ("table table=9 source=shipped", "what comes with the program"),
            ("table study=rates \"rows='rate=0.5'\"", "one row of it"),
        ),
        (*_WHICH, "replicates", "lines", "format", "source"),
    ),
    "compare": Page(
        (
            ("compare 'study=[a,b]'", "rows of the same names, by exact tests"),
            ("compare 'study=[a,b]' replicates=10", "the first ten trials of each row"),
            ("compare 'study=[a,b]' format=json", "for a program"),
        ),
        ("study", "rows", "replicates", "home", "format"),
    ),
    "plot": Page(
        (
            ("plot study=rates", "writes two figures, prints their paths"),
            ("plot table=9 source=shipped", "what comes with the program"),
            ("plot study=rates format=pdf width=single", "for one column of a paper"),
        ),
        (*_WHICH, "format", "width", "source"),
    ),
    "report": Page(
        (
            ("report study=rates", "writes a page of HTML, prints its path"),
            ("report table=9 source=shipped", "what comes with the program"),
        ),
        (*_WHICH, "source"),
    ),
    "export": Page(
        (
            ("export study=rates", "every trial as CSV"),
            ("export study=rates format=json", "the same as JSON"),
            ("export study=rates format=hash", "one SHA-256 of all results"),
        ),
        (*_WHICH, "replicates", "format", "source"),
    ),
    "replay": Page(
        (
            ("replay 0a1b2c3d", "a trial by the first digits of its key"),
            ("replay 0a1b2c3d study=rates", "of this study"),
            ("replay 0a1b2c3d,4e5f6a7b", "and draw another beside it"),
            ("replay 0a1b2c3d format=pdf width=double", "draw for a page of a journal"),
        ),
        (*_WHAT, "format", "width", "tracking.uri"),
    ),
    "error-flow": Page(
        (
            ("error-flow", "nets as they are drawn: a table, a figure"),
            ("error-flow 0a1b2c3d", "the net of a recorded trial"),
            ("error-flow lags=[1,50,500] format=csv", "for a spreadsheet"),
            ("error-flow format=svg width=double", "a figure for a lecture"),
        ),
        ("lags", "seed", *_WHAT, "format", "width", "tracking.uri"),
    ),
    "sync": Page(
        (("sync", "all studies"), ("sync study=rates tracking.uri=http://127.0.0.1:5000", "one, to a server")),
        (*_WHAT, "tracking.uri"),
    ),
    "submit": Page(
        (
            ("submit table=9 study=mine", "to the head at submit.address; follow it"),
            ("submit table=9 study=mine submit.stop=true", "stop it"),
        ),
        (*_WHICH, "submit.address", "submit.job", "submit.wait", "submit.stop"),
    ),
    "recover": Page(
        (("recover study=mine tracking.uri=http://127.0.0.1:5000", "from the runs of a server"),),
        (*_WHAT, "tracking.uri"),
    ),
    "doctor": Page(
        (
            ("doctor", "this machine"),
            ("doctor execute=ray execute.address=10.0.0.5:6379", "and a cluster"),
            ("doctor execute.device=gpu", "and its GPUs"),
        ),
        ("execute.device", "execute.address", "tracking.uri", "home"),
    ),
    "ui": Page(
        (("ui study=rates", "the runs of a study in a browser"), ("ui tracking.port=5001", "on another port")),
        (*_WHAT, "tracking.uri", "tracking.port"),
    ),
    "config": Page(
        (
            ("config table=9 rows=6a", "all settings of a row"),
            ("config study=rates", "those of a recorded study"),
        ),
        _WHICH,
    ),
    "verify": Page(
        (("verify", "all studies"), ("verify study=rates", "one"), ("verify tracking=none", "without MLflow")),
        (*_WHICH, "tracking.uri", "source"),
    ),
    "delete": Page((("delete study=rates", "asks for the name once more"),), _WHAT),
    "completion": Page((('eval "$(lstm-search completion)"', "in bash, for this session"),), ()),
}

EXITS = (
    "Exit codes: 0 done, 1 unexpected, 2 bad input, 3 not yet all in MLflow, 4 disk",
    "or memory, 5 too many trials broke, 6 study locked, 7 mismatch, 8 cluster",
    "unreachable, 130 and 143 interrupted.",
)

_COMMANDS = 50
"""Columns of a command, where what it does stands behind it."""


def text(words: Sequence[str]) -> str:
    """The help that a command line asks for: of the verb in it, with what holds for the choices in it. Raises
    ConfigError for a choice that there is not."""
    verb = next((word for word in words if word in VERBS), None)
    with in_effect([word for word in words if "=" in word and not word.startswith("study=[")]) as values:
        return _page(verb, values) if verb else "\n".join([overview(), "", describe(values)])


def overview() -> str:
    """The verbs, and where to read on."""
    lines = ["usage: lstm-search VERB [KEY=VALUE ...]     for example: lstm-search run table=9", "", "Verbs:"]
    lines += [entry(f"{name} {verb.positional}", verb.meaning) for name, verb in VERBS.items()]
    lines += [entry("VERB --help", "a page about the verb, with examples")]
    lines += [entry("--help", "this, and all settings, with what holds for the choices given beside it")]
    return "\n".join([*lines, entry("--version", "the version"), "", *EXITS])


def _page(name: str, values: Mapping[str, Any]) -> str:
    verb, page = VERBS[name], PAGES[name]
    lines = [f"usage: lstm-search {f'{name} {verb.positional}'.strip()} [KEY=VALUE ...]"]
    lines += ["", f"{verb.meaning[0].upper()}{verb.meaning[1:]}.", "", "Examples:"]
    lines += [_example(*example) for example in page.examples]
    if page.keys:
        lines += ["", "Settings, with what holds if they are left out:", describe_keys(page.keys, values)]
    if len(verb.formats) > 1:
        lines += ["", f"Formats: {', '.join(verb.formats)}."]
    return "\n".join([*lines, "", "lstm-search --help lists all settings.", *EXITS])


def _example(words: str, what: str) -> str:
    command = words if "lstm-search" in words else f"lstm-search {words}"
    line = f"  {command:<{_COMMANDS}}  # {what}"
    return line if len(command) <= _COMMANDS and len(line) <= COLUMNS else f"  # {what}\n  {command}"
