"""Distributed hyperparameter search over many seeds, built on the 1997 paper "Long Short-Term Memory".

The command line is `lstm-search`; the same from Python, with the same overrides:

    import lstm_search
    lstm_search.run("table=9", "rows=6a")                # trains what is missing
    pandas.DataFrame(lstm_search.trials("table=9"))      # one line a trial and milestone
"""

from __future__ import annotations

import json
from typing import Any


def run(*overrides: str) -> bool:
    """Train what is missing of the study that the overrides describe; whether all trials ended and are shown.

    Raises ValueError for overrides that cannot be used, and what `study.run` raises.
    """
    from lstm_search import config
    from lstm_search.cli import train

    ended = train(config.compose(overrides))
    return ended.published and not ended.left


def trials(*overrides: str) -> list[dict[str, Any]]:
    """The recorded trials of a study, a mapping for each trial and milestone, as `lstm-search export` prints them.

    Raises ValueError for overrides that cannot be used, and UnknownStudy.
    """
    from lstm_search import config
    from lstm_search.cli import see
    from lstm_search.report import export_trials

    definition, recorded, _ = see(config.compose(overrides))
    lines: list[dict[str, Any]] = json.loads(export_trials(definition.rows, recorded, "json"))
    return lines
