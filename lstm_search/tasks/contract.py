"""What a task is to the rest of the package, and the check that one keeps to it.

The check is for tasks from outside: it needs nothing but the task, and names the part that is broken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from lstm_search.checks import setting_of
from lstm_search.simd import Block, Layout, Stream, new_block, new_stream, put_settings, source_digest

MEMBERS = ("name", "layout", "length", "fill", "keys")
_SETTINGS = (bool, int, float, str, tuple)
_LANES, _SEQUENCES, _FEWEST, _MOST = 4, 10, 200, 20_000
_LATER = 0xB5297A4D3F84D5B5
_CODING = (0.125, 0.875)


class Task(Protocol):
    """A frozen dataclass: its fields are the settings, each with a default, checked in `__post_init__` (ValueError)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """As it is written in a configuration."""

    @property
    def layout(self) -> Layout:
        """The shape of its data. Lanes of one pack have the same."""

    @property
    def length(self) -> float:
        """Mean number of steps of a sequence."""

    def fill(self, block: Block, stream: Stream, /) -> None:
        """Lay the next steps of every lane into `block` and advance `stream`. A kernel that does not use `self`."""

    def keys(self, key: np.uint64, /) -> np.ndarray:
        """What all of a trial's sequences are made of, drawn from `key`: uint64 [layout.keys]; most need nothing."""


class BrokenTask(ValueError):  # noqa: N818  (named by what is the case)
    """A task does not keep to the contract; the message names the part."""


def check_task(task: Task | type[Task]) -> None:
    """Lay sequences of a task, or of a class with its default settings, and hold them against the contract.

    Raises BrokenTask. The same key gives the same sequences: again, in blocks of any length, in any lane and company,
    and from any of them on. Nothing is left unset, and what is laid is within the layout.
    """
    kind = task if isinstance(task, type) else type(task)
    check_declared(kind)
    made: Any = _made(kind) if isinstance(task, type) else task
    _check_layout(made)
    _check_keys(made)
    steps = min(max(_FEWEST, math.ceil(_SEQUENCES * made.length)), _MOST)
    lanes = [_LATER * (lane + 1) & (1 << 64) - 1 for lane in range(_LANES)]
    laid = _laid(made, lanes, [steps])
    _check_repeatable(made, lanes, laid)
    _check_content(made, laid)
    _check_coding(made, lanes, steps)


def check_declared(kind: Any) -> None:
    """Raises BrokenTask where the class lacks what can be seen without using it."""
    label = kind.__qualname__
    if "__dataclass_params__" not in vars(kind) or not vars(kind)["__dataclass_params__"].frozen:
        raise _broken(label, "class", "is no frozen dataclass; decorate it with @dataclass(frozen=True)")
    if kind.__module__ == "__main__" or "<locals>" in label:
        raise _broken(label, "class", "workers cannot import it; put it into the top level of a file, and import that")
    if not source_digest(kind):
        raise _broken(label, "class", "its sources cannot be read, and machine code on disk is known by them")
    for of in fields(kind):
        if of.default is MISSING:
            raise _broken(
                label, of.name, 'has no default; settings are written NAME: TYPE = setting(DEFAULT, "MEANING")'
            )
        if not isinstance(of.default, _SETTINGS):
            raise _broken(label, of.name, f"{of.default!r} is no number, text, truth value or tuple")
        if not setting_of(of).meaning:
            raise _broken(
                label, of.name, 'says no meaning; settings are written NAME: TYPE = setting(DEFAULT, "MEANING")'
            )
    _check_members(kind, label)


def _check_members(kind: Any, label: str) -> None:
    for member in MEMBERS:
        if not hasattr(kind, member):
            raise _broken(label, member, f"is missing; a task has {', '.join(MEMBERS)}")
    if not isinstance(kind.name, str) or not re.fullmatch(r"[A-Za-z]\w{0,99}", kind.name, re.ASCII):
        raise _broken(
            label, "name", f"is {kind.name!r}; takes up to 100 letters, digits and underscores, a letter first"
        )
    for member, function in (("fill", kind.fill), ("keys", kind.keys)):
        if not callable(function):
            raise _broken(label, member, "cannot be called; write it as staticmethod(function)")


def _broken(name: str, part: str, why: str) -> BrokenTask:
    return BrokenTask(f"task {name} breaks the contract of tasks: {part}: {why}")


def _made(kind: type[Any]) -> Any:
    try:
        return kind()
    except Exception as error:
        raise _broken(kind.name, "defaults", f"are refused by its own check ({_short(error)})") from error


def _short(error: Exception) -> str:
    """What an error says, in one line: the compiler's are long, and their first lines say least."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "nopython" not in line]
    return f"{type(error).__name__}: {' '.join(lines)[:300]}"


def _member(task: Any, name: str) -> Any:
    try:
        return getattr(task, name)
    except Exception as error:
        raise _broken(task.name, name, f"cannot be computed ({_short(error)})") from error


def _check_layout(task: Any) -> None:
    layout, length = (_member(task, name) for name in ("layout", "length"))
    if not isinstance(layout, Layout):
        raise _broken(task.name, "layout", f"is {layout!r}, no lstm_search.simd.Layout")
    for part, least in (("inputs", 1), ("outputs", 1), ("keys", 0), ("sharing", 1), ("steps", 8)):
        value = layout._asdict()[part]
        if not isinstance(value, int) or value < least:
            raise _broken(task.name, f"layout.{part}", f"is {value!r}; takes a whole number from {least}")
    if layout.targets not in ("last", "all"):
        raise _broken(task.name, "layout.targets", f"is {layout.targets!r}; takes last or all")
    if not isinstance(length, int | float) or not 1 <= length < math.inf:
        raise _broken(task.name, "length", f"is {length!r}; takes the mean number of steps of a sequence")


def _check_keys(task: Any) -> None:
    try:
        first, again = (task.keys(np.uint64(_LATER)) for _ in range(2))
    except Exception as error:
        raise _broken(task.name, "keys", f"cannot be called with a 64-bit key ({_short(error)})") from error
    wanted = (task.layout.keys,)
    if not isinstance(first, np.ndarray) or first.dtype != np.uint64 or first.shape != wanted:
        raise _broken(task.name, "keys", f"gives no array of type uint64 and shape {wanted}, as layout.keys says")
    if not np.array_equal(first, again):
        raise _broken(task.name, "keys", "gives others for the same key; draw them from the key alone")


class _Laid(NamedTuple):
    """What was laid, all pieces in one: of targets only those that are due (others are 0)."""

    inputs: np.ndarray  # [steps, inputs, L], or symbols [steps, 1, L]
    targets: np.ndarray  # [steps, outputs, L]
    due: np.ndarray  # bool [steps, L]
    ends: np.ndarray  # bool [steps, L]
    beyond: bool  # whether a bit of a lane that is not there is set

    def lane(self, l: int, first: int = 0) -> list[np.ndarray]:
        """What lane l holds from step `first` on."""
        return [array[first:, ..., l] for array in self[:4]]


def _laid(
    task: Any,
    lanes: Sequence[int],
    pieces: Sequence[int],
    *,
    number: int = 0,
    left_over: float = 99.0,
    coding: tuple[float, float] = (0.0, 1.0),
) -> _Laid:
    """Blocks of so many steps in turn, from sequence `number` on, where `left_over` stood before."""
    stream = new_stream(len(lanes), type(task), task.layout)
    stream.key[:], stream.sequence[:], stream.start[:] = np.array(lanes, np.uint64), number, 0
    stream.coding[:] = np.array(coding)[:, None]
    stream.keys[:] = task.keys(np.uint64(_LATER))[:, None]
    for l in range(len(lanes)):
        put_settings(stream, l, task)
    blocks = [new_block(n, len(lanes), task.layout) for n in pieces]
    for block in blocks:
        for array in block[:-1]:
            array[:] = left_over
        _fill(task, block, stream)
    return _joined(blocks, len(lanes))


def _fill(task: Any, block: Block, stream: Stream) -> None:
    try:
        task.fill(block, stream)
    except Exception as error:
        raise _broken(task.name, "fill", f"does not compile, or raises ({_short(error)})") from error


def _joined(blocks: Sequence[Block], width: int) -> _Laid:
    due, ends = (np.concatenate([block[i] for block in blocks]) for i in (4, 5))
    bits = np.arange(width)
    at = (due[:, None] >> bits & 1).astype(bool)
    parts = [block.symbol[:, None, :] if len(block.symbol) else block.x for block in blocks]
    targets = np.where(at[:, None, :], np.concatenate([block.target for block in blocks]), 0.0)
    beyond = bool(((due | ends) >> width).any())
    return _Laid(np.concatenate(parts), targets, at, (ends[:, None] >> bits & 1).astype(bool), beyond)


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Whether both hold the same, as far as the shorter one goes."""
    steps = min(len(one[0]), len(other[0]))
    return all(np.array_equal(a[:steps], b[:steps], equal_nan=True) for a, b in zip(one, other, strict=True))


def _check_repeatable(task: Any, lanes: Sequence[int], laid: _Laid) -> None:
    """The same key gives the same sequences, whatever else is the case."""
    steps = len(laid.due)
    refusal: Callable[[str], BrokenTask] = lambda why: _broken(task.name, "fill", why)  # noqa: E731  (said five times)
    if not _same(_laid(task, lanes, [steps])[:4], laid[:4]):
        raise refusal("the same keys do not give the same sequences again; draw from the key alone")
    if not _same(_laid(task, lanes, [steps], left_over=-7.0)[:4], laid[:4]):
        raise refusal("leaves inputs, or targets that are due, as they were; set every step of the block")
    if laid.beyond:
        raise refusal("sets bits of lanes that are not there, in due or in ends")
    if not laid.ends.any(axis=0).all():
        raise refusal(f"no sequence ended within {steps} steps in some lane, and length is {task.length:g}")
    pieces = [1, 7, steps // 3, steps - 8 - steps // 3]
    if not _same(_laid(task, lanes, pieces)[:4], laid[:4]):
        raise refusal("sequences differ where a block ends inside of them; a step is a function of its key and number")
    if not _same(_laid(task, [lanes[2]], [steps]).lane(0), laid.lane(2)):
        raise refusal("a lane differs with the other lanes; it may depend on its own key and settings only")
    second = int(np.argmax(laid.ends[:, 1])) + 1
    if not _same(_laid(task, lanes, [steps], number=1).lane(1), laid.lane(1, second)):
        raise refusal(
            "sequence 1 is another one where lanes begin with it; draw it from the stream's key and its number"
        )


def _check_content(task: Any, laid: _Laid) -> None:
    """What was laid is within the layout, and as long as `length` says."""
    layout = task.layout
    if not np.isfinite(laid.inputs).all():
        raise _broken(task.name, "fill", "lays inputs that are not finite")
    if layout.symbols and not ((laid.inputs >= 0) & (laid.inputs < layout.inputs)).all():
        raise _broken(
            task.name, "fill", f"lays symbols that are not from 0 to {layout.inputs - 1}, as layout.inputs says"
        )
    if not np.isfinite(laid.targets).all():
        raise _broken(task.name, "fill", "lays targets that are not finite")
    if layout.classes and not np.isin(laid.targets, (0.0, 1.0)).all():
        raise _broken(task.name, "fill", "lays targets other than 0 and 1, and layout.classes says that there are none")
    if (laid.ends & ~laid.due).any():
        raise _broken(task.name, "fill", "ends a sequence at a step without a target")
    if layout.targets == "last" and (laid.due & ~laid.ends).any():
        raise _broken(task.name, "fill", "has targets before the last step, and layout.targets says last")
    lengths = [np.diff(np.flatnonzero(laid.ends[:, l]), prepend=-1) for l in range(_LANES)]
    mean, count = float(np.mean(np.concatenate(lengths))), sum(map(len, lengths))
    if count >= _SEQUENCES and not 0.75 * task.length <= mean <= 1.25 * task.length:
        raise _broken(
            task.name, "length", f"is {task.length:g}, and {count} sequences have {mean:.1f} steps on average"
        )


def _check_coding(task: Any, lanes: Sequence[int], steps: int) -> None:
    """Targets of classes are coded where a trial wants other numbers than 0 and 1."""
    if not task.layout.classes:
        return
    laid = _laid(task, lanes, [steps], coding=_CODING)
    coded = np.isin(laid.targets, _CODING) | ~laid.due[:, None, :]
    if not coded.all():
        raise _broken(task.name, "fill", "does not code targets of classes; call leave(block, stream) at its end")
