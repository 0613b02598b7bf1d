"""Error flow and gates on the command line: of nets as they are drawn, and of trials of a small study."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from helpers.program import NAME
from helpers.small import Told, trials_of

from lstm_search.record import Record
from lstm_search.spec import Trial
from lstm_search.theory import examples, passage_of

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own, at import
]


def trial_of(home: Path, row: str = "rate=1", replicate: int = 2) -> Trial:
    return trials_of(home)[row][replicate]


def test_the_sequences_are_those_that_the_trial_was_tested_on(here: Path) -> None:
    """The recorded error comes out again: of all test sequences, by the recorded weights."""
    trial, home = trial_of(here / "studies"), here / "studies"
    with Record.read(home, NAME) as record:
        weights = record.arrays(trial.result.key).values()
    some = examples(trial.spec, 2560)
    lengths = np.array([len(one.x) for one in some])
    x = np.zeros((lengths.max(), len(some), 8))
    for i, one in enumerate(some):
        x[: lengths[i], i] = one.x
    y = passage_of(trial.spec.cell.network, *weights, x).y[lengths - 1, np.arange(len(some))]
    error = np.abs(y - np.array([one.target[-1] for one in some])).mean()
    assert error == pytest.approx(trial.result.milestones[0].test_error, rel=1e-6)


def test_error_flow_of_nets_as_they_are_drawn(empty: Path, told: Told) -> None:
    lines = list(csv.DictReader(io.StringIO(told("error-flow lags=[1,100] format=csv"))))
    assert [line["lag"] for line in lines[:4]] == ["1", "100", "1", "100"]
    by_name = {(line["error_flow"], line["lag"]): float(line["log10_factor"]) for line in lines}
    assert by_name["weights up to 0.2", "100"] < -50
    assert by_name["LSTM within cells", "100"] == 0.0
    written = sorted(path.name for path in (empty / "studies").iterdir())
    assert written == ["error-flow.csv", "error-flow.png"]
    every = list(csv.DictReader((empty / "studies" / "error-flow.csv").read_text(encoding="utf-8").splitlines()))
    assert {int(line["lag"]) for line in every} == set(range(1, 1001))


def test_error_flow_of_a_recorded_trial(copied: Path, told: Told) -> None:
    key = trial_of(copied).result.key
    text = told(f"error-flow {key[:10]} format=svg tracking=none")
    assert "| as it started |" in text
    assert "| as it ended " in text
    assert (copied / f"{NAME}-error-flow-{key[:8]}.svg").read_bytes().startswith(b"<?xml")
    assert (copied / f"{NAME}-error-flow-{key[:8]}.csv").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lags=[0]", "lags=0: takes a whole number from 1"),
        ("lags=[-3]", "lags=-3: takes a whole number from 1"),
        ("lags=[1,1001]", "lags=1001: takes lags from 1 to 1000"),
        ("lags=5,6", "a list is written lags=[5,6]"),
        ("{key} lags=[50]", "lags=50: takes lags from 1 to "),
        ("ffff", "ffff: no trial"),
    ],
)
def test_lags_that_do_not_fit_are_refused(words: str, expected: str, copied: Path, told: Told) -> None:
    before = sorted(copied.iterdir())
    assert expected in told(f"error-flow {words.format(key=trial_of(copied).result.key)}", code=2)
    assert sorted(copied.iterdir()) == before


def test_replay_draws_trials_side_by_side(copied: Path, told: Told) -> None:
    keys = [trial_of(copied, row, 0).result.key for row in ("rate=0.5", "rate=1")]
    text = told(f"replay {','.join(keys)} format=svg width=double")
    assert text.count("the same to the last bit") == 1
    assert text.count("| cell ") == 2
    drawn = (copied / f"{NAME}-replay-{keys[0][:8]}-{keys[1][:8]}.svg").read_text(encoding="utf-8")
    assert "<!-- classes apart, s -->" in drawn
    assert all(f"<!-- {key[:8]}: solved after" in drawn for key in keys)


def test_a_net_of_another_kind_is_replayed_and_not_drawn(tmp_path: Path, told: Told) -> None:
    words = "task=two_sequence_3a task.T=20 network=guessing network.hidden=1 stop.check_every=1 replicates=2 cap=5"
    told(f"run {words} study=drawn tracking=none execute=inline home={tmp_path}")
    with Record.read(tmp_path, "drawn") as record:
        keys = [trial.result.key for trial in record.trials()["two_sequence_3a"]]
    place = f"home={tmp_path} tracking=none"
    assert "the same to the last bit" in told(f"replay {keys[0]} {place}")
    assert told(f"error-flow {keys[0]} {place}", code=2).startswith("lstm-search: network=guessing: error-flow takes")
    assert "draws nets of lstm1997 and lstm2000, not of network=guessing" in told(
        f"replay {','.join(keys)} {place}", code=2
    )
    assert not list(tmp_path.glob("*.png"))


def test_a_net_that_forgets_is_drawn_and_one_with_peepholes_has_no_error_flow(tmp_path: Path, told: Told) -> None:
    words = "task=temporal_order_6a network=lstm2000 network.peepholes=true replicates=1 cap=5"
    told(f"run {words} study=forgets tracking=none execute=inline home={tmp_path}")
    with Record.read(tmp_path, "forgets") as record:
        [trial] = record.trials()["temporal_order_6a"]
    place = f"home={tmp_path} tracking=none"
    assert "the same to the last bit" in told(f"replay {trial.result.key} {place} format=svg")
    assert "<!-- forget gates -->" in (tmp_path / f"forgets-replay-{trial.result.key[:8]}.svg").read_text(
        encoding="utf-8"
    )
    refused = told(f"error-flow {trial.result.key} {place}", code=2)
    assert refused.startswith("lstm-search: network.peepholes=true: error-flow takes")
