"""What nets of recurrent logistic units have in common, however they are trained: `rtrl`, `bptt` and `elman`.

Such a net has n recurrent units that see the inputs, 1 (where biased) and all n activations of the step before. The
outputs are the last K of them (wiring: full, as in Smith & Zipser 1989), or K further logistic units that see the
others, and the inputs too (direct, table 2) or not (layered). Lanes are run one after the other, in plain numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.simd import (
    ABSOLUTE,
    EVERY,
    RANKED,
    SQUARED,
    STEPS,
    WORST,
    Block,
    Watch,
    aligned_zeros,
    inlined,
    uniforms,
)


class Form(NamedTuple):
    """What all nets of a pack have in common."""

    hidden: int  # units that are no outputs
    inputs: int  # I
    symbols: int  # 1 where inputs are symbols
    bias: int  # 1 where units are biased
    full: int  # 1 where the last K of the n units are the outputs
    direct: int  # I where outputs see the inputs, else 0
    sums: int  # 1 where contributions are summed over a sequence and applied at its end
    history: int  # steps that are kept for unrolling
    traces: int  # 1 where the derivatives of all activations are carried along


class State(NamedTuple):
    """The nets of a pack, lane by lane. M = I + bias + n sources; C sources of outputs; H steps kept."""

    W: np.ndarray  # [L, n, M] weights from inputs, 1, activations of the step before
    V: np.ndarray  # [L, C, K] weights from inputs (where `direct`), units, 1; empty where `full`
    dW: np.ndarray  # [L, n, M] rate x gradient, summed over the sequence
    dV: np.ndarray  # [L, C, K]
    y: np.ndarray  # [L, n] activations
    before: np.ndarray  # [L, n] those of the step before
    now: np.ndarray  # [L, I] inputs; [L, 1] the number of the one that is 1, where they are symbols
    e: np.ndarray  # [L, K] outputs, then their error signals
    back: np.ndarray  # [L, n] -dE(t)/dy_i
    P: np.ndarray  # [L, n, n M] dy_i/dw_um; empty without `traces`
    Q: np.ndarray  # [L, n, n M] the same a step later
    past: np.ndarray  # [L, H + 1, n] activations, from those before the first step kept
    blame: np.ndarray  # [L, H, n] `back` of each step
    seen: np.ndarray  # [L, H, I or 1] `now` of each step
    kept: np.ndarray  # [L, 1] how many steps are kept
    rate: np.ndarray  # [1, L] learning rate
    reset: np.ndarray  # [1, L] activations before a sequence's first step
    alive: np.ndarray  # [1, L] not used: nothing grows


def form_of(net: Any, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
    """The form of a net with the settings hidden, wiring, bias; nothing is kept or carried along."""
    full = net.wiring == "full"
    return Form(
        hidden=net.hidden,
        inputs=n_inputs,
        symbols=int(symbols),
        bias=int(net.bias),
        full=int(full),
        direct=n_inputs if net.wiring == "direct" else 0,
        sums=int(sums),
        history=0,
        traces=0,
    )


def units_of(form: Form, n_outputs: int) -> int:
    """Number of recurrent units, n."""
    return form.hidden + (n_outputs if form.full else 0)


def new_state(width: int, form: Form, outputs: int) -> State:
    """Nets with all weights zero."""
    n = units_of(form, outputs)
    M = form.inputs + form.bias + n
    C = 0 if form.full else form.direct + n + form.bias
    traces = (width, n, n * M) if form.traces else (width, 0, 0)
    return State(
        W=aligned_zeros(width, n, M),
        V=aligned_zeros(width, C, outputs),
        dW=aligned_zeros(width, n, M),
        dV=aligned_zeros(width, C, outputs),
        y=aligned_zeros(width, n),
        before=aligned_zeros(width, n),
        now=aligned_zeros(width, 1 if form.symbols else form.inputs),
        e=aligned_zeros(width, outputs),
        back=aligned_zeros(width, n),
        P=aligned_zeros(*traces),
        Q=aligned_zeros(*traces),
        past=aligned_zeros(width, form.history + 1, n),
        blame=aligned_zeros(width, form.history, n),
        seen=aligned_zeros(width, form.history, 1 if form.symbols else form.inputs),
        kept=aligned_zeros(width, 1, dtype=np.int64),
        rate=aligned_zeros(1, width),
        reset=aligned_zeros(1, width),
        alive=aligned_zeros(1, width),
    )


def initial_of(net: Any, form: Form, key: np.uint64, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """First weights, uniform in [-init, init]: hidden [n, M] and output [K, C]."""
    n = units_of(form, n_outputs)
    hidden = np.empty((n, form.inputs + form.bias + n))
    output = np.empty((n_outputs, 0 if form.full else form.direct + n + form.bias))
    both = np.empty(hidden.size + output.size)
    uniforms(key, both)
    both = net.init * (2.0 * both - 1.0)
    hidden.ravel()[:], output.ravel()[:] = both[: hidden.size], both[hidden.size :]
    return hidden, output


def count(form: Form, n_outputs: int) -> int:
    """Number of weights and biases."""
    n = units_of(form, n_outputs)
    output = 0 if form.full else n_outputs * (form.direct + n + form.bias)
    return n * (form.inputs + form.bias + n) + output


def put(state: State, form: Form, l: int, hidden: np.ndarray, output: np.ndarray) -> None:
    """Give lane l its weights: hidden [n, M] and output [K, C]; nothing is summed up yet."""
    state.W[l], state.V[l] = hidden, output.T[: state.V.shape[1]]
    state.dW[l], state.dV[l] = 0.0, 0.0


def weights(state: State, form: Form, l: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the weights of lane l: hidden [n, M] and output [K, C]."""
    return state.W[l].copy(), state.V[l].T.copy()


def lanes_last(state: State) -> list[np.ndarray]:
    """All arrays of the state, the lane as their last axis."""
    return [*(np.moveaxis(array, 0, -1) for array in state[:-3]), *state[-3:]]


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
    """To = source."""
    for k in range(to.shape[0]):
        to[k] = source[k]


@inlined
def add_scaled(to: np.ndarray, factor: float, term: np.ndarray) -> None:
    """To += factor x term."""
    for k in range(to.shape[0]):
        to[k] += factor * term[k]


@inlined
def add_two(to: np.ndarray, a: float, first: np.ndarray, b: float, second: np.ndarray) -> None:
    """To += a x first + b x second."""
    for k in range(to.shape[0]):
        to[k] = (to[k] + a * first[k]) + b * second[k]


@inlined
def add_sources(form: Form, to: np.ndarray, factor: float, now: np.ndarray, before: np.ndarray) -> None:
    """To [M] += factor x source, for the sources of a unit. Of symbols, only the active one is not 0."""
    if form.symbols:
        to[int(now[0])] += factor
    else:
        add_scaled(to[: form.inputs], factor, now)
    if form.bias:
        to[form.inputs] += factor
    add_scaled(to[form.inputs + form.bias :], factor, before)


@inlined
def _net(form: Form, W: np.ndarray, now: np.ndarray, before: np.ndarray) -> float:
    """What a unit with weights W [M] receives."""
    net = W[form.inputs] if form.bias else 0.0
    if form.symbols:
        net += W[int(now[0])]
    else:
        for m in range(form.inputs):
            net += W[m] * now[m]
    for j in range(before.shape[0]):
        net += W[form.inputs + form.bias + j] * before[j]
    return net


@inlined
def forward(form: Form, state: State, block: Block, l: int, t: int) -> None:
    """The activations of lane l at step t; its sources are in `now` and `before`."""
    now, y, before = state.now[l], state.y[l], state.before[l]
    if form.symbols:
        now[0] = block.symbol[t, l]
    else:
        copy(now, block.x[t, :, l])
    copy(before, y)
    for i in range(y.shape[0]):
        y[i] = logistic(_net(form, state.W[l, i], now, before))


@inlined
def outputs(form: Form, state: State, l: int) -> None:
    """The outputs of lane l, into `e`."""
    V, e, y, now = state.V[l], state.e[l], state.y[l], state.now[l]
    if form.full:
        copy(e, y[form.hidden :])
        return
    e[:] = 0.0
    if form.bias:
        copy(e, V[form.direct + y.shape[0]])
    if form.direct and form.symbols:
        add_scaled(e, 1.0, V[int(now[0])])
    elif form.direct:
        for m in range(form.direct):
            add_scaled(e, now[m], V[m])
    for i in range(y.shape[0]):
        add_scaled(e, y[i], V[form.direct + i])
    for k in range(e.shape[0]):
        e[k] = logistic(e[k])


@inlined
def _illegal(block: Block, e: np.ndarray, l: int, t: int) -> float:
    """1 where some output of an illegal symbol is not below all those of legal ones, else 0."""
    low, high = np.inf, -np.inf
    for k in range(block.legal.shape[1]):
        if block.legal[t, k] >> l & 1:
            low = min(low, e[k])
        else:
            high = max(high, e[k])
    return 0.0 if high < low else 1.0


@inlined
def compare(block: Block, watch: Watch, l: int, t: int, y: np.ndarray) -> None:
    """Errors of the outputs y [K] of lane l at step t go into the tally. An error that is no number counts as wrong."""
    tally, worst, absolute, squared = watch.tally, 0.0, 0.0, 0.0
    for k in range(y.shape[0]):
        error = abs(block.target[t, k, l] - y[k])
        absolute += error
        squared += error * error
        worst = max(worst, error if error >= 0.0 else np.inf)
    tally[ABSOLUTE, l] += absolute / y.shape[0]
    tally[SQUARED, l] += squared / y.shape[0]
    tally[STEPS, l] += 1.0
    if watch.masks[RANKED] >> l & 1:
        worst = _illegal(block, y, l, t)
    if (block.ends[t] | watch.masks[EVERY]) >> l & 1:
        tally[WORST, l] = max(tally[WORST, l], worst)


@inlined
def observe(form: Form, state: State, block: Block, watch: Watch, l: int, t: int) -> None:
    """Outputs of a step with a target: errors go into the tally, their signals into `e` and `back`."""
    e, back = state.e[l], state.back[l]
    outputs(form, state, l)
    compare(block, watch, l, t, e)
    back[:] = 0.0
    for k in range(e.shape[0]):
        error = block.target[t, k, l] - e[k]
        if form.full:
            back[form.hidden + k] = error
        e[k] = error * (e[k] * (1.0 - e[k]))
    if not form.full:
        for i in range(back.shape[0]):
            for k in range(e.shape[0]):
                back[i] += state.V[l, form.direct + i, k] * e[k]


@inlined
def learn_outputs(form: Form, state: State, l: int, V: np.ndarray) -> None:
    """V += rate x error signal x source. Of symbols, only the active one's weights change."""
    e, a, y, now = state.e[l], state.rate[0, l], state.y[l], state.now[l]
    if form.full:
        return
    if form.direct and form.symbols:
        add_scaled(V[int(now[0])], a, e)
    elif form.direct:
        for m in range(form.direct):
            add_scaled(V[m], a * now[m], e)
    for i in range(y.shape[0]):
        add_scaled(V[form.direct + i], a * y[i], e)
    if form.bias:
        add_scaled(V[form.direct + y.shape[0]], a, e)


@inlined
def apply(to: np.ndarray, sums: np.ndarray) -> None:
    """Move `sums` into `to`."""
    for i in range(to.shape[0]):
        add_scaled(to[i], 1.0, sums[i])
        sums[i] = 0.0


@inlined
def begin(state: State, l: int) -> None:
    """Lane l is before the first step of a sequence."""
    state.y[l] = state.reset[0, l]
    state.past[l, 0] = state.reset[0, l]
    state.kept[l, 0] = 0
