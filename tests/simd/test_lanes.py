"""Vectors against numpy, elementary functions against long double, and the same bits at every width."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from lstm_search.simd.jit import kernel
from lstm_search.simd.lanes import (
    Lanes,
    UnsupportedProcessor,
    aligned_zeros,
    bounded,
    divide,
    fma,
    full_width,
    gather,
    lanes_below,
    lanes_tag,
    larger,
    load,
    magnitude,
    scatter_add,
    select,
    splat,
    store,
)
from lstm_search.simd.logistic import logistic, logistic_and_inverse, logistic_slope, squash

WIDTHS = (1, 2, 4, 8, 16)
ROWS, COLUMNS = 4, 5
NAMES = (
    "load", "splat", "a + b", "a - b", "a * b", "a + 2", "3 - a", "-a", "divide", "fma", "select", "bounded",
    "magnitude", "larger", "logistic", "slope", "with inverse", "inverse", "below",
)  # fmt: skip
DOUBLE = np.finfo(float)
AWKWARD = np.array(
    [0.0, -0.0, 1.0, -1.0, 80.0, -80.0, 81.0, np.inf, -np.inf, np.nan, DOUBLE.tiny, 1e300, -1e300, 5e-324]
)


@kernel
def apply_all(lanes: Lanes, a: NDArray, b: NDArray, mask: NDArray, out: NDArray) -> None:
    for i in range(a.shape[0]):
        x, y = load(lanes, a, i), load(lanes, b, i)
        store(out, (0, i), x)
        store(out, (1, i), splat(lanes, i))
        store(out, (2, i), x + y)
        store(out, (3, i), x - y)
        store(out, (4, i), x * y)
        store(out, (5, i), x + 2)
        store(out, (6, i), 3.0 - x)
        store(out, (7, i), -1.0 * x)
        store(out, (8, i), divide(x, y))
        store(out, (9, i), fma(x, y, 0.1))
        store(out, (10, i), select(mask[i], x, y))
        store(out, (11, i), bounded(x, -0.5, 0.75))
        store(out, (12, i), magnitude(x))
        store(out, (13, i), larger(x, y))
        store(out, (14, i), logistic(x))
        store(out, (15, i), logistic_slope(logistic(x)))
        f, inverse = logistic_and_inverse(x)
        store(out, (16, i), f)
        store(out, (17, i), inverse)
        store(out, (18, i), select(lanes_below(x, 0.25), splat(lanes, 1.0), splat(lanes, 0.0)))


@kernel
def squash_rows(lanes: Lanes, out: NDArray, first: int, last: int) -> None:
    squash(lanes, out, first, last)


@kernel
def look_up_and_add(lanes: Lanes, table: NDArray, columns: NDArray, found: NDArray) -> None:
    for t in range(columns.shape[0]):
        row = t % table.shape[0]
        value = gather(lanes, table, row, columns, t)
        store(found, t, value)
        scatter_add(lanes, table, row, columns, t, 10.0 * value)


def in_lanes(values: NDArray, width: int) -> NDArray:
    """`values` in rows of `width` lanes, on a cache line."""
    rows = aligned_zeros(len(values) // width, width, dtype=values.dtype)
    rows[:] = values.reshape(-1, width)
    return rows


def operands() -> tuple[NDArray, NDArray, NDArray]:
    """Pairs of numbers of all sizes, every pair of awkward ones among them, and which of the two is selected."""
    rng = np.random.default_rng(0)
    awkward = np.stack(np.meshgrid(AWKWARD, AWKWARD), axis=-1).reshape(-1, 2)
    plain = rng.normal(0, 1, (4096 - len(awkward), 2)) * 10 ** rng.uniform(-3, 3, (4096 - len(awkward), 1))
    a, b = np.ascontiguousarray(np.concatenate([awkward, plain]).T)
    return a, b, rng.integers(0, 2, len(a)).astype(bool)


@cache
def results(width: int) -> NDArray:
    """What every operation gives for every pair: [operation, pair]."""
    a, b, chosen = operands()
    masks = (chosen.reshape(-1, width) << np.arange(width)).sum(axis=1)
    out = aligned_zeros(len(NAMES), len(a) // width, width)
    apply_all(lanes_tag(width), in_lanes(a, width), in_lanes(b, width), masks, out)
    return out.reshape(len(NAMES), len(a))


def result(name: str) -> NDArray:
    return results(4)[NAMES.index(name)]


def longdouble_logistic(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x.astype(np.longdouble)))


def relative_error(found: NDArray, expected: NDArray) -> float:
    return float(np.abs(found / expected - 1).max())


@pytest.mark.parametrize("width", WIDTHS)
def test_every_operation_gives_the_same_bits_at_every_width(width: int) -> None:
    found, expected = results(width).copy(), results(4).copy()
    splats = NAMES.index("splat")
    np.testing.assert_array_equal(found[splats], np.arange(4096) // width)
    for name, row, other in zip(NAMES, found.view(np.int64), expected.view(np.int64), strict=True):
        if name != "splat":
            np.testing.assert_array_equal(row, other, err_msg=name)


def test_operations_are_those_of_numpy() -> None:
    a, b, chosen = operands()
    with np.errstate(all="ignore"):
        expected = {
            "load": a, "a + b": a + b, "a - b": a - b, "a * b": a * b, "a + 2": a + 2, "3 - a": 3 - a, "-a": -a,
            "divide": a / b, "select": np.where(chosen, a, b), "bounded": np.clip(a, -0.5, 0.75),
            "magnitude": np.abs(a), "larger": np.maximum(a, b), "below": a < 0.25,
        }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_array_equal(result(name), values, err_msg=name)


def test_magnitude_clears_the_sign_of_zero() -> None:
    a, _, _ = operands()
    assert not np.signbit(result("magnitude")[a == 0]).any()


def test_fma_rounds_once() -> None:
    a, b, _ = operands()
    plain = np.isfinite(a) & np.isfinite(b) & (np.abs(a) < 1e6) & (np.abs(b) < 1e6)
    product = a[plain].astype(np.longdouble) * b[plain]
    found = result("fma")[plain]
    np.testing.assert_allclose(found, (product + 0.1).astype(float), rtol=2.3e-16)
    assert (found != a[plain] * b[plain] + 0.1).any()


def test_nan_stays_nan() -> None:
    a, b, _ = operands()
    for name in ("bounded", "magnitude", "logistic"):
        np.testing.assert_array_equal(np.isnan(result(name)), np.isnan(a), err_msg=name)
    np.testing.assert_array_equal(np.isnan(result("larger")), np.isnan(a) | np.isnan(b))


def grid(low: float, high: float) -> NDArray:
    """Random and evenly spaced numbers, zero and the bounds."""
    random = np.random.default_rng(1).uniform(low, high, 100_000)
    return np.concatenate([random, np.linspace(low, high, 99_999), [0.0]])


def applied(name: str, x: NDArray) -> NDArray:
    out = aligned_zeros(len(NAMES), len(x) // 4, 4)
    apply_all(lanes_tag(4), in_lanes(x, 4), in_lanes(x, 4), np.zeros(len(x) // 4, np.int64), out)
    return out[NAMES.index(name)].ravel()


def assert_logistic(found: NDArray, x: NDArray) -> None:
    """As exact as if x were off by a third of its own rounding, and the result by three roundings."""
    expected = longdouble_logistic(x)
    assert (np.abs(found / expected - 1) < 6e-16 + 4e-17 * np.abs(x)).all()
    assert np.abs(found - expected).max() < 4e-16


@pytest.mark.parametrize("reach", [1.0, 20.0, 80.0])
def test_logistic_is_exact_to_the_rounding_of_its_argument(reach: float) -> None:
    x = grid(-reach, reach)
    assert_logistic(applied("logistic", x), x)


def test_the_logistic_comes_with_its_inverse() -> None:
    x = grid(-80.0, 80.0)
    exact, near = longdouble_logistic(x), 1e-15 + 8e-17 * np.abs(x)
    assert (np.abs(applied("with inverse", x) / exact - 1) < near).all()
    assert (np.abs(applied("inverse", x) * exact - 1) < near).all()


def test_the_slope_is_that_of_the_logistic() -> None:
    x = grid(-20.0, 20.0)
    f = applied("logistic", x).astype(np.longdouble)
    assert relative_error(applied("slope", x), f * (1 - f)) < 1.2e-16


def squashed(values: NDArray, first: int, last: int, width: int) -> NDArray:
    out = aligned_zeros(*values.shape)
    out[:] = values
    squash_rows(lanes_tag(width), out, first, last)
    return out


@pytest.mark.parametrize(("first", "last"), [(0, 4), (0, 7), (1, 7), (3, 5), (2, 2)])
def test_squash_is_the_logistic_of_the_rows_it_is_given(first: int, last: int) -> None:
    x = np.random.default_rng(2).uniform(-80, 80, (7, 4))
    found = squashed(x, first, last, 4)
    np.testing.assert_array_equal(found[:first], x[:first])
    np.testing.assert_array_equal(found[last:], x[last:])
    assert (np.abs(found[first:last] / longdouble_logistic(x[first:last]) - 1) < 4e-15).all()


def test_squash_is_exact_to_the_rounding_of_its_argument() -> None:
    x = np.stack([grid(-reach, reach) for reach in (1.0, 20.0, 80.0, 2.0)]).reshape(4, -1, 4)
    for rows in x.transpose(1, 0, 2)[::50]:
        assert_logistic(squashed(rows, 0, 4, 4), rows)


def test_squash_saturates_and_keeps_a_nan() -> None:
    found = squashed(np.array([[np.inf, -np.inf, 1e300, np.nan]] * 5), 0, 5, 4)
    np.testing.assert_array_equal(found[:, 0], 1.0)
    np.testing.assert_array_equal(found[:, 2], 1.0)
    assert np.isnan(found[:, 3]).all()
    assert ((found[:, 1] > 0) & (found[:, 1] < 2e-35)).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_squash_gives_the_same_bits_at_every_width(width: int) -> None:
    x = np.random.default_rng(3).normal(0, 10, (7, 16))
    parts = [squashed(x[:, l : l + width], 0, 7, width) for l in range(0, 16, width)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1).view(np.int64), squashed(x, 0, 7, 16).view(np.int64))


@pytest.mark.parametrize("width", WIDTHS)
def test_gather_and_scatter_add_find_each_lanes_own_column(width: int) -> None:
    rng = np.random.default_rng(4)
    table, found = aligned_zeros(ROWS, width, COLUMNS), aligned_zeros(30, width)
    table[:] = rng.normal(0, 1, table.shape)
    columns, expected, looked_up = rng.integers(0, COLUMNS, (30, width)), table.copy(), np.empty((30, width))
    for t in range(30):
        for l in range(width):
            entry = t % ROWS, l, columns[t, l]
            looked_up[t, l] = expected[entry]
            expected[entry] += 10.0 * looked_up[t, l]
    look_up_and_add(lanes_tag(width), table, columns, found)
    np.testing.assert_array_equal(found, looked_up)
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize("shape", [(3,), (5, 7, 3), (4, 0, 8)])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_aligned_zeros_start_on_a_cache_line(shape: tuple[int, ...], dtype: type) -> None:
    zeros = aligned_zeros(*shape, dtype=dtype)
    assert zeros.shape == shape
    assert zeros.dtype == dtype
    assert zeros.flags.c_contiguous
    assert zeros.size == 0 or zeros.ctypes.data % 64 == 0
    assert not zeros.any()


@pytest.mark.parametrize(
    ("features", "width"), [({"avx512f": True, "avx2": True}, 16), ({"avx2": True}, 8), ({"neon": True}, 4)]
)
def test_the_width_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], width: int
) -> None:
    monkeypatch.setattr("lstm_search.simd.lanes.binding.get_host_cpu_features", lambda: features)
    assert full_width() == width


def test_a_processor_without_vectors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_search.simd.lanes.binding.get_host_cpu_features", lambda: {"avx2": False})
    with pytest.raises(UnsupportedProcessor, match="need AVX-512, AVX2 with FMA, or NEON"):
        full_width()
