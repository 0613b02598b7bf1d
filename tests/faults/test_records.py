"""A record whose file is damaged at seeded places, or copied while it is written: what was changed is found, and the
rest is as it was written."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.faults import Held, Line, drawn, scaled, tell
from helpers.records import ROW_6A, TABLE_9, batch, whole

from lstm_search.record import Record, findings, rescued
from lstm_search.spec import Trial

TIMES = scaled(1000, 100)
NAME = TABLE_9.name
SAID = "found to be damaged, or as it was written"


def flipped(content: bytes) -> Iterator[bytes]:
    """The file with one other bit, at a place that is drawn."""
    random = drawn("bits")
    while True:
        changed = bytearray(content)
        changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
        yield bytes(changed)


def cut(content: bytes) -> Iterator[bytes]:
    """The file cut short, at a place that is drawn."""
    random = drawn("cuts")
    while True:
        yield content[: random.randrange(len(content))]


def bare(trial: Trial) -> Trial:
    """Without what no digest is made of: the words of an error, and the form in which weights are kept."""
    return replace(trial, result=replace(trial.result, weights=b"", error=""))


def honest(home: Path, written: Mapping[str, Trial]) -> bool:
    """Whether what is taken for whole is what was written, and it is said where something is not."""
    try:
        damaged, kept = findings(home, NAME), rescued(home, NAME).trials
    except ValueError as error:
        return "is no record" in str(error) or "has format" in str(error)
    if any(bare(trial) != bare(written[trial.result.key]) for trial in kept):
        return False
    return bool(damaged) or len(kept) == len(written)


@pytest.mark.parametrize(("what", "damage"), [("one bit flipped", flipped), ("cut short", cut)])
def test_a_damaged_file(what: str, damage: Callable[[bytes], Iterator[bytes]], tmp_path: Path, held: Held) -> None:
    written = {trial.result.key: trial for trial in whole(tmp_path)}
    path = tmp_path / f"{NAME}.sqlite"
    assert (findings(tmp_path, NAME), len(rescued(tmp_path, NAME).trials)) == ([], len(written))
    files = damage(path.read_bytes())
    fair = 0
    for n in range(TIMES):
        path.write_bytes(next(files))
        fair += (good := honest(tmp_path, written))
        if not good:
            tell(f"{what}, file {n}")
    held(Line(f"a record's file, {what}", TIMES, len(written), 0, 0, 0, fair, TIMES, SAID), 0)


def test_a_file_that_is_copied_while_it_is_written(tmp_path: Path, held: Held) -> None:
    """A copy that fell into a commit is found to be damaged, or is one of the states that there were."""
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    row = replace(ROW_6A, replicates=scaled(2000, 200))
    trials = batch(row.trials(TABLE_9.seed))

    def write() -> None:
        with Record.open(here, replace(TABLE_9, rows=(row,))) as record:
            for first in range(0, len(trials), 10):
                record.add(trials[first : first + 10])

    writer = threading.Thread(target=write)
    writer.start()
    copies = fair = 0
    written = {trial.result.key: trial for trial in trials}
    while writer.is_alive():
        with suppress(FileNotFoundError):
            shutil.copyfile(here / f"{NAME}.sqlite", there / f"{NAME}.sqlite")
            copies, fair = copies + 1, fair + state(there, written)
    writer.join()
    assert copies, "no copy was made"
    with Record.read(here, NAME) as record:
        lost = len(trials) - len(record.trials()["6a"])
    held(Line("a record copied while it is written", copies, len(trials), lost, 0, 0, fair, copies, SAID), 0)


def state(home: Path, written: Mapping[str, Trial]) -> bool:
    """Whether a copy is found to be damaged, or holds whole batches as they were written."""
    with suppress(ValueError):
        if any("weights" not in finding for finding in findings(home, NAME)):  # these are made up
            return True
        with Record.read(home, NAME) as record:
            found = record.trials()["6a"]
        return len(found) % 10 == 0 and all(trial == bare(written[trial.result.key]) for trial in found)
    return True
