"""The real program: what its verbs show of a study, and what stands on a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.program import ALONE, NAME, QUICK, Lstm, lstm
from helpers.small import GRID, ROWS, Told, trials_of
from helpers.waiting import PATIENCE

from lstm_search.cli import dispatch as cli
from lstm_search.record import Record

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


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


@pytest.mark.usefixtures("copied")
def test_plot_writes_what_is_asked_for(told: Told) -> None:
    paths = told(f"plot {GRID} format=pdf width=single").split()
    assert paths == [f"studies/{NAME}-{figure}.pdf" for figure in ("solved_fraction", "learning_curves")]
    assert Path(paths[0]).read_bytes().startswith(b"%PDF-")
    assert "format=csv: plot prints png, svg, pdf" in told(f"plot {GRID} format=csv", code=2)
    assert "width=wide: takes one of text, single, double" in told(f"plot {GRID} width=wide", code=2)


@pytest.mark.usefixtures("copied")
def test_report_writes_one_page(told: Told) -> None:
    path = told(f"report study={NAME}").strip()
    assert path == f"studies/{NAME}-report.html"
    page = Path(path).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert f"lstm-search run task={NAME} task.T=10 training.rate=0.5,1 replicates=3 study={NAME}" in page
    assert told(f"export study={NAME} format=hash").strip() in page
    assert "format=png: report has no choice of formats" in told(f"report {GRID} format=png", code=2)
    assert "nowhere" in told("report study=nowhere", code=2)


def test_the_page_is_an_artifact_of_the_studys_run(copied: Path, told: Told) -> None:
    attached = list((copied / "artifacts").rglob("report.html"))
    assert len(attached) == 1
    assert told(f"export study={NAME} format=hash").strip() in attached[0].read_text()


@pytest.mark.usefixtures("here")
def test_tables_come_in_latex_and_html(told: Told) -> None:
    assert "\\toprule" in told(f"table {GRID} format=latex")
    assert told(f"table {GRID} format=html").startswith("<table>")
    assert "format=svg: table prints markdown" in told(f"table {GRID} format=svg", code=2)
    assert "format=word: takes one of" in told(f"table {GRID} format=word", code=2)


def test_the_recorded_configuration_makes_the_same_study(here: Path, told: Told) -> None:
    with Record.read(here / "studies", NAME) as record:
        recorded_config = record.definition().config
    assert told(f"config {GRID}").startswith(recorded_config)
    assert "6 trials in 2 rows" in told(f"plan {GRID}")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("verb", ["run", "table"])
def test_a_table_has_no_hash(verb: str, told: Told) -> None:
    assert f"format=hash: {verb} prints markdown, csv, json, latex, html; export take" in told(
        f"{verb} {GRID} format=hash", code=2
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("verb", ["sync", "verify", "ui", "doctor", "config", "delete", "recover"])
def test_a_verb_without_formats_refuses_one(verb: str, told: Told) -> None:
    name = verb.partition(" ")[0]
    assert f"format=json: {name} has no choice of formats; run" in told(f"{verb} format=json study={NAME}", code=2)


@pytest.mark.usefixtures("here")
def test_status_as_json(told: Told) -> None:
    found = json.loads(told("status format=json"))
    assert found == [
        {"study": NAME, "row": row, "finished": 3, "planned": 3, "at_most": False, "solved": 3, "capped": 0}
        | {"diverged": 0, "broken": 0, "simulated": False}
        for row in ROWS
    ]


@pytest.mark.usefixtures("here")
def test_status_of_what_is_shipped(told: Told) -> None:
    assert told("status source=shipped table=9").splitlines()[2:] == [
        "| table-9 | 6a | 20 | 19 | 1 | 0 | 0 |",
        "| table-9 | 6b | 10 | 7 | 3 | 0 | 0 |",
    ]
    every = json.loads(told("status source=shipped format=json"))
    assert {"table-1", "table-9-best-9"} < {line["study"] for line in every}
    assert {line["planned"] for line in every} == {None}
    assert "study=mine: is not shipped; those that are: one-set, " in told("status source=shipped study=mine", code=2)
    for verb in ("verify", "sync", "delete", "replay abc", "ui", "doctor"):
        assert "takes source=record" in told(f"{verb} source=shipped study={NAME}", code=2)


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
