"""One configuration without its seed: its identity, and its description as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from typing import Any

from lstm_search.checks import written
from lstm_search.networks import NETWORKS, Learner
from lstm_search.spec.canonical import canonical, canonical_json, sha256
from lstm_search.spec.settings import Stop, Training
from lstm_search.tasks import Task, task_class

SCHEMA_VERSION = 2
"""Changes when the content of a trial's key changes. A cell's part of the key leaves out every setting that is at its
default (version 1 held them all), so a new setting moves no key, and the default of an old one may never change."""

NUMERICS_VERSION = 1
"""Changes when the same key may give other bits; a study recorded under another number is not resumed."""

SEQUENCES = "sequences"
"""The unit of a trial that learns from training sequences."""


@dataclass(frozen=True)
class Cell:
    """One configuration without its seed: what is learned, by which net, how, and when it counts as learned."""

    task: Task
    network: Learner
    training: Training
    stop: tuple[Stop, ...]

    def __post_init__(self) -> None:
        names = [stop.milestone for stop in self.stop]
        if len(set(names)) < len(names):
            raise ValueError(f"stop.milestone={names}: takes names that differ")
        facts = self.network.facts
        if facts.tasks and self.task.name not in facts.tasks:
            raise ValueError(
                f"network={self.network.name}: cannot learn task {self.task.name}; takes {' or '.join(facts.tasks)}"
            )
        if self.training.update not in facts.updates:
            raise ValueError(
                f"training.update={self.training.update}: network {self.network.name} takes "
                f"{' or '.join(facts.updates)}"
            )
        if self.training.optimizer not in facts.optimizers:
            raise ValueError(
                f"training.optimizer={self.training.optimizer}: network {self.network.name} takes "
                f"{' or '.join(facts.optimizers)}"
            )
        self._check_targets()
        self._check_signal()
        facts.check(self.network, self.task.layout, self.stop)
        for stop in self.stop:
            self._check_stop(stop)

    def _check_targets(self) -> None:
        """Refuse targets that this task cannot code, or that outputs cannot reach."""
        targets, given = self.training.targets, f"training.targets={written(self.training.targets)}"
        if targets == Training.targets:
            return
        if not self.task.layout.classes:
            raise ValueError(f"{given}: targets of task {self.task.name} are no classes 0 and 1; takes [0,1]")
        if not self.network.facts.linear and not (targets[0] >= 0.0 and targets[1] <= 1.0):
            raise ValueError(
                f"{given}: outputs of network {self.network.name} are logistic; takes two numbers from 0 to 1"
            )

    def _check_signal(self) -> None:
        """Refuse a margin where this network has no error signals, and another slope where they have none."""
        facts, training, name = self.network.facts, self.training, self.network.name
        if training.margin and not facts.signals:
            raise ValueError(f"training.margin={training.margin:g}: network {name} learns by no error signals; takes 0")
        why = "has linear outputs" if facts.linear else facts.slopeless
        if why and not training.slope:
            raise ValueError(f"training.slope=false: network {name} {why}; takes true")
        if why and training.slope_added:
            raise ValueError(f"training.slope_added={training.slope_added:g}: network {name} {why}; takes 0")

    def _check_stop(self, stop: Stop) -> None:
        """Refuse a stop rule that this task cannot serve."""
        layout = self.task.layout
        if stop.correct == "ranked" and not layout.legal:
            raise ValueError(
                f"stop.correct=ranked: needs a grammar, and task {self.task.name} has none; take stop.correct=within"
            )
        if layout.keys and stop.checked and stop.window != layout.keys:
            raise ValueError(
                f"stop.window={stop.window}: a check of task {self.task.name} takes all its strings, {layout.keys}"
            )
        if layout.keys and stop.learn_while_tested:
            raise ValueError(
                f"stop.learn_while_tested=true: task {self.task.name} is tested on strings that are never learned from"
            )

    def as_dict(self) -> dict[str, Any]:
        """The description that is stored and shown: all settings, and the catalogue names of task and network."""
        return self._described(asdict)

    def _described(self, values: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """The names of task and network, and the `values` of all settings."""
        return {
            "task": {"name": self.task.name, **values(self.task)},
            "network": {"name": self.network.name, **values(self.network)},
            "training": values(self.training),
            "stop": [values(stop) for stop in self.stop],
        }

    @property
    def unit(self) -> str:
        """What trials count: training sequences, unless the network says otherwise."""
        return self.network.facts.unit or SEQUENCES

    @cached_property
    def text(self) -> str:
        """What is hashed, as canonical JSON: the names of task and network, and the settings not at their default."""
        return canonical_json(self._described(not_default))

    @cached_property
    def digest(self) -> str:
        """The cell's identity: SHA-256 (hex) of `text`."""
        return sha256(self.text)


def not_default(settings: Task | Learner | Training | Stop) -> dict[str, Any]:
    """The settings that are not at their default, by name."""
    values = vars(settings)
    return {
        field.name: values[field.name]
        for field in fields(settings)
        if field.default is MISSING or canonical(values[field.name]) != canonical(field.default)
    }


def cell_from_dict(description: Mapping[str, Any]) -> Cell:
    """The cell of a description (`Cell.as_dict`, or its JSON, with lists for tuples).

    A setting that the description lacks did not exist when it was written: it is at its default. Raises
    UnknownTask for a task and KeyError for a network that does not exist, ValueError for a setting that does not exist
    or a value that it cannot take.
    """
    task, network = dict(description["task"]), dict(description["network"])
    return Cell(
        task=_settings(task_class(task.pop("name")), "task", task),
        network=_settings(NETWORKS[network.pop("name")], "network", network),
        training=_settings(Training, "training", description["training"]),
        stop=tuple(_settings(Stop, "stop", stop) for stop in description["stop"]),
    )


def _settings(kind: Any, group: str, values: Mapping[str, Any]) -> Any:
    """A dataclass of settings from plain values."""
    unknown = values.keys() - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"{group}.{min(unknown)}: this release has no such setting")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
