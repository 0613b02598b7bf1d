import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from lstm_search.jit import CACHE_DIR, kernel


@kernel
def triple(x):
    return 3 * x


print(triple(14), CACHE_DIR)
"""


def run(folder: Path) -> tuple[str, Path]:
    environment = {**os.environ, "LSTM_SEARCH_CACHE": str(folder / "cache")}
    command = [sys.executable, str(folder / "module.py")]
    answer, cache = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return answer, Path(cache)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text(MODULE)
    return tmp_path


def test_a_kernel_is_kept_on_disk_in_a_folder_of_its_own(folder: Path) -> None:
    _, cache = run(folder)
    assert cache.parent == folder / "cache"
    assert list(cache.rglob("*.nbc"))


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_file_cut_short_is_compiled_anew(folder: Path, ending: str, size: int) -> None:
    _, cache = run(folder)
    for path in cache.rglob(f"*.{ending}"):
        os.truncate(path, size)
    assert run(folder)[0] == "42"
    assert all(path.stat().st_size > 100 for path in cache.rglob("*.nb?"))
