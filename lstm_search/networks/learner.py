"""What a network is to the rest of the package: its settings, its facts, and its kernels in one record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from lstm_search.networks.optimizers import Rule
from lstm_search.simd import Layout, uniforms

Weights = tuple[np.ndarray, np.ndarray]
"""Weights of one net: hidden and output, in the shapes that its `initial` names."""


class Signal(NamedTuple):
    """How a net learns from an output: by `rate` x error x (`slope` f' + `constant`) where that is logistic, by `rate`
    x error where it is linear, and not at all where the error is smaller than `margin`."""

    rate: float
    margin: float = 0.0
    slope: float = 1.0  # or 0
    constant: float = 0.0
    rule: Rule = Rule()  # of an optimizer that has the rate itself; then `rate` is a factor of the error alone


class Growth(NamedTuple):
    """How units of a net join in only when the error has stopped falling."""

    rule: Callable[[Any], tuple[int, float] | None]
    """(network): window (training sequences) and drop of the error by which it still falls; None: all units are there
    from the start."""
    join: Callable[[Any, int], None]
    """(state, l): from now on the units of lane l are there."""


class Kernels(NamedTuple):
    """What is done with the nets of a pack.

    A variant is a NamedTuple of what these nets have in common. A state is a NamedTuple of arrays, one lane beside the
    other. The kernels `advance` and `restart` work on the lanes of a set only (lane l in bit l): `advance` on those of
    `stop.masks[ACTIVE]`, and it changes weights only in those of LEARNING. It calls `end_sequence` where a lane's
    sequence ends, and gives each lane the same bits whatever the others do and however many there are.
    """

    new_state: Callable[..., Any]  # (width, variant, outputs): nets with all weights zero
    put: Callable[..., None]  # (state, variant, l, network, weights, signal): lane l is a net with no past
    weights: Callable[..., Weights]  # (state, variant, l): copies of its weights
    lanes_last: Callable[..., list[np.ndarray]]  # (state): views of all arrays, the lane as their last axis
    advance: Callable[..., Any]  # (lanes, variant, state, block, stop): run through the block
    restart: Callable[..., Any]  # (lanes, variant, state, mask): these lanes are before a sequence's first step
    growth: Growth | None = None
    touched: Callable[[Any], int] | None = None
    """(state): bytes that every step goes through. None where each lane has its own to itself, for then it does not
    matter to a step how many lanes there are."""


class Facts(NamedTuple):
    """What is true of a kind of nets."""

    tasks: tuple[str, ...] = ()  # what it can learn, by name; () for all
    updates: tuple[str, ...] = ("sequence", "step")  # what `training.update` may be
    optimizers: tuple[str, ...] = ("descent",)  # what `training.optimizer` may be
    signals: bool = True  # whether error signals of outputs are what it learns by
    in_turn: bool = False  # whether a task's fixed training strings come in turn, for it learns set by set
    linear: bool = False  # whether outputs are linear, not logistic
    slopeless: str = ""  # why error signals of its logistic outputs have no f' of their own; "" where they have
    unit: str = ""  # what its trials count, where these are no training sequences
    check: Callable[[Any, Layout, Sequence[Any]], None] = lambda *_: None
    """(network, layout, stop rules): raises ValueError where the network cannot learn such a task, or not by them."""


@dataclass(frozen=True)
class Learner(ABC):
    """A network: a frozen dataclass whose fields are its settings, checked in `__post_init__`."""

    name: ClassVar[str]  # in the catalogue

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What is true of nets with these settings."""

    @property
    @abstractmethod
    def kernels(self) -> Kernels:
        """What is done with them."""

    @abstractmethod
    def variant(self, n_inputs: int, *, symbols: bool, sums: int) -> Any:
        """What nets with these settings have in common on a task of `n_inputs` inputs; trials of one variant can share
        a pack. `symbols`: of the inputs one is 1, and the others are 0. `sums`: contributions are applied at once
        (optimizers.AT_ONCE), or summed over a sequence and applied at its end, by DESCENT or one of the others that
        its facts name."""

    @abstractmethod
    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> Weights:
        """First weights, drawn from `key`."""

    @abstractmethod
    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""


def uniform_weights(key: np.uint64, most: float, hidden: tuple[int, ...], output: tuple[int, ...]) -> Weights:
    """Weights in arrays of these two shapes, uniform in [-most, most]."""
    first = int(np.prod(hidden))
    both = np.empty(first + int(np.prod(output)))
    uniforms(key, both)
    both = most * (2.0 * both - 1.0)
    return both[:first].reshape(hidden), both[first:].reshape(output)
