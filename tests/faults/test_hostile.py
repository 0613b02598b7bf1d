"""Words by a generator, of which most are wrong and some would do harm, given to every verb.

Whatever they are: an exit code that is documented, no traceback, a refusal is one printable line, nothing is executed,
nothing is written outside the home of the studies, and what is refused for its words writes nothing at all.
LSTM_SEARCH_FAULTS=all makes 800 cases, LSTM_SEARCH_SEED others.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.faults import SEED, Held, Line, scaled
from helpers.records import ROW_6A, TABLE_9, batch

from lstm_search import study
from lstm_search.cli import dispatch as cli
from lstm_search.cli import sync
from lstm_search.cli.verbs import VERBS
from lstm_search.config import options
from lstm_search.config.keys import all_keys
from lstm_search.record import Record
from lstm_search.worker import Worker

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import

CASES = scaled(800, 160)
GROUPS = scaled(1, 8)
"""So many tests, which several processes share where all of the suite is run."""

LONGEST = 2_000
"""Characters of a refusal: a few lines of a terminal, whatever was given."""

CODES = {0, 1 + 1, 3, 6, 7, 8}
"""Done, bad input, no store, locked, a mismatch, no cluster. A defect would be 1."""

TEXTS = [
    "", " ", "nan", "-inf", "1e400", "-0", "-1", "0", "1e-320", "0x10", "1_0", "1,5", "1,,2", "9" * 400, "3.7",
    "true", "null", "[]", "[[]]", "{}", "{a:1}", "[1,2", "1]", "(", "'", '"', "\\", "a b", "a\nb", "a\0b", "\x1b[31m",
    "\udcff", "\u202e", "😀", "名前", "x" * 5_000, "[" * 2_000, "1," * 3_000, "../../canary", "/dev/full",
    "/proc/self/mem", "canary", "~", "-", "'; DROP TABLE trials; --", "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0", "$(touch canary)", "`touch canary`", "; touch canary", "| touch canary", "\\input{canary}",
    "\\write18{touch canary}", "%s%n", "{0.__class__}", "${oc.env:HOME}", "${oc.decode:'1'}", "${oc.create:{a:1}}",
    "${now:%Y}", "${hydra:runtime.cwd}", "${training.rate}", "{_target_:os.system,_args_:['touch canary']}",
    "!!python/object/apply:os.system ['touch canary']", "${canary}", "range(1,1e9)", "range(0,3)", "choice(1,2)",
    "interval(0,1)", "interval(1,0)", "tag(log,interval(0,1))", "glob(*)", "shuffle(1,2)", "sort(3,1)",
    "extend_list(1)", "int('1')", "str(1)", "cast(x)", "2026", "table_9", "adding", "lstm1997",
]  # fmt: skip

FILES = [
    "table: 9\n_target_: os.system\n", "a: !!python/object/apply:os.system ['touch canary']\n",
    "table: ${oc.env:HOME}\n", "defaults:\n  - /task: adding\n  - override hydra/launcher: joblib\n",
    "hydra:\n  run:\n    dir: canary\n", "- 1\n", "", "\0", "table: 9\nnosuch.key: 1\n", "table: [9\n",
    "&a [*a, *a]\n", "x: &x [1]\n<<: *x\n", "study: '../canary'\n", "training.rate: .nan\n",
    "table: 9\nhome: /dev/null\n", "é: 1\n", "table: 9\nrecipe: evil\n", "\xff\xfe",
]  # fmt: skip

GROUPED = ("task", "network", "table", "search", "execute", "tracking", "recipe")
PLAIN = (
    "study",
    "rows",
    "replicates",
    "seed",
    "cap",
    "format",
    "source",
    "home",
    "key",
    "width",
    "retry",
    "lines",
    "nosuch",
)
ELSEWHERE = {"home", "conf"}
"""Keys that name a folder: their values are among those below, all of which are watched."""

HOMES = ("studies", "new", "new/deeper", "file", "file/below", "link", "../outside", "evil", "/dev/full", "/dev/null/x")
CONFS = ("evil", "evil", "evil", "link", "nosuch", "file", "studies", "../outside", "/dev/full", ".")
FORMATS = sorted({each for verb in VERBS.values() for each in verb.formats})


class Accepted(BaseException):
    """The words were good, and something would have begun."""


def word(chance: random.Random) -> str:
    """One word of a command line."""
    text, key, group = chance.choice(TEXTS), chance.choice(all_keys()), chance.choice(GROUPED)
    return chance.choice(
        [
            text,
            f"{text}={text}",
            f"{key}={text}",
            f"{chance.choice(['+', '++', '~', '@', '--', '/', '.'])}{key}={text}",
            f"{group}={chance.choice([*options(group), 'evil', text])}",
            f"format={chance.choice(FORMATS)}",
            f"{chance.choice(PLAIN)}={text}",
            f"study={chance.choice(['there', 'nosuch', text])}",
            f"execute.{chance.choice(['address', 'workers', 'device', 'width'])}={text}",
        ]
    )


def line(chance: random.Random) -> list[str]:
    """A command line: a verb, its argument, and a few words. What would write elsewhere stays at home."""
    verb = chance.choice([*VERBS, chance.choice(TEXTS)])
    argument = [chance.choice([*TEXTS, "0" * 64, "f" * 32])] if verb == "replay" and chance.random() < 0.8 else []
    good = chance.choice([[], ["table=9"], ["task=adding"], ["study=there"], ["study=there"]])
    words = [*good, *(word(chance) for _ in range(chance.choice([0, 1, 1, 1, 2, 4])))]
    if verb in VERBS and chance.random() < 0.2:
        words = ["study=there", f"format={chance.choice(VERBS[verb].formats)}"]
    if chance.random() < 0.2:
        words.append(f"recipe={chance.choice(['evil', *TEXTS])}")
    harmless = [each for each in words if each.partition("=")[0].strip("+~@-/.") not in ELSEWHERE]
    places = [("conf", CONFS), ("home", HOMES)]
    return [verb, *argument, *harmless, *(f"{key}={chance.choice(at)}" for key, at in places if chance.random() < 0.2)]


def tree(folder: Path, *, but: Path | None = None) -> set[tuple[str, int]]:
    """Everything that lies in `folder`, and when each file was written last; without what is below `but`, a home, and
    the folders in which that lies."""
    found = {path: path.lstat().st_mtime_ns * (path.is_file() and path.suffix != ".lock") for path in folder.rglob("*")}
    hidden = but.resolve() if but else None
    return {(str(path), at) for path, at in found.items() if not (hidden and related(path.resolve(), hidden))}


def related(one: Path, other: Path) -> bool:
    """Whether one of two places lies in the other."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def arranged(here: Path, chance: random.Random) -> None:
    """The folders that the words may name, as they were before the last case; what is in those of settings is drawn."""
    for place in (here / "new", here / "evil", here.parent / "outside"):
        shutil.rmtree(place, ignore_errors=True)
    for group in GROUPED:
        folder = here / "evil" / group
        folder.mkdir(parents=True)
        for name in ("evil.yaml", "table_evil.yaml"):
            folder.joinpath(name).write_bytes(chance.choice(FILES).encode("latin-1"))
    (here.parent / "outside").mkdir()
    (here.parent / "outside" / "kept").touch()


def there(home: Path) -> None:
    """A recorded study, with names for its rows that do harm where they are not escaped."""
    rows = tuple(replace(ROW_6A, name=name, published="") for name in ("<img src=x onerror=1>", "=1+1|' \\input{x}"))
    cells = [replace(row.cell, training=replace(row.cell.training, rate=1.0 + i)) for i, row in enumerate(rows)]
    rows = tuple(replace(row, cell=cell) for row, cell in zip(rows, cells, strict=True))
    with Record.open(home, replace(TABLE_9, name="there", rows=rows)) as record:
        record.add(trial for row in rows for trial in batch(row.trials(TABLE_9.seed)[:5]))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where nothing can be trained or reached, and any program that is started leaves a canary."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def begin(*_: object, **__: object) -> None:
        raise Accepted

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError(111, "nothing is reached from here")

    def canary(*_: object, **__: object) -> None:
        (tmp_path / "canary").touch()

    there(folder / "studies")
    (folder / "file").touch()
    (folder / "link").symlink_to(tmp_path / "outside")
    for place, name in ((study, "run"), (Worker, "advance"), (sync, "served")):
        monkeypatch.setattr(place, name, begin)
    for place, name in ((os, "system"), (os, "popen"), (os, "execv")):
        monkeypatch.setattr(place, name, canary)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: 111)
    return folder


class Told(NamedTuple):
    """An answer: its exit code (None: accepted), and after how many seconds it came."""

    code: int | None
    out: str
    err: str
    seconds: float


def told(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Told:
    capsys.readouterr()
    sys.stdin = io.StringIO("no\n")
    began = time.monotonic()
    try:
        code = cli.main(words)
    except Accepted:
        code = None
    return Told(code, *capsys.readouterr(), time.monotonic() - began)


def complaint(answer: Told) -> str:
    """What is wrong with an answer; empty where nothing is."""
    code, out, err, _ = answer
    if code is not None and code not in CODES:
        return f"exit code {code}"
    if "Traceback" in out + err:
        return "a traceback"
    if code != 2:
        return ""
    if out or err.count("\n") != 1 or not err.rstrip("\n").isprintable():
        return "no single line"
    return f"{len(err)} characters" if len(err) > LONGEST else ""


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_is_typed_is_answered_in_words(
    group: int, here: Path, capsys: pytest.CaptureFixture[str], held: Held
) -> None:
    chance = random.Random(f"{SEED}/{group}")
    wrong, slowest, refused = [], 0.0, 0
    for _ in range(CASES // GROUPS):
        arranged(here, chance)
        words = line(chance)
        homes = [each.removeprefix("home=") for each in words if each.startswith("home=")]
        home = here / (homes or ["studies"])[-1]
        before = tree(here.parent), tree(here.parent, but=home)
        answer = told(words, capsys)
        if found := complaint(answer):
            wrong.append((found, words))
        after = tree(here.parent), tree(here.parent, but=home)
        if left := after[answer.code != 2] ^ before[answer.code != 2]:
            wrong.append((f"wrote {left}", words))
        if answer.code == 2:
            slowest, refused = max(slowest, answer.seconds), refused + 1
    told_of = f"{refused} refused, the slowest after {slowest:.1f} s in a running process"
    held(Line("hostile command lines", CASES // GROUPS, 0, 0, 0, 0, 0, studies=0, note=told_of), 0)
    assert not wrong, f"seed {SEED}, group {group}:\n" + "\n".join(ascii(each)[:600] for each in wrong)
