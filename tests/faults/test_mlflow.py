"""MLflow's server dies, is away, or loses replies while a study is published."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from helpers.faults import ALL, S300, Held, Study, drawn, killed, tell
from helpers.lossy import Lossy
from helpers.program import ALONE
from helpers.shown import runs, serving, shown, study_shown, synced
from helpers.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.usefixtures("kernels", "witness"),
    pytest.mark.skipif(not ALL, reason="LSTM_SEARCH_FAULTS=all does it"),
]

TRIALS = 600
LOSSY = 150
SHOWN = 10
"""So many runs are in MLflow when its server is killed: on a slow disk it takes fewer a second than are trained."""
AWAY = 60
"""Seconds for which the server is away."""


def test_the_server_is_killed_in_the_midst_of_a_study(
    tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    with serving(tmp_path) as server:
        study = study_shown(tmp_path, "killed", server.address, TRIALS)
        with study.started() as process:
            until(lambda: len(runs(server.uri, study.name)) > SHOWN)
            server.kill()
            until(lambda: study.recorded() > TRIALS // 2)
            time.sleep(AWAY)
            server.start()
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert synced(study) == 0
        came = study.came_of(f"MLflow's server killed, away for {AWAY} s", 1, undisturbed(TRIALS))
        held(shown(study, server.uri, came), 0)


def test_training_does_not_wait_for_a_server_that_is_away(tmp_path: Path, held: Held) -> None:
    twin = Study(tmp_path / "twin", f"{S300} replicates={TRIALS} {ALONE}", TRIALS)
    twin.finish()
    with serving(tmp_path, away=True) as server:
        study = study_shown(tmp_path, "away", server.address, TRIALS, "tracking.wait=0")
        study.finish(code=3)
    told = f"trials a second: {pace(study):.1f}, without MLflow {pace(twin):.1f}"
    held(study.came_of("MLflow's server away for a whole study: its pace", 1, twin.hash()).said(told), 0)


def pace(study: Study) -> float:
    """How many trials a second were recorded, from the first to the last."""
    study.recorded()
    times = sorted(map(datetime.fromisoformat, study.seen.values()))
    return len(times) / (times[-1] - times[0]).total_seconds()


@pytest.mark.parametrize("driver", [False, True], ids=["away", "driver"])
def test_the_server_is_away_for_a_whole_study(
    driver: bool, tmp_path: Path, undisturbed: Callable[[int], str], held: Held
) -> None:
    with serving(tmp_path, away=True) as server:
        study = study_shown(tmp_path, "away", server.address, TRIALS, "tracking.wait=0")
        if driver:
            assert killed(study, lambda: study.recorded() > TRIALS // 2)
        trained = len(study.begun())
        told = study.finish(code=3).stderr
        assert "not everything is in MLflow yet" in told
        server.start()
        assert synced(study) == 1 + 1 + TRIALS
        assert synced(study) == 0
        fault = f"MLflow's server away for a whole study{', its driver killed' * driver}, then sync"
        held(shown(study, server.uri, study.came_of(fault, 1, undisturbed(TRIALS))), trained)


def test_replies_are_lost_after_the_work_is_done(tmp_path: Path, undisturbed: Callable[[int], str], held: Held) -> None:
    with serving(tmp_path) as server, Lossy(server.port, drawn("replies"), share=0.1).passing() as proxy:
        study = study_shown(tmp_path, "lossy", proxy.address, LOSSY)
        study.finish()
        tell(f"of so many POSTs: {', '.join(proxy.fates)}")
        assert synced(study, server.address) == 0
        lost = len(proxy.fates)
        came = study.came_of("reply cut off, or 503, after the work: 10 % of POSTs", lost, undisturbed(LOSSY))
        held(shown(study, server.uri, came).said(f"{proxy.posts} POSTs"), 0)
