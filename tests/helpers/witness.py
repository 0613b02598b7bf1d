"""A task that writes down every trial that is begun, and in which chosen trials misbehave.

It lays the sequences of temporal order, by the same kernel, so its trials learn as real ones do. What it takes down
stands in the folder WITNESS: `begun` has a line for every trial that a lane begins, wherever and whenever, and `harm`
says which replicates misbehave and how. Neither is a setting of the task: the keys and bits of its trials are those of
a study in which nothing goes wrong.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lstm_search.simd import TRAINING, Block, Stream, stream_key
from lstm_search.simd.streams import settings_record
from lstm_search.tasks import TemporalOrder, fill

WITNESS = "LSTM_SEARCH_TESTS_WITNESS"
"""The variable that names the folder."""

SEED, MOST = 1997, 10_000
"""The study's seed, and how many replicates are known by their keys."""


def _raise(block: Block, l: int) -> None:
    del block
    raise ZeroDivisionError(f"lane {l} divides by zero")


def _segfault(block: Block, l: int) -> None:
    del block, l
    ctypes.string_at(0)


def _eat(block: Block, l: int) -> None:
    """Memory is asked for until there is no more; it is not written to, for others need it."""
    del block, l
    held = []
    while True:
        held.append(np.zeros(2**24))


def _hang(block: Block, l: int) -> None:
    del block, l
    time.sleep(10**6)


def _diverge(block: Block, l: int) -> None:
    block.target[:, :, l] = np.nan


def _go_on(block: Block, l: int) -> None:
    """No sequence ends, so nothing is ever judged."""
    block.ends[:] &= ~(1 << l)
    block.due[:] &= ~(1 << l)


HARMS: dict[str, Callable[[Block, int], None]] = {
    "raises": _raise,
    "segfaults": _segfault,
    "eats memory": _eat,
    "hangs": _hang,
    "diverges": _diverge,
    "never ends": _go_on,
}


@cache
def _replicates() -> dict[int, int]:
    return {int(stream_key(SEED, replicate, TRAINING)): replicate for replicate in range(MOST)}


@cache
def _harms() -> dict[int, str]:
    path = Path(os.environ[WITNESS]) / "harm"
    lines = path.read_text().splitlines() if path.exists() else []
    return {int(number): harm for number, harm in (line.split(maxsplit=1) for line in lines)}


def _begun(replicate: int) -> None:
    """One write of a few bytes at the end of the file, so that no two processes write into each other's."""
    with (Path(os.environ[WITNESS]) / "begun").open("a") as file:
        file.write(f"{os.getpid()} {replicate} {time.time():.3f}\n")


def watched(block: Block, stream: Stream) -> None:
    """Lay the next steps of every lane; take down the trials that begin with them."""
    under = [] if WITNESS not in os.environ else [_replicates().get(int(key)) for key in stream.key]
    for l, replicate in enumerate(under):
        if replicate is not None and not (stream.sequence[l] or stream.start[l] or stream.tested[l]):
            _begun(replicate)
    fill(block, stream._replace(settings=stream.settings.view(settings_record(TemporalOrder))))
    for l, replicate in enumerate(under):
        if replicate in _harms():
            HARMS[_harms()[replicate]](block, l)


@dataclass(frozen=True)
class Witness(TemporalOrder):
    """Temporal order, watched."""

    name = "witness"
    fill = staticmethod(watched)


def distribution(folder: Path) -> None:
    """What installing a distribution with this task leaves in `folder`."""
    about = folder / "lstm_witness-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lstm-witness\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[lstm_search.tasks]\nwitness = helpers.witness:Witness\n")
