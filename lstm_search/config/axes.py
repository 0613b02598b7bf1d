"""From settings to rows: plain values into typed cells, and one row for every point of the axes a user gave."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args, get_origin

from lstm_search.checks import expect, typed, types_of, written
from lstm_search.config.keys import READINGS, SECTIONS, build, class_of
from lstm_search.config.settings import ConfigError
from lstm_search.search import Numbers, SearchSettings, Space, Span, Values
from lstm_search.spec import Cell, Purpose, Row, Stop

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Axis:
    """The values of one key, in order. `count` is known before `values` is expanded, which may be lazy and huge."""

    key: str
    count: int
    values: Iterable[Any]


class _Part(NamedTuple):
    """One section of a cell, with what it changes: (key, value) pairs."""

    value: Any
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Base:
    """A row before its axes vary: `literal` as the paper (or the task's file) has it, `sections` as the user wants it,
    `given` the keys which the user fixed, `keys` those of the axes that the row has, with the names under which they
    stand in the names of rows; `lacks` those keys of a joint search that are left out for it."""

    name: str
    table: str
    published: str
    replicates: int
    cap: int
    literal: Sections
    sections: Sections
    given: frozenset[str]
    purpose: Purpose = "report"
    lacks: Sequence[str] = ()
    shorts: Mapping[str, str] = field(default_factory=dict)
    _parts: dict[tuple[Any, ...], _Part] = field(default_factory=dict, repr=False, compare=False)

    @property
    def keys(self) -> Sequence[str]:
        """The axes that the row has."""
        return list(self.shorts)

    def row(self, point: Mapping[str, Any]) -> Row:
        """The row at a point, given by key. Raises ValueError, which names the key, for a value that cannot be used."""
        chosen = {key: point[key] for key in self.shorts}
        task, network, training, stop = parts = [self._part(section, chosen) for section in SECTIONS]
        changes = [change for part in parts for change in part.changes]
        points = _open_points(self)
        return Row(
            name=self._label([f"{self.shorts[key]}={written(value)}" for key, value in chosen.items()]),
            cell=Cell(task.value, network.value, training.value, stop.value),
            replicates=self.replicates,
            cap=self.cap,
            table=self.table,
            published=self.published,
            readings=tuple(change for change in changes if change[0] in points),
            altered=tuple(change for change in changes if change[0] not in points) if self.table else (),
            purpose=self.purpose,
        )

    def point(self, row: Row) -> Mapping[str, Any] | None:
        """At which point the row is this one, by key; None where it is none of it."""
        try:
            point = {key: _value_of(row.cell, key) for key in self.shorts}
            return point if self.row(point).name == row.name else None
        except (AttributeError, ValueError):  # the row has another task or network
            return None

    def _label(self, points: Sequence[str]) -> str:
        return " ".join([self.name, *points]) if self.table else ",".join(points) or self.name

    def _part(self, section: str, chosen: Mapping[str, Any]) -> _Part:
        """The section at this point of the axes; built once for all points that agree on its keys."""
        mine = {key: value for key, value in chosen.items() if key.startswith(f"{section}.")}
        memo = (section, *mine.values())
        if memo not in self._parts:
            values = {**self.sections[section], **{key.partition(".")[2]: value for key, value in mine.items()}}
            if section == "network":
                values = fit_biases(values, self.given | mine.keys())
            value = _build(section, values)
            self._parts[memo] = _Part(value, _changes(section, _build(section, self.literal[section]), value))
        return self._parts[memo]


def _value_of(cell: Cell, key: str) -> Any:
    """What a key is set to in a cell."""
    section, _, name = key.partition(".")
    return _alike(name, cell.stop) if section == "stop" else getattr(getattr(cell, section), name)


def _build(section: str, values: Mapping[str, Any]) -> Any:
    return _stops(values) if section == "stop" else build(section, values)


def _stops(values: Mapping[str, Any]) -> tuple[Stop, ...]:
    """One stop rule a milestone: a list has a value for each, and a single value is for all."""
    lists = {name: value for name, value in values.items() if isinstance(value, list | tuple)}
    milestones = len(lists.get("milestone", [None]))
    if not milestones:
        raise ConfigError("stop.milestone=[]: takes at least one name, for example solved")
    for name, value in lists.items():
        if len(value) != milestones:
            raise ConfigError(
                f"stop.{name}={written(value)}: takes one value, or one for each of the {milestones} in stop.milestone"
            )
    each = [{**values, **{name: value[i] for name, value in lists.items()}} for i in range(milestones)]
    return tuple(build("stop", part) for part in each)


def _open_points(base: Base) -> AbstractSet[str]:
    """`READINGS`, and the biases of input gates where the literal row draws them: the paper has biases there, and says
    nothing of how they start (tables 1 and 8)."""
    network = base.literal["network"]
    drawn = network.get("gates_biased") and not network.get("input_gate_bias")
    return READINGS | {"network.input_gate_bias"} if drawn else READINGS


def _changes(section: str, literal: Any, value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(literal, tuple):
        found = [(field.name, *(_alike(field.name, stops) for stops in (literal, value))) for field in fields(Stop)]
        return tuple((f"{section}.{name}", written(new)) for name, old, new in found if old != new)
    if type(literal) is not type(value):
        return ((section, value.name),)
    pairs = ((field.name, getattr(literal, field.name), getattr(value, field.name)) for field in fields(literal))
    return tuple((f"{section}.{name}", written(new)) for name, old, new in pairs if old != new)


def _alike(name: str, stops: Sequence[Stop]) -> Any:
    """A setting of several stop rules as it is written: one value where they agree, else one for each."""
    values = tuple(getattr(stop, name) for stop in stops)
    return values[0] if len(set(values)) == 1 else values


def fit_biases(network: Mapping[str, Any], given: AbstractSet[str]) -> dict[str, Any]:
    """Where the user asked for another number of blocks but named no gate biases, the paper's staggered biases go on
    in the same steps (-2, -4, then -6) or stop earlier."""
    values = dict(network)
    if "network.blocks" not in given:
        return values
    blocks = typed("network.blocks", int, values["blocks"])
    for name in ("input_gate_bias", "output_gate_bias"):
        if values.get(name) and f"network.{name}" not in given:
            values[name] = _staggered(values[name], blocks)
    return values


def _staggered(biases: Sequence[float], blocks: int) -> list[float]:
    step = biases[-1] - biases[-2] if len(biases) > 1 else biases[0]
    more = min(blocks, 64) - len(biases)
    return [*biases, *(biases[-1] + step * (i + 1) for i in range(more))][: max(blocks, 0)]


def refusal(sections: Sections, key: str, value: Any) -> ValueError | None:
    """Why a row with these sections refuses a value of a key that it has; None where it takes it."""
    section, _, name = key.partition(".")
    changed = {**sections, section: {**sections[section], name: value}}
    changed["network"] = fit_biases(changed["network"], {key})
    try:
        Cell(*(_build(name, changed[name]) for name in SECTIONS))
    except ValueError as error:
        return error
    return None


def space_of(bases: Sequence[Base], axes: Sequence[Axis | Span], *, joint: bool) -> Space:
    """The space of the axes over the bases. Raises ConfigError for a value of another type than its key's, for one that
    is given twice, and where rows that are to be judged together share no axis."""
    holder = {axis.key: next(base for base in bases if axis.key in base.keys) for axis in axes}
    if joint and axes and (apart := _apart(bases)):
        raise ConfigError(
            f"search.joint=true: rows {', '.join(apart)} share none of the axes {', '.join(holder)} with the others; "
            "give an axis that all of them have, for example training.rate=0.1,0.5"
        )
    return Space(tuple(bases), {axis.key: _options(holder[axis.key].sections, axis) for axis in axes}, joint=joint)


def _apart(bases: Sequence[Base]) -> list[str]:
    """The rows that no chain of common axes joins to the first one."""
    joined, left = set(bases[0].keys), list(bases[1:])
    while near := [base for base in left if joined.intersection(base.keys)]:
        joined.update(key for base in near for key in base.keys)
        left = [base for base in left if base not in near]
    return [base.name for base in left]


def _options(sections: Sections, axis: Axis | Span) -> Values:
    section, _, name = axis.key.partition(".")
    kind = types_of(class_of(section, sections[section]))[name]
    if isinstance(axis, Span):
        kinds = {int, float} & {kind, *get_args(kind)}
        expect(bool(kinds), axis.key, f"interval({axis.low:g},{axis.high:g})", _choices(kind))
        if int in kinds and math.ceil(axis.low) > math.floor(axis.high):
            raise ConfigError(f"{axis.key}=interval({axis.low:g},{axis.high:g}): holds no whole number")
        return Numbers(axis, whole=int in kinds)
    return _distinct(axis.key, [_typed_option(axis.key, kind, value) for value in axis.values])


def _choices(kind: Any) -> str:
    """What a key takes that has no intervals."""
    allowed = get_args(kind) if get_origin(kind) is Literal else ()
    return f"values: {','.join(map(written, allowed))}" if allowed else "single values, no interval"


def _typed_option(key: str, kind: Any, value: Any) -> Any:
    """A value of an axis; of a stop rule, it may be a list with one for each milestone."""
    if key.startswith("stop.") and isinstance(value, list | tuple):
        return tuple(typed(key, kind, entry) for entry in value)
    return typed(key, kind, value)


def _distinct(key: str, values: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f"{key}: takes values that differ, {written(value)} is given twice")
        seen.add(value)
    return values


def check_distinct(rows: Sequence[Row]) -> None:
    """Raises ConfigError for rows that are one configuration: their trials would be the same."""
    seen: dict[Cell, str] = {}
    for row in rows:
        other = seen.setdefault(row.cell, row.name)
        if other != row.name:
            raise ConfigError(
                f"rows {other!r} and {row.name!r} are one configuration under these settings: choose one of them with "
                "rows=, or drop the setting that makes them alike"
            )


def check_size(bases: Sequence[Base], axes: Sequence[Axis | Span], search: SearchSettings) -> None:
    """Raises ConfigError for more trials than allowed, counted before anything is expanded, and for replicates
    that would be used both to choose and to report."""
    cells = search.cells or math.prod(axis.count for axis in axes if isinstance(axis, Axis))
    trials = cells * sum(base.replicates for base in bases)
    if trials > search.max_trials:
        number = f"{trials:,}" if trials < 10**18 else "more than 10^18"
        raise ConfigError(
            f"search.max_trials={search.max_trials}: the study would have {number} trials, "
            f"the product of {', '.join(['replicates', 'rows', *(axis.key for axis in axes)])}; "
            "take fewer values or raise search.max_trials"
        )
    last = max((base.replicates for base in bases), default=0) - 1
    if search.confirm and last >= search.fresh_from:
        raise ConfigError(
            f"search.fresh_from={search.fresh_from}: the report takes the replicates from there on, and 0 to {last} "
            "are those that the choice is made by; take a number beyond"
        )
