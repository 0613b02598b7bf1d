"""e^x and ln x of single numbers, for random draws. The operations are written out, so that they have the same bits on
every processor, whatever C library it comes with.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from lstm_search.simd.jit import inlined
from lstm_search.simd.lanes import lanes_tag, splat
from lstm_search.simd.logistic import exponential

_ONE_LANE = lanes_tag(1)
_DOUBLE, _INT64 = ir.DoubleType(), ir.IntType(64)

_INVERSES = bytes.fromhex(
    "3ff734f0c3e0de9f3ff713786a2ce91f3ff6f26008fab5a03ff6d1a61f138c7d3ff6b1490bc5b4d13ff69147332f0cba"
    "3ff6719f182242233ff6524f99a51ed93ff63356aa8f24c43ff614b36b9ddc143ff5f66452c65c4c3ff5d867b5912c4f"
    "3ff5babccb5b90de3ff59d61f2d91a783ff58056124656873ff56397cee76bd33ff54725e2a77f933ff52aff42064583"
    "3ff50f22dbb2bddf3ff4f38f4734ded73ff4d843cfde28403ff4bd3ec078a3c83ff4a27fc3e0258a3ff4880524d48434"
    "3ff46dce1b192d0b3ff453d9d33918543ff43a2744b4845a3ff420b54115f8fb3ff40782da3ef4b13ff3ee8f5d57fe8f"
    "3ff3d5d9a00b4ce93ff3bd60c010c12b3ff3a5242b75dab83ff38d22cd9fd0023ff3755bc5847a1c3ff35dce49ad36e2"
    "3ff34679984dd4403ff32f5cceffcb243ff3187775a10d493ff301c8373e39903ff2eb4ebb95f8413ff2d50a0219a9d1"
    "3ff2bef9a8b7fd2a3ff2a91c7a0c1bab3ff293726014b5303ff27dfa5757a1f53ff268b39b1d3bbf3ff2539d838ff5bd"
    "3ff23eb7aac9083b3ff22a012ba940b63ff2157996cc41323ff201201dd2fc9b3ff1ecf4494d480b3ff1d8f5528f6569"
    "3ff1c52311577e7c3ff1b17c74cb26e93ff19e010c2c1ab63ff18ab07bb670bd3ff1778a25efbcb63ff1648d354c31da"
    "3ff151b990275fdd3ff13f0ea432d24c3ff12c8b7210f9da3ff11a3028ecb5313ff107fbda8434af3ff0f5ee0f4e6bb3"
    "3ff0e4065d2a9fce3ff0d244632ca5213ff0c0a77ce2981a3ff0af2f83c636d13ff09ddb98a013393ff08cabaf52e7df"
    "3ff07b9f2f4e28fb3ff06ab58c358f193ff059eea5ecf92c3ff04949cdd12c903ff038c6c6f0ada93ff02865137932a9"
    "3ff0182427ea73483ff008040614b1953fefe01ff726fa1a3fefa11cc261ea743fef6310b081992e3fef25f63ceeadcd"
    "3feee9c8039113e73feeae8078cbb1ab3fee741aa29d0c9b3fee3a91830a99b53fee01e009609a563fedca01e577bb98"
    "3fed92f20b7c91033fed5cac66fb5cce3fed272caa5ede9d3fecf26e3e6b2ccd3fecbe6da2a779023fec8b266d37086d"
    "3fec5894bd5d58043fec26b533bb9f8c3febf583eeece73f3febc4fd75db96c13feb951e0c864a283feb65e2c5ef3e2c"
    "3feb374867c9888b3feb094b211d304a3feadbe885f2ef7e3feaaf1d31603da23fea82e63fd358a73fea5740ef09738b"
    "3fea2c2a90ab4b273fea01a01393f2d13fe9d79f24db3c1b3fe9ae2505c7b1903fe9852ef297ce2f3fe95cbaeea44b75"
    "3fe934c69de748383fe90d4f2f6752e63fe8e6528effd79d3fe8bfce9fcc007c3fe899c0dabec30e3fe87427aa2317fb"
    "3fe84f00acb39a083fe82a49e8653e553fe8060195f402603fe7e22563e0a3293fe7beb377dcb5ad3fe79baa679725c2"
    "3fe77907f21706573fe756cadbd6130c"
)
"""1/c for the 128 intervals of the logarithm's table, 8 bytes each: from Arm's optimized routines (log_data.c,
copyright Arm Limited, MIT licence). Each c is near the middle of its interval, and its logarithm has many zeros."""


def _table() -> tuple[np.ndarray, np.ndarray]:
    """1/c, and ln c to a multiple of 2^-43."""
    inverses = np.frombuffer(_INVERSES, ">f8").astype(np.float64)
    with localcontext(prec=40):
        logs = [(1 / Decimal(inverse)).ln() * 2**43 for inverse in inverses.tolist()]
    return inverses, np.array([float(log.to_integral_value()) * 2.0**-43 for log in logs])


_INVERSE_C, _LN_C = _table()


@intrinsic
def _bits(_typingctx: Any, x: Any) -> Any:
    """The 64 bits of a number."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _INT64)

    return types.int64(x), build


@intrinsic
def _number(_typingctx: Any, bits: Any) -> Any:
    """The number that has these 64 bits."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _DOUBLE)

    return types.float64(bits), build


@intrinsic
def _only(_typingctx: Any, vector: Any) -> Any:
    """The number in a vector of one lane."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.extract_element(args[0], ir.IntType(32)(0))

    return types.float64(vector), build


@intrinsic
def _fma(_typingctx: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: ARG001  (numba takes the signature from here)
    """The product a b plus c, with one rounding."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_DOUBLE, (_DOUBLE,) * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.f64"), args)

    return types.float64(types.float64, types.float64, types.float64), build


@inlined
def exp(x: float) -> float:
    """e^x for |x| <= 80; relative error below 6e-16 + 4e-17 |x|."""
    return _only(exponential(splat(_ONE_LANE, x)))


@inlined
def log(x: float) -> float:
    """The natural logarithm of normal numbers 0 < x <= 1, with an error below 0.52 units in the last place.

    The operations are those of Arm's log.c (copyright Arm Limited, MIT licence), in the order in which the GNU C
    library 2.36 runs through them on processors with fused multiply-add.
    """
    return _log_near_one(x - 1.0) if x >= 0.9375 else _log_by_table(_bits(x))


@inlined
def _log_near_one(r: float) -> float:
    """The logarithm of 1 + r for -1/16 <= r <= 0: a polynomial, and r - r^2/2 with more digits than a number has."""
    r2 = r * r
    r3 = r * r2
    last = _fma(r2, 0.09181994006195467, _fma(r, -0.10000486757818193, 0.11110712032936046))
    last = _fma(r3, -0.08328363062289341, last)
    middle = _fma(r2, -0.12499997863982555, _fma(r, 0.14285715076560868, -0.16666666669929706))
    first = _fma(r2, 0.19999999999320328, _fma(r, -0.24999999999998432, 0.3333333333333352))
    high = _fma(-134217728.0, r, _fma(r, 134217728.0, r))  # the upper half of the digits of r
    square = high * high
    sum_high = _fma(square, -0.5, r)
    sum_low = _fma(-0.5 * (r - high), r + high, _fma(square, -0.5, r - sum_high))
    return sum_high + _fma(_fma(_fma(last, r3, middle), r3, first), r3, sum_low)


@inlined
def _log_by_table(bits: int) -> float:
    """The logarithm of the number with these bits, x = 2^k z: ln(z/c) + ln c + k ln 2, with c near z."""
    above = bits - 0x3FE6000000000000  # z is in [11/16, 11/8)
    i, k = above >> 45 & 127, float(above >> 52)
    r = _fma(_number(bits - (above >> 52 << 52)), _INVERSE_C[i], -1.0)
    r2, w = r * r, _fma(k, 0.6931471805598903, _LN_C[i])
    high = r + w
    low = _fma(r2, -0.5000000000000001, _fma(k, 5.497923018708371e-14, w - high + r))
    first, last = _fma(r, -0.2499999999622955, 0.33333333331825593), _fma(r, -0.16667054827627667, 0.20000304511814496)
    return _fma(r * r2, _fma(last, r2, first), low) + high
