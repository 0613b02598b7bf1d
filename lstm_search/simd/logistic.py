"""The logistic function f of gates and outputs (appendix A.1) and its slope, on vectors of lanes. The operations are
written out, so that a lane has the same bits on every processor."""

from __future__ import annotations

import numpy as np

from lstm_search.simd.jit import inlined
from lstm_search.simd.lanes import Lanes, Value, bounded, divide, fma, load, power_of_two, store


@inlined
def _parts(x: Value) -> tuple[Value, Value, Value]:
    """e^-x = 2^k b/a as a, b and 2^k; beyond |x| = 80 as at 80.

    -x = k ln 2 - r with |r| <= ln(2)/2, and e^-r = (E - r O)/(E + r O) with polynomials E and O in r^2 that meet
    tanh(r/2) at Chebyshev points. Rounding ln 2 is as if x were off by a third of its own rounding.
    """
    x = bounded(x, -80.0, 80.0)
    magic = 6755399441055744.0 + 1023.0  # 1.5 2^52 makes the sum an integer in the low bits; 1023 biases the exponent
    shifted = fma(x, -1.4426950408889634, magic)
    r = fma(shifted - magic, 0.6931471805599453, x)
    q = r * r
    even = fma(q, fma(q, 30.013661848946466, 3362.4600911530047), 30262.96149014692)
    odd = fma(q, q + 420.2733168204112, 15131.48074507346)
    return fma(r, odd, even), fma(-1.0 * r, odd, even), power_of_two(shifted)


@inlined
def _fraction(x: Value) -> tuple[Value, Value]:
    """f(x) = 1/(1 + e^-x) = a/(a + 2^k b) as numerator and denominator; beyond |x| = 80, f is 0 or 1 to 34 digits."""
    a, b, scale = _parts(x)
    return a, fma(b, scale, a)


@inlined
def exponential(x: Value) -> Value:
    """e^x for |x| <= 80; relative error below 6e-16 + 4e-17 |x|."""
    a, b, scale = _parts(-1.0 * x)
    return divide(b, a) * scale


@inlined
def logistic(x: Value) -> Value:
    """f(x) = 1/(1 + e^-x) for |x| <= 80; relative error below 6e-16 + 4e-17 |x|, absolute error below 4e-16."""
    top, bottom = _fraction(x)
    return divide(top, bottom)


@inlined
def logistic_and_inverse(x: Value) -> tuple[Value, Value]:
    """f(x) and 1/f(x) for |x| <= 80, with a single division; relative errors of both below 1e-15 + 8e-17 |x|."""
    top, bottom = _fraction(x)
    inverse = divide(1.0, top * bottom)
    return top * (top * inverse), bottom * (bottom * inverse)


@inlined
def logistic_slope(f: Value) -> Value:
    """f'(x) = f (1 - f), from f = f(x)."""
    return fma(-1.0 * f, f, f)


@inlined
def squash(lanes: Lanes, out: np.ndarray, first: int, last: int) -> None:
    """out[i] = f(out[i]) for first <= i < last, with the error of `logistic`.

    The divider is the slowest unit of a core, so two numbers share one division: 1/a = b/(ab).
    """
    pairs = first + (last - first) // 2 * 2
    for i in range(first, pairs, 2):
        top_a, a = _fraction(load(lanes, out, i))
        top_b, b = _fraction(load(lanes, out, i + 1))
        inverse = divide(1.0, a * b)
        store(out, i, top_a * (inverse * b))
        store(out, i + 1, top_b * (inverse * a))
    if pairs < last:
        store(out, pairs, logistic(load(lanes, out, pairs)))


@inlined
def squash_unfused(lanes: Lanes, out: np.ndarray, first: int, last: int) -> None:
    """out[i] = f(out[i]) for first <= i < last, with the bits that plain numbers have: no operation is fused, and each
    has a division of its own."""
    magic = 6755399441055744.0  # as above, but the exponent is biased by a sum of its own
    for i in range(first, last):
        x = bounded(load(lanes, out, i), -80.0, 80.0)
        shifted = x * -1.4426950408889634 + magic
        r = (shifted - magic) * 0.6931471805599453 + x
        q = r * r
        even = q * (q * 30.013661848946466 + 3362.4600911530047) + 30262.96149014692
        odd = r * (q * (q + 420.2733168204112) + 15131.48074507346)
        top = even + odd
        store(out, i, divide(top, top + power_of_two(shifted + 1023.0) * (even - odd)))
