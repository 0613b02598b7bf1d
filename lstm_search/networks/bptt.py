"""Back-propagation through time (Werbos 1988, Williams & Zipser 1992): the exact gradient, by unrolling a sequence.

All activations of a sequence are kept; at its end errors flow back to its first step. Of a sequence that is longer than
`history` steps, each stretch of so many is unrolled by itself: no error flows from one into the one before.
"""

from __future__ import annotations

from collections.abc import Callable
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
    apply,
    begin,
    copy,
    forward,
    learn_outputs,
    observe,
)
from lstm_search.simd import ACTIVE, LEARNING, Block, Lanes, Watch, inlined, judge, kernel


@inlined
def _keep(state: State, l: int) -> None:
    """Keep what this step brought; no error yet."""
    step = state.kept[l, 0]
    copy(state.past[l, step + 1], state.y[l])
    copy(state.seen[l, step], state.now[l])
    state.blame[l, step] = 0.0
    state.kept[l, 0] = step + 1


@inlined
def _unroll(form: Form, state: State, l: int) -> None:
    """Errors flow back through all steps kept. Then only the last activations are."""
    W, dW, flow, n = state.W[l], state.dW[l], state.before[l], state.y.shape[1]
    past, delta = state.past[l], state.back[l]
    flow[:] = 0.0
    for step in range(state.kept[l, 0] - 1, -1, -1):
        for i in range(n):
            y = past[step + 1, i]
            delta[i] = y * (1.0 - y) * (state.blame[l, step, i] + flow[i])
            add_sources(form, dW[i], state.rate[0, l] * delta[i], state.seen[l, step], past[step])
        flow[:] = 0.0
        for i in range(n):
            add_scaled(flow, delta[i], W[i, form.inputs + form.bias :])
    copy(past[0], state.y[l])
    state.kept[l, 0] = 0


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
                _keep(state, l)
            if block.due[t] >> l & 1:
                observe(form, state, block, watch, l, t)
                if learning:
                    copy(state.blame[l, state.kept[l, 0] - 1], state.back[l])
                    learn_outputs(form, state, l, state.dV[l])
            if state.kept[l, 0] == form.history or block.ends[t] >> l & 1:
                _unroll(form, state, l)
            if block.ends[t] >> l & 1:
                if learning:
                    apply(state.W[l], state.dW[l])
                    apply(state.V[l], state.dV[l])
                begin(state, l)
                judge(watch, l, t)


@kernel
def restart(lanes: Lanes, form: Form, state: State, mask: int) -> None:
    """Put the lanes of `mask` before the first step of a sequence."""
    for l in range(state.y.shape[0]):
        if mask >> l & 1:
            begin(state, l)


@dataclass(frozen=True)
class Bptt:
    """`hidden` logistic units, recurrent among themselves, and outputs wired as `wiring` says (see `recurrent`).

    `history`: steps that are unrolled at most, for they must be kept.
    """

    hidden: int = setting(3, "logistic hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["full", "layered", "direct"] = setting(
        "full", "outputs are among the recurrent units (full), see them (layered), or see the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)
    history: int = setting(
        512,
        "steps that are unrolled at most; longer sequences are unrolled in stretches of so many",
        low=1,
        high=100_000,
    )

    name: ClassVar[str] = "bptt"
    growth_rule: ClassVar[None] = None
    in_turn: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...]] = ()
    updates: ClassVar[tuple[str, ...]] = ("sequence",)
    new_state: ClassVar[Callable[..., State]] = staticmethod(recurrent.new_state)
    put: ClassVar[Callable[..., None]] = staticmethod(recurrent.put)
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]] = staticmethod(recurrent.weights)
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]] = staticmethod(recurrent.lanes_last)
    advance: ClassVar[Callable[..., Any]] = staticmethod(advance)
    restart: ClassVar[Callable[..., Any]] = staticmethod(restart)

    def __post_init__(self) -> None:
        settle(self, "network")

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task."""
        return recurrent.form_of(self, n_inputs, symbols=symbols, sums=sums)._replace(history=self.history)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights: hidden [n, I + bias + n] and output [K, C], uniform in [-init, init]."""
        form = self.form(n_inputs, symbols=False, sums=False)
        return recurrent.initial_of(self, form, key, n_outputs)

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return recurrent.count(self.form(n_inputs, symbols=False, sums=False), n_outputs)
