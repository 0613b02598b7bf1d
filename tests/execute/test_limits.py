"""What control groups allow, with groups made up of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lstm_search.execute import limits

GIB = 2**30


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(limits, "_MINE", tmp_path / "mine")
    monkeypatch.setattr(limits, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 2**26, "SC_PAGE_SIZE": 4096}[name])
    return tmp_path


def lay(groups: Path, mine: str, **files: str) -> None:
    (groups / "mine").write_text(mine)
    for name, text in files.items():
        path = groups / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def test_a_machine_without_groups(groups: Path) -> None:
    assert (limits.memory(), limits.cores()) == (256 * GIB, 64)
    lay(groups, "0::/\n")
    assert (limits.memory(), limits.cores()) == (256 * GIB, 64)


def test_a_container_of_version_2(groups: Path) -> None:
    lay(groups, "0::/\n", **{"memory.max": str(6 * GIB), "cpu.max": "150000 100000"})
    assert (limits.memory(), limits.cores()) == (6 * GIB, 2)


def test_a_step_of_a_batch_job_has_the_least_of_the_groups_around_it(groups: Path) -> None:
    lay(groups, "0::/job/step\n", **{"job/memory.max": str(8 * GIB), "job/step/memory.max": "max"})
    lay(groups, "0::/job/step\n", **{"job/cpu.max": "max 100000", "job/step/cpu.max": "400000 100000"})
    assert (limits.memory(), limits.cores()) == (8 * GIB, 4)


def test_a_container_of_version_1(groups: Path) -> None:
    mine = "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n0::/docker/a\n"
    lay(groups, mine, **{"memory/memory.limit_in_bytes": str(3 * GIB)})
    lay(groups, mine, **{"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"})
    assert (limits.memory(), limits.cores()) == (3 * GIB, 2)


def test_no_limit_in_version_1(groups: Path) -> None:
    none = {"memory/memory.limit_in_bytes": "9223372036854771712", "cpu/cpu.cfs_quota_us": "-1"}
    lay(groups, "4:memory,cpu:/\n", **none, **{"cpu/cpu.cfs_period_us": "100000"})
    assert (limits.memory(), limits.cores()) == (256 * GIB, 64)
