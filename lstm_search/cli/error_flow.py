"""The verb `error-flow`: how errors are scaled on their way back through time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lstm_search.cli.named import named, sequences_of, weights_of
from lstm_search.cli.shell import Exit, figures, say
from lstm_search.config import ConfigError, Settings
from lstm_search.report import draw_flow, flow_csv, flow_table
from lstm_search.theory import Panels, first_weights, of_trial, untrained
from lstm_search.tracking import Tracker

LAGS = (1, 10, 100, 1000)
"""Those that are printed, as far as a sequence goes."""

MOST = 1000
"""The figure and the file have all lags up to this one."""


def error_flow(settings: Settings, wanted: str = "") -> int:
    """Print the factors at some lags, for nets as they are drawn or for the net of a recorded trial; write all of them
    into a file, and a figure. Raises ConfigError for lags that a sequence does not have, and what `named` raises;
    NoFlow for a net that is not looked at; TrackingFailed where MLflow does not take the files."""
    study, panels = _of_trial(settings, wanted) if wanted else ("", _untrained(settings))
    most = len(next(iter(panels.values()))[0].factor)
    lags = settings.lags or [q for q in LAGS if q <= most]
    how, stem = figures(settings), f"{study}-error-flow-{wanted[:8]}" if study else "error-flow"
    settings.home.mkdir(0o700, parents=True, exist_ok=True)
    paths = [settings.home / f"{stem}.{how.format}", settings.home / f"{stem}.csv"]
    draw_flow(panels, paths[0], how)
    paths[1].write_text(flow_csv(panels, range(1, most + 1)), encoding="utf-8")
    print((flow_csv if settings.format == "csv" else flow_table)(panels, lags), end="")
    say(f"lags 1 to {most:,} are drawn in {paths[0]} and listed in {paths[1]}")
    if study and settings.tracking.kind == "mlflow":
        _attach(settings, study, paths)
    return Exit.DONE


def _untrained(settings: Settings) -> Panels:
    _check(settings.lags, MOST, "nets as they are drawn are followed so far; a recorded trial's KEY, over its sequence")
    return untrained(settings.definition.seed, MOST)


def _of_trial(settings: Settings, wanted: str) -> tuple[str, Panels]:
    """The study that holds the trial, and the flow through its net over a test sequence, as it started and as it
    ended."""
    one = named(settings, wanted)
    spec = one.trial.spec
    trained = weights_of(settings, one)
    x = sequences_of(one, 1)[0].x
    _check(settings.lags, len(x) - 1, f"the test sequence has {len(x):,} steps")
    lags = min(len(x) - 1, max(MOST, *(settings.lags or (1,))))
    weights = {"as it started": first_weights(spec), "as it ended": trained}
    if getattr(spec.cell.network, "growth", "none") != "none":  # at first its hidden units were not there
        del weights["as it started"]
    return one.study, of_trial(spec.cell, weights, x, lags)


def _check(lags: Sequence[int], most: int, why: str) -> None:
    """Raises ConfigError for a lag beyond the longest."""
    if most < 1:
        raise ConfigError(f"error-flow: {why}, and no error flows back; takes two steps at least")
    for q in lags:
        if q > most:
            raise ConfigError(f"lags={q}: takes lags from 1 to {most}; {why}")


def _attach(settings: Settings, study: str, paths: Sequence[Path]) -> None:
    """Put the files beside the study's other artifacts, where MLflow shows it."""
    if Tracker(settings.tracking.uri, settings.home).attach(study, paths):
        say(f"both are artifacts of the run of study {study} in MLflow")
