"""The net inputs of all hidden units of the 1997 net: the part of `lstm1997_kernel` that takes most of the time."""

from __future__ import annotations

import numpy as np

from lstm_search.networks.lstm1997_state import RING, State, Variant
from lstm_search.simd import Block, Lanes, Value, fma, gather, inlined, load, part, splat, store

Four = tuple[Value, Value, Value, Value]
"""A value for each of four units in a row."""


@inlined
def _net(lanes: Lanes, variant: Variant, nets: np.ndarray, u: int) -> Value:
    """What the sum of net_u starts from: where inputs are symbols, what the active one adds to it."""
    return load(lanes, nets, u) if variant.symbols else splat(lanes, 0.0)


@inlined
def _four(lanes: Lanes, variant: Variant, nets: np.ndarray, u: int) -> Four:
    """Where the sums of units u .. u + 3 start."""
    a, b = _net(lanes, variant, nets, u), _net(lanes, variant, nets, u + 1)
    return a, b, _net(lanes, variant, nets, u + 2), _net(lanes, variant, nets, u + 3)


@inlined
def _add_four(lanes: Lanes, W: np.ndarray, u: int, i: int, z_m: Value, nets: Four) -> Four:
    """The nets of units u .. u + 3 with what source i adds to them."""
    a, b = fma(load(lanes, W, (u, i)), z_m, nets[0]), fma(load(lanes, W, (u + 1, i)), z_m, nets[1])
    c, d = fma(load(lanes, W, (u + 2, i)), z_m, nets[2]), fma(load(lanes, W, (u + 3, i)), z_m, nets[3])
    return a, b, c, d


@inlined
def _store_four(nets: np.ndarray, u: int, four: Four) -> None:
    """nets[u .. u + 3] = four."""
    store(nets, u, four[0])
    store(nets, u + 1, four[1])
    store(nets, u + 2, four[2])
    store(nets, u + 3, four[3])


@inlined
def add_up(lanes: Lanes, variant: Variant, state: State, block: Block, t: int, nets: np.ndarray) -> None:
    """A.1: net_u(t) = sum_m w_um z_m, into `nets`. Eight units at a time share the loads of z, and their sums do not
    wait for each other."""
    W, z, units = state.W, part(state.z, t & RING - 1, 0), state.W.shape[0]
    if variant.symbols:
        for u in range(units):
            store(nets, u, gather(lanes, state.of.W, u, block.symbol, t))
    for u in range(0, units // 8 * 8, 8):
        low, high = _four(lanes, variant, nets, u), _four(lanes, variant, nets, u + 4)
        for m in range(variant.sources):
            z_m = load(lanes, z, m)
            low, high = _add_four(lanes, W, u, m, z_m, low), _add_four(lanes, W, u + 4, m, z_m, high)
        _store_four(nets, u, low)
        _store_four(nets, u + 4, high)
    for u in range(units // 8 * 8, units // 4 * 4, 4):
        four = _four(lanes, variant, nets, u)
        for m in range(variant.sources):
            four = _add_four(lanes, W, u, m, load(lanes, z, m), four)
        _store_four(nets, u, four)
    for u in range(units // 4 * 4, units):
        net = _net(lanes, variant, nets, u)
        for m in range(variant.sources):
            net = fma(load(lanes, W, (u, m)), load(lanes, z, m), net)
        store(nets, u, net)
