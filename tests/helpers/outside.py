"""Tasks from outside of the package: one that keeps to the contract, and others that each break one part of it.

They are not compiled, so that no test waits for a compiler; `fill` of the package's own tasks is a kernel.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.simd import Block, Layout, Stream, no_keys
from lstm_search.tasks import fill as skeleton

LENGTH, SYMBOLS = 5, 4
_calls = count()


def symbol_of(key: int, number: int, i: int) -> int:
    return int((key ^ number * 0x9E3779B97F4A7C15 ^ i * 0xBF58476D1CE4E5B9) % 1_000_003 % SYMBOLS)


def lay(
    block: Block, stream: Stream, symbol: Any = symbol_of, *, due: tuple[int, ...] = (LENGTH - 1,), targets: Any = None
) -> None:
    """Sequences of LENGTH symbols, whose first one is the class to be told at the end."""
    steps = block.due.shape[0]
    block.due[:], block.ends[:] = 0, 0
    for l in range(len(stream.key)):
        low, high = targets or stream.coding[:, l]
        number, start, key = int(stream.sequence[l]), int(stream.start[l]), int(stream.key[l])
        while start < steps:
            for i in range(max(0, -start), min(LENGTH, steps - start)):
                block.symbol[start + i, l] = symbol(key, number, i)
                if i in due:
                    block.due[start + i] |= 1 << l
                    block.target[start + i, :, l] = low
                    block.target[start + i, symbol_of(key, number, 0), l] = high
                if i == LENGTH - 1:
                    block.ends[start + i] |= 1 << l
            if start + LENGTH > steps:
                break
            number, start = number + 1, start + LENGTH
        stream.sequence[l], stream.start[l] = number, start - steps


@dataclass(frozen=True)
class Echo:
    """Keeps to the contract."""

    volume: float = setting(1.0, "how loud it is, which nothing depends on", low=0, high=10)

    name = "echo"
    layout = Layout(inputs=SYMBOLS, outputs=SYMBOLS, symbols=True, classes=True)
    length = LENGTH
    fill = staticmethod(lay)
    keys = staticmethod(no_keys)

    def __post_init__(self) -> None:
        settle(self, "task")


def _chance(_key: int, _number: int, _i: int) -> int:
    return next(_calls) * 7 % 11 % SYMBOLS


def _unset(block: Block, stream: Stream) -> None:
    before = block.symbol[3].copy()
    lay(block, stream)
    block.symbol[3] = before


def _beyond(block: Block, stream: Stream) -> None:
    lay(block, stream)
    block.ends[:] |= 1 << len(stream.key)


def _endless(block: Block, stream: Stream) -> None:
    lay(block, stream)
    block.ends[:] = 0


def _cut(block: Block, stream: Stream) -> None:
    stream.start[:] = 0
    lay(block, stream)


def _together(block: Block, stream: Stream) -> None:
    lay(block, stream, lambda key, number, i: symbol_of(key + len(stream.key), number, i))


def _from_where_it_began(block: Block, stream: Stream) -> None:
    stream.in_turn[:] = np.where(stream.in_turn, stream.in_turn, stream.sequence + 1)
    began = int(stream.in_turn[0])
    lay(block, stream, lambda key, number, i: symbol_of(key, number + began, i))


def _unknown_symbol(block: Block, stream: Stream) -> None:
    lay(block, stream, lambda key, number, i: symbol_of(key, number, i) + 1)


def _early(block: Block, stream: Stream) -> None:
    lay(block, stream, due=(2, LENGTH - 1))


def _untold(block: Block, stream: Stream) -> None:
    lay(block, stream, due=(2,))


def _uncoded(block: Block, stream: Stream) -> None:
    lay(block, stream, targets=(0.0, 1.0))


def _halves(block: Block, stream: Stream) -> None:
    lay(block, stream, targets=(0.0, 0.5))


def _nothing(_block: Block, _stream: Stream) -> None:
    raise IndexError("no such thing")


def _changing_keys(_key: np.uint64) -> np.ndarray:
    return np.array([next(_calls)], np.uint64)


@dataclass
class Thawed:
    name = "thawed"


@dataclass(frozen=True)
class Demanding:
    volume: float
    name = "demanding"


@dataclass(frozen=True)
class Vague:
    volume: float = 1.0
    name = "vague"


@dataclass(frozen=True)
class Hollow:
    name, layout, length = "hollow", Echo.layout, LENGTH
    keys = staticmethod(no_keys)


def variant(label: str, **members: Any) -> type[Any]:
    """Echo with other members, as a class of this module."""
    members = {member: staticmethod(value) if callable(value) else value for member, value in members.items()}
    kind = dataclass(frozen=True)(type(label, (Echo,), {"__module__": __name__, "name": label, **members}))
    globals()[label] = kind
    return kind


LAYOUT = Echo.layout
BROKEN: dict[str, tuple[type[Any], str]] = {
    "class": (Thawed, "no frozen dataclass"),
    "volume": (Demanding, "has no default"),
    "volume ": (Vague, "says no meaning"),
    "fill": (Hollow, "is missing"),
    "name": (variant("spaced", name="a b"), "a letter first"),
    "layout": (variant("shapeless", layout=(4, 4)), "no lstm_search.simd.Layout"),
    "layout.inputs": (variant("inputless", layout=LAYOUT._replace(inputs=0)), "from 1"),
    "layout.targets": (variant("aimless", layout=LAYOUT._replace(targets="some")), "last or all"),
    "length": (variant("endless", length=float("inf")), "mean number of steps"),
    "length ": (variant("longer", length=9.0), "5.0 steps on average"),
    "keys": (variant("keyless", layout=LAYOUT._replace(keys=2)), "shape (2,)"),
    "keys ": (variant("rekeyed", layout=LAYOUT._replace(keys=1), keys=_changing_keys), "others for the same key"),
    "fill raises": (variant("failing", fill=_nothing), "IndexError: no such thing"),
    "fill does not compile": (variant("bodiless", fill=skeleton), "does not compile"),
    "fill chance": (variant("chance", fill=lambda b, s: lay(b, s, _chance)), "the same sequences again"),
    "fill unset": (variant("unset", fill=_unset), "set every step"),
    "fill beyond": (variant("beyond", fill=_beyond), "lanes that are not there"),
    "fill endless": (variant("unending", fill=_endless), "no sequence ended"),
    "fill cut": (variant("cut", fill=_cut), "where a block ends inside"),
    "fill together": (variant("together", fill=_together), "a lane differs with the other lanes"),
    "fill began": (variant("began", fill=_from_where_it_began), "sequence 1 is another one"),
    "fill symbols": (variant("babel", fill=_unknown_symbol), "symbols that are not from 0 to 3"),
    "fill early": (variant("early", fill=_early), "before the last step"),
    "fill untold": (variant("untold", fill=_untold), "without a target"),
    "fill uncoded": (variant("uncoded", fill=_uncoded), "does not code"),
    "fill halves": (variant("halves", fill=_halves), "other than 0 and 1"),
}
"""What breaks, and what is said of it."""


def distribution(
    folder: Path, *, version: str = "1.2", name: str = "lstm-echo", named: str = "echo", task: str = "echo_task:Echo"
) -> None:
    """What installing a distribution with this task leaves in `folder`; its entry point is `named` like the task."""
    (folder / "echo_task.py").write_text(
        "from helpers.outside import *\nfrom helpers.outside import lay\n\n\n" + inspect.getsource(Echo)
    )
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[lstm_search.tasks]\n{named} = {task}\n")
