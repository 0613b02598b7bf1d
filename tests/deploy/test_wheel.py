"""What is installed from a wheel works without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from helpers.program import ALONE

CHECKOUT = Path(__file__).parents[2]

OFFLINE = ("No matching distribution found for hatchling", "Could not find a version that satisfies the requirement")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel in it, and this environment's packages beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", str(CHECKOUT), "--no-deps", "--wheel-dir", str(folder)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    if any(words in built.stderr for words in OFFLINE):
        pytest.skip("the build tool (hatchling) cannot be fetched: no package index answers")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("lstm_search-*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    install = [*pip, "--python", str(environment / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def output(program: Path, folder: Path, *words: str) -> str:
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([program, *words], cwd=folder, env=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


GUESSED = "run table=guessing rows=3a-A1 replicates=1"
"""The study whose kernels compile soonest: those of the checkout are not found from another folder."""


def test_an_installed_wheel_has_its_configuration_and_its_data(installed: Path, tmp_path: Path) -> None:
    program = installed / "lstm-search"
    assert "30 trials in 2 rows" in output(program, tmp_path, "plan", "table=9")
    assert "| 6b " in output(program, tmp_path, "table", "table=9", "source=shipped")
    assert "1/1" in output(program, tmp_path, *GUESSED.split(), *ALONE.split())
    assert (tmp_path / "studies" / "table-guessing.sqlite").exists()
    code = "import lstm_search, lstm_search.config.keys as k; print(lstm_search.__file__, k.conf_dir())"
    where = output(installed / "python", tmp_path, "-c", code).split()
    assert all(Path(path).is_relative_to(installed.parent) for path in where)
