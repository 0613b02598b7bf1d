"""The naive constant error carrousel (section 3.2): linear units with a fixed self-weight of 1, and no gates.

s_j(t) = s_j(t-1) + sum_m w_jm z_m(t), so that error flows back unscaled, and ds_j/dw_jm is the sum of all z_m so far:
one number a source, the same for all units. The one input weight must store and ignore, the one output weight retrieve
and protect: what gates are there to resolve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.recurrent import Form, State, add_scaled, apply, begin, copy, learn_outputs, observe
from lstm_search.simd import ACTIVE, LEARNING, Block, Lanes, Watch, inlined, judge, kernel, uniforms


class Carrousels(NamedTuple):
    """The nets of a pack. Of `net.W` only the columns of inputs and 1 are used: self-weights are 1, no others exist."""

    net: State
    seen: np.ndarray  # [L, I + bias] sum of each source since the sequence began
    rate: np.ndarray  # [1, L] learning rate
    reset: np.ndarray  # [1, L] states before a sequence's first step: 0
    alive: np.ndarray  # [1, L] not used: nothing grows


@inlined
def _forward(form: Form, state: Carrousels, block: Block, l: int, t: int) -> None:
    """States of lane l at step t, and the sums that they depend on."""
    W, now, s, seen = state.net.W[l], state.net.now[l], state.net.y[l], state.seen[l]
    if form.symbols:
        now[0] = block.symbol[t, l]
        seen[int(now[0])] += 1.0
    else:
        copy(now, block.x[t, :, l])
        add_scaled(seen[: form.inputs], 1.0, now)
    if form.bias:
        seen[form.inputs] += 1.0
    for j in range(s.shape[0]):
        net = W[j, form.inputs] if form.bias else 0.0
        if form.symbols:
            net += W[j, int(now[0])]
        else:
            for m in range(form.inputs):
                net += W[j, m] * now[m]
        s[j] += net


@inlined
def _learn(state: Carrousels, l: int, W: np.ndarray) -> None:
    """W += rate x back_j ds_j/dw_jm."""
    seen = state.seen[l]
    for j in range(W.shape[0]):
        add_scaled(W[j, : seen.shape[0]], state.rate[0, l] * state.net.back[l, j], seen)


@inlined
def _begin(state: Carrousels, l: int) -> None:
    """Lane l is before the first step of a sequence."""
    begin(state.net, l)
    state.seen[l] = 0.0


@kernel
def advance(lanes: Lanes, form: Form, state: Carrousels, block: Block, watch: Watch) -> None:
    """Run all lanes through the block: train where `watch` says so, test elsewhere, stop each lane where it must."""
    net = state.net
    for l in range(watch.at.shape[0]):
        for t in range(block.due.shape[0]):
            if not watch.masks[ACTIVE] >> l & 1:
                break
            learning = watch.masks[LEARNING] >> l & 1
            _forward(form, state, block, l, t)
            if block.due[t] >> l & 1:
                observe(form, net, block, watch, l, t)
                if learning:
                    _learn(state, l, net.dW[l] if form.sums else net.W[l])
                    learn_outputs(form, net, l, net.dV[l] if form.sums else net.V[l])
            if block.ends[t] >> l & 1:
                if learning and form.sums:
                    apply(net.W[l], net.dW[l])
                    apply(net.V[l], net.dV[l])
                _begin(state, l)
                judge(watch, l, t)


@kernel
def restart(lanes: Lanes, form: Form, state: Carrousels, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence."""
    for l in range(state.seen.shape[0]):
        if mask >> l & 1:
            _begin(state, l)


def new_state(width: int, form: Form, outputs: int) -> Carrousels:
    """Nets with all weights zero."""
    net = recurrent.new_state(width, form, outputs)
    return Carrousels(net, np.zeros((width, form.inputs + form.bias)), net.rate, net.reset, net.alive)


def put(state: Carrousels, form: Form, l: int, hidden: np.ndarray, output: np.ndarray) -> None:
    """Give lane l its weights: hidden [n, I + bias] and output [K, C]; nothing is summed up yet."""
    recurrent.put(state.net, form, l, np.pad(hidden, ((0, 0), (0, len(hidden)))), output)


def weights(state: Carrousels, form: Form, l: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the weights of lane l: hidden [n, I + bias] and output [K, C]."""
    hidden, output = recurrent.weights(state.net, form, l)
    return hidden[:, : form.inputs + form.bias].copy(), output


def lanes_last(state: Carrousels) -> list[np.ndarray]:
    """All arrays of the state, the lane as their last axis."""
    return [*recurrent.lanes_last(state.net), state.seen.T]


@dataclass(frozen=True)
class Carrousel:
    """`hidden` linear units that see the inputs and themselves; logistic outputs that see them, and the inputs too
    where `wiring` is direct."""

    hidden: int = setting(3, "linear hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["layered", "direct"] = setting(
        "layered", "outputs see the hidden units (layered), or the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")

    name: ClassVar[str] = "carrousel"
    growth_rule: ClassVar[None] = None
    in_turn: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ()
    reset: ClassVar[float] = 0.0
    updates: ClassVar[tuple[str, ...]] = ("sequence", "step")
    new_state: ClassVar[Callable[..., Carrousels]] = staticmethod(new_state)
    put: ClassVar[Callable[..., None]] = staticmethod(put)
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]] = staticmethod(weights)
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]] = staticmethod(lanes_last)
    advance: ClassVar[Callable[..., Any]] = staticmethod(advance)
    restart: ClassVar[Callable[..., Any]] = staticmethod(restart)

    def __post_init__(self) -> None:
        settle(self, "network")

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task."""
        return recurrent.form_of(self, n_inputs, symbols=symbols, sums=sums)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights: hidden [n, I + bias] and output [K, C], uniform in [-init, init]."""
        form = self.form(n_inputs, symbols=False, sums=False)
        hidden = np.empty((self.hidden, n_inputs + form.bias))
        output = np.empty((n_outputs, form.direct + self.hidden + form.bias))
        both = np.empty(hidden.size + output.size)
        uniforms(key, both)
        both = self.init * (2.0 * both - 1.0)
        hidden.ravel()[:], output.ravel()[:] = both[: hidden.size], both[hidden.size :]
        return hidden, output

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases; self-weights are fixed and do not count."""
        form = self.form(n_inputs, symbols=False, sums=False)
        return self.hidden * (n_inputs + form.bias) + n_outputs * (form.direct + self.hidden + form.bias)
