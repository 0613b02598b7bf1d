"""What others see of a study in MLflow, and trials that are trained again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.program import NAME, QUICK, family, free_port, lstm, processes, running
from helpers.small import GRID, Told, trials_of
from helpers.waiting import PATIENCE, until

from lstm_search.cli import dispatch as cli
from lstm_search.record.record import Record

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


def test_replay_by_key_and_by_its_first_digits(here: Path, told: Told) -> None:
    trial = trials_of(here / "studies")["rate=1"][2]
    for key in (trial.result.key, trial.result.key[:8], trial.result.key[:32]):
        text = told(f"replay {key}")
        assert text.count(trial.result.weights_sha256) == 2
        assert "the same to the last bit" in text


def test_replay_names_what_was_counted(tmp_path: Path, told: Told) -> None:
    words = "task=two_sequence_3a task.T=20 network=guessing network.hidden=1 stop.check_every=1 replicates=1 cap=5"
    told(f"run {words} study=drawn tracking=none execute=inline home={tmp_path}")
    with Record.read(tmp_path, "drawn") as record:
        [[trial]] = record.trials().values()
    text = told(f"replay {trial.result.key} home={tmp_path}")
    assert f"| draws | {trial.result.sequences} | {trial.result.sequences} |" in text
    assert "sequences" not in text


def test_replay_of_other_weights_is_a_mismatch(copied: Path, told: Told) -> None:
    key = trials_of(copied)["rate=1"][0].result.key
    change(copied, "UPDATE trials SET weights_sha256 = 'abc' WHERE key = ?", key)
    assert "DIFFERENT" in told(f"replay {key}", code=7)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("key", ["f" * 64, "nonsense", "0" * 32, "_" * 32])
def test_replay_of_an_unknown_trial_is_refused(key: str, told: Told) -> None:
    assert key in told(f"replay {key}", code=2)


def change(home: Path, statement: str, key: str) -> None:
    with closing(sqlite3.connect(home / f"{NAME}.sqlite")) as db, db:
        db.execute("PRAGMA foreign_keys = ON")
        assert db.execute(statement, (key,)).rowcount == 1


def mlflow_client(home: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{home.absolute()}/mlflow.db")


def runs_of(client: Any, kind: str = "") -> dict[str, Any]:
    experiment = client.get_experiment_by_name(NAME)
    wanted = f"tags.`lstm_search.kind` = '{kind}'" if kind else ""
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], wanted)}


def test_mlflow_holds_what_is_recorded(here: Path, told: Told) -> None:
    home = here / "studies"
    client = mlflow_client(home)
    assert {run.info.status for run in runs_of(client).values()} == {"FINISHED"}
    (top,) = runs_of(client, "study").values()
    names = {file.path for file in client.list_artifacts(top.info.run_id)}
    assert names == {"table.md", "table.csv", "table.json", "config.yaml", "report.html"} | {
        "solved_fraction.png",
        "learning_curves.png",
    }
    cells = runs_of(client, "cell")
    for row in json.loads(told(f"table {GRID} format=json"))["rows"]:
        run = cells.pop(row["row"])
        low, high = row["success_interval"]
        found = run.data.metrics
        expected = {"k": row["k"], "n": row["n"], "success_rate": 1.0, "success_rate_low": low}
        expected |= {"success_rate_high": high, "mean_sequences": row["mean"], "ert": row["ert"]}
        expected |= {"km_median": row["median"], "wrong_of_2560": row["wrong"], "test_error": row["test_error"]}
        assert found == expected
        assert run.data.tags["mlflow.parentRunId"] == top.info.run_id
        assert float(run.data.params["training.rate"]) == float(row["row"].removeprefix("rate="))
    assert not cells


def test_mlflow_holds_every_trial_with_its_learning_curve(here: Path) -> None:
    client, trials = mlflow_client(here / "studies"), trials_of(here / "studies")
    runs, cells = runs_of(client, "trial"), runs_of(client, "cell")
    assert len(runs) == 6
    for row, trial in ((row, trial) for row, some in trials.items() for trial in some):
        run, result = runs[f"{row} #{trial.spec.replicate}"], trial.result
        assert run.data.tags["mlflow.parentRunId"] == cells[row].info.run_id
        assert run.data.params["key"] == result.key
        assert run.data.metrics["sequences"] == result.sequences
        assert run.data.metrics["solved/test_error"] == result.milestones[0].test_error
        for name in ("error", "wrong"):
            curve = client.get_metric_history(run.info.run_id, f"curve/{name}")
            there = result.milestones[0]
            solved = {"error": there.test_error, "wrong": there.test_wrong / there.test_sequences}
            assert sorted((point.step, point.value) for point in curve) == [
                *((point.sequences, getattr(point, name)) for point in result.curve),
                (result.sequences, solved[name]),
            ]


def test_replay_by_the_id_of_an_mlflow_run(here: Path, told: Told) -> None:
    runs = runs_of(mlflow_client(here / "studies"))
    text = told(f"replay {runs['rate=1 #2'].info.run_id}")
    assert text.count(trials_of(here / "studies")["rate=1"][2].result.weights_sha256) == 2
    assert "no run of a trial" in told(f"replay {runs['rate=1'].info.run_id}", code=2)


def test_verify_and_sync(copied: Path, told: Told) -> None:
    assert told("sync") == f"{NAME}: 0 runs written\n"
    agreed = "planned: 6\nrecorded: 6\nruns not published: 0\n"
    assert told(f"verify {GRID}") == told(f"verify study={NAME}") == agreed
    client = mlflow_client(copied)
    client.delete_run(runs_of(client)["rate=1 #2"].info.run_id)
    assert "runs not published: 1" in told(f"verify study={NAME}", code=7)
    assert told(f"sync study={NAME}") == f"{NAME}: 1 runs written\n"
    assert told(f"verify study={NAME}") == agreed
    change(copied, "DELETE FROM trials WHERE key = ?", trials_of(copied)["rate=1"][0].result.key)
    assert "planned: 6\nrecorded: 5\n" in told(f"verify study={NAME}", code=7)
    assert told(f"verify study={NAME} tracking=none", code=7) == "planned: 6\nrecorded: 5\n"
    assert told("verify tracking=none", code=7) == f"{NAME}: 6 planned, 5 recorded\n"


def test_verify_finds_a_changed_record_and_recover_mends_it(
    copied: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    before = told(f"export study={NAME} format=hash")
    change(copied, "UPDATE trials SET sequences = 1 WHERE key = ?", trials_of(copied)["rate=1"][0].result.key)
    assert cli.main(["verify", f"study={NAME}", "tracking=none"]) == 7
    changed, verb = capsys.readouterr().err.splitlines()
    assert "its values are not those that were written" in changed
    assert f"lstm-search recover study={NAME} keeps what is as it was written" in verb
    assert "5 trials kept with their weights, 1 trials recovered" in told(f"recover study={NAME}")
    assert told(f"export study={NAME} format=hash") == before
    assert "nothing is recovered over it" in told(f"recover study={NAME}", code=2)


def test_verify_says_what_to_do_and_writes_nothing(
    copied: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    change(copied, "DELETE FROM trials WHERE key = ?", trials_of(copied)["rate=1"][0].result.key)
    (copied / "mlflow.db").unlink()
    before = sorted(path.name for path in copied.iterdir())
    assert cli.main(["verify", f"study={NAME}"]) == 7
    missing, unpublished = capsys.readouterr().err.splitlines()
    assert "1 trials of study" in missing
    assert f"8 runs of study {NAME} are not in MLflow as recorded: lstm-search sync study={NAME} writes" in unpublished
    assert sorted(path.name for path in copied.iterdir()) == before
    assert "recorded there" in told("ui study=nosuch", code=2)


def test_replay_of_a_broken_trial_is_refused(copied: Path, told: Told) -> None:
    key = trials_of(copied)["rate=1"][0].result.key
    change(copied, "UPDATE trials SET outcome = 'LOST' WHERE key = ?", key)
    assert "ended LOST: it has no weights to compare; retry=[lost] trains it again" in told(f"replay {key}", code=2)


def test_replay_names_every_study_that_holds_the_trial(
    copied: Path, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    key = trials_of(copied)["rate=1"][0].result.key
    shutil.copy(copied / f"{NAME}.sqlite", copied / "twin.sqlite")
    assert cli.main(["replay", key]) == 0
    assert f"of studies {NAME}, twin again" in capsys.readouterr().err
    assert "recorded in twin" in told(f"replay {key}")


def test_a_server_that_is_down_delays_nothing_and_is_served_later(tmp_path: Path, told: Told) -> None:
    port = free_port()
    server = f"home={tmp_path} tracking.uri=http://127.0.0.1:{port}"
    done = lstm(f"run {QUICK} execute=inline replicates=2 {server} tracking.wait=5", tmp_path, code=3)
    assert "2/2" in done.stdout
    down = f"MLflow: no server answers at http://127.0.0.1:{port}"
    late = f"MLflow at http://127.0.0.1:{port} has taken nothing for 5 s"  # a busy machine has not asked yet
    assert down in done.stderr or late in done.stderr
    assert f"); lstm-search sync study={NAME} {server}" in done.stderr
    assert down in told(f"sync {server}", code=3)
    with running(f"ui study={NAME} home={tmp_path} tracking.port={port}", tmp_path) as ui:
        assert ui.stdout is not None
        link = ui.stdout.readline()
        address, _, page = link.partition("/#")
        assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/[0-9a-f]{{32}}", address)
        assert re.fullmatch(r"/experiments(/\d+/runs)?\?\S+\n", page)
        assert "workflowType=machine_learning" in link
        with urllib.request.urlopen(link.strip(), timeout=PATIENCE) as page:  # noqa: S310  (it is http, see above)
            assert page.status == 200
            assert b"<title>MLflow</title>" in page.read()
        assert "Take the link that lstm-search ui has printed" in told(f"sync {server}", code=3)
        server = f"home={tmp_path} tracking.uri={address}"
        assert told(f"sync {server}") == f"{NAME}: 4 runs written\n"
        assert told(f"sync {server}") == f"{NAME}: 0 runs written\n"
        assert "runs not published: 0" in told(f"verify study={NAME} {server}")
        assert f"tracking.port={port}: cannot be used" in told(f"ui home={tmp_path} tracking.port={port}", code=2)
        server_processes = family(ui.pid)
        os.killpg(ui.pid, signal.SIGINT)
        out, err = ui.communicate(timeout=PATIENCE)
    assert (ui.returncode, out) == (0, ""), err
    assert err.endswith("lstm-search: stopped\n")
    assert server_processes
    until(lambda: not server_processes.keys() & processes().keys(), pause=0.3)
