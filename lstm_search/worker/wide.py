"""A pack of thousands of lanes on a GPU, a thread a lane, run by the same kernels as a pack on a core.

The words of all lanes are one buffer (see `simd.threads`). Lanes that stopped, or are free, come to the desk: a pack of
WARP lanes on this machine, whose code decides what each does next; then their words go back. While it decides, the
other lanes run through the next block.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from lstm_search import simd
from lstm_search.networks import Lstm1997
from lstm_search.simd import WARP
from lstm_search.spec import Cell, TrialResult, TrialSpec
from lstm_search.tasks import task_origin
from lstm_search.worker.pack import Pack, Phase
from lstm_search.worker.shape import Shape

MOST_WIDE = 131_072
"""Lanes of a wide pack at most."""

WIDE = 65_536
"""Lanes of a wide pack where no other number is asked for, as far as the memory goes."""

_STEPS = 256
"""Time steps of a block at most: a lane that stops waits for its end."""

_AT_ONCE = 2048
"""How many lanes may come to the desk between two blocks, so that their words fit into memory here."""

_SHARE = 0.8
"""Of the GPU's free memory, what one pack may take."""


def refuse(cells: Iterable[Cell]) -> None:
    """Raises ValueError for a cell whose trials do not run on a GPU, or would not have the same bits there."""
    for cell in cells:
        if cell.network.name != "lstm1997":
            raise ValueError(
                f"execute.device=gpu network={cell.network.name}: a GPU takes network=lstm1997; take execute.device=cpu"
            )
        if cell.network.kernels is not Lstm1997().kernels:
            raise ValueError(
                "execute.device=gpu network.gradient=full: a GPU takes network.gradient=truncated; take "
                "execute.device=cpu"
            )
        if cell.training.optimizer != "descent":
            raise ValueError(
                f"execute.device=gpu training.optimizer={cell.training.optimizer}: a GPU takes "
                "training.optimizer=descent; take execute.device=cpu"
            )
        if task_origin(type(cell.task)):
            raise ValueError(
                f"execute.device=gpu task={cell.task.name}: a task from outside was not shown to have the same bits "
                "there; take execute.device=cpu"
            )


class WidePack:
    """Lanes for trials of one shape on a `device`: `width`, or as many as its memory holds."""

    def __init__(self, shape: Shape, width: int, device: simd.Gpu) -> None:
        self._device, self._desk, other = device, Pack(shape, WARP), Pack(shape, WARP - 1)
        arrays = [simd.Lane(pack.state, pack.stop, pack.stream) for pack in (self._desk, other)]
        lane = simd.rows_of(arrays[0], arrays[1])
        self._lane, self._rows = lane
        self._places = simd.pairs(self._lane, arrays[0])
        self.steps = min(_STEPS, shape.layout.steps)
        blocks = [simd.new_block(self.steps, lanes, shape.layout) for lanes in (WARP, WARP - 1)]
        block = simd.rows_of(blocks[0], blocks[1])
        most = int(_SHARE * device.free) // (8 * (self._rows + block[1]))
        self.width = max(WARP, min(width, most) // WARP * WARP)
        kernels = shape.kernels
        self._launch = device.compiled(
            shape,
            lambda: simd.thread_kernels(
                device=device,
                lane=lane,
                block=block,
                variant=shape.variant,
                fill=shape.task.fill,
                restart=kernels.restart,
                advance=kernels.advance,
            ),
        )
        self._words, self._data = device.empty(self.width * self._rows), device.empty(self.width * block[1])
        self._every = device.to_device(np.arange(self.width))
        self._active_row = self._lane.stop.masks.first + simd.ACTIVE
        self._write(self._every, np.zeros((self.width, 1)), self._active_row)
        self._runs: list[Any] = [None] * self.width
        self._new, self._idle = deque[TrialSpec](), deque(range(self.width))
        self._stopped = np.zeros(0, np.int64)  # lanes that the desk has to look at
        self._active, self._learning = np.zeros(self.width, bool), np.zeros(self.width, bool)
        self._fresh = np.zeros(self.width, np.int64)  # 1: the lane starts a sequence with the next block
        self.trained = np.zeros(self.width, np.int64)  # training steps of each lane's trial
        self._seconds = np.zeros(self.width)  # its share of the time that blocks took

    @property
    def free(self) -> int:
        """Number of lanes that no trial runs in or waits for."""
        return len(self._idle) - len(self._new)

    def add(self, spec: TrialSpec) -> None:
        """Let a trial start in a free lane."""
        self._new.append(spec)

    def sequences(self) -> dict[str, int]:
        """How many training sequences each running trial has seen, by key."""
        done = self._read(self._every, self._lane.stop.done.first)
        seen = {
            run.spec.key: int(done[g]) if run.phase is Phase.TRAINING else run.trained
            for g, run in enumerate(self._runs)
            if run
        }
        return seen | {spec.key: 0 for spec in self._new}

    def advance(self) -> list[TrialResult]:
        """Run one block of time steps. Returns the results of the trials that ended in the block before."""
        began, running = time.perf_counter(), int(self._active.sum())
        words = self._read(self._device.to_device(self._stopped), 0, self._rows)
        self._run()
        lanes, words, finished = self._decide(words)
        active = self._read(self._every, self._active_row)
        self._stopped = np.flatnonzero(self._active & (active == 0))
        if running:
            self._count((time.perf_counter() - began) / running)
        self._write(self._device.to_device(lanes), words, 0)
        for g in lanes:
            self._active[g] = self._runs[g] is not None
            self._learning[g] = self._active[g] and self._runs[g].phase is Phase.TRAINING
        return finished

    def _run(self) -> None:
        """Start the kernels. They may still run on the device when this returns."""
        width = self.width
        if self._fresh.any():
            self._launch["restart"](width, self._words, self._device.to_device(self._fresh), width)
            self._fresh[:] = 0
        self._launch["fill"](width, self._words, self._data, width)
        self._launch["advance"](width, self._words, self._data, width)

    def _count(self, share: float) -> None:
        """Count steps and time of the lanes that ran; some have stopped."""
        self._seconds[self._active] += share
        learning = self._active & self._learning
        self.trained[learning] += self.steps
        stopped = self._stopped[learning[self._stopped]]
        at = self._read(self._device.to_device(stopped), self._lane.stop.at.first)
        self.trained[stopped] += at + 1 - self.steps
        self._active[self._stopped] = False

    def _decide(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[TrialResult]]:
        """Let the desk decide for the lanes that stopped, whose words these are, and start trials in free ones. Returns
        these lanes, their words from now on, and results."""
        free = [self._idle.popleft() for _ in range(min(len(self._new), _AT_ONCE))]
        lanes = np.array([*self._stopped, *free], np.int64)
        after, finished = np.empty((len(lanes), self._rows)), []
        for first in range(0, len(lanes), WARP):
            some = slice(first, first + WARP)
            simd.from_words(words[some], self._places)
            finished += self._at_desk(lanes[some].tolist())
            simd.to_words(after[some], self._places)
        return lanes, after, finished

    def _at_desk(self, lanes: list[int]) -> list[TrialResult]:
        """What becomes of these lanes, which are the first ones of the desk."""
        desk, finished = self._desk, []
        desk.runs, desk.fresh = [self._runs[g] for g in lanes], 0
        for l, g in enumerate(lanes):
            if run := desk.runs[l]:
                run.steps, run.seconds = int(self.trained[g]), float(self._seconds[g])
                if result := desk.stopped(l, run):
                    finished.append(result)
            if desk.runs[l] is None and self._new:
                self.trained[g], self._seconds[g] = 0, 0.0
                desk.start(l, self._new.popleft())
            self._runs[g] = desk.runs[l]
            self._fresh[g] = desk.fresh >> l & 1
            if self._runs[g] is None:
                self._idle.append(g)
        return finished

    def _read(self, lanes: Any, first: int, rows: int = 0) -> np.ndarray:
        """Words of lanes from row `first` on [lanes, rows]; with 0 rows one whole number of each [lanes]."""
        shape = (lanes.size, rows or 1)
        if not lanes.size:
            return np.zeros(shape) if rows else np.zeros(0, np.int64)
        some = self._device.empty(shape[0] * shape[1])
        self._launch["move"](some.size, self._words, lanes, some, first, 1)
        words = self._device.to_host(some).reshape(shape)
        return words if rows else words[:, 0].view(np.int64)

    def _write(self, lanes: Any, words: np.ndarray, first: int) -> None:
        """Put words [lanes, rows] into these lanes from row `first` on."""
        if lanes.size:
            some = self._device.to_device(words.reshape(-1))
            self._launch["move"](some.size, self._words, lanes, some, first, 0)
