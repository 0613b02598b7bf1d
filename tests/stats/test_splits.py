"""Splits of scores in two: all of them, random ones, and tilted ones with their weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lstm_search import stats
from lstm_search.stats import splits, times


def welch(scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return times._welch(scores, chosen.shape[1], splits.sums_of(scores, chosen))


def scores_of(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 1, n)


@pytest.mark.parametrize("number", [splits.random, splits.every])
def test_a_split_takes_so_many_different_scores(number: type) -> None:
    assert {len(set(chosen)) for chosen in number(12, 5).tolist()} == {5}


@pytest.mark.parametrize("seed", range(5))
def test_small_p_values_by_tilted_splits_are_the_share_of_all_splits(seed: int) -> None:
    """8 of 20: 125,970 splits, of which the p-values of some extreme ones are known."""
    scores = np.sort(scores_of(seed, 20))
    all_, rng = welch(scores, splits.every(20, 8)), np.random.default_rng(seed)
    own = splits.sums_of(scores, np.arange(8, dtype=np.intp)[np.newaxis])
    sums, weights = splits.tilted(rng, scores, own, 8, 1e-4)
    drawn = times._welch(scores, 8, sums)[1:]
    for share in (3e-5, 1e-4, 1e-3):
        reach = np.quantile(all_, 1 - share)
        assert weights[1:][drawn >= reach].sum() / len(drawn) == pytest.approx(np.mean(all_ >= reach), rel=0.35)
    assert weights[1:].mean() < 5, "weights are right wherever splits are drawn"


def test_p_values_of_alike_sets_are_small_no_more_often_than_they_say() -> None:
    """Of splits drawn with equal probabilities a share q at most has a p-value of q."""
    scores, rng, found = scores_of(1, 18), np.random.default_rng(2), []
    for _ in range(2000):
        mixed = rng.permutation(scores)
        own = splits.sums_of(mixed, np.arange(6, dtype=np.intp)[np.newaxis])
        reach = float(times._welch(mixed, 6, own)[0]) - 1e-9
        found.append(times._tilted_p(mixed, own, reach, 6, 1e-2))
    for q in (0.005, 0.01, 0.02, 0.05):
        assert np.mean(np.array(found) <= q) <= q + 3 * math.sqrt(q / len(found))
    assert np.mean(np.array(found) <= 0.01) >= 0.005, "and about as often as they say"


def test_p_values_far_below_what_can_be_counted() -> None:
    """Fifty slow trials beside fifty fast ones: next to no split of all 10^29 is as clear."""
    slow, fast = scores_of(3, 50) + 20, scores_of(4, 50)
    assert stats.ert_p((slow.tolist(), []), (fast.tolist(), []), 1e-9) < 1e-9
    assert stats.ert_p((fast.tolist(), []), (slow.tolist(), []), 1e-9) > 0.99


def test_thousands_of_scores_do_not_overflow() -> None:
    slow, fast = scores_of(5, 40) + 1, scores_of(6, 4000)
    assert stats.ert_p((slow.tolist(), []), (fast.tolist(), []), 1e-7) < 1e-3
