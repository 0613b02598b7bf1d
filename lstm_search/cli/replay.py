"""The verb `replay`: train one recorded trial again, compare what comes out, and draw what its net does."""

from __future__ import annotations

from collections.abc import Sequence

from lstm_search.cli.named import Named, Unusable, named, sequences_of, weights_of
from lstm_search.cli.shell import Exit, figures, say
from lstm_search.config import ConfigError, Settings
from lstm_search.report import Shown, class_table, draw_gates
from lstm_search.spec import Trial, TrialResult, TrialSpec
from lstm_search.theory import Blocks, Example, by_class, class_names, marks, passage_of
from lstm_search.worker import Worker

MOST_DRAWN = 4
"""Trials side by side."""

SEQUENCES = 256
"""Test sequences over which the states of a class are averaged, at most."""


def replay(settings: Settings, wanted: str) -> int:
    """Train one trial again and say whether it comes out the same; draw it, and further ones beside it. Raises
    ConfigError where no trial, more than one, or a broken one is named, or one that cannot stand beside the first, and
    TrackingFailed where MLflow is asked for a run and fails."""
    every = [named(settings, key) for key in wanted.split(",")]
    shown = _shown(settings, every)
    code = _compared(every[0])
    if shown:
        _draw(settings, every, shown)
    return code


def _compared(first: Named) -> Exit:
    """Train a trial again, and print what is recorded of it beside what came out."""
    trial, found = first.trial, first.holders
    unit = trial.spec.cell.unit
    where = f"study {first.study}" if len(found) == 1 else f"studies {', '.join(found)}"
    say(f"training replicate {trial.spec.replicate} of {where} again, {trial.result.sequences:,} {unit}")
    again = _trained(trial)
    results = [*(trial.result for trial in found.values()), again]
    heads = ["recorded"] if len(found) == 1 else [f"recorded in {name}" for name in found]
    print(f"| | {' | '.join(heads)} | replayed |\n|---|{'---|' * len(results)}")
    for what, name in (("outcome", "outcome"), ("sequences", unit), ("weights_sha256", "weights_sha256")):
        print(f"| {name} | {' | '.join(str(getattr(result, what)) for result in results)} |")
    same = len({(result.outcome, result.sequences, result.weights_sha256) for result in results}) == 1
    print("\nthe same to the last bit" if same else "\nDIFFERENT: another numerics version, or a defect")
    return Exit.DONE if same else Exit.MISMATCH


def _trained(trial: Trial) -> TrialResult:
    worker, new = Worker(), [trial.spec]
    while True:
        progress = worker.advance(new, seconds=0.5)
        if progress.finished:
            return progress.finished[0]
        new = []


def _shown(settings: Settings, every: Sequence[Named]) -> list[Shown]:
    """What is to be drawn, all nets over the first trial's sequences. A trial alone that cannot be drawn is still
    replayed, and a line says why."""
    if len(every) > MOST_DRAWN:
        raise ConfigError(f"replay: takes up to {MOST_DRAWN} keys, not {len(every)}")
    first = every[0].trial.spec
    try:
        for one in every:
            _refuse_undrawable(one, first)
        some = sequences_of(every[0], SEQUENCES if class_names(first.cell.task) else 1)
        return [_seen(settings, one, some) for one in every]
    except Unusable as error:
        if len(every) > 1:
            raise
        say(f"{error}: nothing is drawn")
        return []


def _refuse_undrawable(one: Named, first: TrialSpec) -> None:
    """Raises Unusable for a net without gates, ConfigError for one that has learned another task than the first."""
    cell, key = one.trial.spec.cell, one.trial.result.key[:12]
    if not isinstance(cell.network, Blocks):
        raise Unusable(f"{key}: replay draws nets of lstm1997 and lstm2000, not of network={cell.network.name}")
    if cell.task != first.cell.task:
        raise ConfigError(f"{key}: has learned another task than {first.key[:12]}; takes trials of one task")


def _seen(settings: Settings, one: Named, some: Sequence[Example]) -> Shown:
    """What a net does over the first of the sequences, and over all of them by class."""
    cell, result, network = one.trial.spec.cell, one.trial.result, one.trial.spec.cell.network
    assert isinstance(network, Blocks)  # noqa: S101  # others were refused
    weights, classes = weights_of(settings, one), class_names(cell.task)
    return Shown(
        title=f"{result.key[:8]}: {result.outcome.lower()} after {result.sequences:,} {cell.unit}",
        network=network,
        seen=passage_of(network, *weights, some[0].x),
        example=some[0],
        marks=marks(cell.task, some[0]),
        classes=classes,
        means=by_class(network, weights, some, len(classes)) if classes else None,
    )


def _draw(settings: Settings, every: Sequence[Named], shown: Sequence[Shown]) -> None:
    """Write the figure; print which cell carries which class."""
    for net in shown if shown[0].classes else ():
        print(f"\n{net.title}: mean states at the last step\n\n{class_table(net)}", end="")
    keys = "-".join(one.trial.result.key[:8] for one in every)
    how = figures(settings)
    path = settings.home / f"{every[0].study}-replay-{keys}.{how.format}"
    try:
        draw_gates(shown, path, how)
    except OSError as error:  # the comparison is what was asked for first
        say(f"nothing is drawn: {error}")
        return
    say(f"states and gates over a test sequence are drawn in {path}")
