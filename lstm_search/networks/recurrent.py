"""What nets of recurrent units have in common, however they are trained.

Such a net has n recurrent units that see the inputs, 1 (where biased) and, where they are fed back, all n activations
of the step before. The outputs are the last K of them (wiring: full, as in Smith & Zipser 1989), or K further logistic
units that see the others, and the inputs too (direct, table 2) or not (layered).

A state that has such a net as `net` takes from `kernels` what its net does as all others do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.networks import loop, optimizers
from lstm_search.networks.learner import Kernels, Signal, Weights, uniform_weights
from lstm_search.networks.optimizers import DESCENT, Moments, count, follow, new_moments
from lstm_search.simd import Block, StopState, aligned_zeros, inlined


class Variant(NamedTuple):
    """What all nets of a pack have in common."""

    hidden: int  # units that are no outputs
    inputs: int  # I
    symbols: int  # 1 where inputs are symbols
    bias: int  # 1 where units are biased
    full: int  # 1 where the last K of the n units are the outputs
    direct: int  # I where outputs see the inputs, else 0
    sums: int  # 0 where contributions are applied at once, else how they are at a sequence's end (see `optimizers`)
    fed_back: int = 1  # 1 where units see the activations of the step before
    history: int = 0  # steps that are kept for unrolling


class Net(NamedTuple):
    """The nets of a pack, lane by lane. M sources of a unit; C sources of an output."""

    W: np.ndarray  # [L, n, M] weights from inputs, 1, activations of the step before
    V: np.ndarray  # [L, C, K] weights from inputs (where `direct`), units, 1; empty where `full`
    dW: np.ndarray  # [L, n, M] rate x gradient, summed over the sequence
    dV: np.ndarray  # [L, C, K]
    y: np.ndarray  # [L, n] activations
    before: np.ndarray  # [L, n] those of the step before
    now: np.ndarray  # [L, I] inputs; [L, 1] the number of the one that is 1, where they are symbols
    e: np.ndarray  # [L, K] outputs, then their error signals
    back: np.ndarray  # [L, n] -dE(t)/dy_i
    rate: np.ndarray  # [L] learning rate
    signal: np.ndarray  # [L, 3] margin, slope and constant of its `Signal`
    reset: np.ndarray  # [L] activations before a sequence's first step
    rule: np.ndarray  # [L, 4] the optimizer's `Rule`
    of_W: Moments
    of_V: Moments


def variant_of(network: Any, n_inputs: int, *, symbols: bool, sums: int) -> Variant:
    """The variant of a network with the settings hidden, wiring and bias."""
    return Variant(
        hidden=network.hidden,
        inputs=n_inputs,
        symbols=int(symbols),
        bias=int(network.bias),
        full=int(network.wiring == "full"),
        direct=n_inputs if network.wiring == "direct" else 0,
        sums=sums,
    )


def shapes(variant: Variant, n_outputs: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The shapes of the weights: hidden (n, M) and output (K, C)."""
    n = variant.hidden + (n_outputs if variant.full else 0)
    M = variant.inputs + variant.bias + (n if variant.fed_back else 0)
    return (n, M), (n_outputs, 0 if variant.full else variant.direct + n + variant.bias)


def new_net(width: int, variant: Variant, n_outputs: int) -> Net:
    """Nets with all weights zero."""
    hidden, (K, C) = shapes(variant, n_outputs)
    n, output = hidden[0], (C, K)
    dW, dV = aligned_zeros(width, *hidden), aligned_zeros(width, *output)
    return Net(
        W=aligned_zeros(width, *hidden),
        V=aligned_zeros(width, *output),
        dW=dW,
        dV=dV,
        y=aligned_zeros(width, n),
        before=aligned_zeros(width, n),
        now=aligned_zeros(width, 1 if variant.symbols else variant.inputs),
        e=aligned_zeros(width, output[1]),
        back=aligned_zeros(width, n),
        rate=aligned_zeros(width),
        signal=aligned_zeros(width, 3),
        reset=aligned_zeros(width),
        rule=aligned_zeros(width, len(optimizers.Rule())),
        of_W=new_moments(variant.sums, dW, 1),
        of_V=new_moments(variant.sums, dV, 1),
    )


def slopeless(network: Any) -> str:
    """Why the error signals of the outputs have no f' of their own: empty where they have."""
    return "has its outputs among the recurrent units (network.wiring=full)" if network.wiring == "full" else ""


def initial(network: Any, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
    """First weights: hidden [n, M] and output [K, C], uniform in [-init, init]."""
    variant = network.variant(n_inputs, symbols=False, sums=False)
    return uniform_weights(key, network.init, *shapes(variant, n_outputs))


def n_weights(network: Any, n_inputs: int, n_outputs: int) -> int:
    """Number of weights and biases."""
    (n, M), (K, C) = shapes(network.variant(n_inputs, symbols=False, sums=False), n_outputs)
    return n * M + K * C


def put_net(net: Net, l: int, weights: Weights, signal: Signal, reset: float = 0.0) -> None:
    """Net l has these weights, hidden [n, M] and output [K, C]; nothing is summed up yet."""
    hidden, output = weights
    net.W[l], net.V[l] = hidden, output.T
    net.dW[l], net.dV[l] = 0.0, 0.0
    net.rate[l], net.signal[l], net.reset[l], net.rule[l] = signal.rate, signal[1:4], reset, signal.rule
    optimizers.forget([array[l] for array in (*net.of_W, *net.of_V)])


def put(state: Any, variant: Variant, l: int, network: Any, weights: Weights, signal: Signal) -> None:
    """Lane l has these weights, hidden [n, M] and output [K, C]; nothing is summed up yet."""
    put_net(state.net, l, weights, signal, network.reset)


def weights_of(net: Net, l: int) -> Weights:
    """Copies of the weights of net l: hidden [n, M] and output [K, C]."""
    return net.W[l].copy(), net.V[l].T.copy()


def weights(state: Any, variant: Variant, l: int) -> Weights:
    """Copies of the weights of lane l: hidden [n, M] and output [K, C]."""
    return weights_of(state.net, l)


_MAGIC = 6755399441055744.0  # 1.5 2^52: the sum with it has an integer in its low bits
_MAGIC_BITS = int(np.float64(_MAGIC).view(np.int64))


@inlined
def logistic(net: float) -> float:
    """f(x) = 1 / (1 + e^-x), beyond |x| = 80 as at 80; the rational form of `lanes`, in operations that the compiler
    turns into vectors where units stand side by side."""
    x = min(max(net, -80.0), 80.0)
    shifted = np.float64(x * -1.4426950408889634 + _MAGIC)
    r = (shifted - _MAGIC) * 0.6931471805599453 + x
    q = r * r
    even = q * (q * 30.013661848946466 + 3362.4600911530047) + 30262.96149014692
    odd = r * (q * (q + 420.2733168204112) + 15131.48074507346)
    power = np.int64((shifted.view(np.int64) - _MAGIC_BITS + 1023) << 52).view(np.float64)
    return (even + odd) / (even + odd + power * (even - odd))


@inlined
def copy(to: np.ndarray, source: np.ndarray) -> None:
    """To [n] = source [n]."""
    for k in range(to.shape[0]):
        to[k] = source[k]


@inlined
def add_scaled(to: np.ndarray, factor: float, term: np.ndarray) -> None:
    """To [n] += factor x term [n]."""
    for k in range(to.shape[0]):
        to[k] += factor * term[k]


@inlined
def add_sources(variant: Variant, to: np.ndarray, factor: float, now: np.ndarray, before: np.ndarray) -> None:
    """To [M] += factor x source, for the sources of a unit. Of symbols, only the active one is not 0."""
    if variant.symbols:
        to[int(now[0])] += factor
    else:
        add_scaled(to[: variant.inputs], factor, now)
    if variant.bias:
        to[variant.inputs] += factor
    add_scaled(to[variant.inputs + variant.bias :], factor, before)


@inlined
def look(variant: Variant, net: Net, block: Block, l: int, t: int) -> None:
    """The inputs of lane l at step t, into `now`."""
    if variant.symbols:
        net.now[l, 0] = block.symbol[t, l]
    else:
        copy(net.now[l], block.x[t, :, l])


@inlined
def from_inputs(variant: Variant, W: np.ndarray, now: np.ndarray) -> float:
    """What a unit with weights W [M] receives from the inputs, and its bias."""
    received = W[variant.inputs] if variant.bias else 0.0
    if variant.symbols:
        received += W[int(now[0])]
    else:
        for m in range(variant.inputs):
            received += W[m] * now[m]
    return received


@inlined
def forward(variant: Variant, net: Net, block: Block, l: int, t: int) -> None:
    """The activations of lane l at step t: y_i = f(net_i). Its sources stay in `now` and `before`."""
    now, y, before, first = net.now[l], net.y[l], net.before[l], variant.inputs + variant.bias
    look(variant, net, block, l, t)
    copy(before, y)
    for i in range(y.shape[0]):
        received = from_inputs(variant, net.W[l, i], now)
        for j in range(before.shape[0]):
            received += net.W[l, i, first + j] * before[j]
        y[i] = logistic(received)


@inlined
def respond(variant: Variant, net: Net, l: int) -> None:
    """The outputs of lane l, into `e`."""
    V, e, y, now = net.V[l], net.e[l], net.y[l], net.now[l]
    if variant.full:
        copy(e, y[variant.hidden :])
        return
    e[:] = 0.0
    if variant.bias:
        copy(e, V[variant.direct + y.shape[0]])
    if variant.direct and variant.symbols:
        add_scaled(e, 1.0, V[int(now[0])])
    elif variant.direct:
        for m in range(variant.direct):
            add_scaled(e, now[m], V[m])
    for i in range(y.shape[0]):
        add_scaled(e, y[i], V[variant.direct + i])
    for k in range(e.shape[0]):
        e[k] = logistic(e[k])


def step(variant: Variant, state: Any, block: Block, l: int, t: int, learning: int) -> None:
    """A piece of the loop: nothing is kept of a step but the activations."""
    forward(variant, state.net, block, l, t)


def observe(variant: Variant, state: Any, block: Block, stop: StopState, l: int, t: int) -> None:
    """A piece of the loop: the outputs meet their target."""
    respond(variant, state.net, l)
    loop.compare(block, stop, l, t, state.net.e[l])


@inlined
def error_signal(signal: np.ndarray, y: float, error: float) -> float:
    """-dE/dnet of a logistic output y that errs by `error`, as `signal` [3] has it: margin, slope, constant."""
    return 0.0 if abs(error) < signal[0] else error * (signal[1] * (y * (1.0 - y)) + signal[2])


@inlined
def error_signals(variant: Variant, net: Net, block: Block, l: int, t: int) -> None:
    """Error signals of the outputs in `e` [K]: -dE/dnet_k into `e`, and -dE/dy_i into `back` [n]."""
    e, back = net.e[l], net.back[l]
    back[:] = 0.0
    for k in range(e.shape[0]):
        error = block.target[t, k, l] - e[k]
        if variant.full:
            back[variant.hidden + k] = 0.0 if abs(error) < net.signal[l, 0] else error
        e[k] = error_signal(net.signal[l], e[k], error)
    if not variant.full:
        for i in range(back.shape[0]):
            for k in range(e.shape[0]):
                back[i] += net.V[l, variant.direct + i, k] * e[k]


@inlined
def learn_outputs(variant: Variant, net: Net, l: int) -> None:
    """V += rate x error signal x source, or what is summed for it. Of symbols, only the active one's weights change."""
    V, e, a, y, now = net.dV[l] if variant.sums else net.V[l], net.e[l], net.rate[l], net.y[l], net.now[l]
    if variant.full:
        return
    if variant.direct and variant.symbols:
        add_scaled(V[int(now[0])], a, e)
    elif variant.direct:
        for m in range(variant.direct):
            add_scaled(V[m], a * now[m], e)
    for i in range(y.shape[0]):
        add_scaled(V[variant.direct + i], a * y[i], e)
    if variant.bias:
        add_scaled(V[variant.direct + y.shape[0]], a, e)


@inlined
def move(to: np.ndarray, sums: np.ndarray) -> None:
    """Move `sums` into `to`."""
    for i in range(to.shape[0]):
        add_scaled(to[i], 1.0, sums[i])
        sums[i] = 0.0


@inlined
def apply(variant: Variant, net: Net, l: int) -> None:
    """What is summed up over a sequence moves into the weights."""
    if variant.sums == DESCENT:
        move(net.W[l], net.dW[l])
        move(net.V[l], net.dV[l])
    elif variant.sums:
        count(net.rule[l])
        follow(variant.sums, net.rule[l], net.W[l], net.dW[l], net.of_W.first[l], net.of_W.second[l])
        follow(variant.sums, net.rule[l], net.V[l], net.dV[l], net.of_V.first[l], net.of_V.second[l])


def finish(variant: Variant, state: Any, l: int, number: int) -> None:
    """A piece of the loop: what is summed up moves into the weights."""
    apply(variant, state.net, l)


def begin(variant: Variant, state: Any, l: int) -> None:
    """A piece of the loop: all activations are `reset`."""
    state.net.y[l] = state.net.reset[l]


def kernels(state: type, new_state: loop.Body, **own: loop.Body) -> Kernels:
    """The kernels of a net whose states are of the type `state`; raises what `loop.kernels` raises. `own`: the pieces
    that are not those of this file; `learn` is always among them."""
    pieces: dict[str, loop.Body] = {"step": step, "observe": observe, "finish": finish, "begin": begin, **own}
    return loop.kernels(state, new_state, pieces.pop("put", put), pieces.pop("weights", weights), **pieces)
