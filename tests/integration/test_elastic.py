"""Nodes that come and go while a study runs on a cluster: those that come get work, those that leave lose nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.clusters import cluster_in
from helpers.program import NAME, QUICK, family, lstm, processes, recorded, running
from helpers.waiting import PATIENCE, until

WORDS = f"{QUICK} replicates=1500 tracking=none"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A cluster of one node with one core."""
    with cluster_in(tmp_path) as found:
        yield found


def actors() -> int:
    """Ray workers of the cluster that train for a study."""
    return sum(command.startswith("ray::_Host") for command in family(os.getpid()).values())


def hash_of(home: Path) -> str:
    return lstm(f"export {WORDS} home={home} format=hash", home).stdout


def test_nodes_that_join_get_work_and_nodes_that_leave_lose_nothing(cluster: Any, tmp_path: Path) -> None:
    undisturbed, home = tmp_path / "a", tmp_path / "b"
    for folder in (undisturbed, home):
        folder.mkdir()
    line = f"{WORDS} execute.slice_seconds=0.05"
    lstm(f"run {line} execute=inline home={undisturbed}", undisturbed)
    with running(f"run {line} execute=ray execute.address={cluster.address} home={home}", home) as process:
        until(lambda: len(recorded(home)) >= 30)
        assert actors() == 1
        joined = cluster.add_node(num_cpus=1)
        until(lambda: actors() == 2)
        before = len(recorded(home))
        until(lambda: len(recorded(home)) > before + 30)
        cluster.remove_node(joined, allow_graceful=False)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert f"| {NAME}" in out
    assert len(recorded(home)) == 1500
    assert hash_of(home) == hash_of(undisturbed)


def nodes_at_work() -> list[int]:
    """How many workers each node has that has any, by the raylet that started them."""
    mine = family(os.getpid())
    parents = [
        parent for pid, (parent, command) in processes().items() if pid in mine and command.startswith("ray::_Host")
    ]
    return list(Counter(parents).values())


def test_one_to_four_nodes_of_one_core_have_one_worker_each_and_one_result(cluster: Any, tmp_path: Path) -> None:
    line = f"{QUICK} replicates=2000 tracking=none execute.slice_seconds=0.05"
    lstm(f"run {line} execute=inline home={tmp_path}/inline", tmp_path)
    wanted = lstm(f"export {line} home={tmp_path}/inline format=hash", tmp_path).stdout
    for nodes in range(1, 5):
        if nodes > 1:
            cluster.add_node(num_cpus=1)
        home = tmp_path / str(nodes)
        with running(f"run {line} execute=ray execute.address={cluster.address} home={home}", tmp_path) as process:
            until(lambda: nodes_at_work() == [1] * nodes)  # noqa: B023  (called at once)
            _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert len(recorded(home)) == 2000
        assert lstm(f"export {line} home={home} format=hash", tmp_path).stdout == wanted
