"""The real program: its verbs, its exit codes, and what others see of it in MLflow."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.fakes import RAISES, FakeTrainer
from helpers.program import ALONE, NAME, QUICK, Lstm, family, free_port, lstm, processes, recorded, running
from helpers.waiting import PATIENCE, until

from lstm_search import study
from lstm_search.cli import dispatch as cli
from lstm_search.execute import executor as execute
from lstm_search.record.record import Record
from lstm_search.spec import Trial, TrialSpec
from lstm_search.worker.trial import Progress

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]

GRID = f"{QUICK} training.rate=0.5,1 replicates=3"
ROWS = ["rate=0.5", "rate=1"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, kernels: None) -> Path:
    """A folder with a study of two rows and three replicates in its home, shown in MLflow; not to be changed."""
    del kernels
    folder = tmp_path_factory.mktemp("shown")
    done = lstm(f"run {GRID} execute=inline", folder)
    assert "lstm-search ui study=temporal_order_6a" in done.stderr
    assert done.stdout == lstm(f"table {GRID}", folder).stdout
    return folder


@pytest.fixture
def copied(shown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of such a study, in the current folder, to be changed."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(shown / "studies", tmp_path / "studies"))


@pytest.fixture
def here(shown: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the study, as the current one."""
    monkeypatch.chdir(shown)
    return shown


Told = Callable[..., str]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """What `lstm-search LINE` prints, in this process, and that it ends with `code`."""

    def tell(line: str, code: int = 0) -> str:
        capsys.readouterr()
        found, (out, err) = cli.main(line.split()), capsys.readouterr()
        assert found == code, err
        if code == 2:
            assert out == "", "a refusal is no result"
        return out if code in (0, 7) else err

    return tell


def trials_of(home: Path) -> dict[str, list[Trial]]:
    with Record.read(home, NAME) as record:
        return record.trials()


# Views


def test_results_alone_go_to_stdout(tmp_path: Path) -> None:
    done = lstm(f"run {QUICK} {ALONE} replicates=2 format=json", tmp_path)
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["k"], row["n"]) == (2, 2)
    assert f"{NAME}: 0 of 2 finished" in done.stderr
    again = lstm(f"run {QUICK} {ALONE} replicates=2 format=json", tmp_path)
    assert (again.stdout, again.stderr) == (done.stdout, "")
    assert sorted(path.name for path in tmp_path.joinpath("studies").iterdir()) == [f"{NAME}.lock", f"{NAME}.sqlite"]


def test_the_table_in_every_format(here: Path, told: Told) -> None:
    del here
    shown = json.loads(told(f"table {GRID} format=json"))["rows"]
    assert [(row["row"], row["k"], row["n"]) for row in shown] == [(name, 3, 3) for name in ROWS]
    lines = list(csv.DictReader(io.StringIO(told(f"table {GRID} format=csv"))))
    assert [float(line["mean"]) for line in lines] == [row["mean"] for row in shown]
    markdown = told(f"table {GRID}")
    for row in shown:
        assert f"| {row['row']}" in markdown
        assert f"{row['mean']:,.0f} [" in markdown


def test_export_is_the_record(here: Path, told: Told) -> None:
    lines = list(csv.DictReader(io.StringIO(told(f"export {GRID}"))))
    found = [(line["key"], line["row"], int(line["sequences"]), line["weights_sha256"]) for line in lines]
    assert found == [
        (trial.result.key, row, trial.result.sequences, trial.result.weights_sha256)
        for row, trials in trials_of(here / "studies").items()
        for trial in trials
    ]
    assert len(json.loads(told(f"export {GRID} format=json"))) == 6
    assert re.fullmatch(r"[0-9a-f]{64}\n", told(f"export {GRID} format=hash"))


@pytest.mark.usefixtures("here")
def test_a_study_is_seen_by_its_name_alone_and_in_part(told: Told) -> None:
    whole, part = f"study={NAME}", f"study={NAME} rows='rate=1' replicates=2"
    for form in ("csv", "json", "hash"):
        assert told(f"export {whole} format={form}") == told(f"export {GRID} format={form}")
    assert [line.split(",")[1] for line in told(f"export {part}").splitlines()[1:]] == ["rate=1"] * 2
    assert told(f"export {part} format=hash") != told(f"export {whole} format=hash")
    assert "2/2" in told(f"table {part}")
    assert "rate=0.5" not in told(f"table {part}")
    assert "nearest: rate=1" in told(f"table study={NAME} rows='rate=11'", code=2)


@pytest.mark.usefixtures("here")
def test_status_of_all_studies_and_of_one(told: Told) -> None:
    text = told("status")
    for row in ROWS:
        assert f"| {NAME} | {row} | 3 of 3 | 3 | 0 | 0 | 0 |" in text.splitlines()
    assert told(f"status study={NAME}") == text
    assert f"recorded there: {NAME}" in told("status study=other", code=2)


def test_where_there_is_nothing_nothing_is_made(told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(f"status home={tmp_path}").count("\n") == 2
    assert told(f"replay {'0' * 64} home={tmp_path}", code=2).count("\n") == 1
    assert cli.main(["sync", f"home={tmp_path}"]) == 0
    assert f"no study in {tmp_path} yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_plot_draws_two_pictures_and_names_them(copied: Path, told: Told) -> None:
    paths = told(f"plot {GRID}").split()
    assert paths == [f"studies/{NAME}-{figure}.png" for figure in ("solved_fraction", "learning_curves")]
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in paths)
    assert copied.samefile("studies")


def test_the_recorded_configuration_makes_the_same_study(here: Path, told: Told) -> None:
    with Record.read(here / "studies", NAME) as record:
        recorded_config = record.definition().config
    assert told(f"config {GRID}").startswith(recorded_config)
    assert "6 trials in 2 rows" in told(f"plan {GRID}")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("verb", ["run", "table"])
def test_a_table_has_no_hash(verb: str, told: Told) -> None:
    assert f"format=hash: {verb} prints markdown, csv, json" in told(f"{verb} {GRID} format=hash", code=2)


# Replay


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


# MLflow


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
    assert names == {"table.md", "table.csv", "table.json", "config.yaml", "solved_fraction.png", "learning_curves.png"}
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
            assert sorted((point.step, point.value) for point in curve) == [
                (point.sequences, getattr(point, name)) for point in result.curve
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
    late = f"MLflow at http://127.0.0.1:{port} needs more than 5 s"  # a busy machine has not asked yet
    assert down in done.stderr or late in done.stderr
    assert f"); lstm-search sync study={NAME} {server}" in done.stderr
    assert down in told(f"sync {server}", code=3)
    with running(f"ui study={NAME} home={tmp_path} tracking.port={port}", tmp_path) as ui:
        assert ui.stdout is not None
        link = ui.stdout.readline()
        assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/#/experiments(/\d+/runs)?\?\S+\n", link)
        assert "workflowType=machine_learning" in link
        with urllib.request.urlopen(link.strip(), timeout=PATIENCE) as page:  # noqa: S310  (it is http, see above)
            assert page.status == 200
            assert b"<title>MLflow</title>" in page.read()
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
    until(lambda: not server_processes.keys() & processes().keys())


# Interruptions


HALF_ENDLESS = f"{QUICK} stop.mean_error=1e-9,0.1 replicates=8 study=half"
"""Eight trials that are solved at once, then eight that go on until the cap."""


@pytest.mark.parametrize(("number", "tracking"), [(signal.SIGINT, "mlflow"), (signal.SIGTERM, "none")])
def test_an_interrupted_study_ends_all_it_started_and_goes_on(
    number: signal.Signals, tracking: str, copied: Path, told: Told
) -> None:
    there = len(statuses(copied))
    with running(f"run {HALF_ENDLESS} cap=1000000000 tracking={tracking}", copied.parent) as process:
        until(lambda: recorded(copied, "half") and (tracking == "none" or len(statuses(copied)) > there))
        members = {pid for pid, command in family(process.pid).items() if "Agent" not in command}
        os.killpg(process.pid, number)  # to the whole group, as a terminal does
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert (out, "Traceback" in err) == ("", False)
    until(lambda: not members & processes().keys())
    if tracking == "mlflow":
        told("sync study=half")  # a busy machine has not shown all of it in the last seconds
    assert set(statuses(copied)) == {"FINISHED"}
    before = recorded(copied, "half")
    assert 0 < len(before) < 16
    table = told(f"run {HALF_ENDLESS} cap=20000 {ALONE}")
    assert "0/8" in table
    assert "8/8" in table
    assert before.items() <= recorded(copied, "half").items()
    assert len(recorded(copied, "half")) == 16


def statuses(home: Path) -> list[str]:
    """Of all runs in MLflow, read beside it; none while its tables are made."""
    if (home / "mlflow.db").exists():
        with closing(sqlite3.connect(f"{(home / 'mlflow.db').as_uri()}?mode=ro", PATIENCE, uri=True)) as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
                return [status for (status,) in db.execute("SELECT status FROM runs")]
    return []


def test_a_second_driver_is_refused_until_the_first_is_gone(tmp_path: Path, lstm: Lstm) -> None:
    line = f"run {QUICK} {ALONE}"
    with running(f"{line} replicates=5000 execute.slice_seconds=0.01", tmp_path) as first:
        until(lambda: recorded(tmp_path / "studies"))
        refused = lstm(f"{line} replicates=5", tmp_path, code=6)
        assert f"study={NAME} is held by process {first.pid} on {socket.gethostname()}" in refused.stderr
        assert refused.stdout == ""
        assert first.poll() is None
        first.kill()
        first.wait()
        assert "5/5" in lstm(f"{line} replicates=5", tmp_path).stdout


def test_a_spent_budget_is_told(tmp_path: Path, lstm: Lstm) -> None:
    line = f"run {QUICK} {ALONE} replicates=100 execute.slice_seconds=0.01"
    done = lstm(f"{line} budget.hours=0.00001", tmp_path)
    left = 100 - len(recorded(tmp_path / "studies"))
    assert left > 0
    assert f"{left} trials are left (budget.hours=1e-05); the same command goes on" in done.stderr
    assert "100/100" in lstm(line, tmp_path).stdout


# What goes wrong


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose trials behave as their cap says, but the first replicate is always fine."""

    class Fake(FakeTrainer):
        def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
            return super().advance([spec if spec.replicate else replace(spec, cap=1) for spec in new], seconds)

    monkeypatch.setattr(execute, "Worker", lambda _width: Fake(seconds=0.001))
    monkeypatch.setattr(study, "warm", lambda *_: None)


@pytest.mark.usefixtures("fake")
def test_too_many_failures_have_an_exit_code_of_their_own(tmp_path: Path, told: Told) -> None:
    line = f"run {QUICK} {ALONE} cap={RAISES} home={tmp_path} replicates"
    assert "75 % of the trials failed or were lost; max_failed=0.1" in told(f"{line}=4", code=5)
    assert told(f"{line}=4 max_failed=0.75")
    assert told(f"{line}=1")


@pytest.mark.parametrize("verb", ["run", "run execute=inline", "run tracking=none"])
def test_a_home_that_cannot_be_written_is_refused(verb: str, tmp_path: Path, told: Told) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file" / "home", Path("/proc/home")):
        message = told(f"{verb} {QUICK} home={home}", code=2)
        assert f"{home}/{NAME}.lock: cannot be written" in message
        assert "home=DIR" in message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_changed_definition_is_refused_with_the_differences(copied: Path, told: Told) -> None:
    before = (copied / f"{NAME}.sqlite").read_bytes()
    for changed, difference in (("seed=3", "seed was 1997, is 3"), ("network.size=3", "network.size was 2, is 3")):
        for verb in ("run", "table", "export", "verify"):
            assert difference in told(f"{verb} {GRID} {changed}", code=2)
    assert (copied / f"{NAME}.sqlite").read_bytes() == before


# The terminal


def test_bars_are_drawn_on_a_terminal_and_the_table_goes_to_stdout(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "lstm_search", *f"run {QUICK} {ALONE} replicates=20".split()]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=tmp_path, stdout=pipe, stderr=theirs, env=environment) as process:
        os.close(theirs)
        screen = "".join(terminal(ours))
        assert process.stdout is not None
        table = process.stdout.read().decode()
    assert process.returncode == 0
    assert "20/20" in table
    assert "\x1b" not in table
    for part in (NAME, "━", "20/20 solved", "100%"):
        assert part in screen
    assert "| " not in screen


def terminal(ours: int) -> Iterator[str]:
    """What is written to a terminal until its last process ends."""
    with open(ours, "rb", buffering=0) as file:
        deadline = time.monotonic() + PATIENCE
        while select.select([file], [], [], deadline - time.monotonic())[0]:
            try:
                yield file.read(65536).decode(errors="replace")
            except OSError:  # Linux says so when nobody writes any more
                return


def test_a_study_is_deleted_only_when_its_name_is_typed(
    tmp_path: Path, lstm: Lstm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lstm(f"run {QUICK} {ALONE} replicates=1 study=a", tmp_path)
    for typed, code in (("b\n", 2), ("", 2), ("a\n", 0), ("a\n", 2)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        done = lstm("delete study=a", tmp_path, code=code)
        assert (tmp_path / "studies" / "a.sqlite").exists() == (typed != "a\n")
    assert "study=a: not recorded" in done.stderr


def test_completion_offers_verbs_choices_and_keys(tmp_path: Path) -> None:
    script = lstm("completion", tmp_path).stdout
    for typed, offered in {
        "ru": ["run"],
        "table=2": ["2", "2b"],
        "task.q": ["task.q="],
        "nothing": [],
    }.items():
        program = f'{script}\nCOMP_LINE="lstm-search {typed}"; COMP_POINT=${{#COMP_LINE}}\n'
        program += '_lstm_search; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.split() == offered
