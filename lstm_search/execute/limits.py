"""What a process may use of its machine: what there is, or less where its control groups (of a container, of a batch
job) allow less. Both versions of control groups are read; see Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_MINE = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def memory() -> int:
    """Bytes that all processes beside this one may have together."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [*_numbers("", "memory.max"), *_numbers("memory", "memory.limit_in_bytes")]
    return int(min([machine, *(limit for limit, *_ in limits if limit > 0)]))


def cores() -> int:
    """Cores that they may keep busy, a part of one counted whole."""
    quotas = [*_numbers("", "cpu.max")]
    quotas += [(*quota, *period) for quota, period in zip(
        _numbers("cpu", "cpu.cfs_quota_us"), _numbers("cpu", "cpu.cfs_period_us"), strict=False)]  # fmt: skip
    shares = [math.ceil(quota / period) for quota, period in quotas if quota > 0 and period > 0]
    return min([len(os.sched_getaffinity(0)), *shares])


def _numbers(controller: str, file: str) -> Iterator[tuple[float, ...]]:
    """What stands in that file of this process's group, and of every group around it."""
    for folder in _folders(controller):
        with suppress(OSError, ValueError):
            words = (folder / file).read_text().replace("max", "0").split()
            if words[0] != "0":
                yield tuple(float(word) for word in words)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of the group and of those around it; `controller`: empty in version 2, which has one tree for all."""
    with suppress(OSError):
        for line in _MINE.read_text().splitlines():
            _, names, path = line.split(":", 2)
            if controller in names.split(","):
                place = PurePosixPath(path)
                for group in (place, *place.parents):
                    yield _GROUPS / controller / str(group).lstrip("/")
