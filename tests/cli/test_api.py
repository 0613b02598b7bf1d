"""The Python face: the words of the command line as keywords, frames of what is recorded, and no import too early."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.program import ALONE, QUICK
from helpers.small import Told

import lstm_search
from lstm_search import Study, open_study, run
from lstm_search.api import _FIRST
from lstm_search.config import ConfigError, compose, words_of
from lstm_search.record import Record, UnknownStudy
from lstm_search.spec import Candidate


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, kernels: None) -> Study:
    """Two cells of three trials, all solved, trained from Python."""
    del kernels
    home = tmp_path_factory.mktemp("api") / "home"
    return run(*QUICK.split(), *ALONE.split(), home=home, study="rates", replicates=3, training={"rate": [0.5, 1]})


def test_a_study_is_trained_and_opened_again(study: Study) -> None:
    assert repr(study) == f"Study 'rates' in {study.home}: 2 cells, 6 trials"
    again = open_study("rates", home=study.home)
    pd.testing.assert_frame_equal(again.trials(), study.trials())
    assert len(open_study("rates", home=study.home, rows="rate=1").trials()) == 3
    assert len(run(study="rates", home=study.home, execute="inline", tracking="none").trials()) == 6


def test_trials_have_settings_as_columns_of_their_types(study: Study) -> None:
    frame = study.trials()
    assert frame.columns[:5].tolist() == ["key", "row", "cell", "replicate", "outcome"]
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    for name, kind in {
        "replicate": "int64",
        "sequences": "int64",
        "test_wrong": "int64",
        "test_error": "float64",
        "task.T": "int64",
        "training.rate": "float64",
        "network.output_gates": "bool",
        "network.input_gate_bias": "str",
        "stop.0.window": "int64",
    }.items():
        assert kinds[name] == kind, name
    assert frame.groupby("training.rate")["sequences"].count().to_dict() == {0.5: 3, 1.0: 3}
    assert set(frame["network.input_gate_bias"]) == {"[-2,-4]"}


def test_whole_numbers_stay_whole_where_some_are_missing(study: Study) -> None:
    frame = open_study(
        *QUICK.split(), home=study.home, study="rates", replicates=3, cap=100, training={"rate": [0.5, 1]}
    ).trials()
    assert set(frame["outcome"]) == {"CAPPED"}
    assert set(frame["milestone"]) == {""}
    assert frame["test_wrong"].isna().all()


def test_what_is_exported_has_the_same_columns(study: Study, told: Told) -> None:
    text = told(f"export study=rates home={study.home}")
    lines = list(csv.DictReader(io.StringIO(text)))
    frame = study.trials()
    assert list(lines[0]) == frame.columns.tolist()
    assert [line["key"] for line in lines] == frame["key"].tolist()
    assert {line["network.input_gate_bias"] for line in lines} == {"[-2,-4]"}
    assert {line["network.output_gates"] for line in lines} == {"true"}
    pd.testing.assert_series_equal(pd.read_csv(io.StringIO(text))["training.rate"], frame["training.rate"])


def test_a_study_of_which_no_trial_has_ended_has_the_same_columns(study: Study, tmp_path: Path) -> None:
    settings = compose([*QUICK.split(), "study=begun", f"home={tmp_path}", "training.rate=0.5,1"])
    with Record.open(tmp_path, settings.definition) as record:
        record.meet([Candidate((), (row,), "") for row in settings.rows_ahead()])
    begun = open_study("begun", home=tmp_path)
    assert len(begun.trials()) == len(begun.curves()) == 0
    assert list(begun.trials().columns) == list(study.trials().columns)
    assert list(begun.curves().columns) == list(study.curves().columns)
    assert list(begun.cells()["n"]) == [0, 0]


def test_cells_have_what_their_trials_came_to(study: Study) -> None:
    frame = study.cells().set_index("row")
    assert frame["k"].to_dict() == {"rate=0.5": 3, "rate=1": 3}
    assert (frame["mean"] == study.trials().groupby("row")["sequences"].mean()).all()
    assert {"success_interval_low", "ert", "verdict", "training.rate", "task.T"} <= set(frame.columns)


def test_the_columns_of_cells_that_matter_come_first_and_constants_last(study: Study) -> None:
    every, varied = study.cells().columns.tolist(), study.cells(constants=False).columns.tolist()
    assert every[:9] == _FIRST
    assert every[9] == "training.rate", "the axis"
    assert every[: len(varied)] == varied
    assert "task.T" in every[len(varied) :]
    assert not any(name.startswith(("task.", "network.", "stop.")) for name in varied)


def test_curves_weights_and_figures(study: Study, tmp_path: Path) -> None:
    trials, curves = study.trials(), study.curves()
    assert curves.columns.tolist() == ["key", "row", "replicate", "sequences", "error", "wrong"]
    assert set(curves["key"]) == set(trials["key"])
    key = trials["key"][0]
    weights = study.weights(key[:8])
    assert all(isinstance(array, np.ndarray) and array.dtype == float for array in weights.values())
    packed = weights["hidden"].tobytes() + weights["output"].tobytes()
    assert hashlib.sha256(packed).hexdigest() == trials["weights_sha256"][0]
    picture = study.figure()
    assert picture._repr_png_().startswith(b"\x89PNG")
    study.figure("learning_curves").save(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_shipped_is_opened_without_a_record() -> None:
    shipped = open_study(table=9, source="shipped")
    assert set(shipped.trials()["row"]) == {"6a", "6b"}
    assert shipped.cells()["published_trials"].tolist() == [20, 10]
    with pytest.raises(ConfigError, match="source=shipped: has no weights; take source=record"):
        shipped.weights("0")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"table": 9, "rows": ["6a", "6b"]}, ["table=9", "rows=[6a,6b]"]),
        ({"training.rate": [0.1, 0.5]}, ["training.rate=0.1,0.5"]),
        ({"training": {"rate": np.array([0.1, 0.5])}}, ["training.rate=0.1,0.5"]),
        ({"training.rate": [0.1]}, ["training.rate=choice(0.1)"]),
        ({"training.rate": np.float64(0.25), "replicates": np.int64(3)}, ["training.rate=0.25", "replicates=3"]),
        ({"network.blocks": range(1, 4)}, ["network.blocks=1,2,3"]),
        ({"network.input_gate_bias": (-3, -6)}, ["network.input_gate_bias=[-3,-6]"]),
        ({"network.input_gate_bias": [(-1,), (-3, -6)]}, ["network.input_gate_bias=[-1],[-3,-6]"]),
        ({"stop": {"mean_error": None}, "search.joint": True}, ["stop.mean_error=null", "search.joint=true"]),
        ({"training.rate": "tag(log,interval(0.1,1))"}, ["training.rate=tag(log,interval(0.1,1))"]),
        ({"home": Path("/tmp/a, b=c")}, ["home=/tmp/a, b=c"]),  # noqa: S108  (nothing is written)
        ({"retry": ["lost", "oom"]}, ["retry=[lost,oom]"]),
        ({"rows": "rate=1"}, ["rows=['rate=1']"]),
        ({"rows": ["T=5 it's", "all"]}, [r"rows=['T=5 it\'s',all]"]),
    ],
)
def test_keywords_are_the_words_of_the_command_line(settings: dict[str, object], words: list[str]) -> None:
    assert words_of(settings) == words


def test_an_axis_of_one_value_is_an_axis() -> None:
    (row,) = compose(["task=adding", *words_of({"training.rate": [0.1]})]).rows_ahead()
    assert row.name == "rate=0.1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training.rate": []}, r"training\.rate=\[\]: takes at least one value"),
        ({"training.rate": object}, r"training\.rate=<class 'object'>: takes text, a number, True, False or None"),
        ({"training.rate": -1.0, "task": "adding"}, r"training\.rate=-1\.0: takes"),
        ({"task": "ading"}, "task=ading: no such task; nearest: adding"),
        ({"study": "nowhere"}, "study=nowhere: not recorded in"),
        ({}, "run: choose what to train, as in run table=9 or run task="),
    ],
)
def test_errors_are_exceptions_with_the_same_sentences(
    settings: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        run(**settings)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_study_that_is_not_there_is_not_opened(study: Study) -> None:
    with pytest.raises(UnknownStudy, match=r"study=other: not recorded in .*recorded there: rates"):
        open_study("other", home=study.home)
    with pytest.raises(ConfigError, match="figure pie: takes solved_fraction or learning_curves"):
        study.figure("pie")


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys, lstm_search; heavy = {'numpy', 'numba', 'pandas', 'hydra', 'ray', 'mlflow', 'matplotlib'}; "
        "print(*heavy & set(sys.modules)); lstm_search.run; print(*{'pandas', 'ray', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n\n"


def test_what_the_package_has_is_listed() -> None:
    assert {"run", "open_study", "register_task", "check_task", "Study"} <= set(dir(lstm_search))
    with pytest.raises(AttributeError, match="has no attribute 'trials'; it has Study, check_task"):
        lstm_search.trials  # noqa: B018  # type: ignore[attr-defined]
