"""Draws: SplitMix64's published outputs, and nothing that a statistical test can see."""

import itertools

import numpy as np
import pytest
from helpers import naive_tasks
from numpy.typing import NDArray
from scipy import stats

from lstm_search.simd.draws import (
    _AREA,
    _DENSITY,
    _TAIL,
    _X,
    APART,
    TESTS,
    TRAINING,
    WEIGHTS,
    Bits,
    below,
    draw,
    normal,
    stream_key,
    uniforms,
)
from lstm_search.simd.jit import kernel

KNOWN = [  # the first outputs for seed 1234567, as published with the reference implementation
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
]  # fmt: skip
N = 100_000


@kernel
def normals(key: Bits, out: NDArray) -> None:
    for i in range(out.shape[0]):
        out[i] = normal(key, i)


@kernel
def raw(key: Bits, first: int, out: NDArray) -> None:
    for i in range(out.shape[0]):
        out[i] = draw(key, first + i)


@kernel
def whole(key: Bits, n: int, out: NDArray) -> None:
    for i in range(out.shape[0]):
        out[i] = below(key, i, n)


def bits(key: int, n: int = N, first: int = 0) -> NDArray[np.uint64]:
    out = np.empty(n, np.uint64)
    raw(np.uint64(key), first, out)
    return out


def units(key: int, n: int = N) -> NDArray[np.float64]:
    out = np.empty(n)
    uniforms(np.uint64(key), out)
    return out


def p_of_counts(counts: NDArray) -> float:
    return float(stats.chisquare(np.ravel(counts)).pvalue)


def p_of_independence(a: NDArray, b: NDArray) -> float:
    """That pairs of numbers in [0, 1) fill a 16 x 16 grid evenly."""
    return p_of_counts(np.histogram2d(a, b, bins=16, range=[[0, 1], [0, 1]])[0])


def test_the_draws_are_splitmix64() -> None:
    assert bits(1234567, 5).tolist() == KNOWN


def test_any_draw_can_be_had_at_any_time() -> None:
    np.testing.assert_array_equal(bits(7, 100)[60:], bits(7, 40, first=60))


def test_uniforms_are_the_high_53_bits() -> None:
    np.testing.assert_array_equal(units(7, 1000), (bits(7, 1000) >> np.uint64(11)).astype(float) / 2**53)


KEYS = [stream_key(1, replicate, stream) for replicate, stream in itertools.product((0, 1), (WEIGHTS, TRAINING, TESTS))]


@pytest.mark.parametrize("key", KEYS)
def test_draws_are_uniform_and_serially_independent(key: int) -> None:
    u = units(key)
    assert 0 <= u.min() < u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    for lag in (1, 2, 7):
        assert p_of_independence(u[lag:][:: lag + 1], u[:-lag][:: lag + 1]) > 1e-3


@pytest.mark.parametrize("key", KEYS[:2])
def test_every_bit_is_fair(key: int) -> None:
    ones = np.unpackbits(bits(key).view(np.uint8)).reshape(N, 64).sum(axis=0)
    assert np.abs(ones - N / 2).max() < 5 * np.sqrt(N) / 2


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(KEYS, 2)))
def test_streams_are_independent(one: int, other: int) -> None:
    assert p_of_independence(units(one), units(other)) > 1e-3


@pytest.mark.parametrize("counter", [0, 50, APART])
def test_draws_of_successive_sequences_are_independent(counter: int) -> None:
    """A sequence's key is a draw itself: the draws that several sequences make at one step must not hang together."""
    of_step = np.array([bits(key, 1, first=counter)[0] for key in bits(KEYS[1], 20_000)]) / 2.0**64
    assert stats.kstest(of_step, "uniform").pvalue > 1e-3
    assert p_of_independence(of_step[1::2], of_step[::2]) > 1e-3


@pytest.mark.parametrize("n", [1, 2, 4, 11, 100])
def test_below_takes_each_number_equally_often(n: int) -> None:
    out = np.empty(N, np.int64)
    whole(KEYS[0], n, out)
    assert set(np.unique(out)) == set(range(n))
    assert n == 1 or p_of_counts(np.bincount(out)) > 1e-3


def test_every_stream_has_its_own_key() -> None:
    streams = list(itertools.product((0, 1, 2, 1997, 2**40), range(50), range(5)))
    assert len({int(stream_key(*stream)) for stream in streams}) == len(streams)


@pytest.mark.parametrize(
    ("stream", "key"),
    [
        ((0, 0, WEIGHTS), 2635072618980576772),
        ((1997, 0, WEIGHTS), 2199645880614877680),
        ((1997, 19, TRAINING), 565734319937376752),
        ((1997, 19, TESTS + 1), 1399839584345502276),
    ],
)
def test_keys_stay_what_they_are(stream: tuple[int, int, int], key: int) -> None:
    """Recorded trials are repeated by their seeds: another key for the same stream is another numerics version."""
    assert int(stream_key(*stream)) == key


def gaussian(key: int, count: int) -> NDArray[np.float64]:
    out = np.empty(count)
    normals(np.uint64(key), out)
    return out


def test_normal_draws_are_gaussian() -> None:
    found = gaussian(KEYS[0], 2_000_000)
    assert stats.kstest(found, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(found)) < 5 * np.sqrt(24 / len(found))
    edges = np.linspace(-4.5, 4.5, 91)  # layers, wedges and the tail beyond 3.65, bin by bin
    shares = np.diff(np.concatenate([[0.0], stats.norm.cdf(edges), [1.0]]))
    counts = np.bincount(np.searchsorted(edges, found), minlength=len(shares))
    assert stats.chisquare(counts, shares * len(found)).pvalue > 1e-3
    assert found.min() < -4.5
    assert found.max() > 4.5


def test_normal_draws_do_not_depend_on_those_before() -> None:
    pairs = gaussian(KEYS[1], 2_000_000).reshape(-1, 2)
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 5 / np.sqrt(len(pairs))
    assert p_of_independence(stats.norm.cdf(pairs[:, 0]), stats.norm.cdf(pairs[:, 1])) > 1e-3


def test_normal_draws_are_those_of_the_twin_also_in_wedges_and_tail() -> None:
    found = gaussian(KEYS[2], 20_000)
    np.testing.assert_array_equal(found, [naive_tasks.normal(int(KEYS[2]), counter) for counter in range(20_000)])
    assert abs(found).max() > _TAIL


def test_the_layers_have_equal_areas() -> None:
    """Marsaglia & Tsang (2000): 256 of them, the lowest with the tail."""
    tail = np.sqrt(2 * np.pi) * stats.norm.sf(_TAIL)
    np.testing.assert_allclose(_X[1] * _DENSITY[1] + tail, _AREA, rtol=1e-12)
    np.testing.assert_allclose(_X[1:-1] * np.diff(_DENSITY[1:]), _AREA, rtol=1e-9)
    np.testing.assert_allclose(_DENSITY, np.exp(-(_X**2) / 2), rtol=1e-12)
    assert len(_X) == 257
