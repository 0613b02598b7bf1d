"""What a killed driver, a second one, a full disk and a reader beside a writer do to a record: nothing."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from helpers.records import ROW_6A, ROW_6B, TABLE_9, batch, made_up, missing

from lstm_search.record import HomeUnwritable, Record, RecordFull, StudyLocked, delete_study
from lstm_search.spec import Trial


def write_until_killed(home: Path, pipe: Connection) -> None:
    with Record.open(home, TABLE_9) as record:
        pipe.send("open")
        left = missing(record, ROW_6A) + missing(record, ROW_6B)
        for first in range(0, len(left), 3):
            part = left[first : first + 3]
            record.add(batch(part))
            pipe.send([trial.key for trial in part])


@pytest.mark.parametrize("told", [0, 1, 2, 4, 7])
@pytest.mark.parametrize("delay", [0.0, 0.003])
def test_a_killed_writer_loses_nothing_and_leaves_no_half_batch(tmp_path: Path, told: int, delay: float) -> None:
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    writer = context.Process(target=write_until_killed, args=(tmp_path, sending))
    writer.start()
    assert receiving.recv() == "open"
    committed = [key for _ in range(told) for key in receiving.recv()]
    writer.join(delay)
    writer.kill()
    writer.join()
    with Record.read(tmp_path, "table_9") as record:
        seen = [trial.result.key for trials in record.trials().values() for trial in trials]
    with Record.open(tmp_path, TABLE_9) as record:
        kept = [trial.result.key for trials in record.trials().values() for trial in trials]
        assert kept == seen
        assert set(committed) <= set(kept)
        assert len(kept) % 3 == 0
        left = missing(record, ROW_6A) + missing(record, ROW_6B)
        assert len(kept) + len(left) == len({*kept, *(trial.key for trial in left)}) == 30
        record.add(batch(left))
        trials = record.trials()
    assert [trial.spec for trial in trials["6a"] + trials["6b"]] == ROW_6A.trials(7) + ROW_6B.trials(7)
    assert all(trial.result == replace(made_up(trial.spec), weights=b"") for trial in trials["6a"] + trials["6b"])
    assert sqlite3.connect(record.path).execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def die_while_committing(home: Path) -> None:
    with Record.open(home, TABLE_9) as record:
        record.add(batch(ROW_6A.trials(7)[:2]))
        record._db.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
        put = record._put_trial

        def put_then_die(trial: Trial, environment: int) -> bool:
            if trial.spec.replicate == 19:
                os.kill(os.getpid(), signal.SIGKILL)
            return put(trial, environment)

        record._put_trial = put_then_die
        record.add(Trial(asked, replace(made_up(asked), weights=bytes(50_000))) for asked in ROW_6A.trials(7)[2:])


def test_a_half_written_file_is_rolled_back_by_whoever_opens_it_first(tmp_path: Path) -> None:
    writer = get_context("fork").Process(target=die_while_committing, args=(tmp_path,))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert (tmp_path / "table_9.sqlite-journal").stat().st_size > 0
    with Record.read(tmp_path, "table_9") as record:
        assert [trial.spec.replicate for trial in record.trials()["6a"]] == [0, 1]
    with Record.open(tmp_path, TABLE_9) as record:
        assert len(missing(record, ROW_6A)) == 18
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table_9.lock", "table_9.sqlite"]


def test_a_second_driver_is_refused_and_told_who_holds_the_study(tmp_path: Path) -> None:
    script = (
        "import pickle, sys; from lstm_search.record import Record, StudyLocked\n"
        "try: Record.open(*pickle.load(sys.stdin.buffer))\nexcept StudyLocked as error: print(error)"
    )
    with Record.open(tmp_path, TABLE_9):
        with pytest.raises(StudyLocked, match=f"process {os.getpid()} on .*study=NAME"):
            Record.open(tmp_path, TABLE_9)
        other = subprocess.run(
            [sys.executable, "-c", script], input=pickle.dumps((tmp_path, TABLE_9)), capture_output=True, check=True
        )
        assert f"process {os.getpid()} on" in other.stdout.decode()
        with pytest.raises(StudyLocked):
            delete_study(tmp_path, "table_9")
        with Record.open(tmp_path, replace(TABLE_9, name="another")), Record.read(tmp_path, "table_9") as reader:
            assert missing(reader, ROW_6A) == ROW_6A.trials(7)
    Record.open(tmp_path, TABLE_9).close()


def hold(home: Path, pipe: Connection) -> None:
    with Record.open(home, TABLE_9):
        pipe.send("open")
        signal.pause()


def test_the_kernel_frees_the_lock_of_a_killed_driver(tmp_path: Path) -> None:
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    holder = context.Process(target=hold, args=(tmp_path, sending))
    holder.start()
    receiving.recv()
    with pytest.raises(StudyLocked, match=f"process {holder.pid} on"):
        Record.open(tmp_path, TABLE_9)
    holder.kill()
    holder.join()
    Record.open(tmp_path, TABLE_9).close()


@pytest.mark.parametrize("torn", ["", "process 12", "\0" * 100, "not a holder\n" * 3])
def test_a_torn_lock_file_locks_nobody_out(tmp_path: Path, torn: str) -> None:
    (tmp_path / "table_9.lock").write_text(torn)
    with Record.open(tmp_path, TABLE_9):
        assert (tmp_path / "table_9.lock").read_text().startswith(f"process {os.getpid()} on ")


def test_a_reader_sees_whole_batches_while_the_driver_writes(tmp_path: Path) -> None:
    with Record.open(tmp_path, TABLE_9) as record, Record.read(tmp_path, "table_9") as reader:
        for first in range(0, 20, 5):
            assert len(reader.trials()["6a"]) == first
            record.add(batch(ROW_6A.trials(7)[first : first + 5]))
        with pytest.raises(HomeUnwritable):
            reader.add(batch(ROW_6A.trials(7)[:1]))


def test_a_full_disk_stops_with_path_and_bytes_and_keeps_what_was_committed(tmp_path: Path) -> None:
    with Record.open(tmp_path, TABLE_9) as record:
        record.add(batch(ROW_6A.trials(7)[:2]))
        pages = record._db.execute("PRAGMA page_count").fetchone()[0]
        record._db.execute(f"PRAGMA max_page_count = {pages}")
        large = [Trial(asked, replace(made_up(asked), weights=bytes(100_000))) for asked in ROW_6A.trials(7)[2:]]
        with pytest.raises(RecordFull, match=rf"{record.path}: .*full; \d+ bytes are free"):
            record.add(large)
        record._db.execute("PRAGMA max_page_count = 1000000")
        assert record.add(large) == 18
    with Record.read(tmp_path, "table_9") as record:
        assert len(record.trials()["6a"]) == 20
