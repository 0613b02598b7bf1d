"""Real-time recurrent learning (Robinson & Fallside 1987, Williams & Zipser 1989): the exact gradient, carried along.

The derivatives of all activations by all weights go on from step to step: dy_i/dw_um(t) = f'(net_i) (sum_j w_ij
dy_j/dw_um(t-1) + [i = u] z_m). That is n^2 (I + n) numbers and n times as many operations a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.recurrent import (
    Form,
    State,
    add_scaled,
    add_sources,
    add_two,
    apply,
    begin,
    copy,
    forward,
    learn_outputs,
    observe,
)
from lstm_search.simd import ACTIVE, LEARNING, Block, Lanes, Layout, Watch, inlined, judge, kernel

MOST = 4_000_000
"""Derivatives that a trial may carry: 32 MB, twice."""


@inlined
def _carry(form: Form, state: State, l: int) -> None:
    """The derivatives of the activations of this step, from P, by way of Q."""
    W, P, Q, n = state.W[l], state.P[l], state.Q[l], state.y.shape[1]
    fed, M = form.inputs + form.bias, state.W.shape[2]
    for i in range(n):
        slope = state.y[l, i] * (1.0 - state.y[l, i])
        Q[i] = 0.0
        for j in range(0, n - 1, 2):  # two at a time: a row of Q is read and written half as often
            add_two(Q[i], slope * W[i, fed + j], P[j], slope * W[i, fed + j + 1], P[j + 1])
        if n % 2:
            add_scaled(Q[i], slope * W[i, fed + n - 1], P[n - 1])
        add_sources(form, Q[i, i * M : (i + 1) * M], slope, state.now[l], state.before[l])
    for i in range(n):
        copy(P[i], Q[i])


@inlined
def _learn(state: State, l: int, W: np.ndarray) -> None:
    """W += rate x sum_i back_i dy_i/dw."""
    M = W.shape[1]
    for i in range(W.shape[0]):
        if state.back[l, i] != 0.0:
            for u in range(W.shape[0]):
                add_scaled(W[u], state.rate[0, l] * state.back[l, i], state.P[l, i, u * M : (u + 1) * M])


@inlined
def _begin(state: State, l: int) -> None:
    """Lane l is before the first step of a sequence: nothing depends on the weights yet."""
    begin(state, l)
    for i in range(state.P.shape[1]):
        state.P[l, i] = 0.0


@kernel
def advance(lanes: Lanes, form: Form, state: State, block: Block, watch: Watch) -> None:
    """Run all lanes through the block: train where `watch` says so, test elsewhere, stop each lane where it must."""
    for l in range(watch.at.shape[0]):
        for t in range(block.due.shape[0]):
            if not watch.masks[ACTIVE] >> l & 1:
                break
            learning = watch.masks[LEARNING] >> l & 1
            forward(form, state, block, l, t)
            if learning:
                _carry(form, state, l)
            if block.due[t] >> l & 1:
                observe(form, state, block, watch, l, t)
                if learning:
                    _learn(state, l, state.dW[l] if form.sums else state.W[l])
                    learn_outputs(form, state, l, state.dV[l] if form.sums else state.V[l])
            if block.ends[t] >> l & 1:
                if learning and form.sums:
                    apply(state.W[l], state.dW[l])
                    apply(state.V[l], state.dV[l])
                _begin(state, l)
                judge(watch, l, t)


@kernel
def restart(lanes: Lanes, form: Form, state: State, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence."""
    for l in range(state.y.shape[0]):
        if mask >> l & 1:
            _begin(state, l)


@dataclass(frozen=True)
class Rtrl:
    """`hidden` logistic units, recurrent among themselves, and outputs wired as `wiring` says (see `recurrent`)."""

    hidden: int = setting(3, "logistic hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["full", "layered", "direct"] = setting(
        "full", "outputs are among the recurrent units (full), see them (layered), or see the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)

    name: ClassVar[str] = "rtrl"
    growth_rule: ClassVar[None] = None
    in_turn: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ()
    updates: ClassVar[tuple[str, ...]] = ("sequence", "step")
    new_state: ClassVar[Callable[..., State]] = staticmethod(recurrent.new_state)
    put: ClassVar[Callable[..., None]] = staticmethod(recurrent.put)
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]] = staticmethod(recurrent.weights)
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]] = staticmethod(recurrent.lanes_last)
    advance: ClassVar[Callable[..., Any]] = staticmethod(advance)
    restart: ClassVar[Callable[..., Any]] = staticmethod(restart)

    def __post_init__(self) -> None:
        settle(self, "network")

    def check_cell(self, layout: Layout, _stops: Sequence[Any]) -> None:
        """Refuse a net that would carry more derivatives than fit."""
        n = self.hidden + (layout.outputs if self.wiring == "full" else 0)
        carried = n * n * (layout.inputs + self.bias + n)
        if carried > MOST:
            raise ValueError(
                f"network.wiring={self.wiring}: RTRL would carry {carried:,} derivatives a trial with {n} recurrent "
                f"units and {layout.inputs} inputs; takes {MOST:,} at most: choose fewer symbols or units, "
                "network.wiring=layered or direct, or network=bptt"
            )

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task."""
        return recurrent.form_of(self, n_inputs, symbols=symbols, sums=sums)._replace(traces=1)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights: hidden [n, I + bias + n] and output [K, C], uniform in [-init, init]."""
        form = self.form(n_inputs, symbols=False, sums=False)
        return recurrent.initial_of(self, form, key, n_outputs)

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return recurrent.count(self.form(n_inputs, symbols=False, sums=False), n_outputs)
