from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.program import free_port, lstm

from lstm_search import config
from lstm_search.cli import doctor
from lstm_search.config.composition import Settings
from lstm_search.simd import UnsupportedProcessor

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def asked(tmp_path: Path, *words: str) -> Settings:
    return config.compose([f"home={tmp_path / 'studies'}", *words])


def test_a_machine_that_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.doctor(asked(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in doctor.CHECKS]
    assert not (tmp_path / "studies").exists()


def test_what_is_to_be_done_makes_exit_code_7(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert doctor.doctor(asked(tmp_path)) == 7
    out = capsys.readouterr().out
    assert out.count("FIX ") == 1
    assert "set RAY_AUTH_MODE=token" in out


def test_the_program_says_it(tmp_path: Path) -> None:
    done = lstm(f"doctor tracking.uri=http://127.0.0.1:{free_port()} home=/proc/none", tmp_path, code=7)
    assert "FIX mlflow" in done.stdout
    assert "start it, or correct tracking.uri" in done.stdout
    assert "FIX disk" in done.stdout
    assert "home=DIR" in done.stdout


def token_file(tmp_path: Path, text: str, mode: int) -> Path:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [("abc", 0o644, "others can read"), ("abc", 0o640, "chmod 600"), (" \n", 0o600, "is empty"), ("abc", 0o600, "")],
)
def test_the_token_file(text: str, mode: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token_file(tmp_path, text, mode)))
    found = doctor.ray(asked(tmp_path))
    assert found.well is (not said)
    assert said in found.text


def test_ways_to_authenticate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = asked(tmp_path)
    assert "makes its own" in doctor.ray(settings).text
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "no token in" in doctor.ray(settings).text
    monkeypatch.setenv("RAY_AUTH_TOKEN", "abc")
    assert doctor.ray(settings).well
    monkeypatch.setenv("RAY_AUTH_MODE", "none")
    assert "takes token" in doctor.ray(settings).text
    monkeypatch.setattr(doctor, "version", lambda _: "2.58.1")
    assert "take 2.59 or newer" in doctor.ray(settings).text


def test_a_python_and_a_processor_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = asked(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (3, 10, 2, "final", 0))
        assert doctor.python(settings) == (False, "3.10.2: take Python 3.11 or newer")

    def refuse() -> int:
        raise UnsupportedProcessor("processor x: the kernels need AVX2")

    monkeypatch.setattr(doctor, "full_width", refuse)
    assert doctor.processor(settings) == (False, "processor x: the kernels need AVX2")


def test_a_cache_that_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "file" / "kernels"))
    found = doctor.cache(asked(tmp_path))
    assert not found.well
    assert "set LSTM_SEARCH_CACHE" in found.text


def test_a_cluster_is_checked_where_one_is_asked_for(tmp_path: Path) -> None:
    assert doctor.ray_cluster(asked(tmp_path)).well
    address = f"execute.address=127.0.0.1:{free_port()}"
    found = doctor.ray_cluster(asked(tmp_path, "execute=ray", address))
    assert not found.well
    assert "no Ray cluster answers" in found.text


def test_mlflow(tmp_path: Path) -> None:
    assert doctor.mlflow(asked(tmp_path, "tracking=none")) == (True, "tracking=none")
    assert doctor.mlflow(asked(tmp_path)).text.endswith("will be made by the first study")
    assert "MLFLOW_TRACKING_PASSWORD" in doctor._remedy("MLflow at http://lab: 401 You are not authenticated.")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**29))
    found = doctor.disk(asked(tmp_path))
    assert not found.well
    assert "0.5 GiB free" in found.text


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    settings = asked(tmp_path)
    settings.home.mkdir()
    record = settings.home / "x.sqlite"
    record.touch()
    assert doctor.clock(settings).well
    os.utime(record, (4e9, 4e9))
    assert "set the clock" in doctor.clock(settings).text
