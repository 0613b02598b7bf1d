"""The learners, one file each. `NETWORKS` is the catalogue: the name written in a configuration, then its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from lstm_search.networks.bptt import Bptt
from lstm_search.networks.carrousel import Carrousel
from lstm_search.networks.cascade import Cascade
from lstm_search.networks.chunker import Chunker
from lstm_search.networks.elman import Elman
from lstm_search.networks.guessing import Guessing
from lstm_search.networks.lstm1997 import Lstm1997
from lstm_search.networks.rtrl import Rtrl

NETWORKS = {
    "lstm1997": Lstm1997,
    "rtrl": Rtrl,
    "bptt": Bptt,
    "elman": Elman,
    "guessing": Guessing,
    "carrousel": Carrousel,
    "chunker": Chunker,
    "cascade": Cascade,
}

__all__ = ["NETWORKS", "Bptt", "Carrousel", "Cascade", "Chunker", "Elman", "Guessing", "Learner", "Lstm1997", "Rtrl"]


class Learner(Protocol):
    """What a pack needs of a network: a frozen dataclass whose fields are settings, checked in `__post_init__`.

    A form is a NamedTuple of what nets in a pack share; it decides what is compiled. A state is a NamedTuple of arrays,
    one lane beside the other, among them `rate`, `reset` and `alive`, [1, L], which the pack sets. A kernel runs only
    lanes of `watch.masks[ACTIVE]`, changes weights only of LEARNING ones, calls `judge` where a lane's sequence ends,
    and gives each lane the same bits whatever the others do and however many there are.

    A network may also have `unit`, what its trials count where these are no training sequences, and `check_cell(layout,
    stops)`, which raises ValueError where it does not fit a task or its stop rules.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]  # what it can learn, by name; () for all
    updates: ClassVar[tuple[str, ...]]  # what `training.update` may be
    in_turn: ClassVar[bool]  # whether a task's fixed training strings come in turn, for it learns set by set
    new_state: ClassVar[Callable[..., Any]]  # (width, form, outputs): nets with all weights zero
    put: ClassVar[Callable[..., None]]  # (state, form, l, hidden, output): lane l has these weights, and no past
    weights: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]]  # (state, form, l): copies of them
    lanes_last: ClassVar[Callable[..., list[np.ndarray]]]  # (state): views of all arrays, the lane as their last axis
    advance: ClassVar[Callable[..., Any]]  # (lanes, form, state, block, watch): kernel, runs through the block
    restart: ClassVar[Callable[..., Any]]  # (lanes, form, state, mask): kernel, `mask` is where sequences start

    @property
    def growth_rule(self) -> tuple[int, float] | None:
        """Window (training sequences) and drop after which `alive` is set to 1; None where it is from the start."""

    @property
    def reset(self) -> float:
        """Activations before a sequence's first step."""

    def form(self, n_inputs: int, *, symbols: bool, sums: bool) -> Any:
        """What nets of this kind have in common on a task; `sums`: contributions are summed over a sequence."""

    def initial(self, key: np.uint64, n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """First weights, hidden and output, drawn from `key`."""

    def n_weights(self, n_inputs: int, n_outputs: int) -> int:
        """Number of weights and biases."""
