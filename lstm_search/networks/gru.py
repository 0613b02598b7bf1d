"""Gated recurrent units (Cho et al. 2014), with the exact gradient, by unrolling a sequence.

A unit holds its state by a gate of its own instead of by a self-weight of 1, and has no output gate:

    r = f(net_r),  z = f(net_z),  c = tanh(net_c),  y(t) = z y(t-1) + (1 - z) c

Its net inputs see the inputs, 1 and the states of the step before; those of the candidate c see each state times its
reset gate r. Outputs see the states and 1. A sequence is unrolled at its end, as in `bptt`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.bptt import keep, rewind
from lstm_search.networks.learner import Facts, Learner, Signal, Weights, uniform_weights
from lstm_search.networks.optimizers import DESCENT, RULES
from lstm_search.networks.recurrent import Net, Variant, add_scaled, copy, logistic
from lstm_search.simd import Block, aligned_zeros, inlined


class GruState(NamedTuple):
    """The nets of a pack, and what is kept of their last steps, H at most. All gates r stand side by side, then all
    z, then all c, so that what is done to all of them is a vector's work."""

    net: Net  # W [L, M, 3n]
    past: np.ndarray  # [L, H + 1, n] states, from those before the first step kept
    blame: np.ndarray  # [L, H, n] -dE(t)/dy_i of each step
    seen: np.ndarray  # [L, H, I or 1] `now` of each step
    gates: np.ndarray  # [L, H, 3n] r, z and c of each step
    kept: np.ndarray  # int64 [L, 1] how many steps are kept
    at: np.ndarray  # [L, 3n] net inputs of a step, then r, z and c; on the way back -dE/dnet
    held: np.ndarray  # [L, n] states multiplied by their reset gates


def _new_state(width: int, variant: Variant, n_outputs: int) -> GruState:
    """Nets with all weights zero, and nothing kept."""
    n, H = variant.hidden, variant.history
    net = recurrent.net_of(width, variant, n, (variant.inputs + 1 + n, 3 * n), (n + 1, n_outputs))
    return GruState(
        net,
        past=aligned_zeros(width, H + 1, n),
        blame=aligned_zeros(width, H, n),
        seen=aligned_zeros(width, H, net.now.shape[1]),
        gates=aligned_zeros(width, H, 3 * n),
        kept=aligned_zeros(width, 1, dtype=np.int64),
        at=aligned_zeros(width, 3 * n),
        held=aligned_zeros(width, n),
    )


def _put(state: GruState, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [3n, M] and output [K, n + 1]; nothing is summed up yet."""
    recurrent.put_net(state.net, l, (weights[0].T, weights[1]), signal)


def _weights(state: GruState, variant: Variant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [3n, M] and output [K, n + 1]."""
    hidden, output = recurrent.weights_of(state.net, l)
    return hidden.T.copy(), output


@inlined
def _from_inputs(variant: Variant, to: np.ndarray, W: np.ndarray, now: np.ndarray) -> None:
    """To [3n] = what all gates with the weights W [M, 3n] receive from the inputs, and their biases."""
    copy(to, W[variant.inputs])
    if variant.symbols:
        add_scaled(to, 1.0, W[int(now[0])])
    else:
        for m in range(variant.inputs):
            add_scaled(to, now[m], W[m])


@inlined
def _forward(variant: Variant, state: GruState, l: int) -> None:
    """The states of lane l after one more step, of which `now` holds the inputs; r, z and c stay in `at`."""
    W, y, n, first = state.net.W[l], state.net.y[l], variant.hidden, variant.inputs + 1
    at, held = state.at[l], state.held[l]
    _from_inputs(variant, at, W, state.net.now[l])
    for j in range(n):
        add_scaled(at[: 2 * n], y[j], W[first + j])
    for i in range(2 * n):
        at[i] = logistic(at[i])
    for j in range(n):
        held[j] = at[j] * y[j]
        add_scaled(at[2 * n :], held[j], W[first + j, 2 * n :])
    for i in range(n):
        at[2 * n + i] = 2.0 * logistic(2.0 * at[2 * n + i]) - 1.0
        y[i] = at[n + i] * y[i] + (1.0 - at[n + i]) * at[2 * n + i]


@inlined
def _through_gates(variant: Variant, state: GruState, l: int, step: int) -> None:
    """-dE/dnet of all gates at a step into `at`, from -dE/dy in `back`; there it becomes that of the step before."""
    W, back, delta, held = state.net.W[l], state.net.back[l], state.at[l], state.held[l]
    gates, before, n, first = state.gates[l, step], state.past[l, step], variant.hidden, variant.inputs + 1
    for i in range(n):
        z, c = gates[n + i], gates[2 * n + i]
        delta[n + i] = back[i] * (before[i] - c) * (z * (1.0 - z))
        delta[2 * n + i] = back[i] * (1.0 - z) * (1.0 - c * c)
        back[i] *= z
    for j in range(n):
        through, r = 0.0, gates[j]
        for i in range(2 * n, 3 * n):
            through += W[first + j, i] * delta[i]
        back[j] += through * r
        delta[j] = through * before[j] * (r * (1.0 - r))
        held[j] = r * before[j]
    for j in range(n):
        for i in range(2 * n):
            back[j] += W[first + j, i] * delta[i]


@inlined
def _contribute(variant: Variant, state: GruState, l: int, step: int) -> None:
    """DW += rate x source x delta, for all sources and gates of a step."""
    dW, delta, a, n, first = state.net.dW[l], state.at[l], state.net.rate[l], variant.hidden, variant.inputs + 1
    seen, before, held = state.seen[l, step], state.past[l, step], state.held[l]
    for i in range(3 * n):
        delta[i] *= a
    if variant.symbols:
        add_scaled(dW[int(seen[0])], 1.0, delta)
    else:
        for m in range(variant.inputs):
            add_scaled(dW[m], seen[m], delta)
    add_scaled(dW[variant.inputs], 1.0, delta)
    for j in range(n):
        add_scaled(dW[first + j, : 2 * n], before[j], delta)
        add_scaled(dW[first + j, 2 * n :], held[j], delta[2 * n :])


@inlined
def _unroll(variant: Variant, state: GruState, l: int) -> None:
    """Errors flow back through all steps that are kept. Afterwards only the last states are kept."""
    back = state.net.back[l]
    back[:] = 0.0
    for step in range(state.kept[l, 0] - 1, -1, -1):
        add_scaled(back, 1.0, state.blame[l, step])
        _through_gates(variant, state, l, step)
        _contribute(variant, state, l, step)
    copy(state.past[l, 0], state.net.y[l])
    state.kept[l, 0] = 0


def _step(variant: Variant, state: GruState, block: Block, l: int, t: int, learning: int) -> None:
    """A piece of the loop: the forward pass, which is kept for learning."""
    if state.kept[l, 0] == variant.history:  # no room for one more
        _unroll(variant, state, l)
    recurrent.look(variant, state.net, block, l, t)
    _forward(variant, state, l)
    if learning:
        k = state.kept[l, 0]
        state.blame[l, k] = 0.0
        copy(state.gates[l, k], state.at[l])
        keep(state, l)


def _learn(variant: Variant, state: GruState, block: Block, l: int, t: int) -> None:
    """A piece of the loop: what the targets of this step bring to output weights, and to whom errors flow back."""
    recurrent.error_signals(variant, state.net, block, l, t)
    copy(state.blame[l, state.kept[l, 0] - 1], state.net.back[l])
    recurrent.learn_outputs(variant, state.net, l)


def _finish(variant: Variant, state: GruState, l: int, number: int) -> None:
    """A piece of the loop: the sequence is unrolled, and the weights change."""
    _unroll(variant, state, l)
    recurrent.apply(variant, state.net, l)


def _begin(variant: Variant, state: GruState, l: int) -> None:
    """A piece of the loop: all states are 0."""
    rewind(state, l)


@dataclass(frozen=True)
class Gru(Learner):
    """`hidden` gated recurrent units, and outputs that see them.

    `history`: steps that are unrolled at most, for they must be kept.
    """

    hidden: int = setting(4, "gated recurrent units, 1 to 64", low=1, high=64)
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    update_gate_bias: float = setting(
        0.0, "added to the first biases of update gates: the higher, the longer units hold their state", example="3"
    )
    output: Literal["logistic", "linear"] = setting("logistic", "output units: logistic or linear")
    history: int = setting(
        2048,
        "steps that are unrolled at most; longer sequences are unrolled in stretches of so many",
        low=1,
        high=100_000,
    )

    name = "gru"
    kernels = recurrent.kernels(
        GruState, _new_state, put=_put, weights=_weights, step=_step, learn=_learn, finish=_finish, begin=_begin
    )

    @property
    def facts(self) -> Facts:
        """The gradient is known at the end of a sequence."""
        return Facts(updates=("sequence",), optimizers=tuple(RULES), linear=self.output == "linear")

    def __post_init__(self) -> None:
        settle(self, "network")

    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
        """What nets of this kind have in common on a task. Contributions are summed up in any case."""
        return Variant(
            hidden=self.hidden,
            inputs=n_inputs,
            symbols=int(symbols),
            bias=1,
            full=0,
            direct=0,
            sums=max(sums, DESCENT),
            history=self.history,
            linear=int(self.output == "linear"),
        )

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights: hidden [3n, I + 1 + n], of reset gates, update gates, candidates; output [K, n + 1]."""
        n = self.hidden
        weights = uniform_weights(key, self.init, (3 * n, n_inputs + 1 + n), (n_outputs, n + 1))
        weights[0][n : 2 * n, n_inputs] += self.update_gate_bias
        return weights

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return 3 * self.hidden * (n_inputs + 1 + self.hidden) + n_outputs * (self.hidden + 1)
