"""What the program prints without any study: help, version, plan and configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_search import config
from lstm_search.cli import dispatch as cli


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == cli.main([]) == cli.main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    for verb in ["run", "plan", "status", "table", "plot", "export", "replay", "sync", "ui", "config", "verify"]:
        assert f"  {verb} " in text
    for key in ("training.rate=0.5", "task=adding", "table=9", "execute.workers=null"):
        assert f"  {key} " in text
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("lstm-search 0.")


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
