"""A lane alone: what one thread of a GPU sees of a pack. The kernels run on it as on a pack of one lane.

All arrays of all lanes are rows of one buffer of 8-byte words, [L / WARP, rows, WARP]: neighbouring threads read
neighbouring words, and every entry of a lane is at a distance from the lane's first word that the compiler knows.
While a thread runs through a block it may keep the first rows of its lane closer (`Close`).
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

from lstm_search.simd.jit import inlined
from lstm_search.simd.lanes import offset_by
from lstm_search.simd.stopping import ACTIVE

WARP = 32
"""Threads that run in step."""

_TAG = (0.0,)
_WORD = ir.IntType(64)
_WORDS = types.CPointer(types.float64)  # type: ignore[attr-defined]  # numba has no types


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


class Close(NamedTuple):
    """How many of a lane's first rows its thread keeps close while it runs through a block: `held` in registers, as far
    as the compiler has some, and those from there up to `end` in the memory that the threads of a warp share."""

    held: int
    end: int


_NOTHING = Close(0, 0)


class Threaded(NamedTuple):
    """A function for a compiler of threads, the types of its arguments, and how many words a thread shares."""

    function: Callable[..., None]
    types: tuple[Any, ...]
    shared: int = 0


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


def close_rows(state: Any, held: int, shared: int) -> Close:
    """The rows of `state`, which is what `rows_of` makes of it, that fit: its first array into `held` rows, the arrays
    that follow into `shared` rows. What is held must be indexed by numbers that the compiler knows."""
    places = [member for member in state if isinstance(member, Rows)]
    first = places[0].words if places[0].words <= held else 0
    ends = [rows.first + rows.words for rows in places]
    return Close(first, max([first, *(end for end in ends if end - first <= shared)]))


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


def _value(context: Any, builder: Any, rows: Any, kind: Any, place: Any) -> Any:
    """What a kernel sees. `place`: for `Rows`, the pointer to the first of them and the bytes from one to the next."""
    if not isinstance(rows, tuple):
        return context.get_constant(types.int64, rows)
    if not isinstance(rows, Rows):
        members = [_value(context, builder, *pair, place) for pair in zip(rows, kind.types, strict=True)]
        return context.make_tuple(builder, kind, members)
    array, (start, apart) = cgutils.create_struct_proxy(kind)(context, builder), place(rows)
    entry = apart * rows.dtype.itemsize // 8
    array.data = builder.bitcast(start, array.data.type)
    strides = [math.prod(rows.shape[axis + 1 :]) * entry for axis in range(len(rows.shape))]
    array.shape = cgutils.pack_array(builder, [context.get_constant(types.intp, n) for n in rows.shape])
    array.strides = cgutils.pack_array(builder, [context.get_constant(types.intp, n) for n in strides])
    array.nitems = context.get_constant(types.intp, math.prod(rows.shape))
    array.itemsize = context.get_constant(types.intp, entry if rows.dtype.names else 8)
    return array._getvalue()  # noqa: SLF001  (numba's own name)


def _places(builder: Any, start: Any, own: Any, shared: Any, close: Close) -> Callable[[Rows], tuple[Any, int]]:
    """Where rows are: in the buffer, of which `start` is the lane's first word, or closer."""

    def place(rows: Rows) -> tuple[Any, int]:
        end = rows.first + rows.words
        if end <= close.held:
            return offset_by(builder, own, _WORD(rows.first * 8)), 8
        if close.held <= rows.first and end <= close.end:
            return offset_by(builder, shared, _WORD((rows.first - close.held) * WARP * 8)), WARP * 8
        return offset_by(builder, start, _WORD(rows.first * WARP * 8)), WARP * 8

    return place


def _known_global(builder: Any, pointer: Any) -> Any:
    """The same pointer: it leads into what is called global memory (1) on a GPU, where loads that are known to be from
    there are faster. A processor has one kind of memory."""
    known = builder.addrspacecast(pointer, pointer.type.pointee.as_pointer(1))
    return builder.addrspacecast(known, pointer.type)


def _seeing(rows: Any, end: int, close: Close = _NOTHING) -> Any:
    """The function (words, g, own, shared) that shows a kernel lane g of a buffer `words`, in which a lane has `end`
    rows; the first of them are in `own` and `shared`, if `close` says so."""
    kind = _type(rows)

    @intrinsic
    def see(_typingctx: Any, words: Any, g: Any, own: Any, shared: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            buffer = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
            lane = context.cast(builder, args[1], signature.args[1], types.intp)
            warp, thread = builder.udiv(lane, lane.type(WARP)), builder.urem(lane, lane.type(WARP))
            word = builder.add(builder.mul(warp, lane.type(WARP * end)), thread)
            start = offset_by(builder, _known_global(builder, buffer.data), builder.mul(word, _WORD(8)))
            mine = offset_by(builder, args[3], builder.mul(thread, _WORD(8)))
            return _value(context, builder, rows, kind, _places(builder, start, args[2], mine, close))

        return kind(words, g, own, shared), build

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


def _holding(words: int) -> Any:
    """A function that makes so many words for one thread alone."""

    @intrinsic
    def hold(_typingctx: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
            array = cgutils.alloca_once(builder, ir.ArrayType(ir.DoubleType(), max(words, 1)))
            return builder.bitcast(array, ir.DoubleType().as_pointer())

        return _WORDS(), build

    return hold


def _copying(rows: int, close: Close) -> tuple[Any, Any]:
    """The functions (words, g, own, shared) that copy the rows that are kept close, and copy them back."""
    held, end = close

    @inlined
    def fetch(words: Any, g: int, own: Any, shared: Any) -> None:
        at = g // WARP * rows * WARP + g % WARP
        for row in range(held):
            own[row] = words[at + row * WARP]
        for row in range(held, end):
            shared[(row - held) * WARP + g % WARP] = words[at + row * WARP]

    @inlined
    def bring_back(words: Any, g: int, own: Any, shared: Any) -> None:
        at = g // WARP * rows * WARP + g % WARP
        for row in range(held):
            words[at + row * WARP] = own[row]
        for row in range(held, end):
            words[at + row * WARP] = shared[(row - held) * WARP + g % WARP]

    return fetch, bring_back


def thread_kernels(
    *, device: Any, lane: Any, block: Any, variant: Any, fill: Any, restart: Any, advance: Any
) -> dict[str, Threaded]:
    """Functions for a compiler of threads, by name.

    `lane` and `block` are what `rows_of` returns; `device.thread(1)` is the number of the thread. Nothing is computed
    here: it is all in the kernels of the task and of the network.
    """
    thread, shared, rows = device.thread, device.shared, lane[1]
    close = close_rows(lane[0].state, device.most_held, device.most_shared)
    see, see_close, see_block = _seeing(*lane), _seeing(lane[0], rows, close), _seeing(*block)
    hold, (fetch, bring_back) = _holding(close.held), _copying(rows, close)

    def fill_lane(words: Any, data: Any, width: int) -> None:
        g, own, near = thread(1), hold(), shared()
        if g < width and see(words, g, own, near).stop.masks[ACTIVE]:
            fill(see_block(data, g, own, near), see(words, g, own, near).stream)

    def advance_lane(words: Any, data: Any, width: int) -> None:
        g, own, near = thread(1), hold(), shared()
        if g < width and see(words, g, own, near).stop.masks[ACTIVE]:
            fetch(words, g, own, near)
            of = see_close(words, g, own, near)
            advance(_TAG, variant, of.state, see_block(data, g, own, near), of.stop)
            bring_back(words, g, own, near)

    def restart_lane(words: Any, fresh: Any, width: int) -> None:
        g, own, near = thread(1), hold(), shared()
        if g < width and fresh[g]:
            restart(_TAG, variant, see(words, g, own, near).state, 1)

    numbers, wholes, n = types.float64[::1], types.int64[::1], types.int64
    return {
        "fill": Threaded(fill_lane, (numbers, numbers, n)),
        "advance": Threaded(advance_lane, (numbers, numbers, n), close.end - close.held),
        "restart": Threaded(restart_lane, (numbers, wholes, n)),
        "move": Threaded(_mover(thread, rows), (numbers, wholes, numbers, n, n)),
    }
