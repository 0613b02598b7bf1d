"""Names and overrides that somebody chose to do harm: exit 2, one printable line, nothing started or written."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.refused import attempt

from lstm_search import config

pytestmark = pytest.mark.usefixtures("no_study")

HOSTILE_NAMES = [
    "'; DROP TABLE trials; --", '"; DELETE FROM trials', "a' OR '1'='1", "<script>alert(1)</script>", "<b>x</b>",
    "&amp;", "../up", "..", ".", "a/../../b", "/etc/passwd", "~/x", "a/b", "a\\b", "C:\\x", "nul\0byte", "new\nline",
    "tab\there", "car\rriage", "bell\a", "\x1b[31mred", "a" * 251, "a" * 101, "😀", "naïve", "名前",
    "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)",
    "${oc.env:HOME}", "${HOME}", "$(id)", "`id`", "a b", " a", "a ", "", "''", "-rf", "*", "?",
    "a;b", "a|b", "a&b", "%2e%2e", "a%00", "\u202eevil", "\ufeffbom", "\udcff", "[a]", "{a: b}", "a,b", "mlflow",
    "_hidden", "null,", "choice(a,b)",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_hostile_name_is_refused(name: str, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = attempt(["run", "table=9", f"study={name}"], capsys)
    assert code == 2
    assert message.removesuffix("\n").isprintable()
    assert list(empty.iterdir()) == []


def test_ordinary_names_are_taken(empty: Path) -> None:
    for name in ("a", "table-9", "Adding_T.500", "2026-01-31", "1e5", "0x10", "true", "'quoted'", "a" * 100):
        assert config.compose(["table=9", f"study={name}"]).definition.name == name.strip("'")
    assert list(empty.iterdir()) == []


CANARY = "canary"
HOSTILE_OVERRIDES = [
    "_target_=os.system", "+_target_=os.system", "task._target_=os.system", "+task._target_=os.system",
    "++task={_target_:os.system,_args_:[touch canary]}", "task={_target_:os.system,_args_:[touch canary]}",
    "network={_target_:os.system}", "training={rate:1}", "training.rate={_target_:os.system}",
    "+evil=1", "++evil=1", "~task", "~training.rate", "+training.rate=0.1", "hydra.run.dir=canary", "hydra=x",
    "hydra/launcher=x", "hydra/job_logging=canary", "+hydra.searchpath=[canary]", "hydra.searchpath=[file://canary]",
    "hydra.job_logging.handlers.x.class=os.system", "--config-dir=canary", "--config-path=canary", "-cd", "--multirun",
    "task@_global_=adding", "task@hydra=adding", "training.rate=${oc.env:HOME}", "training.rate='${oc.env:HOME}'",
    "study=${oc.decode:1}", "home=${oc.create:x}", "training.rate=${training.rate}", "home=a\nb", "home=a\0b",
    "task=../config", "task=/etc/passwd", "table=../table/table_9", "execute=../tracking/none", "search=grid@x",
    "stop.milestone=a/b", "stop.milestone='<b>'", "stop.milestone=\"x'y\"", "training.rate=!!python/object:os.system",
    "training.rate=" + "[" * 3000, "training.rate=" + "1," * 20_000, "=", "=1", ".=1", "training.=1", ".rate=1",
    "training..rate=1", "training.rate.x=1", "task.T.x=1", "training.rate=1_0_", "rows=[[6a]]", "rows={a:b}",
]  # fmt: skip


@pytest.mark.parametrize("override", HOSTILE_OVERRIDES, ids=lambda text: ascii(text)[:50])
def test_a_hostile_override_is_refused(override: str, empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = attempt(["plan", "table=9", override], capsys)
    assert code == 2
    assert len(message) < 25_000
    assert message.removesuffix("\n").isprintable()
    assert list(empty.iterdir()) == []
