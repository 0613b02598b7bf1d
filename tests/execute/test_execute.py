from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fakes import (
    DIES,
    EATS_MEMORY,
    FINE,
    HANGS,
    NEVER_ENDS,
    NO_MEMORY,
    RAISES,
    FakeTrainer,
    Prepare,
    result,
    trials,
)
from helpers.program import family, processes
from helpers.waiting import PATIENCE, until

from lstm_search.execute import ClusterUnreachable, ExecuteSettings, cluster, open_executor, private
from lstm_search.execute import executor as execute
from lstm_search.execute.crew import Crew, Executor
from lstm_search.execute.pools import Actors, HostArguments
from lstm_search.execute.private import private_folder
from lstm_search.spec import Outcome, Trial, TrialSpec
from lstm_search.worker.trial import Progress

TESTS = Path(__file__).parents[1]
PYTHONPATH = f"{TESTS}:{TESTS.parent}"  # where other processes find the stand-ins, and this package


def run(executor: Executor, specs: list[TrialSpec], meanwhile: Callable[[], object] = lambda: None) -> list[Trial]:
    """Feed as the study does; every trial must come back exactly once."""
    waiting, finished = list(specs), []
    while waiting or executor.pending:
        batch = waiting[: executor.room]
        del waiting[: len(batch)]
        executor.submit(batch)
        finished += executor.gather(1.0)
        meanwhile()
    assert Counter(entry.spec.key for entry in finished) == Counter(spec.key for spec in specs)
    return sorted(finished, key=lambda entry: entry.spec.replicate)


def outcomes(finished: list[Trial]) -> Counter[Outcome]:
    return Counter(entry.result.outcome for entry in finished)


def workers(root: int) -> list[int]:
    return [pid for pid, command in family(root).items() if command.startswith("ray::_Host")]


# Settings


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"kind": "slurm"}, "execute.kind=slurm: takes one of inline, local, ray"),
        ({"workers": 0}, "execute.workers=0"),
        ({"workers": -1}, "execute.workers=-1"),
        ({"kind": "inline", "workers": 2}, "inline is one worker"),
        ({"timeout": 0.0}, "execute.timeout=0.0"),
        ({"timeout": float("nan")}, "execute.timeout=nan"),
        ({"timeout": float("inf")}, "execute.timeout=inf"),
        ({"slice_seconds": 0.0}, "execute.slice_seconds=0.0"),
        ({"slice_seconds": float("nan")}, "execute.slice_seconds=nan"),
        ({"width": 0}, "execute.width=0"),
        ({"kind": "ray"}, "takes host:port"),
        ({"kind": "ray", "address": "http://host:8265"}, "takes host:port"),
        ({"kind": "ray", "address": "host"}, "takes host:port"),
        ({"kind": "ray", "address": "host:99999"}, "a port is 1 to 65535"),
        ({"kind": "ray", "address": "ray://[::1]:0"}, "a port is 1 to 65535"),
        ({"kind": "local", "address": "host:6379"}, "only execute=ray takes an address"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        ExecuteSettings(**fields)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:6379", "head.example:6379", "ray://[::1]:10001", "[fe80::1]:1"])
def test_addresses_that_name_a_cluster_are_taken(address: str) -> None:
    assert ExecuteSettings(kind="ray", address=address).address == address


# In this process


@contextmanager
def inline(**fields: Any) -> Iterator[tuple[Executor, list[str]]]:
    told: list[str] = []
    settings = ExecuteSettings(kind="inline", width=4, slice_seconds=0.05, **fields)
    with open_executor(settings, {}, lambda _, reason: told.append(reason), trainer=FakeTrainer) as executor:
        yield executor, told


def test_inline_brings_every_result() -> None:
    with inline() as (executor, _):
        assert executor.workers == 1
        finished = run(executor, trials(20))
    assert [entry.result for entry in finished] == [result(spec) for spec in trials(20)]


def test_inline_keeps_to_the_same_rules() -> None:
    specs = [*trials(3), *trials(1, RAISES, 3), *trials(1, NO_MEMORY, 4), *trials(1, NEVER_ENDS, 5)]
    with inline(timeout=10.0) as (executor, told):
        finished = run(executor, specs)
    kinds = [Outcome.SOLVED] * 3 + [Outcome.FAILED, Outcome.OOM, Outcome.TIMEOUT]
    assert [entry.result.outcome for entry in finished] == kinds
    assert "ZeroDivisionError: replicate 3" in finished[3].result.error
    assert len(told) == 3


class Interrupted(FakeTrainer):
    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        del new, seconds
        raise KeyboardInterrupt


def test_an_interrupt_is_nobodys_fault() -> None:
    told: list[str] = []
    settings = ExecuteSettings(kind="inline")
    with (
        pytest.raises(KeyboardInterrupt),
        open_executor(settings, {}, lambda *entry: told.extend(entry), trainer=Interrupted) as executor,
    ):
        run(executor, trials(2))
    assert told == []


def test_a_trainer_that_cannot_prepare_is_an_error_with_its_cause() -> None:
    def prepare() -> None:
        raise OSError("no room for the kernels")

    settings = ExecuteSettings(kind="inline")
    with (
        open_executor(settings, {}, lambda *_: None, trainer=FakeTrainer, prepare=prepare) as executor,
        pytest.raises(RuntimeError, match="no room for the kernels"),
    ):
        run(executor, trials(1))


# On the cores of this machine: one Ray for all of these, a crew of two for each


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = PYTHONPATH
    unused = HostArguments(FakeTrainer, None)
    terminate = signal.getsignal(signal.SIGTERM)
    with execute._local_cluster(ExecuteSettings(workers=2), unused) as pool:
        assert signal.getsignal(signal.SIGTERM) is terminate, "the handler is the program's, not Ray's"
        yield pool._ray
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


@contextmanager
def crew_of_two(session: Any, prepare: Any = None, timeout: float | None = None, **trainer: Any) -> Iterator[Any]:
    told: list[tuple[str, str]] = []
    arguments = HostArguments(partial(FakeTrainer, **trainer), prepare)
    head = cluster.Head(session.get_runtime_context().gcs_address)
    with closing(Actors(session, head, 2, arguments)) as pool:
        yield (
            Crew(pool, {}, lambda *entry: told.append(entry), lanes=4, slice_seconds=0.2, timeout=timeout),
            told,
        )


@pytest.mark.parametrize(("looks", "found"), [(2, {"node": 1}), (10_000, None)])
def test_a_node_that_a_busy_machine_starts_slowly_is_waited_for(
    looks: int, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there after so many looks, a minute each."""
    minutes = iter(range(60, 10**6, 60))
    clock = SimpleNamespace(monotonic=lambda: next(minutes), sleep=lambda _: None)

    def ask(_address: str, _node: str) -> Any:
        if next(asked) < looks:
            raise RuntimeError("no such node")
        return found

    monkeypatch.setattr(execute, "time", clock)
    asked, services = iter(range(looks + 1)), SimpleNamespace(get_node=ask)
    with execute._patient(services):
        if found:
            assert services.get_node("127.0.0.1:1", "node") == found
        else:
            with pytest.raises(ConnectionError, match="its node has not started in 120 seconds"):
                services.get_node("127.0.0.1:1", "node")
    assert services.get_node is ask


def test_ray_brings_the_results_that_inline_brings(session: Any) -> None:
    with crew_of_two(session) as (crew, told):
        finished = run(crew, trials(100))
    assert [entry.result for entry in finished] == [result(spec) for spec in trials(100)]
    assert told == []


def test_preparation_is_done_by_one_worker_before_the_others(session: Any, tmp_path: Path) -> None:
    with crew_of_two(session, Prepare(tmp_path / "log"), seconds=0.2) as (crew, _):
        run(crew, trials(40))
    events = [line.split() for line in tmp_path.joinpath("log").read_text().splitlines()]
    assert [event for event, _ in events] == ["begin", "end", "begin", "end"]
    assert len({pid for _, pid in events}) == 2


def test_trials_that_misbehave_harm_no_other(session: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    bad = [*trials(1, DIES, 0), *trials(1, RAISES, 1), *trials(1, EATS_MEMORY, 2)]
    with crew_of_two(session, log=log) as (crew, told):
        finished = run(crew, [*bad, *trials(30, FINE, 3)])
    assert (finished[0].result.outcome, finished[0].attempts) == (Outcome.LOST, 3)
    assert (finished[1].result.outcome, finished[1].attempts) == (Outcome.FAILED, 1)
    assert "ZeroDivisionError: replicate 1" in finished[1].result.error
    assert (finished[2].result.outcome, finished[2].attempts) == (Outcome.OOM, 3)
    assert Counter(key for key, _ in told) == {bad[0].key: 3, bad[2].key: 3}
    assert [entry.result for entry in finished[3:]] == [result(entry.spec) for entry in finished[3:]]
    begun = Counter(log.read_text().split())
    assert begun["0"] == 4  # once among others, three times alone
    assert max(begun[str(replicate)] for replicate in range(3, 33)) <= 3
    assert capsys.readouterr().out == "", "standard output is the caller's alone"


def test_a_trial_that_hangs_is_timed_out(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstm_search.execute.crew._GRACE", 0.5)
    with crew_of_two(session, timeout=15.0) as (crew, told):
        finished = run(crew, [*trials(1, HANGS), *trials(20, first=1)])
    assert finished[0].result.outcome is Outcome.TIMEOUT
    assert outcomes(finished)[Outcome.SOLVED] == 20
    assert told == []


def test_ray_listens_on_loopback_only(session: Any) -> None:
    with crew_of_two(session) as (crew, _):
        run(crew, trials(10))
        ours = {os.getpid(), *family(os.getpid())}
        listening = {inode: address for inode, address in listening_sockets() if owners(inode, ours)}
    assert len(listening) >= 5  # gcs, raylet, agents, workers, driver
    assert {address for address in listening.values() if not is_loopback(address)} == set()


def listening_sockets() -> Iterator[tuple[str, str]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else []:
            columns = line.split()
            if columns[3] == "0A":
                yield columns[9], columns[1].partition(":")[0]


def owners(inode: str, pids: set[int]) -> bool:
    for pid in pids:
        try:
            links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        if f"socket:[{inode}]" in links:
            return True
    return False


def is_loopback(address: str) -> bool:
    """`address` is in the kernel's hexadecimal, 32-bit words in the machine's order."""
    words = [address[at : at + 8] for at in range(0, len(address), 8)]
    raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    if len(raw) == 4:
        return raw[0] == 127
    return raw == bytes(15) + b"\1" or raw[:13] == bytes(10) + b"\xff\xff\x7f"


# A driver of its own


DRIVER = """
import sys
from functools import partial
from helpers.fakes import FakeTrainer, trials
from helpers.waiting import PATIENCE
from lstm_search.execute import ExecuteSettings, cluster, open_executor

cluster._PROBE_SECONDS = PATIENCE
seconds, address = float(sys.argv[1]), sys.argv[2:]
settings = ExecuteSettings(kind="ray", address=address[0], width=4) if address else ExecuteSettings(workers=2, width=4)
with open_executor(settings, {}, print, trainer=partial(FakeTrainer, seconds=seconds)) as executor:
    executor.submit(trials(8))
    while executor.pending:
        executor.gather(1.0)
        print(len(executor.progress()), flush=True)
"""


@contextmanager
def driver(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A driver in a process of its own, and the folder that it has for temporary files."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "TMPDIR": folder, "HOME": str(home)}
        command = [sys.executable, "-c", DRIVER, *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, cwd=home, stdout=pipe, stderr=pipe, text=True) as process:
            yield process, Path(folder)


def test_an_existing_cluster_is_used_and_left_alone(session: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(execute._process_token())
    address = session.get_runtime_context().gcs_address
    loopback = {"RAY_AUTH_TOKEN_PATH": str(token), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    with cluster.environment(loopback), driver(tmp_path, "0.05", address) as (process, _):
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert set(out.split()) <= set("012345678")
    with crew_of_two(session) as (crew, _):
        run(crew, trials(4))


def test_drivers_leave_nothing_behind_however_they_end(tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = []
        killed, folder = stack.enter_context(driver(tmp_path, "1e6"))
        found += started(killed)
        interrupted, emptied = stack.enter_context(driver(tmp_path, "1e6"))
        found += started(interrupted)
        assert len(found) == 4
        finished, emptied_too = stack.enter_context(driver(tmp_path, "0.05"))
        out, err = finished.communicate(timeout=PATIENCE)
        assert [path.stat().st_mode & 0o777 for path in (*folder.glob("*"), *folder.glob("*/token"))] == [0o700, 0o600]
        found += family(killed.pid)  # and all of Ray's own, some of which take a minute to see that they are alone
        killed.kill()
        interrupted.send_signal(signal.SIGINT)
        interrupted.wait(PATIENCE)
        until(lambda: not processes().keys() & set(found), pause=0.1)
        until(lambda: not list(folder.iterdir()), pause=0.1)
        assert list(emptied.iterdir()) == list(emptied_too.iterdir()) == []
    assert finished.returncode == 0, err
    assert set(out.split()) <= set("012345678"), "standard output is the caller's alone"
    assert "Traceback" not in err
    assert not tmp_path.joinpath(".ray").exists()


def test_what_a_killed_driver_and_its_guardian_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_short_place", lambda: tmp_path)
    with ExitStack() as stack:
        held = stack.enter_context(private_folder())
        left = tmp_path / "lstm-left"
        left.mkdir()
        (left / "owner").touch()
        log = stack.enter_context((left / "log").open("w"))
        sleep = ("sleep", str(PATIENCE))
        stranger = stack.enter_context(subprocess.Popen(sleep, stdout=log))
        worker = stack.enter_context(subprocess.Popen(sleep, stdout=log, env={"TOKEN": f"{left}/token"}))
        titled = ("ray::Agent", str(PATIENCE))  # such a title may be written over the environment
        agent = stack.enter_context(subprocess.Popen(titled, executable=shutil.which("sleep"), stdout=log))
        other = stack.enter_context(private_folder())
        assert worker.wait(PATIENCE) == agent.wait(PATIENCE) == -signal.SIGKILL
        assert stranger.poll() is None, "a file of the cluster is open there, but it was not started by it"
        assert set(tmp_path.iterdir()) == {held, other}
        stranger.kill()
    assert list(tmp_path.iterdir()) == []


def started(process: subprocess.Popen[str]) -> list[int]:
    """The workers of a driver whose eight trials run."""
    assert process.stdout is not None
    assert process.stderr is not None
    while process.stdout.readline().strip() != "8":
        assert process.poll() is None, process.stderr.read()
    return workers(process.pid)


# On a cluster that is not there


@contextmanager
def silent_port() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_an_address_without_a_cluster_is_told_in_words(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with silent_port() as silent:
        address = {"closed": "127.0.0.1:1", "silent": silent}[kind]
        with (
            pytest.raises(ClusterUnreachable, match=f"no Ray cluster answers at execute.address={address}"),
            open_executor(ExecuteSettings(kind="ray", address=address), {}, print),
        ):
            pass


def unasked(*_: object, **__: object) -> Any:
    raise AssertionError("Ray would wait for a minute, then end the process")


def test_a_cluster_that_is_gone_is_told_and_blames_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers die with it, which is no fault of their trials."""
    errors = SimpleNamespace(OutOfMemoryError=MemoryError, RayError=RuntimeError)
    worker = SimpleNamespace(
        ready=SimpleNamespace(remote=lambda _: "ready"), advance=SimpleNamespace(remote=lambda *_: "slice")
    )

    def unreachable() -> Any:
        raise RuntimeError("the worker died")

    answered: dict[str, Callable[[], Any]] = {"ready": lambda: None, "slice": unreachable}
    ray = SimpleNamespace(
        exceptions=errors,
        wait=lambda calls, **_: (calls, []),
        get=lambda reference: answered[reference](),
        kill=lambda _: None,
        cluster_resources=lambda: {"CPU": 1},
        nodes=unasked,
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda *_, **__: worker),
    )
    told: list[tuple[str, str]] = []
    with silent_port() as address:
        pool = Actors(ray, cluster.Head(address), None, HostArguments(FakeTrainer, None))
        crew = Crew(pool, {}, lambda *entry: told.append(entry), lanes=4, slice_seconds=0.2, timeout=None)
        crew.submit(trials(1))
        crew.gather(0.0)
    monkeypatch.setattr("lstm_search.execute.pools._COUNT_EVERY", 0.0)
    ray.cluster_resources = unasked
    assert crew.gather(0.0) == []
    assert (crew.pending, told) == (1, [])
    monkeypatch.setattr(cluster, "_GONE_SECONDS", 0.0)
    with pytest.raises(ClusterUnreachable, match=f"the Ray cluster at {address} has not answered for"):
        crew.gather(0.0)
    assert told == []


def test_a_cluster_elsewhere_is_not_used_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    settings = ExecuteSettings(kind="ray", address="192.0.2.1:6379")
    with pytest.raises(ClusterUnreachable, match="only with a token"), open_executor(settings, {}, print):
        pass


@pytest.mark.parametrize(("token", "words"), [("1" * 64, "refused the token"), ("", "asks for a token")])
def test_a_wrong_token_is_told_in_words(session: Any, token: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PROBE_SECONDS", PATIENCE)  # the cluster is there, but the machine may be busy
    address = session.get_runtime_context().gcs_address
    with pytest.raises(ClusterUnreachable, match=words):
        cluster.probe(address, token)
    cluster.probe(address, execute._process_token())


def test_no_cluster_on_this_machine_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_KNOWN_CLUSTER", tmp_path / "none")
    with pytest.raises(ClusterUnreachable, match="no Ray cluster was started on this machine"):
        cluster.resolved("auto")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    assert cluster.resolved("auto") == "127.0.0.1:6379"
