"""What the user asked for, as values. Hydra reads the files of `conf/` and parses the command line here and nowhere
else. Everything from the user is data: it is never resolved, instantiated or handed on before it is checked."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, QuotedString, RangeSweep, Sweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

from lstm_search.checks import written
from lstm_search.config.axes import (
    SECTIONS,
    Axis,
    Base,
    ConfigError,
    check_distinct,
    check_size,
    construct,
    drawing,
    expand,
    fit_biases,
)
from lstm_search.config.keys import GROUPS, SELECTED, all_keys, conf_dir, describe, holders, nearest, options
from lstm_search.config.selection import ALL, Wanted, selected
from lstm_search.config.settings import Budget, General, Settings, TrackingSettings
from lstm_search.execute import ExecuteSettings, SubmitSettings
from lstm_search.networks import NETWORKS
from lstm_search.published import CAP_FACTOR, published_at
from lstm_search.record import check_name
from lstm_search.search import Draw, SearchSettings, Span
from lstm_search.search import check as check_objective
from lstm_search.spec import Definition, unit_of
from lstm_search.tracking import shown as shown_uri

__all__ = ["ConfigError", "SearchSettings", "Settings", "TrackingSettings", "compose", "composed_yaml", "describe"]

DEFAULT_REPLICATES = 10
DEFAULT_CAP = 1_000_000

TEXT_KEYS = frozenset(
    {"table", "study", "home", "format", "tracking.uri", "execute.address", "submit.address", "submit.job"}
)
"""Keys whose value is taken as written: a path or a link may hold what Hydra's grammar would read as something else."""

IDENTITY = frozenset({"table", "rows", "study", "task", "network", "replicates", "seed", "cap"})
"""Keys beside those of a cell that a study is defined by."""


def compose(overrides: Sequence[str]) -> Settings:
    """The settings that `key=value` overrides ask for. Nothing is written or started.

    Raises ConfigError, or another ValueError of a setting's own check, for whatever cannot be used."""
    texts = dict(_split(text) for text in overrides)
    recipe = _text("recipe", texts.pop("recipe", "null"))
    if recipe is None:
        return _compose(texts, overrides)
    added = {key: text for key, text in _recipe(recipe).items() if key not in texts}
    table, task = (_text(key, {**added, **texts}.get(key, "null")) for key in ("table", "task"))
    named = {"study": f"{f'table-{table}' if table else task}-{recipe}"} if table or task else {}
    try:
        return _compose({**named, **added, **texts}, overrides)
    except ValueError as error:
        raise ConfigError(_blamed(str(error), recipe, added)) from error


def _recipe(name: str) -> dict[str, str]:
    """What the recipe of that name says, key by key, as it would be written on the command line."""
    if name not in options("recipe"):
        raise ConfigError(f"recipe={name}: no such recipe{nearest(name, options('recipe'))}")
    lines = _values(OmegaConf.load(conf_dir() / "recipe" / f"{name}.yaml"))
    if "recipe" in lines:
        raise ConfigError(f"recipe={name}: {name}.yaml names a recipe; recipes do not contain one another")
    try:
        return dict(_split(f"{key}={written(value)}") for key, value in lines.items())
    except ConfigError as error:
        raise ConfigError(f"recipe={name}: {error}") from error


def _blamed(message: str, recipe: str, keys: Iterable[str]) -> str:
    """`message`, with the recipe in front of it where it speaks of a key that came from there."""
    return f"recipe={recipe}: {message}" if re.split(r"[=:]", message)[0] in set(keys) else message


def _compose(texts: dict[str, str], overrides: Sequence[str]) -> Settings:
    """The settings from keys and their texts; `overrides` is what the user wrote."""
    studies = _studies(texts)
    groups = {key: _option(key, value) for key, value in texts.items() if key in GROUPS}
    wanted = _wanted(texts, groups)
    own = {"network"} if wanted and wanted[0].table else set()  # chosen by the rows of a table
    choices = [f"{group}={name}" for group, name in groups.items() if group not in own]
    trees = [_fitting(_hydra(*choices, *row.overrides)) for row in wanted] or [_fitting(_hydra(*choices))]
    tree = trees[0]
    changed, axes = _read(texts, _common(trees))
    leaves = {**_flat(tree), "rows": _row_names(texts), **changed}
    general, budget = construct(General, leaves), construct(Budget, {"hours": leaves["budget.hours"]})
    search = construct(SearchSettings, {**tree["search"], **_under("search", changed)})
    if not wanted:
        _refuse_homeless([*changed, *(axis.key for axis in axes)])
    search = search.up_to(general.replicates)
    bases = [_base(row, literal, changed, general, search) for row, literal in zip(wanted, trees, strict=False)]
    draw = drawing(search, axes, general.seed)
    check_size(bases, axes, search, draw)
    axes = [axis if isinstance(axis, Span) else replace(axis, values=list(axis.values)) for axis in axes]
    definition = _definition(texts, general, bases, axes, draw)
    check_objective(search, definition.rows)
    return Settings(
        definition=definition,
        search=search,
        execute=construct(ExecuteSettings, {**tree["execute"], **_under("execute", changed)}),
        tracking=construct(TrackingSettings, {**tree["tracking"], **_under("tracking", changed)}),
        home=Path(general.home).expanduser(),
        format=general.format,
        source=general.source,
        budget_hours=budget.hours,
        max_failed=general.max_failed,
        retry=general.retry,
        rows=None if _row_names(texts) == ALL else _row_names(texts),
        replicates=general.replicates,
        studies=studies,
        submit=construct(SubmitSettings, {**tree["submit"], **_under("submit", changed)}),
        words=tuple(overrides),
    )


def composed_yaml(settings: Settings) -> str:
    """Everything that was composed, as YAML; its `overrides` compose to the same cells again."""
    rest = {
        "search": asdict(settings.search),
        "execute": asdict(settings.execute),
        "tracking": {**asdict(settings.tracking), "uri": settings.tracking.uri and shown_uri(settings.tracking.uri)},
        "budget": {"hours": settings.budget_hours},
        "submit": asdict(settings.submit),
        "home": str(settings.home),
        "format": settings.format,
        "source": settings.source,
        "max_failed": settings.max_failed,
        "retry": list(settings.retry),
    }
    return settings.definition.config + OmegaConf.to_yaml(OmegaConf.create(rest))


def _split(text: str) -> tuple[str, str]:
    """Key and raw value of one override, with everything refused that is not the change of a key."""
    key, equals, value = text.partition("=")
    if not text.isprintable() or len(text) > 20_000:
        raise ConfigError(f"{ascii(text)[:80]}: takes key=value in printable characters, 20000 at most")
    if "${" in text:
        raise ConfigError(f"{text}: takes plain values; references such as ${{...}} are not read")
    if key.startswith(("+", "~")):
        raise ConfigError(f"{text}: keys can be changed, not added or removed{nearest(key.lstrip('+~'), all_keys())}")
    if re.split(r"[./@]", key)[0] == "hydra":
        raise ConfigError(f"{text}: Hydra's own settings are not open here; lstm-search --help lists the keys that are")
    if not equals:
        raise ConfigError(f"{text}: settings are written key=value{nearest(key.lstrip('-'), all_keys())}")
    return key, value


def _studies(texts: dict[str, str]) -> tuple[str, ...]:
    """Takes `study=[a,b]` out of the settings: the names, none where it is not a list."""
    if not texts.get("study", "").startswith("["):
        return ()
    text = texts.pop("study")
    names = tuple(map(written, _parse("study", text)))
    if len(names) < 2:
        raise ConfigError(f"study={text}: takes one name, or in brackets the names of two studies to compare")
    for name in names:
        check_name(name)
    return names


def _option(group: str, value: str) -> str:
    name = _text(group, value) or value
    if name not in options(group):
        raise ConfigError(f"{group}={value}: no such {group}{nearest(name, options(group))}")
    return name


def _parse(key: str, value: str) -> Any:
    """The value in Hydra's grammar: plain data, or one of its sweeps."""
    try:
        return OverridesParser.create().parse_override(f"{key}={value}").value()
    except (HydraException, RecursionError) as error:
        why = (str(error).splitlines() or [""])[0][:200]
        raise ConfigError(f"{key}={value[:200]}: cannot be read ({why})") from error


def _text(key: str, value: str) -> str | None:
    """The value as written, without quotes around it; null is None."""
    if value == "null":
        return None
    quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    return str(_parse(key, value)) if quoted else value


def _read(texts: Mapping[str, str], valid: Mapping[str, Any]) -> tuple[dict[str, Any], list[Axis | Span]]:
    """The changed keys with their values, still untyped, and the axes."""
    changed: dict[str, Any] = {}
    axes: list[Axis | Span] = []
    for key, text in texts.items():
        if key in GROUPS or key in {"table", "rows", "recipe"}:
            continue
        if key not in valid or key in SELECTED:
            raise ConfigError(_unknown(key, valid))
        value = _text(key, text) if key in TEXT_KEYS else _parse(key, text)
        if isinstance(value, Mapping | Glob):
            raise ConfigError(f"{key}={text}: takes a plain value or a list")
        if isinstance(value, Sweep):
            axes.append(_axis(key, text, value))
        else:
            changed[key] = value
    return changed, axes


def _unknown(key: str, valid: Iterable[str]) -> str:
    group = key.partition(".")[0]
    if key in SELECTED:
        return f"{key}: is chosen by {group}=NAME; valid: {', '.join(options(group))}"
    if holders(key):
        return f"{key}: no such key with this {group}, or not in all rows; it belongs to {' and '.join(holders(key))}"
    return f"{key}: no such key{nearest(key, [*GROUPS, *(name for name in valid if name not in SELECTED)])}"


def _axis(key: str, text: str, sweep: Sweep) -> Axis | Span:
    """A sweep of Hydra's grammar as an axis, counted but not expanded."""
    if key.partition(".")[0] not in SECTIONS:
        hint = f", and a list is written {key}=[{text}]" if key == "retry" else ""
        raise ConfigError(f"{key}={text}: takes one value; axes are for keys of {', '.join(SECTIONS)}{hint}")
    if isinstance(sweep, IntervalSweep):
        if sweep.tags - {"log"}:
            raise ConfigError(f"{key}={text}: takes no tag but log: {key}=tag(log,interval(0.01,1))")
        return Span(key, float(sweep.start or 0), float(sweep.end or 0), log=bool(sweep.tags))
    if not isinstance(sweep, ChoiceSweep | RangeSweep) or sweep.shuffle or sweep.tags:
        raise ConfigError(f"{key}={text}: takes values, range(...) or choice(...); order and tags mean nothing here")
    if isinstance(sweep, RangeSweep):
        return _range(key, text, sweep)
    values = [entry.text if isinstance(entry, QuotedString) else entry for entry in sweep.list]
    return Axis(key, len(values), values)


def _range(key: str, text: str, sweep: RangeSweep) -> Axis:
    numbers = [number for number in (sweep.start, sweep.stop, sweep.step) if number is not None]
    if not all(isinstance(number, int) or math.isfinite(number) for number in numbers) or sweep.step == 0:
        raise ConfigError(f"{key}={text}: takes finite bounds and a step other than 0")
    start, stop, step = (Decimal(str(number)) for number in numbers)  # 0.1, 0.2, 0.3: the decimals that were meant
    count = max(0, math.ceil((stop - start) / step))
    if not count:
        raise ConfigError(f"{key}={text}: is empty; takes at least one value")
    kind = int if all(isinstance(number, int) for number in numbers) else float
    return Axis(key, count, (kind(start + i * step) for i in range(count)))


def _row_names(texts: Mapping[str, str]) -> tuple[str, ...] | None:
    """What `rows=` selects: one name, or a list in brackets; None for all."""
    text = texts.get("rows", "null")
    parsed = _parse("rows", text)
    if isinstance(parsed, Sweep | Glob):
        raise ConfigError(f"rows={text}: several rows are written in brackets: rows=[{text}]")
    if parsed is None:
        return None
    names = [written(name) for name in parsed] if isinstance(parsed, list) else [_text("rows", text) or ""]
    if not names or not all(names):
        raise ConfigError(f"rows={text}: takes at least one row, for example rows=6a or rows=[6a,6b]")
    return tuple(dict.fromkeys(names))


def _wanted(texts: Mapping[str, str], groups: Mapping[str, str]) -> list[Wanted]:
    """The selected rows of the selected table, or the selected task; empty where neither is selected."""
    table = _text("table", texts.get("table", "null"))
    if table is None:
        if "task" in groups and "rows" in texts:
            raise ConfigError(f"rows={texts['rows']}: selects rows of a table; task={groups['task']} has none")
        return [Wanted(groups["task"], "", "", DEFAULT_REPLICATES, ())] if "task" in groups else []
    if table not in options("table"):
        raise ConfigError(f"table={table}: no such table{nearest(table, options('table'))}")
    if "task" in groups:
        raise ConfigError(f"table={table} task={groups['task']}: takes one of the two; a table's rows name their task")
    return selected(table, _table_file(table)["rows"], _row_names(texts), groups.get("network"))


def _table_file(table: str) -> dict[str, Any]:
    return _values(OmegaConf.load(conf_dir() / "table" / f"table_{table}.yaml"))


def _common(trees: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The keys that all rows have, with the values of the first."""
    first, *others = map(_flat, trees)
    return {key: value for key, value in first.items() if all(key in other for other in others)}


def _fitting(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without what a task's file says to networks of another kind than the chosen one."""
    network = tree["network"]
    names = {"name", *(field.name for field in fields(NETWORKS[network["name"]]))}
    return {**tree, "network": {key: value for key, value in network.items() if key in names}}


@cache
def _hydra(*lines: str) -> dict[str, Any]:
    """The composed files as plain values, not to be changed. Only choices of groups and a table's own lines come here,
    nothing else from the user."""
    state = GlobalHydra.instance()
    theirs, state.hydra = state.hydra, None  # we may be called from a program that uses Hydra itself
    try:
        with hydra.initialize_config_dir(str(conf_dir()), job_name="lstm_search", version_base="1.3"):
            return _values(hydra.compose("config", [*lines]))
    finally:
        GlobalHydra.instance().hydra = theirs


def _values(node: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_container(node))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Full key -> value of every leaf."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def _under(section: str, changed: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{section}."
    return {key.removeprefix(prefix): value for key, value in changed.items() if key.startswith(prefix)}


def _base(
    row: Wanted, tree: Mapping[str, Any], changed: Mapping[str, Any], general: General, search: SearchSettings
) -> Base:
    mean = _published_mean(row, tree["stop"]["milestone"])
    sections = {section: {**tree[section], **_under(section, changed)} for section in SECTIONS}
    sections["network"] = fit_biases(sections["network"], changed.keys())
    return Base(
        row=row.name,
        table=row.table,
        published=row.published,
        replicates=search.blocks[-1] if search.kind == "race" else general.replicates or row.trials,
        cap=general.cap or row.cap or (round(CAP_FACTOR * mean) if mean else DEFAULT_CAP),
        literal={section: tree[section] for section in SECTIONS},
        sections=sections,
        given=frozenset(changed),
        purpose="race" if search.kind == "race" else "tune" if search.kind == "random" or search.confirm else "report",
    )


def _published_mean(row: Wanted, milestones: str | Sequence[str]) -> float | None:
    """The printed mean of the row's last milestone."""
    last = milestones if isinstance(milestones, str) else milestones[-1]
    printed = published_at(row.table, row.published, last)
    return printed.mean_sequences if printed else None


def _refuse_homeless(keys: Iterable[str]) -> None:
    for key in keys:
        if key.partition(".")[0] in SECTIONS:
            tables, tasks = ", ".join(options("table")), ", ".join(options("task"))
            raise ConfigError(f"{key}: belongs to a study; choose one with table= ({tables}) or task= ({tasks})")


def _definition(
    texts: Mapping[str, str],
    general: General,
    bases: Sequence[Base],
    axes: Sequence[Axis | Span],
    draw: Draw | None,
) -> Definition:
    rows = [row for base in bases for row in expand(base, axes, draw)]
    check_distinct(rows)
    unit_of(rows)
    table, task = (bases[0].table, bases[0].row) if bases else ("", "")
    name = general.study or (f"table-{table}" if table else task)
    title = _table_file(table)["title"] if table else task
    asked = [f"{key}={text}" for key, text in texts.items() if key in IDENTITY or key.partition(".")[0] in SECTIONS]
    config = {
        "overrides": asked,
        "study": name,
        "title": title,
        "seed": general.seed,
        "rows": {base.row: _shown_row(base, {axis.key: texts[axis.key] for axis in axes}) for base in bases},
    }
    return Definition(name, general.seed, tuple(rows), title, OmegaConf.to_yaml(OmegaConf.create(config)))


def _shown_row(base: Base, axes: Mapping[str, str]) -> dict[str, Any]:
    """The row as its configuration prints it, axes as they were written."""
    sections = {section: {**base.sections[section], **_under(section, axes)} for section in SECTIONS}
    return {"replicates": base.replicates, "cap": base.cap, **sections}
