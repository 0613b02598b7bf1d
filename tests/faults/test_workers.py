"""Workers, nodes and clusters that die or stand still while a study runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.clusters import cluster_in, processes_of
from helpers.faults import ALL, S300, Held, Study, drawn, scaled, tell
from helpers.program import processes
from helpers.waiting import PATIENCE, until
from helpers.witness import WITNESS

pytestmark = pytest.mark.usefixtures("kernels", "witness")
real_clusters = pytest.mark.skipif(not ALL, reason="a cluster of several nodes; LSTM_SEARCH_FAULTS=all starts it")

HELD = 32
"""Trials that a worker holds at most: 16 in its lanes, and as many in reserve where they are short."""


@pytest.mark.parametrize("kills", [1, 12] if ALL else [1])
def test_workers_are_killed(kills: int, tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    trials, apart = (1500, 5) if kills > 1 else (scaled(300, 40), 0)
    random, times = drawn("workers"), 0
    study = Study(tmp_path, f"{S300} replicates={trials} execute.workers=2 tracking=none", trials)
    with study.started("execute.slice_seconds=0.05") as process:
        for n in range(kills):
            until(lambda: process.poll() is not None or len(study.begun()) > n * trials // kills)  # noqa: B023  (at once)
            if at_work := sorted(study.workers()):
                unlucky = random.randrange(len(at_work))
                tell(f"SIGKILL of worker {unlucky} of {len(at_work)} after {study.recorded()} trials")
                os.kill(at_work[unlucky], signal.SIGKILL)
                times += 1
            time.sleep(apart)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert times > kills // 2
    fault = "SIGKILL of a worker" if kills == 1 else f"SIGKILL of a random worker, every {apart} s"
    held(study.came_of(fault, times, undisturbed(trials)), HELD * times)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One for a cluster."""
    return Study(tmp_path, f"{S300} replicates=300 execute=ray execute.slice_seconds=0.1 tracking=none", 300)


def end_the_raylet(members: list[int]) -> None:
    """What it started goes on for a while: the driver speaks with its worker."""
    os.kill(members[0], signal.SIGKILL)


def end_all(members: list[int]) -> None:
    for pid in members:
        os.kill(pid, signal.SIGKILL)


def freeze(members: list[int]) -> None:
    """For longer than Ray waits for a node's answer; what it has ended meanwhile is not continued."""
    for pid in members:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(FROZEN)
    for pid in processes().keys() & set(members):
        os.kill(pid, signal.SIGCONT)


FROZEN = 90


@real_clusters
@pytest.mark.parametrize(
    ("fault", "happen"),
    [
        ("SIGKILL of the raylet of one of two nodes", end_the_raylet),
        ("SIGKILL of all of one of two nodes", end_all),
        (f"one of two nodes frozen for {FROZEN} s", freeze),
    ],
)
def test_a_node_dies_or_is_frozen(
    fault: str, happen: Callable[[list[int]], None], study: Study, undisturbed: Callable[[int], str], held: Held
) -> None:
    limits = {"RAY_health_check_timeout_ms": "10000", WITNESS: str(study.folder)}  # the first is Ray's own
    with cluster_in(study.folder, **limits) as cluster:
        node = cluster.add_node(num_cpus=1)
        with study.started(f"execute.address={cluster.address}") as process:
            until(lambda: len({pid for pid, _ in study.begun()}) == 2 and study.recorded() > 30)
            happen(processes_of(node))
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    held(study.came_of(fault, 1, undisturbed(300)), HELD)


@real_clusters
@pytest.mark.parametrize("killed", ["a whole cluster", "a cluster's GCS alone"])
def test_a_cluster_is_killed_and_another_one_goes_on(
    killed: str, tmp_path: Path, study: Study, undisturbed: Callable[[int], str], held: Held
) -> None:
    with cluster_in(tmp_path, **{WITNESS: str(tmp_path)}) as cluster:
        cluster.add_node(num_cpus=1)
        with study.started(f"execute.address={cluster.address}") as process:
            until(lambda: study.recorded() > 60)
            nodes = (cluster.head_node, *cluster.worker_nodes)
            gcs = cluster.head_node.all_processes["gcs_server"][0].process.pid
            end_all([pid for node in nodes for pid in processes_of(node)] if killed == "a whole cluster" else [gcs])
            began = time.monotonic()
            _, err = process.communicate(timeout=PATIENCE)
            took = time.monotonic() - began
        assert process.returncode == 8, err
        assert "the same command trains the rest" in err.splitlines()[-1]
    before, begun = study.recorded(), len(study.begun())
    with cluster_in(tmp_path, **{WITNESS: str(tmp_path)}) as cluster:
        cluster.add_node(num_cpus=1)
        study.finish(f"execute.address={cluster.address}")
    assert len(study.begun()) - begun == 300 - before
    line = study.came_of(f"SIGKILL of {killed}, then a new one", 1, undisturbed(300))
    held(line.said(f"exit 8 after {took:.1f} s"), 2 * HELD)
