"""e^x and ln x of single numbers, beside decimal arithmetic and the C library's."""

import math
from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest

from lstm_search.simd.elementary import exp, log


@numba.njit(error_model="numpy")
def logs(x: np.ndarray) -> np.ndarray:
    """Of every number."""
    return np.array([log(number) for number in x])


@numba.njit(error_model="numpy")
def powers(x: np.ndarray) -> np.ndarray:
    """Of e, to every number."""
    return np.array([exp(number) for number in x])


RANDOM = np.random.default_rng(1997)
UNITS = np.concatenate(
    [
        1.0 - RANDOM.random(200_000),
        RANDOM.integers(1, 1 << 20, 20_000) * 2.0**-53,
        1.0 - RANDOM.integers(0, 1 << 20, 20_000) * 2.0**-53,
        np.array([1.0, 0.9375, np.nextafter(0.9375, 0), 0.6875, np.nextafter(0.6875, 0), 2.0**-53, 2.0**-1022]),
    ]
)
"""What a draw may ask for, (0, 1], and the ends of the ways to compute it."""


def test_logarithms_are_those_of_decimal_arithmetic() -> None:
    some = np.concatenate([UNITS[:2000], UNITS[200_000:202_000], UNITS[220_000:222_000], UNITS[-7:]])
    with localcontext(prec=60):
        for x, y in zip(some.tolist(), logs(some).tolist(), strict=True):
            assert abs(Decimal(y) - Decimal(x).ln()) <= Decimal("0.52") * Decimal(math.ulp(y))


def test_logarithms_are_those_of_the_c_library() -> None:
    expected, found = np.array([math.log(x) for x in UNITS.tolist()]), logs(UNITS)
    assert np.all(np.abs(found - expected) <= np.spacing(np.abs(expected)))  # other libraries round otherwise


@pytest.mark.parametrize(("low", "high"), [(-7.0, 0.0), (-80.0, 80.0)])
def test_powers_are_those_of_decimal_arithmetic(low: float, high: float) -> None:
    some = RANDOM.uniform(low, high, 3000)
    with localcontext(prec=60):
        for x, y in zip(some.tolist(), powers(some).tolist(), strict=True):
            exact = Decimal(x).exp()
            assert abs(Decimal(y) - exact) <= exact * Decimal(6e-16 + 4e-17 * abs(x))
