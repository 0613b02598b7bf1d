"""Gated recurrent units in lanes, unrolled as `unrolled` has it: what they do at a step, and on the way back.

n units, 3n gates (r, z and c), I inputs, K outputs, L lanes.
"""

from __future__ import annotations

import numpy as np

from lstm_search.networks import unrolled
from lstm_search.networks.gru_state import GruState, GruVariant, lanes_last, new_state, put, weights
from lstm_search.networks.in_lanes import add, apply, apply_runs, error_signal, tally_up
from lstm_search.networks.optimizers import DESCENT, count, follow
from lstm_search.networks.unrolled import fetch_targets, illegal, keep
from lstm_search.simd import (
    RANKED,
    Block,
    Lanes,
    StopState,
    Value,
    fma,
    gather,
    inlined,
    larger,
    load,
    logistic_slope,
    magnitude,
    scatter_add,
    select,
    splat,
    squash,
    store,
)


@inlined
def _net(lanes: Lanes, variant: GruVariant, state: GruState, k: int, u: int, states: np.ndarray) -> Value:
    """The net input of gate u from what row k has seen, and from `states`."""
    I, W = variant.inputs, state.W
    net = load(lanes, W, (u, I))
    if variant.symbols:
        net = net + gather(lanes, state.X, u, state.steps.symbol, k)
    for i in range(I):
        net = fma(load(lanes, W, (u, i)), load(lanes, state.past.x, (k, i)), net)
    for j in range(variant.units):
        net = fma(load(lanes, W, (u, I + 1 + j)), load(lanes, states, j), net)
    return net


def _step(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int, learn: int) -> None:
    """A piece of the loop: y = z y + (1 - z) c, in the lanes of `mask`. In those of `learn` row k holds the step."""
    n, now, past, y = variant.units, state.now, state.past, state.y
    for u in range(2 * n):
        store(now, u, _net(lanes, variant, state, k, u, y))
    squash(lanes, now, 0, 2 * n)
    for j in range(n):
        store(state.held, j, load(lanes, now, j) * load(lanes, y, j))
    for u in range(2 * n, 3 * n):
        store(now, u, 2.0 * _net(lanes, variant, state, k, u, state.held))
    squash(lanes, now, 2 * n, 3 * n)
    for i in range(n):
        z, before, c = load(lanes, now, n + i), load(lanes, y, i), fma(2.0, load(lanes, now, 2 * n + i), -1.0)
        store(now, 2 * n + i, c)
        store(y, i, select(mask, fma(z, before - c, c), before))
        if learn:
            keep(lanes, past.y, k, i, learn, before)
            keep(lanes, past.blame, k, i, learn, splat(lanes, 0.0))
    if learn:
        for u in range(3 * n):
            keep(lanes, past.gates, k, u, learn, load(lanes, now, u))


def _observe(
    lanes: Lanes, variant: GruVariant, state: GruState, block: Block, stop: StopState, k: int, due: int, ends: int
) -> None:
    """A piece of the loop: outputs meet their targets. Error signals go into `e`."""
    n, K = variant.units, state.e.shape[0]
    absolute, squared, worst = splat(lanes, 0.0), splat(lanes, 0.0), splat(lanes, 0.0)
    for o in range(K):
        net = load(lanes, state.V, (o, n))
        for i in range(n):
            net = fma(load(lanes, state.V, (o, i)), load(lanes, state.y, i), net)
        store(state.e, o, net)
    fetch_targets(state.steps, block, due)
    if not variant.linear:
        squash(lanes, state.e, 0, K)
    ranked = illegal(lanes, state.steps, block, state.e, due) if block.legal.shape[0] else worst
    for o in range(K):
        y = load(lanes, state.e, o)
        error = load(lanes, state.steps.target, o) - y
        absolute, squared = absolute + magnitude(error), fma(error, error, squared)
        worst = larger(worst, magnitude(error))
        store(state.e, o, error_signal(lanes, variant.linear, state.signal, y, error))
    worst = select(stop.masks[RANKED], ranked, worst)
    tally_up(lanes, stop, due, ends, splat(lanes, 1.0 / K), absolute, squared, worst)


def _learn(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """A piece of the loop: what the targets of a step bring to output weights, and to the states of row k."""
    n, K, a = variant.units, state.e.shape[0], load(lanes, state.rate, 0)
    for i in range(n):
        blame = splat(lanes, 0.0)
        for o in range(K):
            blame = fma(load(lanes, state.V, (o, i)), load(lanes, state.e, o), blame)
        keep(lanes, state.past.blame, k, i, mask, blame)
    for o in range(K):
        e = a * load(lanes, state.e, o)
        for i in range(n):
            add(lanes, state.dV, (o, i), mask, e, load(lanes, state.y, i))
        add(lanes, state.dV, (o, n), mask, e, splat(lanes, 1.0))


@inlined
def _through_gates(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """-dE/dnet of all gates at the step of row k into `now`; `back` becomes what flows to the step before."""
    n, first, delta, back, past, W = variant.units, variant.inputs + 1, state.now, state.back, state.past, state.W
    for i in range(n):
        z, c = load(lanes, past.gates, (k, n + i)), load(lanes, past.gates, (k, 2 * n + i))
        flow, before = load(lanes, back, i), load(lanes, past.y, (k, i))
        blamed = flow + load(lanes, past.blame, (k, i))
        store(delta, n + i, blamed * (before - c) * logistic_slope(z))
        store(delta, 2 * n + i, blamed * (1.0 - z) * fma(-1.0 * c, c, 1.0))
        store(back, i, select(mask, blamed * z, flow))
    for j in range(n):
        r, before = load(lanes, past.gates, (k, j)), load(lanes, past.y, (k, j))
        flow, through = load(lanes, back, j), splat(lanes, 0.0)
        for u in range(2 * n, 3 * n):
            through = fma(load(lanes, W, (u, first + j)), load(lanes, delta, u), through)
        store(back, j, select(mask, fma(through, r, flow), flow))
        store(delta, j, through * before * logistic_slope(r))
        store(state.held, j, r * before)
    for j in range(n):
        flow = load(lanes, back, j)
        more = flow
        for u in range(2 * n):
            more = fma(load(lanes, W, (u, first + j)), load(lanes, delta, u), more)
        store(back, j, select(mask, more, flow))


@inlined
def _contribute(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """DW += rate x delta x source for all gates and sources of the step of row k, in the lanes of `mask`."""
    n, I, past, a = variant.units, variant.inputs, state.past, load(lanes, state.rate, 0)
    for u in range(3 * n):
        delta = a * load(lanes, state.now, u)
        if variant.symbols:  # adding -0.0 leaves the other lanes' bits as they are
            scatter_add(lanes, state.dX, u, state.steps.symbol, k, select(mask, delta, splat(lanes, -0.0)))
        for i in range(I):
            add(lanes, state.dW, (u, i), mask, delta, load(lanes, past.x, (k, i)))
        add(lanes, state.dW, (u, I), mask, delta, splat(lanes, 1.0))
        for j in range(n):
            source = load(lanes, past.y, (k, j)) if u < 2 * n else load(lanes, state.held, j)
            add(lanes, state.dW, (u, I + 1 + j), mask, delta, source)


def _flow_back(lanes: Lanes, variant: GruVariant, state: GruState, k: int, mask: int) -> None:
    """A piece of the loop: errors flow back through a step, and all weights learn what it contributes."""
    _through_gates(lanes, variant, state, k, mask)
    _contribute(lanes, variant, state, k, mask)


def _finish(lanes: Lanes, variant: GruVariant, state: GruState, mask: int) -> None:
    """A piece of the loop: the sums move into the weights, in the lanes of `mask`, and are 0 again."""
    if variant.sums == DESCENT:
        apply(lanes, state.W, state.dW, mask)
        apply(lanes, state.V, state.dV, mask)
        apply_runs(state.X, state.dX, mask)
        return
    for l in range(state.rule.shape[1]):
        if mask >> l & 1:
            rule, W, V, X = state.rule[:, l], state.of_W, state.of_V, state.of_X
            count(rule)
            follow(variant.sums, rule, state.W[..., l], state.dW[..., l], W.first[..., l], W.second[..., l])
            follow(variant.sums, rule, state.V[..., l], state.dV[..., l], V.first[..., l], V.second[..., l])
            follow(variant.sums, rule, state.X[:, l], state.dX[:, l], X.first[:, l], X.second[:, l])


def _begin(lanes: Lanes, variant: GruVariant, state: GruState, mask: int) -> None:
    """A piece of the loop: all states are 0."""
    for i in range(state.y.shape[0]):
        store(state.y, i, select(mask, splat(lanes, 0.0), load(lanes, state.y, i)))


KERNELS = unrolled.kernels(
    GruVariant,
    new_state,
    put,
    weights,
    lanes_last,
    step=_step,
    observe=_observe,
    learn=_learn,
    flow_back=_flow_back,
    finish=_finish,
    begin=_begin,
)
