"""Nothing is lost and nothing counts twice, whatever happens to the driver, its workers, or the definition."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fakes import NO_MEMORY, RAISES, FakeTrainer
from helpers.program import ALONE, NAME, QUICK, family, lstm, processes, recorded, running
from helpers.waiting import PATIENCE, until

from lstm_search import config, study
from lstm_search.config.composition import Settings
from lstm_search.execute import executor as execute
from lstm_search.record import DefinitionChanged, Record
from lstm_search.report.table import canonical_hash
from lstm_search.search import Search
from lstm_search.spec import Outcome, TrialSpec
from lstm_search.study import Ended, Moment, Publishing
from lstm_search.tracking import StudyView, Tracker
from lstm_search.worker.trial import Progress, Worker

pytestmark = pytest.mark.usefixtures("kernels")


class Counting(Worker):
    """A real worker that remembers what it was asked to train."""

    asked: list[str] = []  # noqa: RUF012  (emptied by the fixture below)

    def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
        self.asked += [spec.key for spec in new]
        return super().advance(new, seconds)


@pytest.fixture(autouse=True)
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were trained in this process, once for each time."""
    Counting.asked = []
    monkeypatch.setattr(execute, "Worker", Counting)
    return Counting.asked


def settings(words: str = "") -> Settings:
    return config.compose([*QUICK.split(), *ALONE.split(), f"study={NAME}", *words.split()])


def run(home: Path, words: str = "", **more: Any) -> Ended:
    asked = settings(words)
    return study.run(asked.definition, home, asked.execute, space=asked.space, search=asked.search, **more)


def hash_of(home: Path, words: str = "") -> str:
    asked = settings(words).definition
    with Record.read(home, asked.name) as record:
        record.narrow(asked)
        return canonical_hash(record.trials())


def nothing_starts(*_: object, **__: object) -> None:
    pytest.fail("an executor was opened")


# The same command again, a grown one, a smaller one, another one


def test_the_same_command_again_starts_nothing(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, "replicates=6")
    assert (first.outcomes[NAME], first.left, first.published) == ({Outcome.SOLVED: 6}, 0, True)
    assert len(trained) == len(set(trained)) == 6
    before = recorded(tmp_path)
    monkeypatch.setattr(study, "open_executor", nothing_starts)
    monkeypatch.setattr(Record, "known", lambda _, rows: iter(()) if not rows else pytest.fail("trials were read"))
    assert run(tmp_path, "replicates=6") == first
    assert recorded(tmp_path) == before


def test_more_replicates_and_a_larger_grid_train_only_what_is_new(tmp_path: Path, trained: list[str]) -> None:
    run(tmp_path, "replicates=3")
    before = recorded(tmp_path)
    run(tmp_path, "replicates=5")
    run(tmp_path, "replicates=5 training.rate=0.5,1")
    assert len(trained) == len(set(trained)) == 3 + 2 + 5
    assert set(trained) == set(recorded(tmp_path))
    assert before.items() <= recorded(tmp_path).items()


def test_fewer_replicates_and_rows_only_filter(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = "replicates=4 training.rate=0.5,1"
    run(tmp_path, both)
    monkeypatch.setattr(study, "open_executor", nothing_starts)
    assert {name: counts.total() for name, counts in run(tmp_path, f"{both} replicates=2").outcomes.items()} == {
        "rate=0.5": 2,
        "rate=1": 2,
    }
    assert len(trained) == len(recorded(tmp_path)) == 8
    with Record.read(tmp_path, NAME) as record:
        assert [row.replicates for row in record.definition().rows] == [4, 4]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("training.rate=0.4", "training.rate was 0.5, is 0.4"),
        ("task.T=12 network.blocks=3", "task.T was 10, is 12; row temporal_order_6a: network.blocks was 2, is 3"),
        ("seed=1998", "seed was 1997, is 1998"),
    ],
)
def test_a_changed_study_is_refused_with_the_differences(
    change: str, difference: str, tmp_path: Path, trained: list[str]
) -> None:
    run(tmp_path, "replicates=2")
    before = recorded(tmp_path)
    with pytest.raises(DefinitionChanged, match="another definition") as caught:
        run(tmp_path, f"replicates=3 {change}")
    assert difference in str(caught.value)
    assert recorded(tmp_path) == before
    assert len(trained) == 2


def test_a_study_of_another_numerics_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "replicates=1")
    monkeypatch.setattr("lstm_search.spec.NUMERICS_VERSION", 99)
    with pytest.raises(DefinitionChanged, match="numerics version was 1, is 99"):
        run(tmp_path, "replicates=2")


# The same bits

MOST = "replicates=400"
MANY = "replicates=250"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, kernels: None) -> Path:
    """The home of a study of `MOST` replicates that nothing disturbed: it has all of those of smaller studies too."""
    del kernels
    home = tmp_path_factory.mktemp("undisturbed")
    run(home, MOST)
    return home


@pytest.mark.parametrize("words", ["execute.width=4", "execute.width=8", "execute.slice_seconds=0.01"])
def test_packing_moves_no_result(words: str, tmp_path: Path, undisturbed: Path) -> None:
    run(tmp_path, f"replicates=20 {words}")
    assert hash_of(tmp_path, "replicates=20") == hash_of(undisturbed, "replicates=20")


def test_neither_order_nor_company_moves_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = "replicates=20 training.rate=0.5,1"
    run(tmp_path / "a", grid)
    for count in (1, 2, 7, 20):
        run(tmp_path / "b", f"replicates={count}")
    shuffled = random.Random(1)
    ask = Search.ask

    def in_any_order(search: Search, count: int) -> list[TrialSpec]:
        trials = ask(search, count)
        return shuffled.sample(trials, len(trials))

    monkeypatch.setattr(Search, "ask", in_any_order)
    run(tmp_path / "b", grid)
    assert hash_of(tmp_path / "a", grid) == hash_of(tmp_path / "b", grid)


# Kills


def drive(home: Path) -> None:
    """Train nearly all, and then wait to be killed."""

    def hold(moment: Moment) -> None:
        if moment.outcomes[NAME].total() > 220:
            signal.pause()

    study.SLICE = 0.0  # of the forked process: it looks at every step
    run(home, f"{MANY} execute.slice_seconds=0.01", watch=hold)


def test_a_driver_killed_at_twenty_points_trains_the_rest_and_nothing_else(
    tmp_path: Path, undisturbed: Path, trained: list[str]
) -> None:
    chance = random.Random(1997)
    before: dict[str, str] = {}
    for point in sorted(chance.sample(range(200), 20)):
        driver = get_context("fork").Process(target=drive, args=(tmp_path,))
        driver.start()
        until(lambda: len(recorded(tmp_path)) >= point or not driver.is_alive())  # noqa: B023  (called at once)
        driver.join(chance.uniform(0, 0.02))
        driver.kill()
        driver.join()
        now = kept(tmp_path)
        assert len(now) >= point
        assert before.items() <= now.items()
        before = now
    assert not trained
    run(tmp_path, MANY)
    assert len(trained) == len(set(trained)) == 250 - len(before) > 0
    assert not set(trained) & set(before)
    assert hash_of(tmp_path, MANY) == hash_of(undisturbed, MANY)


def kept(home: Path) -> dict[str, str]:
    """What a killed driver had recorded; what it was just committing is rolled back first."""
    with Record.read(home, NAME):
        return recorded(home)


def ray_workers(driver: int) -> list[int]:
    return [pid for pid, command in family(driver).items() if command.startswith("ray::_Host")]


def short_folder() -> TemporaryDirectory[str]:
    """For what a killed driver's Ray cannot clear away; its sockets need a short path."""
    return TemporaryDirectory(prefix="t-", dir="/tmp", ignore_cleanup_errors=True)


def test_a_killed_ray_worker_and_then_a_killed_driver_change_nothing(tmp_path: Path, undisturbed: Path) -> None:
    line = f"run {QUICK} {MOST} tracking=none home={tmp_path} execute.slice_seconds=0.01"
    with short_folder() as folder, running(f"{line} execute.workers=2", tmp_path, TMPDIR=folder) as process:
        until(lambda: len(recorded(tmp_path)) >= 20)
        worker = random.Random(1).choice(ray_workers(process.pid))
        os.kill(worker, signal.SIGKILL)
        until(lambda: len(recorded(tmp_path)) >= 80 and worker not in processes())
        left_behind = {pid for pid, command in family(process.pid).items() if "Agent" not in command}
        process.kill()
        process.wait()
    before = kept(tmp_path)
    assert 80 <= len(before) < 400
    assert len(left_behind) > 3
    until(lambda: not processes().keys() & left_behind, pause=0.5)  # Ray's two agents take a minute to give up
    done = lstm(f"{line} execute.workers=1", tmp_path)
    assert done.stdout.startswith(f"{NAME}\n\n| row")
    assert "400/400" in done.stdout
    assert before.items() <= recorded(tmp_path).items()
    assert hash_of(tmp_path, MOST) == hash_of(undisturbed, MOST)


def test_a_dead_cluster_ends_the_run_in_words(tmp_path: Path) -> None:
    line = f"run task=adding replicates=4 tracking=none home={tmp_path} execute.workers=1"
    with short_folder() as folder, running(line, tmp_path, TMPDIR=folder) as process:
        until(lambda: ray_workers(process.pid), pause=0.3)
        (raylet,) = [pid for pid, command in family(process.pid).items() if "/raylet/raylet " in command]
        os.kill(raylet, signal.SIGKILL)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 8
    assert "no node of the Ray cluster is alive any more; the same command trains the rest" in told


# Budget, failures, retries


def test_a_spent_budget_leaves_the_rest_for_the_next_time(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hour is over with the first trials that are recorded."""
    words = "replicates=80 execute.slice_seconds=0.01"
    with monkeypatch.context() as patch:
        patch.setattr(study, "time", SimpleNamespace(monotonic=lambda: 3600.0 if recorded(tmp_path) else 0.0))
        ended = run(tmp_path, words, hours=1)
    done = ended.outcomes[NAME].total()
    assert 0 < done < 80
    assert ended.left == 80 - done
    trained.clear()
    ended = run(tmp_path, words)
    assert (ended.outcomes[NAME].total(), ended.left) == (80, 0)
    assert len(trained) == 80 - done


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Trials that behave as their cap says; called with another behaviour, all behave so."""
    chosen: list[int] = []

    class Fake(FakeTrainer):
        def advance(self, new: Sequence[TrialSpec], seconds: float) -> Progress:
            return super().advance([replace(spec, cap=chosen[-1]) if chosen else spec for spec in new], seconds)

    monkeypatch.setattr(execute, "Worker", lambda width, _device: Fake(lanes=width or 4, seconds=0.001))
    monkeypatch.setattr(study, "warm", lambda *_: None)
    return chosen.append


@pytest.mark.usefixtures("fakes")
def test_trials_that_raise_fail_once_and_are_told(tmp_path: Path) -> None:
    ended = run(tmp_path, f"replicates=3 cap={RAISES}")
    assert ended.outcomes[NAME] == {Outcome.FAILED: 3}
    assert ended.broken == 1.0
    with Record.read(tmp_path, NAME) as record:
        (trials,) = record.trials().values()
    assert all("ZeroDivisionError: replicate" in trial.result.error and trial.attempts == 1 for trial in trials)


def test_broken_trials_are_repeated_only_when_asked_for(tmp_path: Path, fakes: Callable[[int], None]) -> None:
    words = f"replicates=3 cap={NO_MEMORY}"
    ended = run(tmp_path, words)
    assert ended.outcomes[NAME] == {Outcome.OOM: 3}
    fakes(1)
    assert run(tmp_path, words) == ended
    assert run(tmp_path, words, retry=["lost"]) == ended
    ended = run(tmp_path, words, retry=["lost", "oom"])
    assert (ended.outcomes[NAME].total(), ended.broken) == (3, 0.0)
    with Record.read(tmp_path, NAME) as record:
        archived = record._query("SELECT outcome, attempts, reason FROM archive")
    assert list(map(tuple, archived)) == [("OOM", 3, "retried")] * 3


def test_lost_attempts_count_across_resumes(tmp_path: Path, trained: list[str]) -> None:
    asked = settings("replicates=2").definition
    poison, innocent = asked.rows[0].trials(asked.seed)
    with Record.open(tmp_path, asked) as record:
        for _ in range(3):
            record.attempt(poison.key, "LOST: the worker died")
    assert run(tmp_path, "replicates=2").outcomes[NAME] == {Outcome.LOST: 1, Outcome.SOLVED: 1}
    assert trained == [innocent.key]
    assert run(tmp_path, "replicates=2", retry=["lost"]).outcomes[NAME] == {Outcome.SOLVED: 2}
    assert trained == [innocent.key, poison.key]


# Whoever watches


def test_who_watches_sees_the_study_grow_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SLICE", 0.0)
    seen: list[Moment] = []
    run(tmp_path, "replicates=40 execute.slice_seconds=0.01", watch=seen.append)
    totals = [moment.outcomes[NAME].total() for moment in seen]
    assert totals == sorted(totals)
    assert totals[0] < totals[-1] == 40
    assert any(moment.running[NAME] for moment in seen[:-1])
    assert not seen[-1].running


class FakeBackground:
    """Stands for the thread that publishes."""

    made: list[FakeBackground] = []  # noqa: RUF012  (emptied by the test)
    error = "no server answers"

    def __init__(self, _: object, snapshot: Callable[[], StudyView], *__: object) -> None:
        self.notes, self.waits, self.statuses = 0, list[float](), list[tuple[str, str]]()
        self.snapshot = snapshot
        self.made.append(self)

    def notify(self) -> None:
        self.notes += 1

    def close(self, wait: float, status: str, _tell: object = None) -> bool:
        self.waits.append(wait)
        self.statuses.append((status, self.snapshot().status))
        return False


def test_the_study_is_published_however_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(moment: Moment) -> None:
        if moment.outcomes[NAME].total():
            raise KeyboardInterrupt

    FakeBackground.made = []
    monkeypatch.setattr(study, "BackgroundTracker", FakeBackground)
    monkeypatch.setattr(study, "SLICE", 0.0)
    publishing = Publishing(Tracker(None, tmp_path), 7.5, print)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "replicates=40 execute.slice_seconds=0.01", publishing=publishing, watch=interrupt)
    assert 0 < len(recorded(tmp_path)) < 40
    assert not run(tmp_path, "replicates=40", publishing=publishing).published
    interrupted, finished = FakeBackground.made
    assert (interrupted.waits, finished.waits) == ([3], [7.5])
    assert (interrupted.statuses, finished.statuses) == ([("KILLED", "KILLED")], [("FINISHED", "FINISHED")])
    assert min(interrupted.notes, finished.notes) >= 2
