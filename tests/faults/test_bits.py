"""One study on other workers, in other lanes, in another order, and with kernels that were lost or damaged on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.faults import ALL, S300, Held, Line, Study, drawn, tell
from helpers.program import ALONE
from helpers.waiting import PATIENCE

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="takes minutes; LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS = 120
FEW = 4
"""Trials for which one width of the kernels is enough, so that they are compiled in a quarter of the time."""

WORKERS = 8

WAYS = [
    *(f"tracking=none execute.workers={count}" for count in (1, 2, 4)),
    *(f"{ALONE} execute.width={width}" for width in (8, 16)),
]


def test_workers_lanes_and_order_move_no_bit(tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    fault, lines = "1, 2, 4 workers; 8, 16 lanes; in other portions", []
    for n, way in enumerate(WAYS):
        study = Study(tmp_path / str(n), f"{S300} replicates={TRIALS} {way}", TRIALS)
        study.finish()
        lines.append(study.came_of(fault, 1, undisturbed(TRIALS)))
    grown = Study(tmp_path / "grown", f"{S300} {ALONE}", TRIALS)
    random = drawn("portions")
    portions = [(n, random.choice([2, 4, 8, 16])) for n in (*sorted(random.sample(range(1, TRIALS), 3)), TRIALS)]
    tell(f"replicates, lanes: {portions}")
    for replicates, lanes in portions:
        grown.finish(f"replicates={replicates} execute.width={lanes}")
    lines.append(grown.came_of(fault, 1, undisturbed(TRIALS)))
    held(sum(lines[1:], lines[0]), 0)


def test_kernels_that_are_lost_or_damaged_are_compiled_anew(
    tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    """Every file of the cache; the first study finds none."""
    cache, random, lines = tmp_path / "cache", drawn("cache"), []
    for harm in ("none there", "truncated", "flipped"):
        files = list(kept(cache))
        for path in files:
            whole = path.read_bytes()
            at = random.randrange(len(whole))
            tell(f"{harm} at byte {at}: {path.name}")
            path.write_bytes(whole[:at] if harm == "truncated" else changed(whole, at))
        study = alone(tmp_path / harm, cache)
        study.finish()
        assert len(list(kept(cache))) >= 6
        lines.append(study.came_of("every file of the kernel cache", max(len(files), 1), undisturbed(FEW)))
    held(sum(lines[1:], lines[0]).said("none there, each cut short, one byte of each flipped"), 0)


def kept(cache: Path) -> Iterator[Path]:
    """Files with kernels."""
    return cache.rglob("*.nb[ic]")


def changed(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]


def alone(folder: Path, cache: Path) -> Study:
    """A study of its own in one process, with kernels from this cache."""
    return Study(folder, f"{S300} replicates={FEW} {ALONE}", FEW, {"LSTM_SEARCH_CACHE": str(cache)})


def test_eight_programs_compile_at_once(tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    """None of them waits for another."""
    studies = [alone(tmp_path / str(n), tmp_path / "cache") for n in range(8)]
    with ExitStack() as stack:
        for process in [stack.enter_context(study.started()) for study in studies]:
            _, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == os.EX_OK, err
    lines: list[Line] = [study.came_of("8 programs on one empty cache", 1, undisturbed(FEW)) for study in studies]
    held(sum(lines[1:], lines[0]), 0)


def test_eight_workers_start_on_an_empty_cache(tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    """Each time with a cache of its own; with few trials in one lane, so that little is compiled."""
    line, lines = f"{S300} replicates={2 * WORKERS} tracking=none execute.workers={WORKERS} execute.width=1", []
    for n in range(5):
        place = tmp_path / str(n)
        study = Study(place, line, 2 * WORKERS, {"LSTM_SEARCH_CACHE": str(place / "cache")})
        study.finish()
        assert list(kept(place / "cache"))
        lines.append(study.came_of(f"{WORKERS} workers on an empty cache", 1, undisturbed(2 * WORKERS)))
    held(sum(lines[1:], lines[0]), 0)
