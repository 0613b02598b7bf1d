"""What the user wrote, as plain values: `key=value` in Hydra's grammar, its sweeps as axes. Nothing is resolved."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, QuotedString, RangeSweep, Sweep
from hydra.errors import HydraException

from lstm_search.checks import written
from lstm_search.config.axes import Axis
from lstm_search.config.hints import hint
from lstm_search.config.keys import SECTIONS, all_keys, nearest
from lstm_search.config.settings import ConfigError
from lstm_search.record import check_name
from lstm_search.search import Span

TEXT_KEYS = frozenset(
    {"table", "study", "home", "conf", "format", "tracking.uri", "execute.address", "submit.address", "submit.job"}
)
"""Keys whose value is taken as written: a path or a link may hold what Hydra's grammar would read as something else."""


def split(text: str) -> tuple[str, str]:
    """Key and raw value of one override. Raises ConfigError for everything that is not the change of a key."""
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
        raise ConfigError(f"{text}: settings are written key=value{hint(key) or nearest(key.lstrip('-'), all_keys())}")
    return key, value


def refuse_repeated(words: Sequence[str]) -> None:
    """Raises ConfigError where a key is given more than once on one command line: which was meant cannot be told."""
    keys = [word.partition("=")[0] for word in words]
    for key, count in Counter(keys).items():
        if count > 1:
            given = " ".join(word for word, its in zip(words, keys, strict=True) if its == key)
            raise ConfigError(f"{given}: gives {key} {count} times; give it once")


def parse(key: str, value: str) -> Any:
    """The value in Hydra's grammar: plain data, or one of its sweeps. Raises ConfigError where it cannot be read."""
    try:
        return OverridesParser.create().parse_override(f"{key}={value}").value()
    except (HydraException, RecursionError) as error:
        why = (str(error).splitlines() or [""])[0][:200]
        raise ConfigError(f"{key}={value[:200]}: cannot be read ({why})") from error


def text_of(key: str, value: str) -> str | None:
    """The value as written, without quotes around it; null is None. Raises ConfigError for quotes that do not close."""
    if value == "null":
        return None
    quoted = len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]
    return str(parse(key, value)) if quoted else value


def value_of(key: str, text: str) -> Any:
    """What the key is set to: plain data that is not typed yet, or an axis. Raises ConfigError for anything else."""
    value = text_of(key, text) if key in TEXT_KEYS else parse(key, text)
    if isinstance(value, Mapping | Glob):
        raise ConfigError(f"{key}={text}: takes a plain value or a list")
    return _axis(key, text, value) if isinstance(value, Sweep) else value


def _axis(key: str, text: str, sweep: Sweep) -> Axis | Span:
    """A sweep of Hydra's grammar as an axis, counted but not expanded."""
    if key.partition(".")[0] not in SECTIONS:
        hint = f", and a list is written {key}=[{text}]" if key in ("retry", "lags") else ""
        raise ConfigError(f"{key}={text}: takes one value; axes are for keys of {', '.join(SECTIONS)}{hint}")
    if isinstance(sweep, IntervalSweep):
        if sweep.tags - {"log"}:
            raise ConfigError(f"{key}={text}: takes no tag but log: '{key}=tag(log,interval(0.01,1))'")
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


def row_names(texts: Mapping[str, str]) -> tuple[str, ...] | None:
    """What `rows=` selects: one name, or a list in brackets; None for all. Raises ConfigError for anything else."""
    text = texts.get("rows", "null")
    if re.match(r"\[?[^'\"]*=", text):
        raise ConfigError(
            f"rows={text}: a name with = in it stands in quotes, which the shell must leave: {_quoted(text)}"
        )
    parsed = parse("rows", text)
    if isinstance(parsed, Sweep | Glob):
        raise ConfigError(f"rows={text}: several rows are written in brackets: rows=[{text}]")
    if parsed is None:
        return None
    names = [written(name) for name in parsed] if isinstance(parsed, list) else [text_of("rows", text) or ""]
    if not names or not all(names):
        raise ConfigError(f"rows={text}: takes at least one row, for example rows=6a or rows=[6a,6b]")
    return tuple(dict.fromkeys(names))


def _quoted(text: str) -> str:
    """What selects these rows, as it is typed in a shell."""
    names = [f"'{name.strip()}'" for name in (text.strip("[]").split(",") if text.startswith("[") else [text])]
    word = f"rows=[{','.join(names)}]" if text.startswith("[") else f"rows={names[0]}"
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'


def tables_of(text: str) -> list[str]:
    """What `table=` selects: one table, or several in brackets. Raises ConfigError for none."""
    names = [written(name) for name in parse("table", text)] if text.startswith("[") else [text]
    if not names:
        raise ConfigError(f"table={text}: takes at least one table, for example table=9 or table=[1,9]")
    return list(dict.fromkeys(names))


def studies_of(texts: dict[str, str]) -> tuple[str, ...]:
    """Takes `study=[a,b]` out of the settings: the names, none where it is not a list. Raises ConfigError for one name,
    and ValueError for a name that no study can have."""
    if not texts.get("study", "").startswith("["):
        return ()
    text = texts.pop("study")
    names = tuple(map(written, parse("study", text)))
    if len(names) < 2:
        raise ConfigError(f"study={text}: takes one name, or in brackets the names of two studies to compare")
    for name in names:
        check_name(name)
    return names
