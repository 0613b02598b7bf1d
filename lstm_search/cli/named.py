"""The trials that a command line names, by the first digits of their keys or by the ids of their MLflow runs."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from lstm_search.cli.studies import names
from lstm_search.config import ConfigError, Settings
from lstm_search.execute import SIMULATED_HOST
from lstm_search.networks import Lstm1997
from lstm_search.record import Record
from lstm_search.spec import BROKEN, Trial
from lstm_search.theory import Example, Weights, affordable, examples
from lstm_search.tracking import Tracker
from lstm_search.worker import GROWN


class Unusable(ConfigError):  # noqa: N818  (named by what is the case)
    """The weights of a trial are not there, or say nothing."""


class Named(NamedTuple):
    """A trial, and the studies that hold it."""

    trial: Trial
    holders: dict[str, Trial]

    @property
    def study(self) -> str:
        """The first of them."""
        return next(iter(self.holders))


def named(settings: Settings, wanted: str) -> Named:
    """The trial that a key, its first digits, or an MLflow run id names. Raises ConfigError where there is none, more
    than one, or one that was not trained; TrackingFailed where MLflow is asked for a run and fails."""
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
    found = {name: trial for name, trial in found.items() if trial.spec.cap == first.spec.cap}
    for name, trial in found.items():
        _refuse_untrained(name, trial)
    return Named(first, found)


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


def sequences_of(one: Named, most: int) -> list[Example]:
    """The first sequences of a trial's test, `most` at most. Raises Unusable where they are too large to be kept."""
    spec = one.trial.spec
    number = affordable(spec.cell.task, most)
    if not number:
        raise Unusable(f"{spec.key[:12]}: a sequence of {spec.cell.task.name} is too large to be looked at as a whole")
    return examples(spec, number)


def weights_of(settings: Settings, one: Named) -> Weights:
    """The weights that a trial ended with. Raises Unusable where the record has none, or they are no numbers, or the
    hidden units never joined in."""
    key, network = one.trial.result.key, one.trial.spec.cell.network
    with Record.read(settings.home, one.study) as record:
        found = record.arrays(key)
    if not found:
        raise Unusable(f"{key[:12]}: study {one.study} was recovered from MLflow, which keeps no weights")
    weights = found["hidden"], found["output"]
    if not all(np.isfinite(some).all() for some in weights):
        raise Unusable(f"{key[:12]}: ended {one.trial.result.outcome}, with weights that are not finite")
    joined = any(there.name == GROWN for there in one.trial.result.milestones)
    if isinstance(network, Lstm1997) and network.growth != "none" and not joined:
        raise Unusable(f"{key[:12]}: the hidden units of this net never joined in (network.growth={network.growth})")
    return weights
