"""Trials trained alone, in packs and by workers, and their results without what may differ."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from helpers import naive
from numpy.typing import NDArray

from lstm_search.spec import TrialResult, TrialSpec
from lstm_search.worker.pack import Pack
from lstm_search.worker.shape import shape_of
from lstm_search.worker.trial import Worker

TESTS = Path(__file__).parents[1]

Results = dict[str, TrialResult]


def by_key(results: Iterable[TrialResult]) -> Results:
    """Results without what may differ: the time they took."""
    return {result.key: replace(result, seconds=0.0) for result in results}


def worked(worker: Worker, trials: list[TrialSpec], seconds: float = 60.0, at_once: int = 100) -> Results:
    """The results of `trials`, handed to the worker some at a time."""
    found, waiting = [], list(trials)
    while len(found) < len(trials):
        found += worker.advance(waiting[:at_once], seconds).finished
        del waiting[:at_once]
    return by_key(found)


def finished(pack: Pack) -> Results:
    found = []
    while pack.running:
        found += pack.advance()
    return by_key(found)


def alone(trial: TrialSpec, width: int = 1) -> TrialResult:
    pack = Pack(shape_of(trial.cell), width)
    pack.add(trial)
    return finished(pack)[trial.key]


def weights_of(result: TrialResult) -> tuple[NDArray, NDArray]:
    with np.load(io.BytesIO(result.weights)) as weights:
        return weights["hidden"], weights["output"]


def permuted(trial: TrialSpec, hidden: NDArray, *, to_twin: bool) -> NDArray:
    """Hidden weights with the biases last, as the twin has them, or behind the inputs, as the kernel has them."""
    n = trial.cell.task.layout.inputs
    if not naive.has_bias_column(trial.cell.network):
        return hidden
    order = list(range(hidden.shape[1]))
    order.insert(*((len(order) - 1, order.pop(n)) if to_twin else (n, order.pop())))
    return hidden[:, order]


def one_by_one(trials: list[TrialSpec], width: int = 4) -> Results:
    """The results of trials of one shape that take the lanes of one pack in turn."""
    pack, waiting, found = Pack(shape_of(trials[0].cell), width), list(trials), []
    while waiting or pack.running:
        while waiting and pack.free:
            pack.add(waiting.pop())
        found += pack.advance()
    return by_key(found)


def plain(results: Results) -> dict[str, Any]:
    """Results as JSON keeps them."""
    return {key: json.loads(json.dumps(asdict(result), default=bytes.hex)) for key, result in sorted(results.items())}


def elsewhere(trials: list[TrialSpec], cache_folder: Path, **environment: str) -> dict[str, Any]:
    """What `one_by_one` finds in a new process, with its kernels in `cache_folder`."""
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "LSTM_SEARCH_CACHE": str(cache_folder), "PYTHONPATH": paths, **environment}
    program = [sys.executable, "-c", "from helpers.packs import report; report()"]
    done = subprocess.run(program, input=pickle.dumps(trials), capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report() -> None:
    """Print the results of the trials on standard input: `elsewhere` runs this in a process of its own."""
    trials = pickle.load(sys.stdin.buffer)  # noqa: S301  (written by `elsewhere`)
    print(json.dumps(plain(one_by_one(trials))))  # noqa: T201  (read by `elsewhere`)
