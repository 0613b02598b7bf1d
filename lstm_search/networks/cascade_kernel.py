"""Recurrent cascade-correlation (Fahlman 1991, after Fahlman & Lebiere 1990): a net that grows, one frozen unit a time.

It learns epoch by epoch, in two kinds of phases. At first, and after every new unit, the output weights are trained on
the squared error. When that no longer helps, a pool of candidate units is trained to covary with what error remains,
the best one joins the net for good, and the rest of the pool is dropped. All training is by quickprop (Fahlman 1988).

A unit V(t) = tanh(sum w z(t) + w_s V(t-1)) sees the inputs, 1, all units before it, and itself a step before, so its
derivatives can be carried along exactly: dV/dw(t) = (1 - V^2) (z(t) + w_s dV/dw(t-1)). Outputs are logistic and see the
inputs, 1 and all units.

A phase ends when its measure (mean squared error, or the pool's best score) has for `patience` epochs been within a
fraction of what it was (`output_change`, `pool_change`), or after `longest` epochs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import loop
from lstm_search.networks.learner import Signal, Weights
from lstm_search.networks.recurrent import add_scaled, copy, error_signal, logistic
from lstm_search.simd import Block, StopState, aligned_zeros, inlined

OUTPUTS, POOL = 0, 1
"""What is being trained (`CascadeState.phase`)."""


class Variant(NamedTuple):
    """What all nets of a pack have in common."""

    inputs: int  # I
    symbols: int  # 1 where inputs are symbols
    most: int  # H: units that may join at most
    pool: int  # P: candidates
    epoch: int  # sequences after which weights change
    patience: int
    longest: int
    output_change: float
    pool_change: float
    pool_rate: float
    mu: float


class CascadeState(NamedTuple):
    """The nets of a pack, lane by lane. The sources of unit i are the first I + 1 + i + 1 of z; the last is unit i."""

    W: np.ndarray  # [L, H, C] weights of units that have joined; C = I + 1 + H
    V: np.ndarray  # [L, C, K] weights from inputs, 1, units to outputs
    pools: np.ndarray  # [L, H, P, C] weights of the candidates for each unit
    z: np.ndarray  # [L, C] inputs, 1, activations of the units
    e: np.ndarray  # [L, K] outputs, then target - output
    y: np.ndarray  # [L, P] activations of the candidates
    D: np.ndarray  # [L, P, C] dV/dw of the candidates
    steps: np.ndarray  # [L, 1] steps with a target, this and all below summed over the epoch
    errors: np.ndarray  # [L, K] sum e
    squares: np.ndarray  # [L, 1] sum e^2, over all outputs
    pushes: np.ndarray  # [L, C, K] sum -dE/dv
    sum_y: np.ndarray  # [L, P] sum V
    sum_ye: np.ndarray  # [L, P, K] sum V e
    sum_D: np.ndarray  # [L, P, C] sum dV/dw
    sum_De: np.ndarray  # [L, P, K, C] sum e dV/dw
    step_V: np.ndarray  # [L, C, K] last change of output weights
    push_V: np.ndarray  # [L, C, K] the push that it was made by
    step_W: np.ndarray  # [L, P, C] the same of candidates
    push_W: np.ndarray  # [L, P, C]
    phase: np.ndarray  # [L, 1] OUTPUTS or POOL
    units: np.ndarray  # [L, 1] how many have joined
    seen: np.ndarray  # [L, 1] sequences of this epoch
    age: np.ndarray  # [L, 1] epochs of this phase
    still: np.ndarray  # [L, 1] those since its measure changed
    mark: np.ndarray  # [L, 1] the measure then
    rate: np.ndarray  # [L] learning rate of the outputs
    signal: np.ndarray  # [L, 3] margin, slope and constant of their `Signal`


def new_state(width: int, variant: Variant, outputs: int) -> CascadeState:
    """Nets without units, all weights zero."""
    H, P, K = variant.most, variant.pool, outputs
    C = variant.inputs + 1 + H
    whole = [aligned_zeros(width, 1, dtype=np.int64) for _ in range(5)]
    return CascadeState(
        W=aligned_zeros(width, H, C),
        V=aligned_zeros(width, C, K),
        pools=aligned_zeros(width, H, P, C),
        z=aligned_zeros(width, C),
        e=aligned_zeros(width, K),
        y=aligned_zeros(width, P),
        D=aligned_zeros(width, P, C),
        steps=aligned_zeros(width, 1),
        errors=aligned_zeros(width, K),
        squares=aligned_zeros(width, 1),
        pushes=aligned_zeros(width, C, K),
        sum_y=aligned_zeros(width, P),
        sum_ye=aligned_zeros(width, P, K),
        sum_D=aligned_zeros(width, P, C),
        sum_De=aligned_zeros(width, P, K, C),
        step_V=aligned_zeros(width, C, K),
        push_V=aligned_zeros(width, C, K),
        step_W=aligned_zeros(width, P, C),
        push_W=aligned_zeros(width, P, C),
        phase=whole[0],
        units=whole[1],
        seen=whole[2],
        age=whole[3],
        still=whole[4],
        mark=aligned_zeros(width, 1),
        rate=aligned_zeros(width),
        signal=aligned_zeros(width, 3),
    )


def put(state: CascadeState, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has no units yet. It has these weights: of all pools to come [H P, C], and of the outputs [K, I + 1]."""
    hidden, output = weights
    for array in state:
        array[l] = 0
    state.pools[l] = hidden.reshape(state.pools.shape[1:])
    state.V[l, : variant.inputs + 1] = output.T
    state.z[l, variant.inputs] = 1.0
    state.rate[l], state.signal[l] = signal.rate, signal[1:4]


def weights(state: CascadeState, variant: Variant, l: int) -> Weights:
    """Copies of the weights of lane l, which has U units: hidden [U, I + 1 + U] and output [K, I + 1 + U]."""
    units = int(state.units[l, 0])
    columns = variant.inputs + 1 + units
    return state.W[l, :units, :columns].copy(), state.V[l, :columns].T.copy()


@inlined
def quickprop(push: float, before: float, step: float, rate: float, mu: float) -> float:
    """The next step of a weight whose last one was `step`, by the derivatives of what is to grow, now and before it.

    It leads to the summit of the parabola through both, but to no more than `mu` times the last step; uphill, `rate`
    times the derivative is added.
    """
    if step == 0.0:
        return rate * push
    ahead, was = (push, before) if step > 0.0 else (-push, -before)
    climb = rate * push if ahead > 0.0 else 0.0
    if ahead >= mu / (1.0 + mu) * was:
        return climb + mu * step
    return climb + max(ahead / (was - ahead), -mu) * step


@inlined
def _take_steps(
    weights: np.ndarray, pushes: np.ndarray, before: np.ndarray, steps: np.ndarray, rate: float, mu: float
) -> None:
    """One step of quickprop for each of some weights."""
    for k in range(weights.shape[0]):
        steps[k] = quickprop(pushes[k], before[k], steps[k], rate, mu)
        before[k] = pushes[k]
        weights[k] += steps[k]


@inlined
def _unit(w: np.ndarray, z: np.ndarray, own: int) -> float:
    """The activation of a unit with weights w [C]. Its last source, number `own`, is the unit itself a step before."""
    net = 0.0
    for m in range(own + 1):
        net += w[m] * z[m]
    return math.tanh(net)


@inlined
def _candidates(variant: Variant, state: CascadeState, l: int) -> None:
    """The candidates' activations at this step, and their derivatives."""
    z, own = state.z[l], variant.inputs + 1 + state.units[l, 0]
    for c in range(variant.pool):
        w, D = state.pools[l, state.units[l, 0], c], state.D[l, c]
        z[own] = state.y[l, c]
        y = _unit(w, z, own)
        for m in range(own + 1):
            D[m] = (1.0 - y * y) * (z[m] + w[own] * D[m])
        state.y[l, c] = y
    z[own] = 0.0


def step(variant: Variant, state: CascadeState, block: Block, l: int, t: int, learning: int) -> None:
    """A piece of the loop: the activations of lane l at step t."""
    z, first = state.z[l], variant.inputs + 1
    if variant.symbols:
        z[: variant.inputs] = 0.0
        z[block.symbol[t, l]] = 1.0
    else:
        copy(z[: variant.inputs], block.x[t, :, l])
    for i in range(state.units[l, 0]):
        z[first + i] = _unit(state.W[l, i], z, first + i)
    if learning and state.phase[l, 0] == POOL:
        _candidates(variant, state, l)


def observe(variant: Variant, state: CascadeState, block: Block, stop: StopState, l: int, t: int) -> None:
    """A piece of the loop: the outputs meet their target."""
    z, e = state.z[l], state.e[l]
    e[:] = 0.0
    for m in range(variant.inputs + 1 + state.units[l, 0]):
        add_scaled(e, z[m], state.V[l, m])
    for k in range(e.shape[0]):
        e[k] = logistic(e[k])
    loop.compare(block, stop, l, t, e)


def learn(variant: Variant, state: CascadeState, block: Block, l: int, t: int) -> None:
    """A piece of the loop: add what a step with a target brings to the sums of the epoch. `e` holds the outputs."""
    e, columns = state.e[l], variant.inputs + 1 + state.units[l, 0]
    state.steps[l, 0] += 1.0
    for k in range(e.shape[0]):
        y = e[k]
        e[k] = block.target[t, k, l] - y
        state.squares[l, 0] += e[k] * e[k]
        state.errors[l, k] += e[k]
        if state.phase[l, 0] == OUTPUTS:
            for m in range(columns):
                state.pushes[l, m, k] += error_signal(state.signal[l], y, e[k]) * state.z[l, m]
    if state.phase[l, 0] == POOL:
        for c in range(variant.pool):
            D = state.D[l, c, : columns + 1]
            state.sum_y[l, c] += state.y[l, c]
            add_scaled(state.sum_ye[l, c], state.y[l, c], e)
            add_scaled(state.sum_D[l, c], 1.0, D)
            for k in range(e.shape[0]):
                add_scaled(state.sum_De[l, c, k], e[k], D)


@inlined
def _covariance(state: CascadeState, l: int, c: int, k: int) -> float:
    """The covariance of candidate c with the error of output k: sum V e - (sum V) (sum e) / steps, divided by the
    squared error."""
    products = state.sum_ye[l, c, k] - state.sum_y[l, c] * state.errors[l, k] / state.steps[l, 0]
    return products / state.squares[l, 0]


@inlined
def _score(state: CascadeState, l: int, c: int) -> float:
    """What candidate c is trained to raise: the sum of its covariances' absolute values, over all outputs' errors."""
    score = 0.0
    for k in range(state.errors.shape[1]):
        score += abs(_covariance(state, l, c, k))
    return score


@inlined
def _push(state: CascadeState, l: int, c: int) -> None:
    """Put the derivative of candidate c's score by its weights into `D`, which is free at the end of a sequence."""
    push = state.D[l, c]
    push[:] = 0.0
    for k in range(state.errors.shape[1]):
        sign = 1.0 if _covariance(state, l, c, k) >= 0.0 else -1.0
        add_scaled(push, sign / state.squares[l, 0], state.sum_De[l, c, k])
        add_scaled(push, -sign * state.errors[l, k] / state.steps[l, 0] / state.squares[l, 0], state.sum_D[l, c])


@inlined
def _is_stale(variant: Variant, state: CascadeState, l: int, measure: float, change: float) -> bool:
    """Whether the phase is to end; one epoch more of it has passed."""
    age, still, mark = state.age[l], state.still[l], state.mark[l]
    if age[0] == 0 or abs(measure - mark[0]) > change * mark[0]:
        mark[0], still[0] = measure, 0
    else:
        still[0] += 1
    age[0] += 1
    return still[0] >= variant.patience or age[0] >= variant.longest


@inlined
def _enter(variant: Variant, state: CascadeState, l: int, phase: int) -> None:
    """Begin a phase. Quickprop forgets its last steps."""
    state.phase[l, 0], state.age[l, 0], state.still[l, 0] = phase, 0, 0
    for m in range(state.V.shape[1]):
        state.step_V[l, m] = 0.0
    for c in range(variant.pool):
        state.step_W[l, c] = 0.0


@inlined
def _install(variant: Variant, state: CascadeState, l: int) -> None:
    """The best candidate joins. The weights from it to the outputs start as its covariances with their errors."""
    best, unit = 0, state.units[l, 0]
    for c in range(1, variant.pool):
        if _score(state, l, c) > _score(state, l, best):
            best = c
    copy(state.W[l, unit], state.pools[l, unit, best])
    for k in range(state.errors.shape[1]):
        state.V[l, variant.inputs + 1 + unit, k] = _covariance(state, l, best, k)
    state.units[l, 0] += 1


@inlined
def _train_outputs(variant: Variant, state: CascadeState, l: int) -> None:
    """An epoch of the outputs is over: they make a step, or the next pool's turn comes where that no longer helps.

    Where there is no room for a unit, the phase begins anew: on a plateau the steps of quickprop double without end."""
    if _is_stale(variant, state, l, state.squares[l, 0], variant.output_change):
        if state.units[l, 0] < variant.most:
            _enter(variant, state, l, POOL)
            return
        _enter(variant, state, l, OUTPUTS)
    rate = state.rate[l] / state.steps[l, 0]
    for m in range(variant.inputs + 1 + state.units[l, 0]):
        _take_steps(state.V[l, m], state.pushes[l, m], state.push_V[l, m], state.step_V[l, m], rate, variant.mu)


@inlined
def _train_pool(variant: Variant, state: CascadeState, l: int) -> None:
    """An epoch of the pool is over: its candidates make a step, or the best of them joins."""
    unit, best = state.units[l, 0], 0.0
    for c in range(variant.pool):
        best = max(best, _score(state, l, c))
    if _is_stale(variant, state, l, best, variant.pool_change):
        _install(variant, state, l)
        _enter(variant, state, l, OUTPUTS)
        return
    for c in range(variant.pool):
        _push(state, l, c)
        pushes, before, steps = state.D[l, c], state.push_W[l, c], state.step_W[l, c]
        _take_steps(state.pools[l, unit, c], pushes, before, steps, variant.pool_rate, variant.mu)


@inlined
def _clear(variant: Variant, state: CascadeState, l: int) -> None:
    """A new epoch begins, in which nothing is summed up yet."""
    state.steps[l, 0] = state.squares[l, 0] = 0.0
    state.seen[l, 0] = 0
    state.errors[l] = 0.0
    state.sum_y[l] = 0.0
    for m in range(state.pushes.shape[1]):
        state.pushes[l, m] = 0.0
    for c in range(variant.pool):
        state.sum_ye[l, c] = 0.0
        state.sum_D[l, c] = 0.0
        for k in range(state.errors.shape[1]):
            state.sum_De[l, c, k] = 0.0


def finish(variant: Variant, state: CascadeState, l: int, number: int) -> None:
    """A piece of the loop: with the last sequence of an epoch, weights change."""
    state.seen[l, 0] += 1
    if state.seen[l, 0] == variant.epoch:
        if state.phase[l, 0] == OUTPUTS:
            _train_outputs(variant, state, l)
        else:
            _train_pool(variant, state, l)
        _clear(variant, state, l)


def begin(variant: Variant, state: CascadeState, l: int) -> None:
    """A piece of the loop: all units are at 0."""
    state.z[l, variant.inputs + 1 :] = 0.0
    state.y[l] = 0.0
    for c in range(variant.pool):
        state.D[l, c] = 0.0


KERNELS = loop.kernels(
    CascadeState, new_state, put, weights, step=step, observe=observe, learn=learn, finish=finish, begin=begin
)
