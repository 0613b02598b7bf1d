import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from lstm_search.simd.jit import LEVELS, inlined, kernel
from lstm_search.simd.kept import _Files

MODULE = """
from lstm_search.simd.jit import CACHE_DIR, kernel


@kernel
def triple(x):
    return 3 * x


print(triple(14), CACHE_DIR)
"""


def run(folder: Path, name: str = "cache", *before: str) -> tuple[str, Path]:
    environment = {**os.environ, "LSTM_SEARCH_CACHE": str(folder / name)}
    command = [*before, sys.executable, str(folder / "module.py")]
    answer, cache = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return answer, Path(cache)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: a run leaves there what the first one left."""
    folder = tmp_path_factory.mktemp("jit")
    (folder / "module.py").write_text(MODULE)
    return folder


@pytest.fixture(scope="module")
def cache(folder: Path) -> Path:
    return run(folder)[1]


def test_a_kernel_is_kept_on_disk_in_a_folder_of_its_own(folder: Path, cache: Path) -> None:
    assert cache.parent == folder / "cache"
    assert list(cache.rglob("*.nbc"))


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_file_cut_short_is_compiled_anew(folder: Path, cache: Path, ending: str, size: int) -> None:
    assert all(path.stat().st_size > 100 for path in cache.rglob("*.nb?"))
    for path in cache.rglob(f"*.{ending}"):
        os.truncate(path, size)
    assert run(folder)[0] == "42"
    assert all(path.stat().st_size > 100 for path in cache.rglob("*.nb?"))


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_file_with_bytes_that_are_not_ours_is_compiled_anew(folder: Path, cache: Path, ending: str) -> None:
    """Its machine code would be run as it is."""
    for path in cache.rglob(f"*.{ending}"):
        content = bytearray(path.read_bytes())
        for place in (len(content) // 4, len(content) // 2, 3 * len(content) // 4):
            content[place] ^= 1
        path.write_bytes(content)
        assert run(folder)[0] == "42"
        assert path.read_bytes() != content


def test_a_full_disk_keeps_nothing_and_the_kernel_runs(folder: Path) -> None:
    answer, cache = run(folder, "full", "prlimit", "--fsize=100", "--")
    assert answer == "42"
    assert not list(cache.rglob("*.nb?*"))


def test_a_folder_that_others_may_write_is_not_used(folder: Path, cache: Path) -> None:
    kept = list(cache.rglob("*.nb?"))
    for path in kept:
        path.write_bytes(b"what another user left")
    (folder / "cache").chmod(0o777)
    assert run(folder)[0] == "42"
    assert {path.read_bytes() for path in kept} == {b"what another user left"}
    (folder / "cache").chmod(0o755)
    assert run(folder)[0] == "42"
    assert b"what another user left" not in {path.read_bytes() for path in kept}


def test_two_codes_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Two processes that compile at the same time may choose the same name."""
    files = _Files(str(tmp_path), "kernel", "stamp")
    files.save("a", "code of a")
    files._save_data(files._load_index()["a"], ("b", "code of b"))
    assert files.load("a") is None
    files.save("a", "code of a")
    assert files.load("a") == "code of a"


LEVEL = """
import numba
from lstm_search.simd import lanes

present = dict(lanes.binding.get_host_cpu_features())
lanes.binding.get_host_cpu_features = lambda: present | {{"avx2": {avx2}, "avx512f": True}}
try:
    print(lanes.full_width(), numba.config.CPU_NAME, numba.config.CPU_FEATURES)
except lanes.UnsupportedProcessor as error:
    print(error)
"""


def at_level(level: str, *, avx2: bool) -> str:
    environment = {**os.environ, "NUMBA_CPU_NAME": level}
    command = [sys.executable, "-c", LEVEL.format(avx2=avx2)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("level", "width"), [("x86-64-v3", 8), ("x86-64-v4", 16)])
def test_a_named_level_decides_alone_what_kernels_use(level: str, width: int) -> None:
    if not all(binding.get_host_cpu_features().get(name) for name in LEVELS[level]):
        pytest.skip("this processor lacks what the level needs")
    assert at_level(level, avx2=True) == f"{width} {level} -prefer-256-bit"


def test_a_processor_below_the_level_is_refused_in_words() -> None:
    assert "lacks avx2" in at_level("x86-64-v3", avx2=False)
    assert "made for x86-64-v3" in at_level("x86-64-v3", avx2=False)


def test_a_piece_is_for_kernels_only() -> None:
    """It has no machine code of its own, and says so rather than to end the process."""
    half = inlined(lambda x: x / 2)
    with pytest.raises(TypeError):
        half(3.0)
    assert kernel(lambda x: half(x) + half(x))(3.0) == 3.0
