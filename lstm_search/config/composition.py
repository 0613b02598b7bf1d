"""What the user asked for, as values. Hydra reads the files of `conf/` and parses the command line here and nowhere
else. Everything from the user is data: it is never resolved, instantiated or handed on before it is checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstm_search.checks import written
from lstm_search.config.axes import Axis, Base, check_distinct, check_size, fit_biases, refusal, space_of
from lstm_search.config.definition import Words, definition_of
from lstm_search.config.grammar import row_names, split, studies_of, tables_of, text_of, value_of
from lstm_search.config.hints import hint
from lstm_search.config.keys import (
    GROUPS,
    SECTIONS,
    SELECTED,
    beside,
    build,
    complete,
    conf_dir,
    has_file,
    holders,
    nearest,
    options,
    own_conf,
    read_choice,
)
from lstm_search.config.own_files import check_choice, checked_table
from lstm_search.config.selection import ALL, Wanted, selected, selected_of_several
from lstm_search.config.settings import ConfigError, General, Settings
from lstm_search.published import CAP_FACTOR, published_at
from lstm_search.search import SearchSettings, Space, Span, first_rows, objective_of
from lstm_search.spec import Row, short_names, unit_of
from lstm_search.tracking import without_password

DEFAULT_REPLICATES = 10
DEFAULT_CAP = 1_000_000

ASIDE = ("budget", "search", "execute", "tracking", "submit")
"""The sections that are no part of a cell."""

CHECKED = 10_000
"""So many points of a space are tried before anything is written; of a larger one a proposer meets the others."""


def compose(overrides: Sequence[str]) -> Settings:
    """The settings that `key=value` overrides ask for. Nothing is written or started.

    Raises ConfigError, or another ValueError of a setting's own check, for whatever cannot be used."""
    texts = dict(split(text) for text in overrides)
    with _beside(texts):
        return _with_recipe(texts, overrides)


def _beside(texts: Mapping[str, str]) -> AbstractContextManager[None]:
    """For the time of a `with` block files are also found in the folder that `conf=` names."""
    conf = text_of("conf", texts.get("conf", "null"))
    return beside(None if conf is None else Path(conf).expanduser().absolute())


def _with_recipe(texts: dict[str, str], overrides: Sequence[str]) -> Settings:
    """The settings from keys and their texts, and from the recipe that they name."""
    recipe = text_of("recipe", texts.pop("recipe", "null"))
    if recipe is None:
        return _compose(texts, overrides)
    added = {key: text for key, text in _recipe(recipe).items() if key not in texts}
    table, task = (text_of(key, {**added, **texts}.get(key, "null")) for key in ("table", "task"))
    named = {"study": f"{f'table-{table}' if table else task}-{recipe}"} if table or task else {}
    try:
        return _compose({**named, **added, **texts}, overrides)
    except ValueError as error:
        raise ConfigError(_blamed(str(error), recipe, added)) from error


@contextmanager
def in_effect(overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
    """For the time of a `with` block, what holds for each key where the groups, table and recipe of these words are
    chosen, without the keys that they do not set. Raises ConfigError for a choice that there is not."""
    texts = dict(split(text) for text in overrides)
    with _beside(texts):
        recipe = text_of("recipe", texts.pop("recipe", "null"))
        texts = {**(_recipe(recipe) if recipe else {}), **texts}
        groups = {key: _option(key, value) for key, value in texts.items() if key in GROUPS}
        wanted = _wanted(texts, groups)
        own = {"network"} if wanted and wanted[0].table else set()
        choices = [f"{group}={name}" for group, name in groups.items() if group not in own]
        tree = _tree(choices, wanted[0].overrides if wanted else {})
        flat = {f"{section}.{key}": value for section, values in tree.items() for key, value in values.items()}
        yield {**flat, **texts, **groups}


def _recipe(name: str) -> dict[str, str]:
    """What the recipe of that name says, key by key, as it would be written on the command line."""
    if name not in options("recipe"):
        raise ConfigError(f"recipe={name}: no such recipe{nearest(name, options('recipe'))}")
    lines = read_choice("recipe", name)
    if "recipe" in lines:
        raise ConfigError(f"recipe={name}: {name}.yaml names a recipe; recipes do not contain one another")
    try:
        return dict(split(f"{key}={written(value)}") for key, value in lines.items())
    except ConfigError as error:
        raise ConfigError(f"recipe={name}: {error}") from error


def _blamed(message: str, recipe: str, keys: Iterable[str]) -> str:
    """`message`, with the recipe in front of it where it speaks of a key that came from there."""
    return f"recipe={recipe}: {message}" if re.split(r"[=:]", message)[0] in set(keys) else message


def _compose(texts: dict[str, str], overrides: Sequence[str]) -> Settings:
    """The settings from keys and their texts; `overrides` is what the user wrote."""
    studies = studies_of(texts)
    groups = {key: _option(key, value) for key, value in texts.items() if key in GROUPS}
    wanted = _wanted(texts, groups)
    own = {"network"} if wanted and wanted[0].table else set()  # chosen by the rows of a table
    choices = [f"{group}={name}" for group, name in groups.items() if group not in own]
    trees = [_tree(choices, row.overrides) for row in wanted] or [_tree(choices, {})]
    others = [_tree(choices, row.overrides) for row in _unselected(texts, groups)]
    changed, read_axes = _read(texts, _known([*trees, *others], every=texts.get("search.joint") != "true"))
    axes = [_expanded(axis) for axis in read_axes]
    plain = {key: value for key, value in changed.items() if "." not in key}
    general = General(**plain, rows=row_names(texts))
    built = {section: build(section, {**trees[0][section], **_under(section, changed)}) for section in ASIDE}
    search: SearchSettings = built["search"]
    if not wanted:
        _refuse_homeless([*changed, *(axis.key for axis in axes)])
    search = search.up_to(general.replicates)
    asked = _Asked(changed, axes, general, search)
    lacking = _lacking(trees, others, asked)
    bases = [_base(row, tree, asked, lacks) for row, tree, lacks in zip(wanted, trees, lacking, strict=False)]
    words = Words(texts, {axis.key: texts[axis.key] for axis in axes}, _tables(texts))
    space = _space(bases, asked)
    rows = _checked(space, search, general.seed) if bases else []
    definition = definition_of(words, general, bases, _title(words.tables, wanted), () if axes else rows)
    return Settings(
        definition=built["execute"].recorded_as(definition) if bases else definition,
        space=space,
        search=search,
        execute=built["execute"],
        tracking=built["tracking"],
        home=Path(general.home).expanduser(),
        format=general.format or "",
        width=general.width,
        source=general.source,
        budget_hours=built["budget"].hours,
        max_failed=general.max_failed,
        lines=general.lines,
        lags=general.lags,
        retry=general.retry,
        rows=None if general.rows == ALL else general.rows,
        replicates=general.replicates,
        studies=studies,
        submit=built["submit"],
        overrides=tuple(overrides),
    )


class _Asked(NamedTuple):
    """What the user asked of all rows: keys that have another value, axes, and how it is searched."""

    changed: Mapping[str, Any]
    axes: Sequence[Axis | Span]
    general: General
    search: SearchSettings


def _space(bases: Sequence[Base], asked: _Asked) -> Space:
    """The space of the axes over the bases. Raises ConfigError where it is too large, before it is expanded."""
    check_size(bases, asked.axes, asked.search)
    axes = [axis if isinstance(axis, Span) else replace(axis, values=list(axis.values)) for axis in asked.axes]
    return space_of(bases, axes, joint=asked.search.joint)


def _checked(space: Space, search: SearchSettings, seed: int) -> list[Row]:
    """The rows of the first points of a space. Raises ValueError for what no study can be: a value that cannot be used,
    rows that are one configuration, that count different things or lack what the objective asks of them."""
    rows = first_rows(space, search, seed, CHECKED)
    check_distinct(rows)
    unit_of(rows)
    firsts = {base.name: next(row for row in rows if base.point(row) is not None) for base in space.bases}
    for group in space.groups:
        objective_of([firsts[base.name] for base in group], search.objective, search.milestone)
    return rows


def composed_yaml(settings: Settings) -> str:
    """Everything that was composed, as YAML; its `overrides` compose to the same cells again."""
    rest = {
        "search": asdict(settings.search),
        "execute": asdict(settings.execute),
        "tracking": {
            **asdict(settings.tracking),
            "uri": settings.tracking.uri and without_password(settings.tracking.uri),
        },
        "budget": {"hours": settings.budget_hours},
        "submit": asdict(settings.submit),
        "home": str(settings.home),
        "format": settings.format or None,
        "width": settings.width,
        "source": settings.source,
        "max_failed": settings.max_failed,
        "retry": list(settings.retry),
    }
    return settings.definition.config + OmegaConf.to_yaml(OmegaConf.create(rest))


def _option(group: str, value: str) -> str:
    name = text_of(group, value) or value
    if not has_file(group, name) and name not in options(group):
        raise ConfigError(f"{group}={value}: no such {group}{nearest(name, options(group))}")
    check_choice(group, name)
    return name


def _read(texts: Mapping[str, str], valid: Sequence[str]) -> tuple[dict[str, Any], list[Axis | Span]]:
    """The changed keys with their values, still untyped, and the axes."""
    changed: dict[str, Any] = {}
    axes: list[Axis | Span] = []
    for key, text in texts.items():
        if key in GROUPS or key in {"table", "rows", "recipe"}:
            continue
        if key not in valid or key in SELECTED:
            raise ConfigError(_unknown(key, valid))
        value = value_of(key, text)
        if isinstance(value, Axis | Span):
            axes.append(value)
        else:
            changed[key] = value
    return changed, axes


def _unknown(key: str, valid: Iterable[str]) -> str:
    group = key.partition(".")[0]
    if key in SELECTED:
        return f"{key}: is chosen by {group}=NAME; valid: {', '.join(options(group))}"
    if holders(key):
        return f"{key}: no such key with this {group}, or not in all rows; it belongs to {' and '.join(holders(key))}"
    return (
        f"{key}: no such key{hint(key) or nearest(key, [*GROUPS, *(name for name in valid if name not in SELECTED)])}"
    )


def _wanted(texts: Mapping[str, str], groups: Mapping[str, str]) -> list[Wanted]:
    """The selected rows of the selected table, or the selected task; empty where neither is selected."""
    table = text_of("table", texts.get("table", "null"))
    if table is None:
        if "task" in groups and "rows" in texts:
            raise ConfigError(f"rows={texts['rows']}: selects rows of a table; task={groups['task']} has none")
        return [Wanted(groups["task"], "", "", DEFAULT_REPLICATES, {})] if "task" in groups else []
    tables = _tables(texts)
    for name in tables:
        if name not in options("table"):
            raise ConfigError(f"table={table}: no such table{nearest(name, options('table'))}")
    if "task" in groups:
        raise ConfigError(f"table={table} task={groups['task']}: takes one of the two; a table's rows name their task")
    files = {name: _table_file(name) for name in tables}
    if len(tables) == 1:
        return selected(tables[0], files[tables[0]], row_names(texts), groups.get("network"))
    return selected_of_several(files, row_names(texts), groups.get("network"))


def _tables(texts: Mapping[str, str]) -> Sequence[str]:
    """The tables that are asked for; none where a task is."""
    table = text_of("table", texts.get("table", "null"))
    return [] if table is None else tables_of(table)


def _unselected(texts: Mapping[str, str], groups: Mapping[str, str]) -> list[Wanted]:
    """The rows that a joint search of the same tables has where `rows=` selects none of them: its fixed settings are
    those of the whole, so that it can be trained row by row."""
    if texts.get("search.joint") != "true" or "rows" not in texts or len(_tables(texts)) < 2:
        return []
    return _wanted({key: text for key, text in texts.items() if key != "rows"}, groups)


def _title(tables: Sequence[str], wanted: Sequence[Wanted]) -> str:
    """What a study of rows of these tables is about, whichever of them are selected."""
    if len(tables) > 1:
        return f"Tables {', '.join(tables)}"
    return (_table_file(tables[0])["title"] if tables else wanted[0].name) if wanted else ""


def _table_file(table: str) -> dict[str, Any]:
    return checked_table(table, read_choice("table", table))


def _tree(choices: Sequence[str], overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every section with a value for each of its keys: what the row says, else what the files of the chosen groups say,
    else the default."""
    groups = [f"{group}={overrides[group]}" for group in GROUPS if group in overrides]
    composed = _hydra(*choices, *groups)
    return {
        section: complete(section, {**composed.get(section, {}), **_under(section, overrides)})
        for section in (*SECTIONS, *ASIDE)
    }


def _known(trees: Sequence[Mapping[str, Mapping[str, Any]]], *, every: bool) -> list[str]:
    """The keys that rows have: every one of them, or some."""
    lists = [[f"{section}.{key}" for section, values in tree.items() for key in values] for tree in trees]
    counts = Counter(key for keys in lists for key in keys)
    return [*complete("", {}), *(key for key, count in counts.items() if count == len(trees) or not every)]


def _hydra(*choices: str) -> dict[str, Any]:
    """The composed files as plain values, not to be changed. Nothing of the user comes here but choices of groups, and
    the folder of their own files. Raises ConfigError where these cannot be composed."""
    for choice in choices:
        group, _, name = choice.partition("=")
        if group == "task" and not has_file(
            group, name
        ):  # a task from outside, all of whose settings are at their defaults
            ConfigStore.instance().store(name, {"task": {"name": name}}, group, "_global_")
    folder = own_conf()
    if folder is None:
        return _composed(choices)
    try:
        return _composed((*choices, f"hydra.searchpath=['{_quoted(f'file://{folder}')}']"))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"conf={folder}: cannot be composed ({' '.join(str(error).split())[:200]})") from error


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


@cache
def _composed(choices: tuple[str, ...]) -> dict[str, Any]:
    state = GlobalHydra.instance()
    theirs, state.hydra = state.hydra, None  # we may be called from a program that uses Hydra itself
    try:
        with hydra.initialize_config_dir(str(conf_dir()), job_name="lstm_search", version_base="1.3"):
            return cast("dict[str, Any]", OmegaConf.to_container(hydra.compose("config", [*choices])))
    finally:
        GlobalHydra.instance().hydra = theirs


def _under(section: str, changed: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{section}."
    return {key.removeprefix(prefix): value for key, value in changed.items() if key.startswith(prefix)}


def _lacking(trees: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], asked: _Asked) -> list[list[str]]:
    """For each row, the keys that are left out for it in a joint search: it does not have them, or refuses all of their
    values but its own. Raises the ValueError of a row where no row takes any, nor, of a fixed key, one of the others of
    the same tables."""
    lacking: list[list[str]] = [[] for _ in trees]
    tried = {key: [value] for key, value in asked.changed.items() if key.partition(".")[0] in SECTIONS}
    tried |= {axis.key: _some_of(axis) for axis in asked.axes}
    for key, values in tried.items() if asked.search.joint else ():
        refusals = [_refusals(tree, key, values) for tree in trees]
        fixed = key in asked.changed
        if all(refusals) and not (fixed and any(not _refusals(tree, key, values) for tree in others)):
            raise next(error for errors in refusals for error in errors if not isinstance(error, ConfigError))
        for lacks, errors in zip(lacking, refusals, strict=True):
            lacks.extend([key] * bool(errors))
    return lacking


def _expanded(axis: Axis | Span) -> Axis | Span:
    """An axis whose values can be looked at more than once, unless there are very many."""
    return axis if isinstance(axis, Span) or axis.count > CHECKED else replace(axis, values=list(axis.values))


def _some_of(axis: Axis | Span) -> list[Any]:
    """The values of an axis where they are not too many, or the ends of an interval."""
    if isinstance(axis, Span):
        return [axis.low, axis.high]
    return list(axis.values) if axis.count <= CHECKED else []


def _refusals(tree: Mapping[str, Any], key: str, values: Iterable[Any]) -> list[ValueError]:
    """Why the row takes none of the values but its own; empty where it takes another one, or is offered no other."""
    if not _has(tree, key):
        return [ConfigError(f"{key}: no such key in this row")]
    section, _, name = key.partition(".")
    errors = [refusal(tree, key, value) for value in values if written(value) != written(tree[section][name])]
    return [] if None in errors else [error for error in errors if error]


def _base(row: Wanted, tree: Mapping[str, Any], asked: _Asked, lacks: Sequence[str]) -> Base:
    """A row as it is asked for; keys that it `lacks` are left out."""
    general, search = asked.general, asked.search
    changed = {key: value for key, value in asked.changed.items() if key not in lacks}
    mean = _published_mean(row, tree["stop"]["milestone"])
    sections = {section: complete(section, {**tree[section], **_under(section, changed)}) for section in SECTIONS}
    sections["network"] = fit_biases(sections["network"], changed.keys())
    chooses = search.proposes != "grid" or search.confirm
    shorts = short_names([axis.key for axis in asked.axes])
    return Base(
        name=row.name,
        table=row.table,
        published=row.published,
        replicates=search.blocks[-1] if search.allocates == "race" else general.replicates or row.trials,
        cap=general.cap or row.cap or (round(CAP_FACTOR * mean) if mean else DEFAULT_CAP),
        literal={section: tree[section] for section in SECTIONS},
        sections=sections,
        given=frozenset(changed),
        purpose="race" if search.allocates == "race" else "tune" if chooses else "report",
        lacks=lacks,
        shorts={key: short for key, short in shorts.items() if _has(sections, key) and key not in lacks},
    )


def _has(sections: Mapping[str, Mapping[str, Any]], key: str) -> bool:
    section, _, name = key.partition(".")
    return name in sections[section]


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
