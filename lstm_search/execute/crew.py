"""Who works on which trial, and what it means when a worker is lost. Nothing here knows how a worker is run.

A `Crew` decides; a `Pool` only starts workers, calls them and brings their answers, so one set of rules serves every
way of executing, and a test can play all of them.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lstm_search.spec import Outcome, Trial, TrialResult, TrialSpec
from lstm_search.worker import Progress

MAX_ATTEMPTS = 3
"""How many workers a trial may take down with it, over all resumes, before it ends as LOST or OOM."""

_GRACE = 3.0  # seconds by which an answer may be late before its worker counts as hung
_QUICK = 0.1  # of a slice; an answer that took less came because a lane ran empty
_ANSWERS = 500.0  # a second, of all workers, that leave the driver's core time for results
_STARTS = 3  # a worker that fails so often before its first answer will not start
_LATE = 30.0  # seconds from the first worker's start, after which no work is kept back for one that has not started
_PASSED = 100  # trials at most that are passed over between two that a worker gets, for those that start


class Executor(Protocol):
    """What the study's loop sees of the workers."""

    @property
    def room(self) -> int:
        """How many more trials to submit now: enough that no worker waits, few enough that memory is bounded."""

    @property
    def pending(self) -> int:
        """Trials submitted and not yet gathered."""

    @property
    def workers(self) -> int:
        """Workers in service, those still starting included."""

    def submit(self, specs: Sequence[TrialSpec]) -> None:
        """Queue trials, longest first; they are handed out in this order, but for those that are kept back for workers
        that start."""

    def gather(self, seconds: float) -> list[Trial]:
        """The trials that finished; waits up to about `seconds` for the first. RuntimeError: no worker starts."""

    def progress(self) -> dict[str, int]:
        """How far the running trials are: training sequences by key."""


@dataclass(frozen=True)
class Fault:
    """What became of a worker instead of an answer: OOM, LOST, TIMEOUT, or FAILED where its code raised."""

    outcome: Outcome
    error: str


@dataclass(frozen=True)
class Answer:
    """A call that came back. `progress` is None for the first: the worker has started."""

    seat: int
    progress: Progress | None = None
    fault: Fault | None = None


class Pool(Protocol):
    """Workers by seat number, at most one call outstanding on each."""

    @property
    def size(self) -> int:
        """How many workers there can be; on a cluster that grows, more than before."""

    def start(self, seat: int, /) -> None:
        """Put a fresh worker on the seat, in place of any other; it answers once when it is ready."""

    def call(self, seat: int, specs: Sequence[TrialSpec], seconds: float, /) -> None:
        """Ask for one slice of training."""

    def wait(self, seconds: float, /) -> list[Answer]:
        """The calls that came back; waits up to `seconds` for the first. ClusterUnreachable: no node is left."""

    def retire(self, seat: int, /) -> None:
        """Leave the seat empty."""


@dataclass
class _Seat:
    """The driver's view of one worker. `since`: by key, when its training may have begun; `called`: None while idle;
    `spare`: trials handed over beyond its lanes, so that it need not come back for each; `started`: when it was asked
    for, or the first worker was there, which may have compiled for all. On a cluster a node may have room much later.
    """

    held: dict[str, TrialSpec] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    called: float | None = None
    ready: bool = False
    retired: bool = False
    alone: bool = False
    false_starts: int = 0
    spare: int = 0
    started: float = 0.0

    def drop(self, key: str) -> TrialSpec | None:
        """Take a trial out; None where another answer already did."""
        self.since.pop(key, None)
        self.sequences.pop(key, None)
        return self.held.pop(key, None)

    def empty(self) -> list[TrialSpec]:
        """Take all trials out."""
        specs = list(self.held.values())
        self.held, self.since, self.sequences = {}, {}, {}
        return specs


def _level(loads: Counter[int], waiting: int, top: int) -> int:
    """To how many trials each, `top` at most, those that wait would fill the workers up, as water finds its level."""
    below = filled = 0
    for level in range(top):
        if filled >= waiting:
            return level
        below += loads[level]
        filled += below
    return top


class Crew:
    """An `Executor` over any pool: who works on what, and who is to blame when a worker is lost.

    The death of a worker counts against a trial only if the worker held no other; of several nobody knows which it
    was, so each is tried again alone. The third time ends a trial. A trial whose own code raised, or that ran past the
    limit, would do so again: it ends at once.

    `lanes`: how many trials a worker trains at a time; `slice_seconds`: how long it trains between two answers, of very
    many workers longer, since all of them answer to one driver; `timeout`: seconds a trial may take, by `clock`.
    """

    def __init__(
        self,
        pool: Pool,
        attempts: Mapping[str, int],
        on_attempt: Callable[[str, str], object],
        *,
        lanes: int,
        slice_seconds: float,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._clock = pool, clock
        self._attempts, self._on_attempt = dict(attempts), on_attempt
        self._lanes, self._least_slice, self._timeout = lanes, slice_seconds, timeout
        self._queue: deque[TrialSpec] = deque()
        self._suspects: deque[TrialSpec] = deque()
        self._finished: list[Trial] = []
        self._seats: list[_Seat] = []
        self._idle: dict[int, None] = {}
        self._ready = 0
        self._looked = clock()
        self._seat_more()

    @property
    def workers(self) -> int:
        """See `Executor`."""
        return sum(not seat.retired for seat in self._seats)

    @property
    def pending(self) -> int:
        """See `Executor`."""
        held = sum(len(seat.held) for seat in self._seats)
        return held + len(self._queue) + len(self._suspects) + len(self._finished)

    @property
    def room(self) -> int:
        """See `Executor`: every lane filled, as many in reserve at the workers, and as many waiting here."""
        return max(0, 3 * self._lanes * self.workers - self.pending)

    @property
    def _slice(self) -> float:
        """Where trials have a limit, a tenth of it at most: by so much a trial may seem to have trained too long."""
        grown = self._ready / _ANSWERS
        return max(self._least_slice, grown if self._timeout is None else min(grown, self._timeout / 10))

    def progress(self) -> dict[str, int]:
        """See `Executor`."""
        return {key: count for seat in self._seats for key, count in seat.sequences.items()}

    def _seat_more(self) -> None:
        """One seat for each worker that there can be; a cluster may have grown."""
        for number in range(len(self._seats), self._pool.size):
            self._seats.append(_Seat(started=self._clock()))
            self._pool.start(number)

    def submit(self, specs: Sequence[TrialSpec]) -> None:
        """See `Executor`."""
        for spec in specs:
            if self._attempts.get(spec.key, 0) >= MAX_ATTEMPTS:
                error = f"each of {MAX_ATTEMPTS} attempts before this run took its worker down"
                self._broken(spec, Fault(Outcome.LOST, error), attempts=MAX_ATTEMPTS)
            else:
                self._queue.append(spec)
        self._dispatch()

    def gather(self, seconds: float) -> list[Trial]:
        """See `Executor`. Freed workers are topped up before it returns, so they train while results are recorded."""
        deadline = self._clock() + seconds
        left = seconds
        while self.pending and not self._finished:
            for answer in self._pool.wait(max(0.0, min(left, 1.0))):
                self._take(answer)
            self._seat_more()
            self._replace_hung()
            self._dispatch()
            left = deadline - self._clock()
            if left <= 0:
                break
        finished, self._finished = self._finished, []
        return finished

    def _dispatch(self) -> None:
        hands = {number: self._suspect(self._seats[number]) for number in sorted(self._idle)}
        sharing = list(self._sharing()) if hands else []
        shares = self._shares([number for number in hands if not self._seats[number].alone], sharing)
        for number, spec in self._deal(shares, sum(not seat.ready for seat in sharing)):
            hands[number].append(spec)
        for number, hand in hands.items():
            self._call(number, hand)

    def _call(self, number: int, new: Sequence[TrialSpec]) -> None:
        seat, now = self._seats[number], self._clock()
        seat.held.update((spec.key, spec) for spec in new)
        seat.since.update((spec.key, now) for spec in new)
        if seat.held:
            seat.called = now
            del self._idle[number]
            self._pool.call(number, new, self._slice)

    def _sharing(self) -> Iterator[_Seat]:
        """The workers that share the queue: all that are there or soon will be."""
        late = self._clock() - _LATE
        expected = (seat for seat in self._seats if seat.ready or seat.started > late)
        return (seat for seat in expected if not (seat.alone or seat.retired))

    def _suspect(self, seat: _Seat) -> list[TrialSpec]:
        """The suspect that an idle worker is to train, alone, where there is one and it holds nothing else."""
        seat.alone = seat.alone if seat.held else bool(self._suspects)
        return [self._suspects.popleft()] if seat.alone and not seat.held else []

    def _shares(self, idle: Sequence[int], sharing: Sequence[_Seat]) -> dict[int, int]:
        """How many trials idle workers get: even shares of the queue, as far as their lanes go. The loads are kept up:
        to count them for each of thousands of workers anew would take longer than they work."""
        loads, left, shares = Counter(len(seat.held) for seat in sharing), len(self._queue), dict[int, int]()
        for number in idle:
            seat = self._seats[number]
            load = len(seat.held)
            share = max(0, min(_level(loads, left, self._lanes + seat.spare) - load, left))
            loads[load] -= 1
            loads[load + share] += 1
            left -= share
            shares[number] = share
        return shares

    def _deal(self, wanted: dict[int, int], coming: int) -> Iterator[tuple[int, TrialSpec]]:
        """Trials from the queue, the longest first, to these seats in turn, as cards are dealt: else one would get all
        the longest, and train them when the others have long been done. As many workers as are `coming` have their
        turns, too; what these would get stays in the queue."""
        passed: list[TrialSpec] = []
        while wanted := {number: count for number, count in wanted.items() if count}:
            for number in wanted:
                yield number, self._queue.popleft()
                wanted[number] -= 1
            spare = len(self._queue) - sum(wanted.values())
            passed += [self._queue.popleft() for _ in range(min(coming, spare, _PASSED))]
        self._queue.extendleft(reversed(passed))

    def _take(self, answer: Answer) -> None:
        seat = self._seats[answer.seat]
        called, seat.called = seat.called, None
        self._idle[answer.seat] = None
        if answer.fault is not None:
            self._lose(answer.seat, answer.fault)
        elif answer.progress is None:
            self._greet(seat)
        else:
            self._adapt(seat, called)
            self._note(seat, answer.progress)
            self._stop_overdue(answer.seat)

    def _greet(self, seat: _Seat) -> None:
        """A worker has started. Only from the first one's start on is it late not to have."""
        if not self._ready:
            for other in self._seats:
                other.started = self._clock()
        seat.ready, seat.false_starts = True, 0
        self._ready += 1

    def _adapt(self, seat: _Seat, called: float | None) -> None:
        """Keep the ways to and fro short beside the work: who comes back at once has short trials and gets a reserve.
        With long ones there is none, so that no more is lost with a worker than is in its lanes."""
        soon = max(_QUICK * self._least_slice, self._ready / _ANSWERS)
        quick = called is not None and self._clock() - called < soon
        seat.spare = min(seat.spare + 1, self._lanes) if quick else max(seat.spare - 1, 0)

    def _note(self, seat: _Seat, progress: Progress) -> None:
        for result in progress.finished:
            spec = seat.drop(result.key)
            if spec is not None:
                self._finished.append(Trial(spec, result, self._attempts.get(spec.key, 0) + 1))
        seat.sequences = {key: count for key, count in progress.sequences.items() if key in seat.held}
        for key in seat.held.keys() - seat.sequences.keys():
            seat.since[key] = self._clock()  # it still waits for a lane

    def _stop_overdue(self, number: int) -> None:
        """A worker cannot drop a trial, so it is replaced; its other trials were no part of this and go first again."""
        seat = self._seats[number]
        overdue = self._overdue(seat)
        for key in overdue:
            self._broken(seat.held[key], self._too_long())
            seat.drop(key)
        if overdue:
            self._queue.extendleft(reversed(seat.empty()))
            self._restart(number)

    def _replace_hung(self) -> None:
        if self._clock() < self._looked + 1:
            return
        self._looked = self._clock()
        for number, seat in enumerate(self._seats):
            late = seat.called is not None and self._clock() > seat.called + self._slice + _GRACE
            if late and self._overdue(seat):
                self._lose(number, self._too_long())

    def _overdue(self, seat: _Seat) -> list[str]:
        if self._timeout is None:
            return []
        latest = self._clock() - self._timeout
        return [key for key, since in seat.since.items() if since < latest]

    def _too_long(self) -> Fault:
        return Fault(Outcome.TIMEOUT, f"not done after execute.timeout={self._timeout} seconds")

    def _lose(self, number: int, fault: Fault) -> None:
        """Put another worker on the seat and settle what the lost one held."""
        seat = self._seats[number]
        if not seat.ready:
            seat.false_starts += 1
        specs = seat.empty()
        self._restart(number, fault)
        if len(specs) == 1:
            self._blame(specs[0], fault)
        else:
            self._suspects.extend(specs)

    def _blame(self, spec: TrialSpec, fault: Fault) -> None:
        if fault.outcome in (Outcome.FAILED, Outcome.TIMEOUT):
            self._broken(spec, fault)
            return
        attempts = self._attempts[spec.key] = self._attempts.get(spec.key, 0) + 1
        self._on_attempt(spec.key, f"{fault.outcome}: {fault.error}")
        if attempts >= MAX_ATTEMPTS:
            self._broken(spec, fault, attempts=attempts)
        else:
            self._suspects.append(spec)

    def _broken(self, spec: TrialSpec, fault: Fault, attempts: int | None = None) -> None:
        result = TrialResult(key=spec.key, outcome=fault.outcome, sequences=0, steps=0, error=fault.error)
        self._finished.append(Trial(spec, result, attempts or self._attempts.get(spec.key, 0) + 1))

    def _restart(self, number: int, fault: Fault | None = None) -> None:
        seat = self._seats[number]
        self._ready -= seat.ready
        seat.ready, seat.alone, seat.called, seat.started = False, False, None, self._clock()
        self._idle.pop(number, None)
        if seat.false_starts < _STARTS:
            self._pool.start(number)
            return
        seat.retired = True
        self._pool.retire(number)
        if not self.workers:
            raise RuntimeError(f"no worker starts, the last because of: {fault.error if fault else 'unknown'}")
