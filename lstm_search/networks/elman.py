"""Elman nets (Elman 1990, Cleeremans et al. 1989): hidden units, and context units that hold a copy of them.

The copy counts as an input: the gradient is that of the current step only, and no error flows back in time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from lstm_search.checks import setting, settle
from lstm_search.networks import recurrent
from lstm_search.networks.recurrent import Form, State, add_sources, apply, begin, forward, learn_outputs, observe
from lstm_search.simd import ACTIVE, LEARNING, Block, Lanes, Watch, inlined, judge, kernel


@inlined
def _learn(form: Form, state: State, l: int, W: np.ndarray) -> None:
    """W += rate x back_i f'(net_i) x source, the context being a source like any other."""
    for i in range(W.shape[0]):
        slope = state.y[l, i] * (1.0 - state.y[l, i])
        add_sources(form, W[i], state.rate[0, l] * state.back[l, i] * slope, state.now[l], state.before[l])


@kernel
def advance(lanes: Lanes, form: Form, state: State, block: Block, watch: Watch) -> None:
    """Run all lanes through the block: train where `watch` says so, test elsewhere, stop each lane where it must."""
    for l in range(watch.at.shape[0]):
        for t in range(block.due.shape[0]):
            if not watch.masks[ACTIVE] >> l & 1:
                break
            learning = watch.masks[LEARNING] >> l & 1
            forward(form, state, block, l, t)
            if block.due[t] >> l & 1:
                observe(form, state, block, watch, l, t)
                if learning:
                    _learn(form, state, l, state.dW[l] if form.sums else state.W[l])
                    learn_outputs(form, state, l, state.dV[l] if form.sums else state.V[l])
            if block.ends[t] >> l & 1:
                if learning and form.sums:
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
class Elman:
    """`hidden` logistic units, their context, and outputs wired as `wiring` says (see `recurrent`)."""

    hidden: int = setting(15, "logistic hidden units, 1 to 64", low=1, high=64)
    wiring: Literal["layered", "direct"] = setting(
        "layered", "outputs see the hidden units (layered), or the inputs too (direct)"
    )
    bias: bool = setting(False, "whether units have a bias")
    init: float = setting(0.1, "weights start uniform in [-init, init]", low=0, example="0.2")
    reset: float = setting(0.0, "activations before a sequence's first step: 0 or 0.5", among=(0.0, 0.5), reading=True)

    name: ClassVar[str] = "elman"
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

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Form:
        """What nets of this kind have in common on a task."""
        return recurrent.form_of(self, n_inputs, symbols=symbols, sums=sums)

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights: hidden [n, I + bias + n] and output [K, C], uniform in [-init, init]."""
        form = self.form(n_inputs, symbols=False, sums=False)
        return recurrent.initial_of(self, form, key, n_outputs)

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
        return recurrent.count(self.form(n_inputs, symbols=False, sums=False), n_outputs)
