"""Trials to workers and results back, once each: in this process, on the cores of this machine, or on a Ray cluster.

`crew` holds the rules, `pools` what runs a worker; here Ray is started, or a cluster of it is joined.
"""

from __future__ import annotations

import logging
import math
import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from lstm_search.checks import setting, settle
from lstm_search.execute import cluster
from lstm_search.execute.cluster import ClusterUnreachable
from lstm_search.execute.crew import Crew, Executor, Pool
from lstm_search.execute.pools import MOST_WORKERS, Actors, HostArguments, InProcess, Trainer, units
from lstm_search.execute.private import private_folder
from lstm_search.execute.simulated import SURFACES, Simulated, titled
from lstm_search.simd import MOST_LANES, gpus
from lstm_search.spec import Definition
from lstm_search.worker import MOST_WIDE, Worker, lanes_of

_ADDRESS = re.compile(r"auto|(ray://)?[A-Za-z0-9._-]+:\d{1,5}|(ray://)?\[[0-9A-Fa-f:]+\]:\d{1,5}")

_REAL = ("inline", "local", "ray")
_MOST_SIMULATED = 100_000

_START_SECONDS = 120
"""How long a process of a cluster of our own may take to start: 5 where nothing else runs, 38 were seen where each core
was shared by fifteen processes. Ray by itself would give up after 30 to 60. One limit cannot be set: where the agent of
a node takes more than 15, Ray ends the node, and this time is waited for nothing."""


@dataclass(frozen=True)
class ExecuteSettings:
    """Where trials run. None of it can move the result of a trial that is trained."""

    kind: Literal["inline", "local", "ray", "simulated"] = "local"
    workers: int | None = setting(
        None,
        f"worker processes; null starts one a core, or one a GPU; simulated ones are up to {_MOST_SIMULATED}",
        low=1,
        high=_MOST_SIMULATED,
        takes=f"takes 1 to {MOST_WORKERS}, or null for every core or GPU",
        kinds=("local", "ray", "simulated"),
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
        kinds=_REAL,
    )
    slice_seconds: float = setting(
        0.5,
        "how long to train between two looks at the record; with more than 250 workers longer",
        low=0.01,
        high=10,
        takes="takes 0.01 to 10",
        kinds=_REAL,
    )
    device: Literal["cpu", "gpu"] = setting(
        "cpu", "what trains: cores (cpu), or NVIDIA GPUs, which need the extra lstm-search[gpu]", kinds=_REAL
    )
    width: int | None = setting(
        None,
        f"trials side by side; null takes what suits the device; a GPU takes up to {MOST_WIDE}",
        low=1,
        high=MOST_WIDE,
        takes=f"takes 1 to {MOST_LANES}, with execute.device=gpu to {MOST_WIDE}, or null for what suits the device",
        kinds=_REAL,
    )
    surface: str = setting(
        "smooth", f"what simulated trials are drawn from: {', '.join(SURFACES)}", kinds=("simulated",)
    )

    def __post_init__(self) -> None:
        settle(self, "execute")
        if self.device == "cpu" and (self.width or 0) > MOST_LANES:
            raise ValueError(
                f"execute.width={self.width}: takes 1 to {MOST_LANES}, with execute.device=gpu to {MOST_WIDE}, or null "
                "for what suits the device"
            )
        if self.kind == "inline" and self.workers not in (None, 1):
            raise ValueError(f"execute.workers={self.workers}: inline is one worker; take execute=local for more")
        if self.kind != "simulated" and (self.workers or 1) > MOST_WORKERS:
            raise ValueError(
                f"execute.workers={self.workers}: takes 1 to {MOST_WORKERS}, or null for every core or GPU"
            )
        if self.surface not in SURFACES:
            raise ValueError(f"execute.surface={self.surface}: takes one of {', '.join(SURFACES)}")
        self._check_address()

    def recorded_as(self, definition: Definition) -> Definition:
        """The definition under which such trials are recorded: the title of a simulated study says so.

        Raises ValueError where the definition says otherwise already.
        """
        return titled(definition, self.surface if self.kind == "simulated" else None)

    def _check_address(self) -> None:
        if self.kind != "ray":
            if self.address is not None:
                raise ValueError(f"execute.address={self.address}: only execute=ray takes an address")
        elif self.address is None or not _ADDRESS.fullmatch(self.address) or not cluster.has_port(self.address):
            raise ValueError(
                f"execute.address={self.address}: execute=ray takes host:port (for example 10.0.0.5:6379), "
                "ray://host:port, or auto for the cluster this machine belongs to; a port is 1 to 65535"
            )


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
    Raises ClusterUnreachable where `settings.address` names no usable cluster; NoGpu, UnsupportedProcessor.
    """
    if settings.kind == "simulated":
        yield Simulated(SURFACES[settings.surface], settings.workers or len(os.sched_getaffinity(0)))
        return
    pools = {"inline": _in_process, "local": _local_cluster, "ray": _existing_cluster}
    host = HostArguments(trainer or partial(Worker, settings.width, settings.device), prepare)
    with pools[settings.kind](settings, host) as pool:
        yield Crew(
            pool,
            attempts,
            on_attempt,
            lanes=lanes_of(settings.width, settings.device),
            slice_seconds=settings.slice_seconds,
            timeout=settings.timeout,
        )


@contextmanager
def _in_process(_settings: ExecuteSettings, host: HostArguments) -> Iterator[Pool]:
    yield InProcess(host)


@contextmanager
def _local_cluster(settings: ExecuteSettings, host: HostArguments) -> Iterator[Pool]:
    """A Ray cluster of this machine alone: heard on loopback only, with a token of its own, gone without a trace."""
    on_gpus = settings.device == "gpu"
    workers = settings.workers or len(gpus() if on_gpus else os.sched_getaffinity(0))
    with private_folder() as folder:
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(_process_token())
        environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux, what makes Ray listen on 127.0.0.1 alone
            "RAY_task_events_report_interval_ms": "0",  # no dashboard reads them, and a driver that ends waits for them
            "RAY_worker_register_timeout_seconds": f"{_START_SECONDS}",
            "RAY_agent_register_timeout_ms": f"{_START_SECONDS}000",
        }
        resources = {"num_cpus": workers, "num_gpus": workers if on_gpus else 0, "object_store_memory": 128 * 2**20}
        unit = settings.device.upper()
        arguments = {**resources, "include_dashboard": False, "_temp_dir": str(folder / "r")}
        with _ray(environment, address="local", **arguments) as ray:
            head = cluster.Head(ray.get_runtime_context().gcs_address)
            with closing(Actors(ray, head, workers, host, unit)) as pool:
                yield pool


@contextmanager
def _existing_cluster(settings: ExecuteSettings, host: HostArguments) -> Iterator[Pool]:
    """The cluster at `execute.address`, once it has answered."""
    address = cluster.reach(settings.address)
    with _ray({"RAY_AUTH_MODE": "token" if cluster.token() else "disabled"}, address=address) as ray:
        unit = settings.device.upper()
        if not units(ray, unit):
            raise ClusterUnreachable(f"the Ray cluster at {address} has no {unit} to offer")
        with closing(Actors(ray, cluster.Head(address), settings.workers, host, unit)) as pool:
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
        with _patient(ray._private.services) if arguments["address"] == "local" else nullcontext():  # noqa: SLF001
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


@contextmanager
def _patient(services: Any) -> Iterator[None]:
    """Ray asks for the node that it starts again and again, for 30 seconds; here the first question waits longer.

    Raises ConnectionError where the node does not come at all.
    """
    ask = services.get_node

    def get_node(*asked: Any) -> Any:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return ask(*asked)
            except RuntimeError as error:  # it is not there yet
                if time.monotonic() > deadline:
                    raise ConnectionError(f"its node has not started in {_START_SECONDS} seconds") from error
            time.sleep(0.1)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = ask


@cache
def _process_token() -> str:
    """One token a process: Ray reads the first it is given and keeps it."""
    return secrets.token_hex(32)
