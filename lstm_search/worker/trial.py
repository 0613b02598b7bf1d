"""A worker fills lanes with trials, advances them in slices of work, and returns the results."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lstm_search.simd import Gpu, full_width
from lstm_search.spec import Row, TrialResult, TrialSpec
from lstm_search.worker.pack import Pack, joined
from lstm_search.worker.shape import Shape, most_lanes, shape_of
from lstm_search.worker.wide import WIDE, WidePack

Packs = list[Pack | WidePack]


@dataclass(frozen=True)
class Progress:
    """What one slice of work brought: finished trials, and how far those in lanes are (training sequences, by key)."""

    finished: tuple[TrialResult, ...]
    sequences: dict[str, int]


class Worker:
    """Trains trials side by side on one core, or on a GPU. It knows no database, no cluster and no credential.

    There is one queue a shape, and one pack, or two of half the width while more trials run than one of these has
    lanes. Packs take turns, a block each.
    """

    def __init__(self, width: int | None = None, device: str = "cpu") -> None:
        """A pack has `width` lanes at most; None: as many as suit the `device`, cpu or gpu. Raises `NoGpu`."""
        self.width = lanes_of(width, device)
        self._gpu = Gpu() if device == "gpu" else None
        self._queues: dict[Shape, deque[TrialSpec]] = {}
        self._packs: dict[Shape, Packs] = {}

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        """Accept `new` trials and train for about `seconds`, or until a lane of a core runs empty and none waits."""
        deadline = time.monotonic() + seconds
        finished = []
        for spec in new:
            self._queues.setdefault(shape_of(spec.cell), deque()).append(spec)
        while time.monotonic() < deadline and self._fill():
            for pack in self._every():
                finished += pack.advance()
            if finished and self._gpu is None and not any(self._queues.values()):
                break
        running = {key: done for pack in self._every() for key, done in pack.sequences().items()}
        return Progress(tuple(finished), running)

    def _every(self) -> Packs:
        return [pack for packs in self._packs.values() for pack in packs]

    def _fill(self) -> bool:
        """Put waiting trials into lanes, in packs as wide as their trials need. Returns whether any trial runs."""
        for shape, queue in self._queues.items():
            self._packs[shape] = self._filled(shape, queue, self._packs.get(shape, []))
        return any(self._packs.values())

    def _filled(self, shape: Shape, queue: deque[TrialSpec], packs: Packs) -> Packs:
        """The packs of a shape with waiting trials in their free lanes; one pack where all trials fit into it."""
        most = self.width if self._gpu else most_lanes(shape, self.width)
        alone = len(queue) + _running(packs) <= most
        filled = []
        for first in range(0, most if alone else self.width, most):
            before = packs if alone else packs[first // most : first // most + 1]
            if trials := len(queue) + _running(before):
                pack = self._seated(shape, before, trials, min(most, self.width - first))
                while queue and pack.free:
                    pack.add(queue.popleft())
                filled.append(pack)
        return filled

    def _seated(self, shape: Shape, packs: Packs, trials: int, most: int) -> Pack | WidePack:
        """A pack for so many trials, of `most` lanes at most, with those that run in `packs`."""
        if self._gpu:
            return packs[0] if packs else WidePack(shape, self.width, self._gpu)
        width = min(seats(trials, self.width), most)
        if len(packs) == 1 and packs[0].width == width:
            return packs[0]
        return joined(shape, width, [pack for pack in packs if isinstance(pack, Pack)])


def _running(packs: Packs) -> int:
    return sum(pack.width - pack.free for pack in packs)


def lanes_of(width: int | None, device: str) -> int:
    """How many trials a worker trains side by side: `width`, or what suits the device (cpu or gpu). Raises
    UnsupportedProcessor where no kernel runs on this one."""
    return width or (WIDE if device == "gpu" else full_width())


def seats(trials: int, full: int) -> int:
    """How many lanes a pack has for so many trials: all, half or a quarter of `full`. A narrower pack takes less time a
    step, and the results are the same."""
    return next((width for width in (full // 4, full // 2) if 0 < width >= trials), full)


def demand(rows: Iterable[Row]) -> list[tuple[TrialSpec, int]]:
    """How many trials there are of every shape in `rows`, beside one of them."""
    first: dict[Shape, TrialSpec] = {}
    count: Counter[Shape] = Counter()
    for row in rows:
        shape = shape_of(row.cell)
        first.setdefault(shape, TrialSpec(row.cell, 0, 0, cap=1))
        count[shape] += row.replicates
    return [(first[shape], count[shape]) for shape in first]


def warm(demanded: Sequence[tuple[TrialSpec, int]], width: int | None = None) -> None:
    """Compile, or load from the disk cache, what a worker may need for so many trials of every demanded shape.

    That is the kernels of packs as wide as that, and of the narrower ones in which the last trials end. Raises
    UnsupportedProcessor.
    """
    full = width or full_width()
    for spec, count in demanded:
        shape = shape_of(spec.cell)
        most = min(seats(count, full), most_lanes(shape, full))
        for lanes in sorted({seats(1, full), seats(full // 2, full), most}):
            if lanes <= most:
                pack = Pack(shape, lanes)
                pack.add(spec)
                pack.advance()
