"""A pack: trials of one shape side by side in the lanes of one kernel, each with its own phases, stop and result."""

from __future__ import annotations

import hashlib
import io
import socket
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lstm_search.draws import TESTS, TRAINING, WEIGHTS, stream_key
from lstm_search.judge import (
    ABSOLUTE,
    CAPPED,
    CHECKPOINTS,
    DIVERGED,
    REACHED,
    SQUARED,
    look_back,
    new_watch,
    reached,
)
from lstm_search.lanes import lanes_tag
from lstm_search.spec import Cell, CurvePoint, Outcome, Reached, Stop, TrialResult, TrialSpec
from lstm_search.streams import new_block, new_stream

STEPS = 2048
"""Time steps of a block: long enough that calling kernels costs little, short enough for the second-level cache."""

_WORK = 8_000_000
"""Weights times steps of a block at most, so that a net of any size answers within a slice of work."""

_ACTIVE, _LEARNING = 0, 1


class Shape(NamedTuple):
    """What trials must have in common to share a pack."""

    task: Any
    network: Any
    inputs: int
    outputs: int
    numbers: int
    form: Any
    window: int


def shape_of(cell: Cell) -> Shape:
    """The shape of a cell's trials."""
    task, network = cell.task, cell.network
    sums = cell.training.update == "sequence" and task.targets != "last"
    form = network.form(task.n_inputs, symbols=task.symbols, sums=sums)
    window = max(stop.window for stop in cell.stop)
    return Shape(type(task), type(network), task.n_inputs, task.n_outputs, len(task.numbers), form, window)


@dataclass(eq=False)  # counting the free lanes of every block compares with None
class _Run:
    """A trial under way in a lane: `stage` is the milestone it makes for; `trained` the training sequences it had seen
    when its last test began."""

    spec: TrialSpec
    stage: int = 0
    testing: bool = False
    trained: int = 0
    reached: list[Reached] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    @property
    def stop(self) -> Stop:
        return self.spec.cell.stop[self.stage]


class Pack:
    """`width` lanes for trials of one shape. A lane is free, training or being tested."""

    def __init__(self, shape: Shape, width: int) -> None:
        self.shape, self.width = shape, width
        self._runs: list[_Run | None] = [None] * width
        self._fresh = 0  # bit l: lane l starts a sequence with the next block
        self._stream = new_stream(width, shape.numbers)
        self._state = shape.network.new_state(width, shape.form, shape.outputs)
        self._watch = new_watch(width, shape.window)
        steps = block_steps(self._state.W[..., 0].size)
        self._block = new_block(steps, width, shape.inputs, shape.outputs, symbols=shape.form.symbols > 0)

    @property
    def running(self) -> list[TrialSpec]:
        """The trials in the lanes."""
        return [run.spec for run in self._runs if run]

    @property
    def free(self) -> int:
        """Number of free lanes."""
        return self._runs.count(None)

    def sequences(self) -> dict[str, int]:
        """How many training sequences each running trial has seen, by key."""
        done = self._watch.done
        return {r.spec.key: r.trained if r.testing else int(done[l]) for l, r in enumerate(self._runs) if r}

    def add(self, spec: TrialSpec) -> None:
        """Start a trial in a free lane."""
        l = self._runs.index(None)
        cell, state, watch, stream = spec.cell, self._state, self._watch, self._stream
        self._runs[l] = run = _Run(spec)
        for array in (*state[2:4], *watch[1:]):  # sums of a sequence, and all that the last trial left in the watch
            array[..., l] = 0
        key = stream_key(spec.seed, spec.replicate, WEIGHTS)
        state.W[..., l], state.V[..., l] = cell.network.initial(key, self.shape.inputs, self.shape.outputs)
        state.rate[:, l] = cell.training.rate * cell.training.error_scale
        state.reset[:, l] = cell.network.reset
        stream.numbers[:, l] = cell.task.numbers
        self._aim(l, run)
        self._train(l, run)

    def _aim(self, l: int, run: _Run) -> None:
        """Lane l makes for its stage's milestone from where its training stands."""
        watch, stop = self._watch, run.stop
        watch.done[l] = run.trained
        watch.limit[l], watch.window[l], watch.max_wrong[l] = run.spec.cap, stop.window, stop.max_wrong
        watch.below[l], watch.tolerance[l] = stop.mean_error, stop.tolerance
        watch.measure[l] = ABSOLUTE if stop.error == "absolute" else SQUARED
        look_back(watch, l)

    def _train(self, l: int, run: _Run) -> None:
        """Lane l is trained, from the sequence after the last one it saw."""
        run.testing = False
        self._enter(l, run, TRAINING, run.trained)
        self._watch.masks[_LEARNING] |= 1 << l

    def _test(self, l: int, run: _Run) -> None:
        """Lane l is tested, its rate in effect zero, on a stream of its own."""
        watch = self._watch
        run.testing = True
        run.trained = int(watch.done[l])
        for count in (watch.done, watch.wrong, watch.total, watch.lost):
            count[l] = 0
        watch.limit[l] = run.stop.test_sequences
        self._enter(l, run, TESTS + run.stage, 0)

    def _enter(self, l: int, run: _Run, stream: int, sequence: int) -> None:
        """Lane l is active from the start of a sequence of one of its trial's streams on."""
        self._stream.key[l] = stream_key(run.spec.seed, run.spec.replicate, stream)
        self._stream.sequence[l], self._stream.start[l] = sequence, 0
        self._watch.masks[_ACTIVE] |= 1 << l
        self._fresh |= 1 << l

    def advance(self) -> list[TrialResult]:
        """Run one block of time steps; returns the trials that ended in it."""
        began = time.perf_counter()
        if self._fresh:
            self.shape.network.restart(lanes_tag(self.width), self.shape.form, self._state, self._fresh)
            self._fresh = 0
        active, learning = int(self._watch.masks[_ACTIVE]), int(self._watch.masks[_LEARNING])
        self.shape.task.fill(self._block, self._stream)
        self.shape.network.advance(lanes_tag(self.width), self.shape.form, self._state, self._block, self._watch)
        share = (time.perf_counter() - began) / active.bit_count()
        stopped = active & ~int(self._watch.masks[_ACTIVE])
        finished = []
        for l, run in enumerate(self._runs):
            if run is None:
                continue
            run.seconds += share
            if learning >> l & 1:
                run.steps += int(self._watch.at[l]) + 1 if stopped >> l & 1 else self._block.due.size
            if stopped >> l & 1 and (result := self._stopped(l, run)):
                finished.append(result)
        return finished

    def _stopped(self, l: int, run: _Run) -> TrialResult | None:
        """Lane l stopped: on to its next phase, or out with its result."""
        watch = self._watch
        reason, done = int(watch.reason[l]), int(watch.done[l])
        if reason == DIVERGED:
            return self._finish(l, run, Outcome.DIVERGED, done)
        if reason == CAPPED:
            return self._finish(l, run, Outcome.CAPPED, done)
        if reason == REACHED:
            self._test(l, run)
            return None
        error = float(watch.total[l] + watch.lost[l]) / done
        run.reached.append(Reached(run.stop.milestone, run.trained, done, int(watch.wrong[l]), error))
        run.stage += 1
        if run.stage == len(run.spec.cell.stop):
            return self._finish(l, run, Outcome.SOLVED, run.trained)
        return self._go_on(l, run)

    def _go_on(self, l: int, run: _Run) -> TrialResult | None:
        """After a test lane l makes for its next milestone. It may be there already, or at its cap."""
        self._aim(l, run)
        if reached(self._watch, l):
            self._test(l, run)
        elif run.trained >= run.spec.cap:
            return self._finish(l, run, Outcome.CAPPED, run.trained)
        else:
            self._train(l, run)
        return None

    def _finish(self, l: int, run: _Run, outcome: Outcome, sequences: int) -> TrialResult:
        """Take the trial out of lane l."""
        watch = self._watch
        hidden, output = _lane(self._state.W, l), _lane(self._state.V, l)
        if not (np.isfinite(hidden).all() and np.isfinite(output).all()):
            outcome = Outcome.DIVERGED
            run.reached = [milestone for milestone in run.reached if milestone.sequences < sequences]
        self._runs[l] = None
        return TrialResult(
            key=run.spec.key,
            outcome=outcome,
            sequences=sequences,
            steps=run.steps,
            milestones=tuple(run.reached),
            curve=tuple(
                CurvePoint(int(CHECKPOINTS[i]), float(watch.curve[i, 0, l]), float(watch.curve[i, 1, l]))
                for i in range(int(watch.point[l]))
            ),
            weights=_packed(hidden, output),
            weights_sha256=hashlib.sha256(hidden.tobytes() + output.tobytes()).hexdigest(),
            seconds=run.seconds,
            host=socket.gethostname(),
        )

    def resized(self, width: int) -> Pack:
        """The running trials, as they stand between two blocks, in a pack of `width` lanes (at least as many)."""
        pack = Pack(self.shape, width)
        lanes = [l for l, run in enumerate(self._runs) if run]
        pack._runs[: len(lanes)] = [self._runs[l] for l in lanes]
        for old, new in ((self._stream, pack._stream), (self._state, pack._state), (self._watch[1:], pack._watch[1:])):
            for source, target in zip(old, new, strict=True):
                target[..., : len(lanes)] = source[..., lanes]
        for mask in (_ACTIVE, _LEARNING):
            pack._watch.masks[mask] = _moved(int(self._watch.masks[mask]), lanes)
        pack._fresh = _moved(self._fresh, lanes)
        return pack


def block_steps(weights: int) -> int:
    """Time steps of a block for nets with so many hidden weights: STEPS, or a smaller multiple of 8."""
    return max(8, min(STEPS, _WORK // weights // 8 * 8))


def _moved(mask: int, lanes: list[int]) -> int:
    """The bits of `mask` at `lanes`, as the lowest bits."""
    return sum((mask >> l & 1) << i for i, l in enumerate(lanes))


def _lane(weights: np.ndarray, l: int) -> np.ndarray:
    """Lane l of `weights`, the same bytes on every processor: nan has many forms in memory, here one."""
    lane = weights[..., l].astype("<f8")
    lane[np.isnan(lane)] = np.nan
    return lane


def _packed(hidden: np.ndarray, output: np.ndarray) -> bytes:
    """The weights as an npz archive."""
    buffer = io.BytesIO()
    np.savez(buffer, hidden=hidden, output=output)
    return buffer.getvalue()
