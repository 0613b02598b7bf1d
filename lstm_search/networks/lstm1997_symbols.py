"""What one lane does to all its symbols at once: parts of `lstm1997_kernel` that run along the symbols instead of
across the lanes, so that a lane that ends costs the others nothing."""

from __future__ import annotations

import numpy as np

from lstm_search.networks.lstm1997_state import RUN, Event, State, Variant
from lstm_search.simd import Block, fma, inlined, load_run, splat, store_run

_TAG = (0.0,) * RUN


@inlined
def learn_symbols(variant: Variant, state: State, event: Event, W: np.ndarray) -> None:
    """W[c, x] += e_s dS_c[c, x] and W[in, x] += e_s dS_in[c, x], in the lanes that learn."""
    of = state.of
    learn_runs(W, 0, 1, of.e_s, of.dS_c, event.learn)
    learn_runs(W, of.e_s.shape[0], variant.size, of.e_s, of.dS_in, event.learn)


@inlined
def learn_runs(W: np.ndarray, first: int, cells: int, e_s: np.ndarray, dS: np.ndarray, lanes: int) -> None:
    """W[u, x] += e_s dS[c, x] in the set `lanes`, for the units u = first, first + 1, .. with so many cells c each."""
    for l in range(e_s.shape[1]):
        if lanes >> l & 1:
            for c in range(e_s.shape[0]):
                e, u = splat(_TAG, e_s[c, l]), first + c // cells
                for x in range(0, W.shape[2], RUN):
                    store_run(W, (u, l), x, fma(e, load_run(_TAG, dS, (c, l), x), load_run(_TAG, W, (u, l), x)))


@inlined
def forget_symbols(state: State, lanes: int) -> None:
    """The traces of the symbols start anew in the set `lanes`."""
    clear_runs(state.of.dS_in, lanes)
    clear_runs(state.of.dS_c, lanes)


@inlined
def clear_runs(dS: np.ndarray, lanes: int) -> None:
    """These traces are 0 in the set `lanes`."""
    for l in range(dS.shape[1]):
        if lanes >> l & 1:
            for c in range(dS.shape[0]):
                for x in range(dS.shape[2]):
                    dS[c, l, x] = 0.0


@inlined
def direct_nets(state: State, block: Block, t: int) -> None:
    """net_k = V[x, k] for the symbol x of each lane."""
    V, e = state.of.V, state.e
    for l in range(V.shape[1]):
        x = block.symbol[t, l]
        for k in range(block.target.shape[1]):
            e[k, l] = V[x, l, k]


@inlined
def learn_direct(state: State, block: Block, event: Event, V: np.ndarray) -> None:
    """V[x, k] += rate e_k for the symbol x, in the lanes that learn; `e` holds rate e_k."""
    for l in range(V.shape[1]):
        if event.learn >> l & 1:
            x = block.symbol[event.t, l]
            for k in range(block.target.shape[1]):
                V[x, l, k] += state.e[k, l]
