"""SIMD values for numba: one vector holds the same quantity of several independent trials, one trial a lane.

LLVM does not vectorise over independent trials by itself. A `Vector(n)` is an LLVM value `<n x double>`, and the few
operations below compile to one instruction or a short sequence a vector. `+`, `-` and `*` take vectors and numbers.
Every function that makes a vector from memory takes the pack's `lanes` tag (see `lanes_tag`), whose type carries n.

A lane's result never depends on n: operations are elementwise, in the order written, and a fused multiply-add stands
only where `fma` is called. Arrays are C-contiguous with the lane as last axis, from `aligned_zeros`.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.core.types.containers import BaseTuple, UniTuple
from numba.extending import intrinsic, overload, register_model
from numba.extending import models as datamodels

from lstm_search.simd.jit import UnsupportedProcessor, target_features

Lanes = tuple[float, ...]
"""The tag that tells a kernel its number of lanes: that many zeros."""

Value = Any
"""A vector, inside a kernel."""

Index = Any
"""One whole number, or a tuple of them: all axes of an array but the last."""

_DOUBLE = ir.DoubleType()
_INT64 = ir.IntType(64)


MOST_LANES = 64
"""Sets of lanes are whole numbers of 64 bits."""


def full_width() -> int:
    """Lanes of a full pack: two vector registers, whose operations hide each other's latency.

    Raises `UnsupportedProcessor` where there is no vector unit for double precision that the kernels know, or where the
    processor has less than the level that they are compiled for.
    """
    features = target_features()
    for name, width in (("avx512f", 16), ("avx2", 8), ("neon", 4)):
        if name in features:
            return width
    raise UnsupportedProcessor(
        f"processor {binding.get_host_cpu_name()}: the kernels need AVX-512, AVX2 with FMA, or NEON; "
        "run on another machine, or start workers there with execute=ray execute.address=HOST:PORT"
    )


def lanes_tag(width: int) -> Lanes:
    """The tag of `width` lanes."""
    return (0.0,) * width


def aligned_zeros(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    """Zeros of `shape` that start on a cache line, so that no vector straddles two."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.zeros(count + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    return buffer[start : start + count].view(dtype).reshape(shape)


class Vector(types.Type):
    """The numba type of `<n x double>`."""

    def __init__(self, n: int) -> None:
        self.n = n
        super().__init__(name=f"Vector({n})")


@register_model(Vector)
class _VectorModel(datamodels.PrimitiveModel):  # type: ignore[misc]  # numba has no types
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(_DOUBLE, fe_type.n))


def _address(
    context: Any, builder: Any, array_type: Any, array: Any, index_type: Any, index: Any, layout: str = "C"
) -> Any:
    """Pointer to the first entry of `array[index]`; `index` covers all axes but the last. Layout A: by its strides."""
    struct = cgutils.create_struct_proxy(array_type)(context, builder, array)
    if isinstance(index_type, BaseTuple):
        indices = [
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(cgutils.unpack_tuple(builder, index), index_type, strict=True)
        ]
    else:
        indices = [context.cast(builder, index, index_type, types.intp)]
    indices.append(context.get_constant(types.intp, 0))
    shapes = cgutils.unpack_tuple(builder, struct.shape)
    strides = cgutils.unpack_tuple(builder, struct.strides)
    if layout == "A":
        offset = _INT64(0)
        for i, stride in zip(indices, strides, strict=True):
            offset = builder.add(offset, builder.mul(i, stride))
        return offset_by(builder, struct.data, offset)
    return cgutils.get_item_pointer2(context, builder, struct.data, shapes, strides, layout, indices)


def offset_by(builder: Any, pointer: Any, count: Any) -> Any:
    """The pointer `count` bytes on. A sum of whole numbers would hide from the compiler what it points into."""
    byte = builder.gep(builder.bitcast(pointer, ir.IntType(8).as_pointer()), [count])
    return builder.bitcast(byte, pointer.type)


@intrinsic
def part(_typingctx: Any, array: Any, row: Any, first: Any) -> Any:
    """The view `array[row, first:]`. Where words are apart, numba's own view hides which memory they are in."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        some = cgutils.create_struct_proxy(signature.return_type)(context, builder)
        i, j = (context.cast(builder, args[k], signature.args[k], types.intp) for k in (1, 2))
        shape, strides = (cgutils.unpack_tuple(builder, packed) for packed in (whole.shape, whole.strides))
        offset = builder.add(builder.mul(i, strides[0]), builder.mul(j, strides[1]))
        some.data, some.itemsize = offset_by(builder, whole.data, offset), whole.itemsize
        some.shape = cgutils.pack_array(builder, [builder.sub(shape[1], j), *shape[2:]])
        some.strides = cgutils.pack_array(builder, strides[1:])
        return some._getvalue()  # noqa: SLF001  (numba's own name)

    return array.copy(ndim=array.ndim - 1)(array, row, first), build


@intrinsic
def load(_typingctx: Any, lanes: Any, array: Any, index: Any) -> Any:
    """The vector `array[index, 0:n]`."""
    vector = Vector(len(lanes))

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _vector_at(context, builder, signature.args[1:], args[1:], vector.n)
        return builder.load(pointer, align=8)

    return vector(lanes, array, index), build


@intrinsic
def store(_typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """`array[index, 0:n] = value`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _vector_at(context, builder, signature.args, args, value.n)
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, index, value), build


def _vector_at(context: Any, builder: Any, kinds: Any, args: Any, n: int) -> Any:
    """Pointer to the vector `array[index, 0:n]`, of (array, index, ...). A lane alone has its words apart."""
    pointer = _address(context, builder, kinds[0], args[0], kinds[1], args[1], "A" if n == 1 else "C")
    return builder.bitcast(pointer, ir.VectorType(_DOUBLE, n).as_pointer())


@intrinsic
def splat(_typingctx: Any, lanes: Any, number: Any) -> Any:
    """The vector with `number` in every lane."""
    vector = Vector(len(lanes))

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = context.cast(builder, args[1], signature.args[1], types.float64)
        return _splat(builder, number, vector.n)

    return vector(lanes, number), build


def _splat(builder: Any, number: Any, n: int) -> Any:
    one = builder.insert_element(ir.Constant(ir.VectorType(_DOUBLE, n), ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), n), [0] * n))


def _as_vectors(context: Any, builder: Any, signature: Any, args: Any, n: int) -> list[Any]:
    """The arguments with every plain number repeated over the lanes."""
    return [
        value if isinstance(kind, Vector) else _splat(builder, context.cast(builder, value, kind, types.float64), n)
        for value, kind in zip(args, signature.args, strict=True)
    ]


def _vector_of(*kinds: Any) -> Vector:
    return next(kind for kind in kinds if isinstance(kind, Vector))


@intrinsic
def fma(_typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """The product a b plus c, with one rounding."""
    vector = _vector_of(a, b, c)

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        operands = _as_vectors(context, builder, signature, args, vector.n)
        kind = operands[0].type
        name = f"llvm.fma.v{vector.n}f64"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, (kind,) * 3), name)
        return builder.call(function, operands)

    return vector(a, b, c), build


@intrinsic
def select(_typingctx: Any, mask: Any, a: Any, b: Any) -> Any:
    """Lane l of `a` where bit l of the integer `mask` is set, else of `b`."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        n = a.n
        bits = args[0] if n == 64 else builder.trunc(args[0], ir.IntType(n))
        return builder.select(builder.bitcast(bits, ir.VectorType(ir.IntType(1), n)), args[1], args[2])

    return a(types.int64, a, b), build


@intrinsic
def load_run(_typingctx: Any, run: Any, array: Any, index: Any, first: Any) -> Any:
    """The vector `array[index, first:first + n]`, n being the number of lanes of the tag `run`."""
    vector = Vector(len(run))

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if signature.args[1].layout == "C":
            pointer = _run_address(context, builder, signature.args[1:], args[1:])
            return builder.load(builder.bitcast(pointer, ir.VectorType(_DOUBLE, vector.n).as_pointer()), align=8)
        value = ir.Constant(ir.VectorType(_DOUBLE, vector.n), ir.Undefined)
        for i, pointer in enumerate(_run_addresses(context, builder, signature.args[1:], args[1:], vector.n)):
            value = builder.insert_element(value, builder.load(pointer), ir.IntType(32)(i))
        return value

    return vector(run, array, index, first), build


@intrinsic
def store_run(_typingctx: Any, array: Any, index: Any, first: Any, value: Any) -> Any:
    """`array[index, first:first + n] = value`."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if signature.args[0].layout == "C":
            pointer = _run_address(context, builder, signature.args, args)
            builder.store(args[3], builder.bitcast(pointer, args[3].type.as_pointer()), align=8)
            return context.get_dummy_value()
        for i, pointer in enumerate(_run_addresses(context, builder, signature.args, args, value.n)):
            builder.store(builder.extract_element(args[3], ir.IntType(32)(i)), pointer)
        return context.get_dummy_value()

    return types.void(array, index, first, value), build


def _run_address(context: Any, builder: Any, kinds: Any, args: Any) -> Any:
    """Pointer to `array[index, first]`, of (array, index, first, ...)."""
    pointer = _address(context, builder, kinds[0], args[0], kinds[1], args[1])
    return builder.gep(pointer, [context.cast(builder, args[2], kinds[2], types.intp)])


def _run_addresses(context: Any, builder: Any, kinds: Any, args: Any, n: int) -> list[Any]:
    """Pointers to `array[index, first + i]`, i = 0 .. n-1, where the array's words are apart."""
    start = _address(context, builder, kinds[0], args[0], kinds[1], args[1], "A")
    stride = _stride(context, builder, kinds[0], args[0])
    first = context.cast(builder, args[2], kinds[2], types.intp)
    return [offset_by(builder, start, builder.mul(stride, builder.add(first, _INT64(i)))) for i in range(n)]


def _stride(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Bytes from one entry of the last axis to the next."""
    struct = cgutils.create_struct_proxy(array_type)(context, builder, array)
    return cgutils.unpack_tuple(builder, struct.strides)[-1]


@intrinsic
def gather(_typingctx: Any, lanes: Any, array: Any, row: Any, columns: Any, t: Any) -> Any:
    """The vector whose lane l is `array[row, l, columns[t, l]]`."""
    vector = Vector(len(lanes))

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = ir.Constant(ir.VectorType(_DOUBLE, vector.n), ir.Undefined)
        for lane, pointer in enumerate(_scattered(context, builder, signature, args, vector.n)):
            value = builder.insert_element(value, builder.load(pointer), ir.IntType(32)(lane))
        return value

    return vector(lanes, array, row, columns, t), build


@intrinsic
def scatter_add(_typingctx: Any, lanes: Any, array: Any, row: Any, columns: Any, t: Any, value: Any) -> Any:
    """`array[row, l, columns[t, l]] += value[l]` for every lane l."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for lane, pointer in enumerate(_scattered(context, builder, signature, args, value.n)):
            term = builder.extract_element(args[5], ir.IntType(32)(lane))
            builder.store(builder.fadd(builder.load(pointer), term), pointer)
        return context.get_dummy_value()

    return types.void(lanes, array, row, columns, t, value), build


def _scattered(context: Any, builder: Any, signature: Any, args: Any, n: int) -> list[Any]:
    """Pointers to `array[row, l, columns[t, l]]`, l = 0 .. n-1."""
    row = context.cast(builder, args[2], signature.args[2], types.intp)
    layout = "A" if n == 1 else "C"
    base = _address(context, builder, signature.args[3], args[3], signature.args[4], args[4], layout)
    array_type, array = signature.args[1], args[1]
    index_type = UniTuple(types.intp, 2)
    pointers = []
    for lane in range(n):
        column = builder.load(builder.gep(base, [_INT64(lane)]))
        index = context.make_tuple(builder, index_type, (row, _INT64(lane)))
        row_start = _address(context, builder, array_type, array, index_type, index, layout)
        if n == 1:
            column = builder.mul(column, _stride(context, builder, array_type, array))
            pointers.append(offset_by(builder, row_start, column))
        else:
            pointers.append(builder.gep(row_start, [column]))
    return pointers


def _elementwise(operation: str) -> Any:
    @intrinsic
    def apply(_typingctx: Any, a: Any, b: Any) -> Any:
        vector = _vector_of(a, b)

        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, operation)(*_as_vectors(context, builder, signature, args, vector.n))

        return vector(a, b), build

    return apply


def _is_operand_pair(a: Any, b: Any) -> bool:
    number = (types.Float, types.Integer)
    if isinstance(a, Vector):
        return isinstance(b, (Vector, *number))
    return isinstance(b, Vector) and isinstance(a, number)


def _define(symbol: Any, operation: str) -> None:
    """Give Python's operator `symbol` to vectors, as the LLVM instruction `operation`."""
    apply = _elementwise(operation)

    def typed(a, b):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  (numba compares signatures, annotations included)
        return (lambda a, b: apply(a, b)) if _is_operand_pair(a, b) else None  # noqa: PLW0108  (numba wants a function)

    overload(symbol)(typed)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")

divide = _elementwise("fdiv")


@intrinsic
def bounded(_typingctx: Any, x: Any, low: Any, high: Any) -> Any:
    """Cut x to [low, high] (numbers); a nan stays a nan, so that a diverged trial is noticed."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        value = args[0]
        for sign, bound in (("<", args[1]), (">", args[2])):
            limit = _splat(builder, bound, x.n)
            value = builder.select(builder.fcmp_ordered(sign, value, limit), limit, value)
        return value

    return x(x, types.float64, types.float64), build


@intrinsic
def magnitude(_typingctx: Any, x: Any) -> Any:
    """|x|."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        integers = ir.VectorType(_INT64, x.n)
        mask = ir.Constant(integers, [0x7FFF_FFFF_FFFF_FFFF] * x.n)
        return builder.bitcast(builder.and_(builder.bitcast(args[0], integers), mask), args[0].type)

    return x(x), build


@intrinsic
def larger(_typingctx: Any, a: Any, b: Any) -> Any:
    """The larger of a and b; a nan in either wins."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        first, second = args
        value = builder.select(builder.fcmp_ordered(">", first, second), first, second)
        return builder.select(builder.fcmp_unordered("uno", first, first), first, value)

    return a(a, b), build


@intrinsic
def exceeding(_typingctx: Any, a: Any, b: Any) -> Any:
    """1 where a > b, else 0; also where one is a nan."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = args[0].type
        one, zero = (ir.Constant(kind, [number] * a.n) for number in (1.0, 0.0))
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), one, zero)

    return a(a, b), build


@intrinsic
def lanes_below(_typingctx: Any, x: Any, limit: Any) -> Any:
    """The set of lanes, lane l in bit l, where x is less than the number `limit`; a nan is not."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        bits = builder.fcmp_ordered("<", args[0], _splat(builder, args[1], x.n))
        whole = builder.bitcast(bits, ir.IntType(x.n))
        return whole if x.n == 64 else builder.zext(whole, _INT64)

    return types.int64(x, types.float64), build


@intrinsic
def power_of_two(_typingctx: Any, shifted: Any) -> Any:
    """2^k as a vector, where the low bits of `shifted` hold k + 1023."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        integers = ir.VectorType(_INT64, shifted.n)
        bits = builder.shl(builder.bitcast(args[0], integers), ir.Constant(integers, [52] * shifted.n))
        return builder.bitcast(bits, args[0].type)

    return shifted(shifted), build
