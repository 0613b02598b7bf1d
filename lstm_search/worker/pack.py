"""A pack: trials of one shape side by side in the lanes of one kernel, each with its own phases, stop and result."""

from __future__ import annotations

import hashlib
import io
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from lstm_search import simd
from lstm_search.spec import CurvePoint, Outcome, Reached, Stop, TrialResult, TrialSpec
from lstm_search.worker.shape import Shape, block_steps, growth_rule

GROWN = "grown"
"""The milestone that tells when the hidden units joined in."""

_UNLIMITED = 1 << 62


class Phase(Enum):
    """What a lane is doing. In a check or a test its weights do not change, and it sees another stream of sequences."""

    TRAINING = "training"
    CHECK = "check"
    TEST = "test"


@dataclass(eq=False)  # counting the free lanes of every block compares with None
class _Run:
    """A trial under way in a lane: `stage` is the milestone it makes for; `trained` the training sequences it had seen
    when it last paused; `at` where its milestone was reached while that is being tested; `growth` the rule by which
    units still have to join in."""

    spec: TrialSpec
    stage: int = 0
    phase: Phase = Phase.TRAINING
    trained: int = 0
    at: int = 0
    growth: tuple[int, float] | None = None
    reached: list[Reached] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    @property
    def rule(self) -> Stop:
        return self.spec.cell.stop[self.stage]

    @property
    def check_due(self) -> bool:
        """Whether a check is due where the training stands."""
        return self.rule.checked and self.trained > 0 and self.trained % int(self.rule.check_every or 1) == 0

    @property
    def limit(self) -> int:
        """Training sequences after which the training ends."""
        return self.spec.cap + self.rule.grace

    def pause(self) -> int:
        """Training sequences after which there is something to do: the limit, a check, a look whether to grow."""
        every = [self.rule.check_every] if self.rule.checked else []
        if self.growth:
            every.append(self.growth[0])
        return min([self.limit, *(self.trained + n - self.trained % n for n in every if n)])


class Pack:
    """`width` lanes for trials of one shape. A lane is free, training, checked or tested."""

    def __init__(self, shape: Shape, width: int) -> None:
        self.shape, self.width, self._kernels = shape, width, shape.kernels
        self.runs: list[_Run | None] = [None] * width
        self.fresh = 0  # bit l: lane l starts a sequence with the next block
        self.stream = simd.new_stream(width, shape.task, shape.layout)
        self.state = self._kernels.new_state(width, shape.variant, shape.layout.outputs)
        self.stop = simd.new_stop_state(width, shape.ring)
        weights = sum(array.size for array in self._kernels.weights(self.state, shape.variant, 0))
        steps = block_steps(weights, shape.layout, width)
        self._block = simd.new_block(steps, width, shape.layout)

    @property
    def running(self) -> list[TrialSpec]:
        """The trials in the lanes."""
        return [run.spec for run in self.runs if run]

    @property
    def free(self) -> int:
        """Number of free lanes."""
        return self.runs.count(None)

    def sequences(self) -> dict[str, int]:
        """How many training sequences each running trial has seen, by key."""
        done = self.stop.done
        return {
            run.spec.key: int(done[l]) if run.phase is Phase.TRAINING else run.trained
            for l, run in enumerate(self.runs)
            if run
        }

    def add(self, spec: TrialSpec) -> None:
        """Start a trial in a free lane. Raises ValueError where no lane is free."""
        self.start(self.runs.index(None), spec)

    def start(self, l: int, spec: TrialSpec) -> None:
        """Start a trial in lane l."""
        cell, stop, stream = spec.cell, self.stop, self.stream
        self.runs[l] = run = _Run(spec, growth=growth_rule(cell.network))
        for array in stop[1:]:  # what the last trial left; its bits in `masks` are set anew
            array[..., l] = 0
        key, layout = simd.stream_key(spec.seed, spec.replicate, simd.WEIGHTS), self.shape.layout
        weights = cell.network.initial(key, layout.inputs, layout.outputs)
        self._kernels.put(self.state, self.shape.variant, l, cell.network, weights, cell.training.signal)
        simd.put_settings(stream, l, cell.task)
        stream.coding[:, l] = cell.training.targets
        stream.in_turn[l] = cell.network.facts.in_turn
        common = simd.stream_key(spec.seed, spec.replicate // layout.sharing, simd.COMMON)
        stream.keys[:, l] = cell.task.keys(common)
        self._train(l, run)

    def _aim(self, l: int, run: _Run) -> None:
        """The stop rule of lane l becomes that of the milestone which its trial is to reach next."""
        stop, rule = self.stop, run.rule
        stop.window[l], stop.max_wrong[l], stop.below[l] = rule.window, rule.max_wrong, rule.below
        stop.every[l] = rule.check_every or 1
        stop.tolerance[l] = 0.5 if rule.correct == "ranked" else rule.tolerance
        stop.measure[l] = simd.ABSOLUTE if rule.error == "absolute" else simd.SQUARED
        for mask, member in ((simd.EVERY, rule.judged == "all"), (simd.RANKED, rule.correct == "ranked")):
            stop.masks[mask] = stop.masks[mask] & ~(1 << l) | member << l

    def _look_back(self, l: int, run: _Run) -> None:
        """Lane l counts its training sequences again, and its window is summed up by the measure of its stop rule."""
        self._aim(l, run)
        self.stop.done[l] = run.trained
        if run.rule.checked:
            self.stop.max_wrong[l], self.stop.window[l] = simd.NEVER, 1
        simd.look_back(self.stop, l)

    def _train(self, l: int, run: _Run) -> None:
        """Lane l is trained up to the next pause, from the sequence on that follows the last one it was trained on."""
        self._look_back(l, run)
        self._enter(l, run, Phase.TRAINING, simd.TRAINING, run.trained)
        self.stop.limit[l] = run.pause()
        self.stop.masks[simd.LEARNING] |= 1 << l

    def _check(self, l: int, run: _Run) -> None:
        """Lane l is checked. Each check has sequences of its own, by its number, or all have those of the first."""
        rule = run.rule
        number = run.trained // int(rule.check_every or 1) if rule.fresh_test_set else 0
        self._aim(l, run)
        self._enter(l, run, Phase.CHECK, simd.CHECKS, number * rule.window)
        self.stop.limit[l] = rule.window

    def _test(self, l: int, run: _Run) -> None:
        """Lane l is tested. Each milestone has a stream of its own for that."""
        self._aim(l, run)
        self._enter(l, run, Phase.TEST, simd.TESTS + run.stage, 0)
        self.stop.limit[l] = run.rule.test_sequences
        self.stop.max_wrong[l], self.stop.below[l] = _UNLIMITED, np.inf

    def _enter(self, l: int, run: _Run, phase: Phase, stream: int, sequence: int) -> None:
        """Lane l becomes active, and begins with this sequence of one of its trial's streams."""
        run.phase, stop = phase, self.stop
        if phase is not Phase.TRAINING:
            for count in (stop.done, stop.wrong, stop.total, stop.lost):
                count[l] = 0
        self.stream.key[l] = simd.stream_key(run.spec.seed, run.spec.replicate, stream)
        self.stream.sequence[l], self.stream.start[l] = sequence, 0
        self.stream.tested[l] = phase is not Phase.TRAINING
        stop.masks[simd.ACTIVE] |= 1 << l
        self.fresh |= 1 << l

    def advance(self) -> list[TrialResult]:
        """Run one block of time steps. Returns the results of the trials that ended in it."""
        began = time.perf_counter()
        if self.fresh:
            self._kernels.restart(simd.lanes_tag(self.width), self.shape.variant, self.state, self.fresh)
            self.fresh = 0
        active, learning = int(self.stop.masks[simd.ACTIVE]), int(self.stop.masks[simd.LEARNING])
        self.shape.task.fill(self._block, self.stream)
        self._kernels.advance(simd.lanes_tag(self.width), self.shape.variant, self.state, self._block, self.stop)
        share = (time.perf_counter() - began) / active.bit_count()
        stopped = active & ~int(self.stop.masks[simd.ACTIVE])
        finished = []
        for l, run in enumerate(self.runs):
            if run is None:
                continue
            run.seconds += share
            if learning >> l & 1:
                run.steps += int(self.stop.at[l]) + 1 if stopped >> l & 1 else self._block.due.size
            if stopped >> l & 1 and (result := self.stopped(l, run)):
                finished.append(result)
        return finished

    def stopped(self, l: int, run: _Run) -> TrialResult | None:
        """Lane l stopped: it enters its next phase, or its trial ends with this result."""
        if run.phase is Phase.TRAINING:
            return self._paused(l, run)
        if run.phase is Phase.CHECK:
            done, window = int(self.stop.done[l]), run.rule.window
            few = done == window and self.stop.wrong[l] <= run.rule.max_wrong
            if few and self.stop.total[l] + self.stop.lost[l] < run.rule.below * window:
                return self._reach(l, run, run.trained)
            return self._train_on(l, run)
        return self._pass(l, run)

    def _paused(self, l: int, run: _Run) -> TrialResult | None:
        """The training of lane l stopped, because something was reached or is due."""
        reason, run.trained = int(self.stop.reason[l]), int(self.stop.done[l])
        if reason == simd.DIVERGED:
            return self._finish(l, run, Outcome.DIVERGED, run.trained)
        if reason == simd.REACHED:
            return self._reach(l, run, run.trained - run.rule.grace)
        self._grow(l, run)
        if run.check_due:
            self._check(l, run)
            return None
        return self._train_on(l, run)

    def _grow(self, l: int, run: _Run) -> None:
        """Let the hidden units of lane l join in where the error no longer falls."""
        growth, done = self._kernels.growth, run.trained
        if growth is None or run.growth is None:
            return
        window, drop = run.growth
        if done < 2 * window or done % window:
            return
        before, now = (simd.mean_error(self.stop, l, end - window, end) for end in (done - window, done))
        if now > (1.0 - drop) * before:
            run.growth = None
            growth.join(self.state, l)
            run.reached.append(Reached(GROWN, done, 0, 0, 0.0))

    def _reach(self, l: int, run: _Run, at: int) -> TrialResult | None:
        """Lane l reached a milestone after `at` training sequences."""
        run.at = at
        if run.rule.test_sequences:
            self._test(l, run)
            return None
        return self._pass(l, run)

    def _pass(self, l: int, run: _Run) -> TrialResult | None:
        """Note the milestone, and its test if there was one. The next milestone of lane l may be reached already, and
        the cap too."""
        stop, tests = self.stop, run.rule.test_sequences
        error = float(stop.total[l] + stop.lost[l]) / tests if tests else 0.0
        wrong = int(stop.wrong[l]) if tests else 0
        run.reached.append(Reached(run.rule.milestone, run.at, tests, wrong, error))
        if run.stage + 1 == len(run.spec.cell.stop):
            return self._finish(l, run, Outcome.SOLVED, run.at)
        run.stage += 1
        if run.check_due:
            self._check(l, run)
            return None
        self._look_back(l, run)
        if simd.reached(stop, l):
            return self._reach(l, run, run.trained - run.rule.grace)
        return self._train_on(l, run)

    def _train_on(self, l: int, run: _Run) -> TrialResult | None:
        """Lane l goes on training, unless it has come to its end."""
        if run.trained >= run.limit:
            return self._finish(l, run, Outcome.CAPPED, min(run.trained, run.spec.cap))
        self._train(l, run)
        return None

    def _finish(self, l: int, run: _Run, outcome: Outcome, sequences: int) -> TrialResult:
        """Take the trial out of lane l."""
        stop = self.stop
        hidden, output = map(_plain, self._kernels.weights(self.state, self.shape.variant, l))
        if not (np.isfinite(hidden).all() and np.isfinite(output).all()):
            outcome = Outcome.DIVERGED
            run.reached = [milestone for milestone in run.reached if milestone.sequences < sequences]
        self.runs[l] = None
        return TrialResult(
            key=run.spec.key,
            outcome=outcome,
            sequences=sequences,
            steps=run.steps,
            milestones=tuple(run.reached),
            curve=tuple(
                CurvePoint(int(simd.CHECKPOINTS[i]), float(stop.curve[i, 0, l]), float(stop.curve[i, 1, l]))
                for i in range(int(stop.point[l]))
            ),
            weights=_packed(hidden, output),
            weights_sha256=hashlib.sha256(hidden.tobytes() + output.tobytes()).hexdigest(),
            seconds=run.seconds,
            host=socket.gethostname(),
        )


def joined(shape: Shape, width: int, packs: Sequence[Pack]) -> Pack:
    """A pack of `width` lanes with the running trials of `packs`, all of this shape, as they stand between two blocks.
    They must fit into it."""
    into, first = Pack(shape, width), 0
    for pack in packs:
        lanes = [l for l, run in enumerate(pack.runs) if run]
        here = slice(first, first + len(lanes))
        into.runs[here] = [pack.runs[l] for l in lanes]
        states = shape.kernels.lanes_last(pack.state), shape.kernels.lanes_last(into.state)
        for old, new in ((pack.stream, into.stream), states, (pack.stop[1:], into.stop[1:])):
            for source, target in zip(old, new, strict=True):
                target[..., here] = source[..., lanes]
        for mask in (simd.ACTIVE, simd.LEARNING, simd.EVERY, simd.RANKED):
            into.stop.masks[mask] |= _moved(int(pack.stop.masks[mask]), lanes) << first
        into.fresh |= _moved(pack.fresh, lanes) << first
        first += len(lanes)
    return into


def _moved(mask: int, lanes: list[int]) -> int:
    """The bits of `mask` at `lanes`, as the lowest bits."""
    return sum((mask >> l & 1) << i for i, l in enumerate(lanes))


def _plain(weights: np.ndarray) -> np.ndarray:
    """`weights` in the same bytes on every processor. A nan has many forms in memory; here it has one."""
    plain = np.ascontiguousarray(weights, "<f8")
    plain[np.isnan(plain)] = np.nan
    return plain


def _packed(hidden: np.ndarray, output: np.ndarray) -> bytes:
    """The weights as an npz archive."""
    buffer = io.BytesIO()
    np.savez(buffer, hidden=hidden, output=output)
    return buffer.getvalue()
