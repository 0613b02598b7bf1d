"""What the trials of `short_trials.py` cost beyond their own time in Ray Tune: two actors, reused from trial to trial.

    python benchmarks/peer_tune.py [--trials 500]

runs in .peers-search/ and prints what `short_trials.py` prints. Spared: Tune's loggers and its checkpoints.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from short_trials import WARM, WORKERS, Mark, Timed, mark, short_trial, told

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}
os.environ.update(QUIET)  # Tune reads them when it is imported

from ray import init, shutdown, tune  # noqa: E402


class ShortTrial(tune.Trainable):  # type: ignore[misc]  # ray publishes no types
    """One trial a configuration: a step that trains it to its end."""

    def setup(self, config: Mapping[str, Any]) -> None:
        """The actor starts."""
        self.trainer = Timed()
        self.replicate = int(config["replicate"])

    def reset_config(self, new_config: Mapping[str, Any]) -> bool:
        """The actor gets the next trial."""
        self.replicate = int(new_config["replicate"])
        return True

    def step(self) -> dict[str, Any]:
        """Train."""
        finished = self.trainer.advance([short_trial(self.replicate)], 60.0).finished
        return {"seconds": finished[0].seconds, "done": True}


class Clock(tune.Callback):  # type: ignore[misc]
    """Marks the trials that end."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: object, result: Mapping[str, Any], **_: Any
    ) -> None:
        """A trial's one result came."""
        del iteration, trials, trial
        self.marks.append(mark(float(result["seconds"])))


def marks_of(trials: int, folder: str) -> list[Mark]:
    """Runs so many trials, and those that do not count."""
    clock = Clock()
    tuner = tune.Tuner(
        tune.with_resources(ShortTrial, {"cpu": 1}),
        param_space={"replicate": tune.grid_search(list(range(trials + 2 * WARM)))},
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=WORKERS),
        run_config=tune.RunConfig(
            storage_path=folder,
            verbose=0,
            callbacks=[clock],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    with redirect_stdout(sys.stderr):
        failed = tuner.fit().num_errors
    if failed:
        sys.exit(f"peer_tune: {failed} trials failed")
    return clock.marks


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tune-", ignore_cleanup_errors=True) as folder:
        init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        try:
            marks = marks_of(given.trials, folder)
        finally:
            shutdown()
    print(told(marks))


if __name__ == "__main__":
    main()
