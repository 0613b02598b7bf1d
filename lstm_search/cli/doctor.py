"""The verb `doctor`: what a study needs of this machine, the cluster and MLflow, checked one by one."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from lstm_search.cli.shell import Exit
from lstm_search.config import Settings
from lstm_search.execute import ClusterUnreachable, reach, token_path
from lstm_search.simd import CACHE_DIR, NoGpu, UnsupportedProcessor, cache_trouble, full_width, gpus
from lstm_search.tracking import Tracker, TrackingFailed, without_password

LEAST_PYTHON = (3, 11)
LEAST_RAY = (2, 59)
LEAST_FREE = 2**30
"""Bytes in the home folder; a study of a thousand trials takes about a tenth of it."""

_SKEW = 120.0  # seconds by which a file may be newer than now


class Finding(NamedTuple):
    """What a check found: whether all is well, and a text that says what to do where it is not."""

    well: bool
    text: str


def doctor(settings: Settings) -> int:
    """Print one line for each check; the exit code is MISMATCH where something has to be done."""
    well = True
    for name, check in CHECKS.items():
        finding = check(settings)
        print(f"{'ok ' if finding.well else 'FIX'} {name:<10} {finding.text}", flush=True)
        well &= finding.well
    return Exit.DONE if well else Exit.MISMATCH


def python(_: Settings) -> Finding:
    """Python's version."""
    found, least = ".".join(map(str, sys.version_info[:3])), ".".join(map(str, LEAST_PYTHON))
    if sys.version_info[:2] < LEAST_PYTHON:
        return Finding(False, f"{found}: take Python {least} or newer")
    return Finding(True, found)


def processor(_: Settings) -> Finding:
    """Whether the kernels run on this processor, and with how many lanes."""
    try:
        width = full_width()
    except UnsupportedProcessor as error:
        return Finding(False, str(error))
    return Finding(True, f"{width} trials side by side on each of {len(os.sched_getaffinity(0))} cores")


def gpu(settings: Settings) -> Finding:
    """Whether there is a GPU to train on, where that is asked for."""
    if settings.execute.device == "cpu":
        return Finding(True, "execute.device=cpu needs none; execute.device=gpu checks one")
    try:
        return Finding(True, ", ".join(gpus()))
    except NoGpu as error:
        return Finding(False, str(error))


def cache(_: Settings) -> Finding:
    """Whether compiled kernels can be kept on disk."""
    found = cache_trouble()
    return Finding(not found, found or str(CACHE_DIR))


def ray(_: Settings) -> Finding:
    """Ray's version and how it is told to authenticate."""
    try:
        found = version("ray")
    except PackageNotFoundError:
        return Finding(False, "not installed: pip install 'ray[default]'")
    if tuple(int(part) for part in found.split(".")[:2]) < LEAST_RAY:
        return Finding(False, f"{found} has known holes: take {'.'.join(map(str, LEAST_RAY))} or newer")
    return _authentication(found)


def _authentication(found: str) -> Finding:
    mode, path = os.environ.get("RAY_AUTH_MODE", ""), token_path()
    if mode == "disabled":
        return Finding(False, f"{found}, RAY_AUTH_MODE=disabled lets everyone in: set RAY_AUTH_MODE=token")
    if mode not in ("", "token"):
        return Finding(False, f"{found}, RAY_AUTH_MODE={mode}: takes token")
    if os.environ.get("RAY_AUTH_TOKEN"):
        return Finding(True, f"{found}, token in RAY_AUTH_TOKEN")
    if not path.is_file():
        if os.environ.get("RAY_AUTH_TOKEN_PATH") or mode == "token":
            return Finding(False, f"{found}, no token in {path}: put the cluster's token there, mode 0600")
        return Finding(True, f"{found}, no token: enough for execute=local, which makes its own")
    return _token_file(found, path)


def _token_file(found: str, path: Path) -> Finding:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding(False, f"{found}, others can read {path}: chmod 600 {path}")
    try:
        empty = not path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return Finding(False, f"{found}, {path} cannot be read as text: write the cluster's token into it")
    if empty:
        return Finding(False, f"{found}, {path} is empty: write the cluster's token into it")
    return Finding(True, f"{found}, token in {path}")


def ray_cluster(settings: Settings) -> Finding:
    """Whether the cluster answers and accepts the token."""
    if settings.execute.kind != "ray":
        return Finding(True, f"execute={settings.execute.kind} needs none; execute=ray checks one")
    try:
        return Finding(True, f"{reach(settings.execute.address)} answers and takes the token")
    except ClusterUnreachable as error:
        return Finding(False, str(error))


def mlflow(settings: Settings) -> Finding:
    """Whether MLflow answers and accepts the login."""
    if settings.tracking.kind == "none":
        return Finding(True, "tracking=none")
    tracker = Tracker(settings.tracking.uri, settings.home)
    try:
        there = tracker.reach()
    except TrackingFailed as error:
        return Finding(False, f"{error}: {_remedy(str(error))}")
    where = without_password(tracker.uri)
    return Finding(True, f"{where} answers" if there else f"{where} will be made by the first study")


def _remedy(reason: str) -> str:
    if any(word in reason for word in ("401", "403", "UNAUTHENTICATED", "not authenticated", "Permission denied")):
        return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a login of the server"
    return "start it, or correct tracking.uri; studies run without it, and sync publishes later"


def disk(settings: Settings) -> Finding:
    """Whether the home folder can be written and has room."""
    home = settings.home.absolute()
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Finding(False, f"{place} cannot be written: choose another folder with home=DIR")
    if free < LEAST_FREE:
        return Finding(False, f"{free / 2**30:.1f} GiB free in {place}: free some, or take another folder, home=DIR")
    return Finding(True, f"{free / 2**30:,.0f} GiB free in {place}")


def clock(settings: Settings) -> Finding:
    """Whether the clock shows a later time than that of the files here: MLflow shows when a trial was trained."""
    files = [Path(__file__), *settings.home.glob("*.sqlite")]
    newest = max(files, key=lambda path: path.stat().st_mtime)
    ahead = newest.stat().st_mtime - time.time()
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if ahead > _SKEW:
        return Finding(False, f"{now} is {ahead:,.0f} s before {newest} was written: set the clock")
    return Finding(True, now)


CHECKS: Mapping[str, Callable[[Settings], Finding]] = {
    "python": python,
    "processor": processor,
    "gpu": gpu,
    "cache": cache,
    "ray": ray,
    "cluster": ray_cluster,
    "mlflow": mlflow,
    "disk": disk,
    "clock": clock,
}
