"""What all verbs share: exit codes, lines on stderr, and what a verb needs before it can begin."""

from __future__ import annotations

import shlex
import signal
import sys
from enum import IntEnum
from pathlib import Path

from lstm_search.config import ConfigError, Settings
from lstm_search.report import FIGURE_FORMATS, Figures
from lstm_search.spec import Row
from lstm_search.tracking import without_password
from lstm_search.worker import refuse

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""Exit codes of a program that Ctrl-C or SIGTERM ended."""

ENDINGS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
"""The signals that end a program in good order, and what it says then."""

MOST_ROWS = 1000
"""So many rows of a search are looked at before any is trained."""


def figures(settings: Settings) -> Figures:
    """How figures are written that stand beside a text: as asked for, or as PNG where a format of the text was."""
    return Figures(settings.format if settings.format in FIGURE_FORMATS else "png", settings.width)


class Exit(IntEnum):
    """Exit codes; with 128 + the signal's number after an interruption."""

    DONE = 0
    UNEXPECTED = 1
    BAD_INPUT = 2
    UNPUBLISHED = 3
    DISK_OR_MEMORY = 4
    TOO_MANY_FAILED = 5
    LOCKED = 6
    MISMATCH = 7
    UNREACHABLE = 8


def say(text: str) -> None:
    """Print one line on stderr; characters that control a terminal, or that it cannot show, are escaped. Of a long
    word, such as a value that was given, and of a long line the middle is left out."""
    words = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in word) for word in text.split()]
    print("lstm-search:", _without_middle(" ".join(_without_middle(word, 300) for word in words), 900), file=sys.stderr)


def _without_middle(text: str, most: int) -> str:
    """`text`, of which no more than so many characters are shown."""
    left = len(text) - most
    return text if left <= 0 else f"{text[: most // 2]}[{left:,} left out]{text[-most // 2 :]}"


def chosen(settings: Settings, verb: str) -> list[Row]:
    """The study's rows, of a large search the first ones. Raises ConfigError where neither table nor task was chosen,
    ValueError where a GPU is to train what it cannot."""
    if not settings.space.bases:
        raise ConfigError(
            f"{verb}: choose what to train, as in {verb} table=9 or {verb} task=adding; lstm-search --help lists all"
        )
    rows = settings.rows_ahead(MOST_ROWS)
    if settings.execute.device == "gpu":
        refuse(row.cell for row in rows)
    return rows


def same_place(settings: Settings) -> str:
    """The settings that let another command find this study, as far as they were given."""
    overrides = [] if settings.home == Path("studies") else [f"home={settings.home}"]
    if settings.tracking.uri:
        overrides.append(f"tracking.uri={without_password(settings.tracking.uri)}")
    return "".join(f" {shlex.quote(word)}" for word in overrides)


def refuse_untracked(settings: Settings, verb: str) -> None:
    """Raises ConfigError where MLflow is switched off."""
    if settings.tracking.kind == "none":
        raise ConfigError(f"tracking=none: {verb} takes tracking=mlflow")
