"""A lane alone: what one thread of a GPU sees of a pack. The kernels run on it as on a pack of one lane.

All arrays of all lanes are rows of one buffer of 8-byte words, [L / WARP, rows, WARP]: neighbouring threads read
neighbouring words, and every entry of a lane is at a distance from the lane's first word that the compiler knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.containers import NamedTuple as NumbaNamedTuple
from numba.extending import intrinsic
from numba.np import numpy_support

from lstm_search.simd.stopping import ACTIVE

WARP = 32
"""Threads that run in step."""

_TAG = (0.0,)


class Rows(NamedTuple):
    """Where an array of a lane is among the rows of the buffer; `shape` is what a kernel sees of it."""

    first: int
    shape: tuple[int, ...]
    dtype: Any
    axis: int | None  # the lane's axis where all lanes are in one array; None for a set of lanes, which is 0 or 1 here

    @property
    def words(self) -> int:
        """Rows that it takes; a record takes one for each field."""
        return math.prod(self.shape) * (self.dtype.itemsize // 8)


class Lane(NamedTuple):
    """All that is kept of a lane between two blocks."""

    state: Any
    stop: Any
    stream: Any


def rows_of(some: Any, more: Any, first: int = 0) -> tuple[Any, int]:
    """A NamedTuple like `some` with `Rows` for its arrays, and where its rows end. `more` is the same for another
    number of lanes: the axis that differs is the lane's. Whole numbers stay as they are."""
    members: list[Any] = []
    for array, other in zip(some, more, strict=True):
        if isinstance(array, tuple):
            member, first = rows_of(array, other, first)
        elif isinstance(array, np.ndarray):
            axis = next((i for i, n in enumerate(array.shape) if n != other.shape[i]), None)
            shape = tuple(1 if i == axis else n for i, n in enumerate(array.shape))
            member = Rows(first, shape, array.dtype, axis)
            first += member.words
        else:
            member = array
        members.append(member)
    return type(some)(*members), first


def pairs(rows: Any, arrays: Any) -> list[tuple[Rows, np.ndarray]]:
    """The rows of every array of a NamedTuple, beside the array of all lanes."""
    found = []
    for member, array in zip(rows, arrays, strict=True):
        if isinstance(member, Rows):
            found.append((member, array))
        elif isinstance(member, tuple):
            found += pairs(member, array)
    return found


def from_words(words: np.ndarray, places: list[tuple[Rows, np.ndarray]]) -> None:
    """Put the words [n, rows] of n lanes into the first n lanes of arrays."""
    n = len(words)
    for rows, array in places:
        mine = np.ascontiguousarray(words[:, rows.first : rows.first + rows.words]).view(rows.dtype)
        if rows.axis is None:
            array[:] = [sum(int(bit) << l for l, bit in enumerate(bits)) for bits in mine.T]
        else:
            to = np.moveaxis(array, rows.axis, 0)[:n]
            to[:] = mine.reshape(to.shape)


def to_words(words: np.ndarray, places: list[tuple[Rows, np.ndarray]]) -> None:
    """The other way round: read the words [n, rows] from the first n lanes of arrays."""
    n = len(words)
    for rows, array in places:
        if rows.axis is None:
            mine = array.reshape(-1) >> np.arange(n)[:, None] & 1
        else:
            mine = np.ascontiguousarray(np.moveaxis(array, rows.axis, 0)[:n])
        words[:, rows.first : rows.first + rows.words] = mine.view(np.float64).reshape(n, rows.words)


def _spread(dtype: Any) -> Any:
    """A record whose fields are a row apart."""
    offsets = [WARP * 8 * i for i in range(len(dtype.names))]
    formats = [dtype[name] for name in dtype.names]
    size = WARP * 8 * len(offsets)
    return np.dtype({"names": dtype.names, "formats": formats, "offsets": offsets, "itemsize": size})


def _type(rows: Any) -> Any:
    if isinstance(rows, Rows):
        dtype = _spread(rows.dtype) if rows.dtype.names else rows.dtype
        return types.Array(numpy_support.from_dtype(dtype), len(rows.shape), "A")
    if isinstance(rows, tuple):
        return NumbaNamedTuple([_type(member) for member in rows], type(rows))
    return types.int64


def _value(context: Any, builder: Any, rows: Any, kind: Any, start: Any) -> Any:
    if not isinstance(rows, tuple):
        return context.get_constant(types.int64, rows)
    if not isinstance(rows, Rows):
        members = [_value(context, builder, *pair, start) for pair in zip(rows, kind.types, strict=True)]
        return context.make_tuple(builder, kind, members)
    array, entry = cgutils.create_struct_proxy(kind)(context, builder), WARP * rows.dtype.itemsize
    first = ir.Constant(ir.IntType(64), rows.first * WARP * 8)
    array.data = cgutils.pointer_add(builder, start, first, array.data.type)
    strides = [math.prod(rows.shape[axis + 1 :]) * entry for axis in range(len(rows.shape))]
    array.shape = cgutils.pack_array(builder, [context.get_constant(types.intp, n) for n in rows.shape])
    array.strides = cgutils.pack_array(builder, [context.get_constant(types.intp, n) for n in strides])
    array.nitems = context.get_constant(types.intp, math.prod(rows.shape))
    array.itemsize = context.get_constant(types.intp, entry if rows.dtype.names else 8)
    return array._getvalue()  # noqa: SLF001  (numba's own name)


def _seeing(rows: Any, end: int) -> Any:
    """The function (words, g) that shows a kernel lane g of a buffer `words`, in which a lane has `end` rows."""
    kind = _type(rows)

    @intrinsic
    def see(_typingctx: Any, words: Any, g: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            buffer = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
            lane = context.cast(builder, args[1], signature.args[1], types.intp)
            warp, own = builder.udiv(lane, lane.type(WARP)), builder.urem(lane, lane.type(WARP))
            word = builder.add(builder.mul(warp, lane.type(WARP * end)), own)
            start = cgutils.pointer_add(builder, buffer.data, builder.mul(word, word.type(8)), buffer.data.type)
            return _value(context, builder, rows, kind, start)

        return kind(words, g), build

    return see


def _mover(thread: Callable[[int], int], rows: int) -> Callable[..., None]:
    def move(words: Any, lanes: Any, some: Any, first: int, to_some: int) -> None:
        """some[i] = the words of lanes[i] from row `first` on, or the other way round; a thread a word."""
        k, count = thread(1), some.shape[0] // lanes.shape[0]
        if k < some.shape[0]:
            g, row = lanes[k // count], first + k % count
            at = (g // WARP * rows + row) * WARP + g % WARP
            if to_some:
                some[k] = words[at]
            else:
                words[at] = some[k]

    return move


def thread_kernels(
    *, thread: Callable[[int], int], lane: Any, block: Any, variant: Any, fill: Any, restart: Any, advance: Any
) -> dict[str, tuple[Callable[..., None], tuple[Any, ...]]]:
    """Functions for a compiler of threads, each with the types of its arguments.

    `lane` and `block` are what `rows_of` returns; `thread(1)` is the number of the thread. Nothing is computed here: it
    is all in the kernels of the task and of the network.
    """
    see, see_block = _seeing(*lane), _seeing(*block)

    def fill_lane(words: Any, data: Any, width: int) -> None:
        g = thread(1)
        if g < width and see(words, g).stop.masks[ACTIVE]:
            fill(see_block(data, g), see(words, g).stream)

    def advance_lane(words: Any, data: Any, width: int) -> None:
        g = thread(1)
        if g < width and see(words, g).stop.masks[ACTIVE]:
            of = see(words, g)
            advance(_TAG, variant, of.state, see_block(data, g), of.stop)

    def restart_lane(words: Any, fresh: Any, width: int) -> None:
        g = thread(1)
        if g < width and fresh[g]:
            restart(_TAG, variant, see(words, g).state, 1)

    numbers, wholes, n = types.float64[::1], types.int64[::1], types.int64
    return {
        "fill": (fill_lane, (numbers, numbers, n)),
        "advance": (advance_lane, (numbers, numbers, n)),
        "restart": (restart_lane, (numbers, wholes, n)),
        "move": (_mover(thread, lane[1]), (numbers, wholes, numbers, n, n)),
    }
