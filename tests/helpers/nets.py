"""Nets driven block by block without packs, random sequences for them, and the stop rules of their small trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from helpers.naive_rivals import Weights

from lstm_search.networks import Signal
from lstm_search.simd.draws import WEIGHTS, stream_key
from lstm_search.simd.lanes import lanes_tag
from lstm_search.simd.stopping import new_stop_state
from lstm_search.simd.streams import Block, Layout, new_block
from lstm_search.spec import Cell, Stop, TrialResult, TrialSpec
from lstm_search.worker.trial import Worker

I, K, RATE, STEPS = 3, 2, 0.7, 64  # inputs, outputs, learning rate, steps of a block


STOP = Stop(tolerance=0.3, window=20, max_wrong=2, mean_error=None, check_every=50, test_sequences=30)
RANKED = replace(STOP, correct="ranked", window=512)

Sequences = list[tuple[np.ndarray, dict[int, np.ndarray]]]


def random_weights(network: Any, seed: int) -> Weights:
    wide = replace(network, init=1.0)
    return wide.initial(stream_key(seed, 0, WEIGHTS), I, K)


def random_sequences(seed: int, number: int, *, symbols: bool) -> Sequences:
    """Sequences of 1 to 9 steps with targets at some of them, the last included."""
    rng = np.random.default_rng(seed)
    found: Sequences = []
    for steps in rng.integers(1, 10, number):
        x = rng.integers(0, I, steps) if symbols else rng.normal(0, 1, (steps, I))
        due = sorted({int(steps) - 1, *map(int, rng.integers(0, steps, steps // 2))})
        found.append((x, {t: rng.uniform(0, 1, K) for t in due}))
    return found


def blocks_of(lanes: list[Sequences], *, symbols: bool) -> list[Block]:
    """The lanes' sequences end to end, in blocks that cut them anywhere."""
    steps = max(sum(len(x) for x, _ in lane) for lane in lanes)
    whole = new_block(-(-steps // STEPS) * STEPS, len(lanes), Layout(I, K, symbols=symbols))
    for l, lane in enumerate(lanes):
        start = 0
        for x, targets in lane:
            (whole.symbol if symbols else whole.x)[start : start + len(x), ..., l] = x
            for t, target in targets.items():
                whole.target[start + t, :, l] = target
                whole.due[start + t] |= 1 << l
            start += len(x)
            whole.ends[start - 1] |= 1 << l
    parts = range(0, len(whole.due), STEPS)
    *arrays, inputs = whole
    return [Block(*(array[t : t + STEPS] if array.size else array for array in arrays), inputs) for t in parts]


def trained(
    network: Any,
    weights: list[Weights],
    lanes: list[Sequences],
    *,
    symbols: bool,
    sums: bool = True,
    learning: int = -1,
    signals: Sequence[Signal] = (),
) -> tuple[list[Weights], Any]:
    """Each lane's weights after its sequences, and the state of the stop rules. `signals`: how each lane learns."""
    width = len(lanes)
    variant = network.variant(I, symbols=symbols, sums=sums)
    state, stop, tag = network.kernels.new_state(width, variant, K), new_stop_state(width, 1), lanes_tag(width)
    for l, (hidden, output) in enumerate(weights):
        signal = signals[l] if signals else Signal(RATE)
        network.kernels.put(state, variant, l, network, (hidden, output), signal)
    stop.masks[:] = (1 << width) - 1
    stop.masks[1] &= learning
    stop.limit[:] = 10**9
    network.kernels.restart(tag, variant, state, (1 << width) - 1)
    for block in blocks_of(lanes, symbols=symbols):
        network.kernels.advance(tag, variant, state, block, stop)
    return [network.kernels.weights(state, variant, l) for l in range(width)], stop


def assert_close(found: Weights, expected: Weights, tolerance: float) -> None:
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=tolerance, atol=tolerance)


def one_sequence(seed: int, *, symbols: bool) -> Sequences:
    """One sequence of more than four steps with a target before its last."""
    some = random_sequences(seed, 40, symbols=symbols)
    return [next(entry for entry in some if len(entry[0]) > 4 and len(entry[1]) > 1)]


def results(cell: Cell, width: int, seeds: range) -> list[TrialResult]:
    worker, found, new = Worker(width), [], [TrialSpec(cell, seed, 7, 500 + 30 * seed) for seed in seeds]
    while len(found) < len(seeds):
        found += worker.advance(new, 5).finished
        new = []
    return sorted(found, key=lambda result: result.key)
