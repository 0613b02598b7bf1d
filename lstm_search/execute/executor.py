"""Trials to workers and results back, once each: in this process, on the cores of this machine, or on a Ray cluster.

Ray enters here and nowhere else. `crew` holds the rules; here is what runs a worker and what reaches a cluster.
"""

from __future__ import annotations

import logging
import math
import os
import re
import resource
import secrets
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from lstm_search.checks import setting, settle
from lstm_search.execute import cluster, limits
from lstm_search.execute.cluster import ClusterUnreachable
from lstm_search.execute.crew import MAX_ATTEMPTS, Answer, Crew, Executor, Fault, Finished, Pool
from lstm_search.simd import MOST_LANES, full_width
from lstm_search.spec import Outcome, TrialSpec
from lstm_search.worker import Progress, Worker

__all__ = ["MAX_ATTEMPTS", "ClusterUnreachable", "ExecuteSettings", "Executor", "Finished", "open_executor"]

_LEAST_MEMORY = 2 * 2**30  # bytes; a worker without trials has about 0.4 GiB of data
_PROBE_SECONDS = 3.0
_COUNT_EVERY = 3.0  # seconds between two looks at how many cores a cluster has
_SILENCE = 10.0  # seconds without an answer after which the cluster itself is looked at
_KNOWN_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # noqa: S108  (where `ray start` leaves the address)
_ADDRESS = re.compile(r"auto|(ray://)?[A-Za-z0-9._-]+:\d{1,5}|(ray://)?\[[0-9A-Fa-f:]+\]:\d{1,5}")
_LOOPBACK = re.compile(r"(ray://)?(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+")


@dataclass(frozen=True)
class ExecuteSettings:
    """Where trials run. None of it can move a result."""

    kind: Literal["inline", "local", "ray"] = "local"
    workers: int | None = setting(
        None,
        "worker processes; null starts one a core",
        low=1,
        high=10_000,
        takes="takes 1 to 10000, or null for every core",
        kinds=("local", "ray"),
    )
    address: str | None = setting(
        None, "host:port of the cluster's head, or auto for the one started on this machine", kinds=("ray",)
    )
    timeout: float | None = setting(
        None,
        "seconds by the clock that a trial may take in a lane; null sets no limit",
        above=0,
        high=math.inf,
        takes="takes seconds above 0, or null for no limit",
    )
    slice_seconds: float = setting(
        0.5, "how long to train between two looks at the record", low=0.01, high=10, takes="takes 0.01 to 10"
    )
    width: int | None = setting(
        None,
        "trials side by side; null takes what suits the processor",
        low=1,
        high=MOST_LANES,
        takes=f"takes 1 to {MOST_LANES}, or null for what suits the processor",
    )

    def __post_init__(self) -> None:
        settle(self, "execute")
        if self.kind == "inline" and self.workers not in (None, 1):
            raise ValueError(f"execute.workers={self.workers}: inline is one worker; take execute=local for more")
        self._check_address()

    def _check_address(self) -> None:
        if self.kind != "ray":
            if self.address is not None:
                raise ValueError(f"execute.address={self.address}: only execute=ray takes an address")
        elif self.address is None or not _ADDRESS.fullmatch(self.address):
            raise ValueError(
                f"execute.address={self.address}: execute=ray takes host:port (for example 10.0.0.5:6379), "
                "ray://host:port, or auto for the cluster this machine belongs to"
            )


class Trainer(Protocol):
    """The one method of a worker, `trial.Worker` or a stand-in."""

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        """Accept `new` trials, train for about `seconds`, report."""


@contextmanager
def open_executor(
    settings: ExecuteSettings,
    attempts: Mapping[str, int],
    on_attempt: Callable[[str, str], object],
    *,
    trainer: Callable[[], Trainer] | None = None,
    prepare: Callable[[], object] | None = None,
) -> Iterator[Executor]:
    """Workers for the time of a `with` block; they are gone when it ends, however it ends.

    `attempts`: by key, how many workers each trial has cost so far; `on_attempt(key, reason)` is told of every further
    one at once. `trainer` makes a worker's trainer, in the worker's process. `prepare` runs in each worker before its
    first trial, in one worker first and then in all others: whatever it compiles is compiled once. Both are pickled.
    Raises ClusterUnreachable where `settings.address` names no usable cluster.
    """
    pools = {"inline": _in_process, "local": _local_cluster, "ray": _existing_cluster}
    host = _HostArguments(trainer or partial(Worker, settings.width), prepare)
    with pools[settings.kind](settings, host) as pool:
        yield Crew(
            pool,
            attempts,
            on_attempt,
            lanes=settings.width or full_width(),
            slice_seconds=settings.slice_seconds,
            timeout=settings.timeout,
        )


class _HostArguments(NamedTuple):
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

    def ready(self, after: object = None) -> Fault | None:
        """Prepare. `after` is the first worker's answer: Ray calls the others when it is there."""
        del after
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


class _InProcess:
    """One worker in this process, for debugging: a slice is trained while the driver waits."""

    size = 1

    def __init__(self, host: _HostArguments) -> None:
        self._arguments = host
        self._due: Callable[[], Progress | Fault | None] | None = None

    def start(self, seat: int) -> None:
        del seat
        self._host = _Host(*self._arguments)
        self._due = self._host.ready

    def call(self, seat: int, specs: Sequence[TrialSpec], seconds: float) -> None:
        del seat
        self._due = partial(self._host.advance, specs, seconds)

    def wait(self, seconds: float) -> list[Answer]:
        del seconds
        due, self._due = self._due, None
        return [_answer(0, due())] if due else []

    def retire(self, seat: int) -> None:
        del seat
        self._due = None


class _Actors:
    """One Ray actor a seat. Ray itself retries nothing: retries are the crew's, and counted.

    `workers`: how many seats; None for one a core of the cluster, whose nodes may come and go.
    """

    def __init__(self, ray: Any, workers: int | None, host: _HostArguments) -> None:
        self._ray, self._arguments, self._workers = ray, host, workers
        self._size, self._counted = workers or _cores(ray), time.monotonic()
        self._actor = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Host)
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}
        self._first: Any = None
        self._heard = time.monotonic()

    @property
    def size(self) -> int:
        """Where the number is not fixed, the most cores that the cluster has had: a node that left may return."""
        if self._workers is None and time.monotonic() - self._counted > _COUNT_EVERY:
            self._size, self._counted = max(self._size, _cores(self._ray)), time.monotonic()
        return self._size

    def start(self, seat: int) -> None:
        self.retire(seat)
        self._actors[seat] = self._actor.remote(*self._arguments, limited=True)
        ready = self._actors[seat].ready.remote(self._first if self._first in self._calls else None)
        self._calls[ready] = seat
        self._first = self._first or ready

    def call(self, seat: int, specs: Sequence[TrialSpec], seconds: float) -> None:
        self._calls[self._actors[seat].advance.remote(specs, seconds)] = seat

    def wait(self, seconds: float) -> list[Answer]:
        if not self._ray.wait(list(self._calls), timeout=seconds)[0]:
            self._check_nodes()
            return []
        self._heard = time.monotonic()
        done, _ = self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
        return [self._fetch(reference) for reference in done]

    def _check_nodes(self) -> None:
        """Where nothing has been heard for long, see whether there is a node left: without one Ray waits for ever."""
        if time.monotonic() - self._heard < _SILENCE:
            return
        self._heard = time.monotonic()
        if not any(node["Alive"] for node in self._ray.nodes()):
            raise ClusterUnreachable("no node of the Ray cluster is alive any more; the same command trains the rest")

    def _fetch(self, reference: Any) -> Answer:
        seat = self._calls.pop(reference)
        errors = self._ray.exceptions
        try:
            return _answer(seat, self._ray.get(reference))
        except errors.OutOfMemoryError as error:
            return Answer(seat, fault=Fault(Outcome.OOM, _shortened(error)))
        except errors.RayError as error:
            return Answer(seat, fault=Fault(Outcome.LOST, _shortened(error)))

    def retire(self, seat: int) -> None:
        self._calls = {reference: number for reference, number in self._calls.items() if number != seat}
        actor = self._actors.pop(seat, None)
        if actor is not None:
            self._ray.kill(actor)

    def close(self) -> None:
        for seat in list(self._actors):
            self.retire(seat)


def _cores(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 0))


@contextmanager
def _in_process(settings: ExecuteSettings, host: _HostArguments) -> Iterator[Pool]:
    del settings
    yield _InProcess(host)


@contextmanager
def _local_cluster(settings: ExecuteSettings, host: _HostArguments) -> Iterator[Pool]:
    """A Ray cluster of this machine alone: heard on loopback only, with a token of its own, gone without a trace."""
    workers = settings.workers or len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="lstm-", dir=_short_folder(), ignore_cleanup_errors=True) as folder:
        token = Path(folder, "token")
        token.touch(mode=0o600)
        token.write_text(_process_token())
        environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux, what makes Ray listen on 127.0.0.1 alone
            "RAY_task_events_report_interval_ms": "0",  # no dashboard reads them, and a driver that ends waits for them
        }
        resources = {"num_cpus": workers, "num_gpus": 0, "object_store_memory": 128 * 2**20}
        arguments = {**resources, "include_dashboard": False, "_temp_dir": folder}
        with _ray(environment, address="local", **arguments) as ray, closing(_Actors(ray, workers, host)) as pool:
            yield pool


@contextmanager
def _existing_cluster(settings: ExecuteSettings, host: _HostArguments) -> Iterator[Pool]:
    """The cluster at `execute.address`, asked by hand first: Ray itself waits long and says little."""
    address = _resolved(settings.address or "auto")
    token = cluster.token()
    _probe(address, token)
    with _ray({"RAY_AUTH_MODE": "token" if token else "disabled"}, address=address) as ray:
        if not _cores(ray):
            raise ClusterUnreachable(f"the Ray cluster at {address} has no CPU to offer")
        with closing(_Actors(ray, settings.workers, host)) as pool:
            yield pool


@contextmanager
def _ray(environment: Mapping[str, str], **arguments: Any) -> Iterator[Any]:
    """Ray, initialised and silent; shut down at the end. Raises ClusterUnreachable where it does not come up."""
    with cluster.environment({**cluster.QUIET, **environment}):
        import ray

        if ray.is_initialized():
            raise RuntimeError("this process uses Ray already: call ray.shutdown() first, or take execute=inline")
        # Ray prints the death of every worker to standard output, whatever log_to_driver says; there results go alone.
        ray._private.worker.print_to_stdstream = _log  # noqa: SLF001  (no public way leads there)
        try:
            _initialise(ray, arguments)
            yield ray
        finally:
            ray.shutdown()


def _log(data: Mapping[str, Any], *, ignore_prefix: bool = False) -> None:
    del ignore_prefix
    logging.getLogger(__name__).info("%s: %s", data.get("pid"), " ".join(data.get("lines", ())))


def _initialise(ray: Any, arguments: Mapping[str, Any]) -> None:
    """`ray.init`, which also takes SIGTERM for itself: the handler that was there is put back."""
    before = signal.getsignal(signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    stopped = False
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)
    except SystemExit:
        stopped = True  # Ray's own handler: a SIGTERM came while it started
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterUnreachable(f"Ray does not come up at {arguments['address']}: {error}") from error
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
    if stopped:
        signal.raise_signal(signal.SIGTERM)


def _short_folder() -> str:
    """Where the session lives: Ray adds some 65 characters for its sockets, whose names may have 107."""
    folder = tempfile.gettempdir()
    return folder if len(folder) <= 24 else "/tmp"  # noqa: S108  (only a new folder of our own is made in it)


@cache
def _process_token() -> str:
    """One token a process: Ray reads the first it is given and keeps it."""
    return secrets.token_hex(32)


def _resolved(address: str) -> str:
    if address != "auto":
        return address
    found = os.environ.get("RAY_ADDRESS") or (_KNOWN_CLUSTER.read_text().strip() if _KNOWN_CLUSTER.is_file() else "")
    if not found:
        raise ClusterUnreachable("execute.address=auto: no Ray cluster was started on this machine; give host:port")
    return found


def reach(settings: ExecuteSettings) -> str:
    """The address of the cluster at `settings.address`, which is there and takes the token; ClusterUnreachable."""
    address = _resolved(settings.address or "auto")
    _probe(address, cluster.token())
    return address


def _probe(address: str, token: str) -> None:
    """Ask the cluster whether it is there and takes the token, within a few seconds."""
    if not (token or _LOOPBACK.fullmatch(address)):
        raise ClusterUnreachable(
            f"execute.address={address}: a cluster on another machine is used only with a token, and there is none in "
            "RAY_AUTH_TOKEN_PATH, RAY_AUTH_TOKEN or ~/.ray/auth_token"
        )
    status, details = _ask(address.removeprefix("ray://"), token)
    if status == "UNAUTHENTICATED":
        found = "refused the token of this machine" if token else "asks for a token and this machine has none"
        raise ClusterUnreachable(
            f"the Ray cluster at {address} {found}: RAY_AUTH_TOKEN_PATH must name a file with the cluster's token"
        )
    if status not in ("OK", "UNIMPLEMENTED"):  # a ray:// port knows no such question, but it is there
        raise ClusterUnreachable(
            f"no Ray cluster answers at execute.address={address} ({details}): start one with `ray start --head`, "
            "correct the address, or take execute=local, which needs none"
        )


def _ask(address: str, token: str) -> tuple[str, str]:
    """The status by which the cluster answers `CheckAlive`, and what it says."""
    import grpc  # type: ignore[import-untyped]  # it comes with ray[default]

    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            check = channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")
            check(b"", timeout=_PROBE_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            return str(error.code().name), str(error.details())
    return "OK", ""
