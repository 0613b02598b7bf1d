"""What the program prints without any study: help, version, plan and configuration."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_search import config
from lstm_search.cli import dispatch as cli
from lstm_search.cli.help import PAGES
from lstm_search.cli.verbs import VERBS, checked


def helped(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words.split()) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    text = helped("--help", capsys)
    for verb in VERBS:
        assert f"\n  {verb} " in text
    for key in ("training.rate=0.5", "task=adding", "table=9", "execute.workers=null"):
        assert f"\n  {key} " in text
    assert helped("", capsys) in text
    assert helped("--version", capsys).startswith("lstm-search 0.")


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_page_of_its_own(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = helped(f"{verb} --help", capsys)
    assert text == helped(f"help {verb}", capsys)
    assert text.startswith(f"usage: lstm-search {verb} ")
    assert text.index("Examples:") < text.find("Settings") or verb == "completion"
    assert text.count("\n") <= 60


@pytest.mark.parametrize(
    "command", [command for page in PAGES.values() for command, _ in page.examples if "lstm-search" not in command]
)
def test_an_example_is_good_input(command: str) -> None:
    verb, *words = shlex.split(command)
    settings = config.compose([word for word in words if "=" in word])
    checked(verb, settings)


def test_help_shows_what_holds_for_the_choices_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {
        "run": "search.confirm=0",
        "run task=adding search=race": "search.confirm=30",
        "run search=random": "search.cells=20",
        "run search=race search.confirm=5": "search.confirm=5",
        "run table=7": "training.rate=0.5",
        "run task=embedded_reber": "training.rate=0.1",
        "table=4": "training.rate=1",
        "execute=inline network=rtrl": "network.wiring=full",
    }
    for words, entry in shown.items():
        assert f"\n  {entry} " in helped(f"{words} --help", capsys), words
    assert cli.main(["run", "--help", "search=gird"]) == 2
    assert "search=gird: no such search; nearest: grid" in capsys.readouterr().err


def test_plan_prints_and_does_nothing(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "table=9", "training.rate=0.3", "network.recurrent=all,cells", "rows=6a"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "Table 9: temporal order (experiment 6)",
        "",
        "| row | trials | cap | readings | altered |",
        "|---|---:|---:|---|---|",
        "| 6a recurrent=all | 20 | 156,950 |  | training.rate=0.3 |",
        "| 6a recurrent=cells | 20 | 156,950 | network.recurrent=cells | training.rate=0.3 |",
        "",
        "40 trials in 2 rows, at most 6,278,000 training sequences (6.6e+08 time steps), seed 1997",
        "20 trials a row can tell success rates of 50 % and 90 % apart (Boschloo's exact test at 5 %, power 80 %)",
    ]
    assert list(empty.iterdir()) == []


def test_plan_as_json(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "table=9", "training.rate=0.3", "network.recurrent=all,cells", "format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][1] == {
        "row": "6a recurrent=cells",
        "trials": 20,
        "cap": 156_950,
        "readings": {"network.recurrent": "cells"},
        "altered": {"training.rate": "0.3"},
    }
    assert told["study"].startswith("table-9-recurrent-")
    keys = ("seed", "rows_in_all", "trials", "fewest_trials", "unit", "allocator", "cost")
    assert [told[key] for key in keys] == [1997, 4, 60, 60, "sequences", "full", None]
    assert list(empty.iterdir()) == []


def test_config_prints_what_can_be_composed_again(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from omegaconf import OmegaConf

    assert cli.main(["config", "task=adding", "training.rate=0.1,0.2"]) == 0
    tree = OmegaConf.to_container(OmegaConf.create(capsys.readouterr().out))
    assert isinstance(tree, dict)
    again = config.compose(tree["overrides"])
    assert [row.name for row in again.rows_ahead()] == ["rate=0.1", "rate=0.2"]
    assert list(empty.iterdir()) == []


def test_output_may_be_cut_short(empty: Path) -> None:
    many = "training.rate=" + ",".join(str(i + 1) for i in range(3000))
    with subprocess.Popen(
        [sys.executable, "-m", "lstm_search", "plan", "task=adding", many],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert list(empty.iterdir()) == []
