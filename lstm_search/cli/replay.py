"""The verb `replay`: train one recorded trial again and compare what comes out."""

from __future__ import annotations

import re

from lstm_search.cli.shell import Exit, say
from lstm_search.cli.studies import names
from lstm_search.config import ConfigError, Settings
from lstm_search.execute import SIMULATED_HOST
from lstm_search.record import Record
from lstm_search.spec import BROKEN, Trial, TrialResult
from lstm_search.tracking import Tracker
from lstm_search.worker import Worker


def replay(settings: Settings, wanted: str) -> int:
    """Train one trial again and say whether it comes out the same. Raises ConfigError where no trial, more than one,
    or a broken one is named, and TrackingFailed where MLflow is asked for a run and fails."""
    found = _find(settings, wanted)
    for name, trial in found.items():
        _refuse_untrained(name, trial)
    trial = next(iter(found.values()))
    unit = trial.spec.cell.unit
    where = f"study {next(iter(found))}" if len(found) == 1 else f"studies {', '.join(found)}"
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


def _refuse_untrained(name: str, trial: Trial) -> None:
    outcome = trial.result.outcome
    if trial.result.host == SIMULATED_HOST:
        raise ConfigError(
            f"replicate {trial.spec.replicate} of study {name} is simulated: it has no weights to compare; study=NAME "
            "names a study that was trained"
        )
    if outcome in BROKEN:
        raise ConfigError(
            f"replicate {trial.spec.replicate} of study {name} ended {outcome}: it has no weights to compare; "
            f"retry=[{outcome.lower()}] trains it again"
        )


def _find(settings: Settings, wanted: str) -> dict[str, Trial]:
    """The trial that a key, its first digits, or an MLflow run id names, by the studies that hold it."""
    found = _recorded(settings, wanted)
    if not found and settings.tracking.kind == "mlflow" and re.fullmatch("[0-9a-f]{32}", wanted):
        wanted = Tracker(settings.tracking.uri, settings.home).find_run(wanted)
        found = _recorded(settings, wanted)
    if not found:
        raise ConfigError(
            f"{wanted[:80]}: no trial of a study in {settings.home} has such a key; export lists them"
            f"{_renewed(settings, wanted)}"
        )
    if len({trial.result.key for trial in found.values()}) > 1:
        raise ConfigError(f"{wanted}: different trials of studies {', '.join(found)} start so; give more digits")
    first = next(iter(found.values()))  # studies with another cap have the same trial, cut off elsewhere
    return {name: trial for name, trial in found.items() if trial.spec.cap == first.spec.cap}


def _recorded(settings: Settings, prefix: str) -> dict[str, Trial]:
    """The studies, of all or of the one chosen, with a trial whose key starts so, and that trial."""
    found = {}
    for name in names(settings):
        with Record.read(settings.home, name) as record:
            if record.holds(prefix):
                found[name] = record.find(prefix)
    return found


def _renewed(settings: Settings, prefix: str) -> str:
    """What became of a key that an earlier release printed."""
    for name in names(settings):
        with Record.read(settings.home, name) as record:
            if key := record.renewed(prefix):
                return f". It is a key of an earlier release: the trial of study {name} now has {key}"
    return ""


def _trained(trial: Trial) -> TrialResult:
    worker, new = Worker(), [trial.spec]
    while True:
        progress = worker.advance(new, seconds=0.5)
        if progress.finished:
            return progress.finished[0]
        new = []
