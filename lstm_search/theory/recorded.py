"""A recorded trial: its first and last weights, sequences of its test as its worker drew them, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_search import simd
from lstm_search.spec import TrialSpec
from lstm_search.tasks import Adding, EmbeddedReber, LongLag, Multiplication, TemporalOrder, TwoSequence, VeryLongLag
from lstm_search.theory.passage import Array, Blocks, passage_of

Weights = tuple[Array, Array]
"""Hidden and output weights."""


def first_weights(spec: TrialSpec) -> Weights:
    """The weights that a trial starts from."""
    key, layout = simd.stream_key(spec.seed, spec.replicate, simd.WEIGHTS), spec.cell.task.layout
    return spec.cell.network.initial(key, layout.inputs, layout.outputs)


class Example(NamedTuple):
    """One sequence of T steps."""

    x: Array  # [T, I] input rows
    target: Array  # [T, K] not-a-number at steps without a target


MOST_NUMBERS = 2e7
"""Inputs of all sequences that are looked at together: 160 megabytes."""


def affordable(task: Any, most: int) -> int:
    """How many sequences of a task can be looked at together, `most` at most; 0 where a single one is too large."""
    return min(most, int(MOST_NUMBERS / (task.length * task.layout.inputs)))


def examples(spec: TrialSpec, number: int) -> list[Example]:
    """The first sequences of the stream that the trial's last milestone is tested on."""
    cell, layout = spec.cell, spec.cell.task.layout
    stream, block = simd.new_stream(1, type(cell.task), layout), simd.new_block(layout.steps, 1, layout)
    simd.put_settings(stream, 0, cell.task)
    stream.key[0] = simd.stream_key(spec.seed, spec.replicate, simd.TESTS + len(cell.stop) - 1)
    stream.keys[:, 0] = cell.task.keys(simd.stream_key(spec.seed, spec.replicate // layout.sharing, simd.COMMON))
    stream.coding[:, 0], stream.in_turn[0] = cell.training.targets, cell.network.facts.in_turn
    stream.start[0], stream.tested[0] = 0, 1
    x, target = [], []
    found: list[Example] = []
    while True:
        cell.task.fill(block, stream)
        rows = np.eye(layout.inputs)[block.symbol[:, 0]] if layout.symbols else block.x[:, :, 0]
        for t in range(len(block.ends)):
            x.append(rows[t].copy())
            target.append(block.target[t, :, 0].copy() if block.due[t] & 1 else np.full(layout.outputs, np.nan))
            if block.ends[t] & 1:
                found.append(Example(np.array(x), np.array(target)))
                if len(found) == number:
                    return found
                x, target = [], []


def marks(task: Any, example: Example) -> dict[int, str]:
    """The steps of a sequence that matter, and what stands there; of a task from outside nothing is known."""
    return _MARKS[type(task)](task, example.x) if type(task) in _MARKS else {}


def _marked_pairs(_task: Any, x: Array) -> dict[int, str]:
    return {int(t): f"{x[t, 0]:.2f}" for t in np.flatnonzero(x[:, 1] == 1.0)}


def _symbols(names: str, shown: str) -> Callable[[Any, Array], dict[int, str]]:
    """Where symbols of those `names` stand that are among those `shown`."""
    return lambda _task, x: {t: names[k] for t, k in enumerate(x.argmax(axis=1)) if names[k] in shown}


def _of_the_very_long_lag(task: VeryLongLag, x: Array) -> dict[int, str]:
    symbols = x.argmax(axis=1)
    return {1: "xy"[symbols[1] - task.p - 2], len(x) - 1: "e"}


def _of_the_long_lag(task: LongLag, x: Array) -> dict[int, str]:
    return {0: "xy"[x[0].argmax() - task.p + 1]}


def _of_two_sequences(task: TwoSequence, x: Array) -> dict[int, str]:
    return {t: f"{x[t, 0]:+.0f}" for t in range(task.N)}


_MARKS: Mapping[type, Callable[[Any, Array], dict[int, str]]] = {
    Adding: _marked_pairs,
    Multiplication: _marked_pairs,
    TemporalOrder: _symbols("EBabcdXY", "XY"),
    VeryLongLag: _of_the_very_long_lag,
    LongLag: _of_the_long_lag,
    TwoSequence: _of_two_sequences,
    EmbeddedReber: _symbols("BTPSXVE", "BTPSXVE"),
}


def class_names(task: Any) -> list[str]:
    """The names of the classes by which sequences are told apart at their last step; none where there are none."""
    layout = task.layout
    if not layout.classes or layout.targets != "last":
        return []
    if isinstance(task, TemporalOrder):
        return ["".join("XY"[order >> i & 1] for i in reversed(range(task.marks))) for order in range(layout.outputs)]
    if isinstance(task, VeryLongLag):
        return ["x", "y"]
    return [str(k) for k in range(layout.outputs)] if layout.outputs > 1 else ["0", "1"]


def class_of(example: Example) -> int:
    """The class of a sequence, by its last target."""
    target = example.target[-1]
    return int(target.argmax()) if len(target) > 1 else int(target[0] > 0.5)


def by_class(network: Blocks, weights: Weights, some: Sequence[Example], classes: int) -> Array:
    """The mean state of each cell over the sequences of each class [T + 1, classes, C], at every step that the shortest
    of them has, then at their last steps; not-a-number where a class has no sequence."""
    lengths = np.array([len(one.x) for one in some])
    x = np.zeros((lengths.max(), len(some), some[0].x.shape[1]))
    for i, one in enumerate(some):
        x[: lengths[i], i] = one.x
    s = passage_of(network, *weights, x).s
    at = np.concatenate([s[: lengths.min()], s[lengths - 1, np.arange(len(some))][None]])
    of_class = np.array([class_of(one) for one in some])
    means = np.full((len(at), classes, network.cells), np.nan)
    for k in set(of_class.tolist()):
        means[:, k] = at[:, of_class == k].mean(axis=1)
    return means
