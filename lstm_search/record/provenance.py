"""With what a result was computed: versions, processor, commit."""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def environment() -> dict[str, str]:
    """Versions of the packages that take part, the processor, and the commit of a checkout; empty text for unknown."""
    packages = ("lstm-search", "numpy", "numba", "ray", "mlflow")
    return {
        **{name: _version(name) for name in packages},
        "python": platform.python_version(),
        "cpu": _processor(),
        "commit": _commit(Path(__file__).parents[2]),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _commit(folder: Path) -> str:
    """The checkout's commit, "-dirty" where files differ from it; empty for an installed package."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return ""
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  (no part of it is input)
