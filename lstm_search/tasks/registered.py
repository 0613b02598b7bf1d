"""Tasks from outside of this package: registered in Python, or named by an entry point of an installed distribution."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from typing import Any

from lstm_search.simd import source_digest
from lstm_search.tasks.contract import BrokenTask, Task, check_declared

GROUP = "lstm_search.tasks"
"""The group of entry points: the name of a task, and its class as `module:Class`."""

_REGISTERED: dict[str, type[Task]] = {}


class UnknownTask(ValueError):  # noqa: N818  (named by what is the case)
    """There is no task of that name here; `name` is that name."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"task={name}: {why}")


def register(kind: type[Task]) -> None:
    """Know a task by its name from now on, in place of an earlier one of that name."""
    _REGISTERED[_name(kind)] = kind


def names() -> list[str]:
    """The names of all tasks from outside, sorted. Nothing is imported."""
    return sorted({*_REGISTERED, *(point.name for point in _points())})


def brought_by(name: str) -> str:
    """The distributions that bring a task of that name, as they are named in a message; "" where there are none."""
    return " and ".join(sorted(_distribution(point) for point in _points() if point.name == name))


def find(name: str) -> type[Task]:
    """The task of that name. Raises UnknownTask, and BrokenTask where its class is none."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    found = [point for point in _points() if point.name == name]
    if not found:
        raise UnknownTask(
            name,
            f"no such task here; install the distribution that brings it (entry point {GROUP}), or call "
            "lstm_search.register_task",
        )
    if len(found) > 1:
        raise UnknownTask(name, f"{brought_by(name)} bring it both; uninstall one of them")
    register(_loaded(found[0]))
    return _REGISTERED[name]


@cache
def origin(kind: Any) -> str:
    """The distribution and version that a task from outside comes from, and a digest of its sources; "" for a task of
    this package."""
    module = kind.__module__
    if module.startswith(f"{__package__}."):
        return ""
    value = f"{module}:{kind.__qualname__}"
    by_point = [_distribution(point) for point in _points() if point.value == value]
    top = module.partition(".")[0]
    by_package = [f"{name} {version(name)}" for name in packages_distributions().get(top, ())] if not by_point else []
    return f"{[*by_point, *by_package, f'module {module}'][0]} (sources {source_digest(kind)})"


@cache
def _points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _loaded(point: EntryPoint) -> type[Task]:
    try:
        kind: type[Task] = point.load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UnknownTask(
            point.name, f"{_distribution(point)} cannot be imported ({why}); repair or update it"
        ) from error
    if not isinstance(kind, type):
        raise BrokenTask(f"task={point.name}: {point.value} of {_distribution(point)} is no class")
    check_declared(kind)
    if _name(kind) != point.name:
        raise BrokenTask(
            f"task={point.name}: {point.value} of {_distribution(point)} breaks the contract of tasks: name: is "
            f"{_name(kind)}, and its entry point says {point.name}"
        )
    return kind


def _name(kind: Any) -> str:
    return str(kind.name)
