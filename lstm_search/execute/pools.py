"""What runs the workers: this process, or Ray's actors. A call is answered by a `Progress`, or by a fault."""

from __future__ import annotations

import resource
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from lstm_search.execute import limits
from lstm_search.execute.cluster import ClusterUnreachable, Head
from lstm_search.execute.crew import Answer, Fault
from lstm_search.spec import Outcome, TrialSpec
from lstm_search.worker import Progress

MOST_WORKERS = 10_000
"""Of one driver, however large the cluster is."""

_LEAST_MEMORY = 2 * 2**30  # bytes; a worker without trials has about 0.4 GiB of data
_COUNT_EVERY = 3.0  # seconds between two looks at how many cores a cluster has
_PAUSE = 0.5  # seconds to wait for a head that does not answer
_SILENCE = 10.0  # seconds without an answer after which the cluster itself is looked at


class Trainer(Protocol):
    """The one method of a worker, `trial.Worker` or a stand-in."""

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        """Accept `new` trials, train for about `seconds`, report."""


class HostArguments(NamedTuple):
    """What a worker is made with: see `open_executor`."""

    trainer: Callable[[], Trainer]
    prepare: Callable[[], object] | None


class _Host:
    """What lives in a worker: a trainer, and a net under it. Errors travel as data, so their text survives the way."""

    def __init__(
        self, trainer: Callable[[], Trainer], prepare: Callable[[], object] | None, *, limited: bool = False
    ) -> None:
        if limited:
            _limit_memory()
        self._trainer = trainer()
        self._prepare = prepare

    def ready(self, _after: object = None) -> Fault | None:
        """Prepare. `_after` is the first worker's answer: Ray calls the others when it is there."""
        fault = _guarded(self._prepare) if self._prepare else None
        return fault if isinstance(fault, Fault) else None

    def advance(self, specs: Sequence[TrialSpec], seconds: float) -> Progress | Fault:
        """One slice of training."""
        answer: Progress | Fault = _guarded(self._trainer.advance, specs, seconds)
        return answer


def _limit_memory() -> None:
    """Let a trial that eats memory meet a limit of its own process (MemoryError) before the machine's, or its
    container's: there Ray kills several workers at once, innocent ones among them."""
    share = limits.memory() / limits.cores()
    limit, hard = max(_LEAST_MEMORY, int(0.8 * share)), resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _guarded(call: Callable[..., Any], *arguments: object) -> Any:
    try:
        return call(*arguments)
    except MemoryError:
        return Fault(Outcome.OOM, traceback.format_exc())
    except Exception:  # noqa: BLE001  (whatever a trial raises ends this trial, not the study)
        return Fault(Outcome.FAILED, traceback.format_exc())


def _shortened(error: Exception) -> str:
    """Ray's account without its appendices (memory tables, advice)."""
    return str(error).strip()[:600]


def _answer(seat: int, value: Progress | Fault | None) -> Answer:
    return Answer(seat, fault=value) if isinstance(value, Fault) else Answer(seat, progress=value)


class InProcess:
    """One worker in this process, for debugging: a slice is trained while the driver waits."""

    size = 1

    def __init__(self, host: HostArguments) -> None:
        self._arguments = host
        self._due: Callable[[], Progress | Fault | None] | None = None

    def start(self, _seat: int) -> None:
        """See `Pool`."""
        self._host = _Host(*self._arguments)
        self._due = self._host.ready

    def call(self, _seat: int, specs: Sequence[TrialSpec], seconds: float) -> None:
        """See `Pool`."""
        self._due = partial(self._host.advance, specs, seconds)

    def wait(self, _seconds: float) -> list[Answer]:
        """See `Pool`."""
        due, self._due = self._due, None
        return [_answer(0, due())] if due else []

    def retire(self, _seat: int) -> None:
        """See `Pool`."""
        self._due = None


class Actors:
    """One Ray actor a seat. Ray itself retries nothing: retries are the crew's, and counted. Where the `head` does not
    answer, nothing is asked of it, and nothing that has come back is judged.

    `workers`: how many seats; None for one a core, or a GPU, of the cluster, whose nodes may come and go. `unit`: what
    an actor takes for itself, CPU or GPU. On a GPU the actor's process has no limit of its own.
    """

    def __init__(self, ray: Any, head: Head, workers: int | None, host: HostArguments, unit: str = "CPU") -> None:
        self._ray, self._head, self._arguments, self._workers, self._unit = ray, head, host, workers, unit
        self._size, self._counted = workers or min(units(ray, unit), MOST_WORKERS), time.monotonic()
        needs = {"num_cpus": 1, "num_gpus": int(unit == "GPU")}
        self._actor = ray.remote(**needs, max_restarts=0, max_task_retries=0)(_Host)
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}
        self._first: Any = None
        self._heard = time.monotonic()

    @property
    def size(self) -> int:
        """Where the number is not fixed, the most units that the cluster has had: a node that left may return."""
        late = time.monotonic() - self._counted > _COUNT_EVERY
        if self._workers is None and late and self._head.answers():
            there = min(units(self._ray, self._unit), MOST_WORKERS)
            self._size, self._counted = max(self._size, there), time.monotonic()
        return self._size

    def start(self, seat: int) -> None:
        """See `Pool`."""
        self.retire(seat)
        self._actors[seat] = self._actor.remote(*self._arguments, limited=self._unit == "CPU")
        ready = self._actors[seat].ready.remote(self._first if self._first in self._calls else None)
        self._calls[ready] = seat
        self._first = self._first or ready

    def call(self, seat: int, specs: Sequence[TrialSpec], seconds: float) -> None:
        """See `Pool`."""
        self._calls[self._actors[seat].advance.remote(specs, seconds)] = seat

    def wait(self, seconds: float) -> list[Answer]:
        """See `Pool`."""
        if not self._ray.wait(list(self._calls), timeout=seconds)[0]:
            if self._head.answers():
                self._check_nodes()
            return []
        self._heard = time.monotonic()
        done, _ = self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        found = [self._fetch(reference) for reference in done]
        if not self._head.answers(0 if any(answer.fault for answer in found) else 1):
            time.sleep(min(seconds, _PAUSE))
            return []
        for reference in done:
            del self._calls[reference]
        return found

    def _check_nodes(self) -> None:
        """Where nothing has been heard for long, see whether there is a node left: without one Ray waits for ever."""
        if time.monotonic() - self._heard < _SILENCE:
            return
        self._heard = time.monotonic()
        if not any(node["Alive"] for node in self._ray.nodes()):
            raise ClusterUnreachable("no node of the Ray cluster is alive any more; the same command trains the rest")

    def _fetch(self, reference: Any) -> Answer:
        seat = self._calls[reference]
        errors = self._ray.exceptions
        try:
            return _answer(seat, self._ray.get(reference))
        except errors.OutOfMemoryError as error:
            return Answer(seat, fault=Fault(Outcome.OOM, _shortened(error)))
        except errors.RayError as error:
            return Answer(seat, fault=Fault(Outcome.LOST, _shortened(error)))

    def retire(self, seat: int) -> None:
        """See `Pool`."""
        self._calls = {reference: number for reference, number in self._calls.items() if number != seat}
        actor = self._actors.pop(seat, None)
        if actor is not None:
            self._ray.kill(actor)

    def close(self) -> None:
        """Leave all seats empty."""
        for seat in list(self._actors):
            self.retire(seat)


def units(ray: Any, unit: str) -> int:
    """How many of a unit, CPU or GPU, the cluster has now."""
    return int(ray.cluster_resources().get(unit, 0))
