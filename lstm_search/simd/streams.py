"""What flows from a task to a net: blocks of time steps, laid out for all lanes ahead of time.

Every task of the paper is open loop, so its data never wait for the net. Lanes run through the ends of their sequences
on their own clock: a step at which lane l has a target, or ends its sequence, sets bit l of `due`, or of `ends`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_search.simd.draws import draw
from lstm_search.simd.jit import inlined, type_name
from lstm_search.simd.lanes import aligned_zeros


class Layout(NamedTuple):
    """The shape of a task's data."""

    inputs: int
    outputs: int
    symbols: bool = False  # one input is 1 and the others are 0: the block holds its number
    targets: str = "last"  # at the "last" step of a sequence only, or at "all" steps
    legal: bool = False  # whether the block says which outputs are legal
    classes: bool = False  # targets are 0 and 1, for classes or symbols, and may be coded otherwise
    keys: int = 0  # keys of what all of a trial's sequences are drawn from
    sharing: int = 1  # replicates in a row that have the same keys
    steps: int = (
        2048  # of a block: many, for calling kernels costs; few for short sequences, for a lane that stops waits
    )


class Stream(NamedTuple):
    """Where each lane stands in its endless stream of sequences (L lanes)."""

    key: np.ndarray  # uint64 [L]: the stream's key
    sequence: np.ndarray  # int64 [L]: number of the sequence that the next step belongs to
    start: (
        np.ndarray
    )  # int64 [L]: step of the coming block at which that sequence starts; 0, or below for one under way
    sequence_key: np.ndarray  # uint64 [L]: the key that all draws of that sequence come from
    first_sequence: np.ndarray  # int64 [L]: `sequence` where the block begins
    first_start: np.ndarray  # int64 [L]: `start` where the block begins
    settings: np.ndarray  # record [L]: the task's settings that are numbers, by name
    keys: np.ndarray  # uint64 [n, L]: what all sequences of the lane's trial are drawn from, if anything
    tested: np.ndarray  # int64 [L]: 1 where the sequences are for a test, not for training
    coding: np.ndarray  # float64 [2, L]: what stands for the targets 0 and 1 of classes
    in_turn: np.ndarray  # int64 [L]: 1 where the strings of a fixed training set come in turn, not at random


class Block(NamedTuple):
    """The next time steps of all lanes. A task fills either `x` or `symbol`; the other one is empty."""

    x: np.ndarray  # float64 [steps, inputs, L]: input rows
    symbol: np.ndarray  # int64 [steps, L]: the one input that is 1
    target: np.ndarray  # float64 [steps, outputs, L]: valid where due
    legal: np.ndarray  # int64 [steps, outputs]: bit l: symbol k may follow in lane l; empty where nothing is illegal
    due: np.ndarray  # int64 [steps]: bit l: lane l has a target, as it must at the end of a sequence
    ends: np.ndarray  # int64 [steps]: bit l: the sequence of lane l ends
    inputs: int  # number of inputs, or of the symbols that there are


FAR = 1 << 62
"""Where the first sequence of an unused lane starts: at a step that is never reached."""


def settings_record(task: type) -> np.dtype:
    """The record of those settings of a task (a dataclass with a default for each) that are numbers.

    The last field is named after the task, so that kernels know the records of two tasks by their types.
    """
    numbers = {name: value for name, value in vars(task()).items() if isinstance(value, int | float)}
    kinds = [(name, np.float64 if isinstance(value, float) else np.int64) for name, value in numbers.items()]
    return np.dtype([*kinds, (type_name(task), np.int64)], align=True)


def put_settings(stream: Stream, l: int, task: Any) -> None:
    """Lane l holds sequences of `task`, which is of the class that the stream was made for."""
    names = stream.settings.dtype.names or ()
    stream.settings[l] = (*(vars(task)[name] for name in names[:-1]), 0)


def new_stream(width: int, task: type, layout: Layout) -> Stream:
    """A stream for `width` lanes with sequences of the class `task`; no sequence starts in it yet."""
    return Stream(
        key=np.zeros(width, np.uint64),
        sequence=np.zeros(width, np.int64),
        start=np.full(width, FAR),
        sequence_key=np.zeros(width, np.uint64),
        first_sequence=np.zeros(width, np.int64),
        first_start=np.zeros(width, np.int64),
        settings=np.zeros(width, settings_record(task)),
        keys=np.zeros((layout.keys, width), np.uint64),
        tested=np.zeros(width, np.int64),
        coding=np.repeat([[0.0], [1.0]], width, axis=1),
        in_turn=np.zeros(width, np.int64),
    )


def new_block(steps: int, width: int, layout: Layout) -> Block:
    """An empty block of `steps` time steps."""
    return Block(
        x=aligned_zeros(steps, 0 if layout.symbols else layout.inputs, width),
        symbol=aligned_zeros(steps if layout.symbols else 0, width, dtype=np.int64),
        target=aligned_zeros(steps, layout.outputs, width),
        legal=np.zeros((steps if layout.legal else 0, layout.outputs), np.int64),
        due=np.zeros(steps, np.int64),
        ends=np.zeros(steps, np.int64),
        inputs=layout.inputs,
    )


def no_keys(key: np.uint64) -> np.ndarray:
    """The `keys` of a task that draws every sequence anew: uint64 [0]."""
    del key
    return np.zeros(0, np.uint64)


@inlined
def begin(block: Block, stream: Stream) -> None:
    """Note where the block begins; nothing ends in it yet, and there is no target."""
    for t in range(block.ends.shape[0]):
        block.ends[t] = 0
        block.due[t] = 0
    for l in range(stream.key.shape[0]):
        stream.first_sequence[l], stream.first_start[l] = stream.sequence[l], stream.start[l]
        stream.sequence_key[l] = draw(stream.key[l], stream.sequence[l])


@inlined
def pass_ends(stream: Stream, ended: int, t: int) -> None:
    """After step t the lanes in the bits of `ended` begin their next sequence."""
    if ended != 0:
        for l in range(stream.key.shape[0]):
            if ended >> l & 1:
                stream.sequence[l] += 1
                stream.start[l] = t + 1
                stream.sequence_key[l] = draw(stream.key[l], stream.sequence[l])


@inlined
def _code(block: Block, t: int, lanes: int, coding: np.ndarray) -> None:
    """The targets 0 and 1 of step t are coded, in the set `lanes`. What is left over there from an earlier block, where
    no target is due, is seen by nobody."""
    for k in range(block.target.shape[1]):
        for l in range(coding.shape[1]):
            if lanes >> l & 1:
                block.target[t, k, l] = coding[1, l] if block.target[t, k, l] > 0.5 else coding[0, l]


@inlined
def leave(block: Block, stream: Stream) -> None:
    """Code the targets of classes, and count the starts from the next block's first step."""
    coded = 0
    for l in range(stream.key.shape[0]):
        stream.start[l] -= block.ends.shape[0]
        coded |= (stream.coding[0, l] != 0.0 or stream.coding[1, l] != 1.0) << l
    if coded:
        for t in range(block.due.shape[0]):
            if block.due[t] & coded:
                _code(block, t, coded, stream.coding)
