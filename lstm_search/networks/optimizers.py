"""How weights follow the contributions that are summed over a sequence: by descent, by momentum (Polyak 1964) or by
Adam (Kingma & Ba 2015).

Descent adds the sums, which hold the rate already. The other two take sums of the plain gradient and have the rate
themselves. Momentum: v = mu v + g, w += rate v. Adam: m = mu m + (1 - mu) g and v = .999 v + .001 g^2, both divided by
1 - decay^n after n sequences, and w += rate m / (sqrt(v) + 1e-8). Here g is minus the derivative of the error, so
weights go down it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstm_search.simd import aligned_zeros, inlined

AT_ONCE, DESCENT, MOMENTUM, ADAM = range(4)
"""What `sums` of a variant says: contributions are applied at once, or summed and applied at a sequence's end, how."""

RULES = {"descent": DESCENT, "momentum": MOMENTUM, "adam": ADAM}
"""What `training.optimizer` may be."""

_DECAY, _LEAST = 0.999, 1e-8


class Moments(NamedTuple):
    """What is remembered of the contributions to an array of weights, in its shape; empty where nothing is."""

    first: np.ndarray
    second: np.ndarray


class Rule(NamedTuple):
    """How weights follow: the numbers of a lane in the optimizer's equations."""

    rate: float = 0.0
    momentum: float = 0.0  # mu
    first_left: float = 1.0  # mu^n after n sequences
    second_left: float = 1.0  # .999^n


def new_moments(sums: int, like: np.ndarray, units: int) -> Moments:
    """Nothing remembered yet of contributions that are summed in the array `like`, in a pack whose variant says `sums`.
    What no optimizer needs has length 0 on the axis `units`, which is not that of the lanes."""
    none = [0 if axis == units else length for axis, length in enumerate(like.shape)]
    return Moments(
        aligned_zeros(*(like.shape if sums >= MOMENTUM else none)),
        aligned_zeros(*(like.shape if sums == ADAM else none)),
    )


def forget(moments: Sequence[np.ndarray]) -> None:
    """Nothing is remembered, in these views."""
    for array in moments:
        array[...] = 0.0


@inlined
def count(rule: np.ndarray) -> None:
    """One more sequence is over: `rule` [4] is a `Rule`."""
    rule[2] *= rule[1]
    rule[3] *= _DECAY


@inlined
def follow(sums: int, rule: np.ndarray, to: np.ndarray, g: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    """Move the sums g [n, m] into the weights `to` [n, m], by momentum or Adam. `rule` [4] has counted the sequence.

    The corrections of Adam's moments are made to rate and constant, as in section 2 of Kingma & Ba: one root and one
    division a weight.
    """
    a, mu, root = rule[0], rule[1], math.sqrt(1.0 - rule[3])
    corrected, least = a * root / (1.0 - rule[2]), _LEAST * root
    for i in range(g.shape[0]):
        for k in range(g.shape[1]):
            if sums == MOMENTUM:
                first[i, k] = mu * first[i, k] + g[i, k]
                to[i, k] += a * first[i, k]
            else:
                first[i, k] = mu * first[i, k] + (1.0 - mu) * g[i, k]
                second[i, k] = _DECAY * second[i, k] + (1.0 - _DECAY) * (g[i, k] * g[i, k])
                to[i, k] += corrected * first[i, k] / (math.sqrt(second[i, k]) + least)
            g[i, k] = 0.0
