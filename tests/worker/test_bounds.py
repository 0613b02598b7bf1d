"""Compiled kernels keep within the bounds of their arrays, and are the same from a cold and from a warm cache."""

from functools import partial
from pathlib import Path

from helpers.adders import ADDERS, SEED
from helpers.packs import elsewhere, one_by_one, plain

from lstm_search.simd.jit import CACHE_DIR
from lstm_search.spec import TrialSpec

TRIALS = [TrialSpec(cell, replicate, SEED, cap) for cell, cap in ADDERS for replicate in range(2)]


def test_cold_and_warm_cache_and_checked_bounds_give_the_same_bits(tmp_path: Path) -> None:
    """Here kernels check no bounds; elsewhere, where they do, they are compiled, and then found on disk.

    They are compiled with fewer optimisations, which takes a quarter less time and gives the same bits.
    """
    expected = plain(one_by_one(TRIALS))
    checked = partial(elsewhere, TRIALS, tmp_path, NUMBA_BOUNDSCHECK="1", NUMBA_OPT="1")
    assert checked() == expected
    kernels = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ic]")}
    assert len(kernels) >= 6  # an index and the code of fill, restart and advance
    assert checked() == expected
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ic]")} == kernels
    (folder,) = tmp_path.iterdir()
    assert folder.name != CACHE_DIR.name, "kernels that check bounds have a folder of their own"
