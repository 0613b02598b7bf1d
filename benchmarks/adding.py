"""Sequences of the adding problem (section 5.4) for the peers, all of the minimal length, and their learning rate."""

import numpy as np
from numpy.typing import NDArray

T = 100
RATE = 0.5


def adding_data(rng: np.random.Generator, sequences: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x[sequence, step, (value, marker)] and target[sequence]."""
    x = np.zeros((sequences, T, 2))
    x[:, :, 0] = rng.uniform(-1, 1, (sequences, T))
    every = np.arange(sequences)
    first, second = rng.integers(0, 10, sequences), rng.integers(0, T // 2 - 1, sequences)
    second += second >= first
    values = [np.where(mark > 0, x[every, mark, 0], 0.0) for mark in (first, second)]
    x[every, first, 1] = x[every, second, 1] = 1
    x[:, [0, -1], 1] = -1
    return x, 0.5 + (values[0] + values[1]) / 4
