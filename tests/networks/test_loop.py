"""The loop that nets share: its pieces are chosen by the type of the state, once for all processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_search.networks import loop, unrolled
from lstm_search.networks.elman import ElmanState

TRAIN = """
import numpy as np
from helpers.nets import I, K, random_sequences, trained
from lstm_search.networks import Elman, Guessing, loop

for kind in (Elman, Guessing):
    network = kind(hidden=2)
    trained(network, [network.initial(np.uint64(1), I, K)], [random_sequences(1, 5, symbols=False)], symbols=False)
for kernel in (loop._advance, loop._restart):
    print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


def hits_and_misses(cache: Path) -> list[str]:
    """Of both kernels, in a process that trains two kinds of nets."""
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "LSTM_SEARCH_CACHE": str(cache), "PYTHONPATH": f"{tests}:{tests.parent}"}
    done = subprocess.run([sys.executable, "-c", TRAIN], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:2]


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert hits_and_misses(tmp_path) == ["0 2", "0 2"]
    assert hits_and_misses(tmp_path) == ["2 0", "2 0"]


def test_two_networks_cannot_have_states_of_the_same_name() -> None:
    with pytest.raises(TypeError, match="ElmanState: another network's state has that name"):
        loop.kernels(ElmanState, *(print,) * 3, step=print, observe=print, learn=print, finish=print, begin=print)


def test_two_unrolled_networks_cannot_have_variants_of_the_same_name() -> None:
    same = type("GruVariant", (), {})
    pieces = dict.fromkeys(("step", "observe", "learn", "flow_back", "finish", "begin"), print)
    with pytest.raises(TypeError, match="GruVariant: another network's variant has that name"):
        unrolled.kernels(same, *(print,) * 4, **pieces)
