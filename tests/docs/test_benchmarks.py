"""The C programs that the kernel is measured against train the same net on the same task as the naive twin; the search
benchmark plays races of the trials that were recorded for it."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import naive

from lstm_search.networks import Lstm1997
from lstm_search.record import Record
from lstm_search.spec import Definition, Outcome, Training, Trial

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NETWORK = Lstm1997(blocks=2, size=2)

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="compiles C")


TIMED = (
    "bench",
    "cluster",
    "complexity",
    "overhead",
    "packs",
    "prompt",
    "proposers",
    "scale",
    "search",
    "short_trials",
    "variants",
)
"""Scripts that need nothing but what is installed here; the others compare with a GPU's or with other libraries."""


@pytest.mark.parametrize("name", TIMED)
def test_a_benchmark_starts(name: str) -> None:
    """Tests move, and what a script imports with them; nobody runs it for months."""
    command = [sys.executable, BENCHMARKS / f"{name}.py", "--help"]
    told = subprocess.run(command, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: ")


@pytest.fixture(scope="module", params=[pytest.param(name, marks=needs_gcc) for name in ("scalar", "simd")])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    binary = tmp_path_factory.mktemp("bench") / request.param
    source = BENCHMARKS / f"{request.param}.c"
    command = ["gcc", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror", source, "-o", binary, "-lm"]
    subprocess.run(command, check=True)
    return binary


def dump(program: Path, sequences: int, trial: int) -> list[np.ndarray]:
    printed = subprocess.run(
        [program, "--dump", str(sequences), str(trial)], check=True, capture_output=True, text=True
    )
    return [np.array(line.split(), dtype=float) for line in printed.stdout.splitlines()]


def weights(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """C keeps the same sources in the same order: inputs, cells, input gates, output gates, bias."""
    return line[:88].reshape(8, 11), line[88:].reshape(1, 5)


@pytest.mark.parametrize("trial", [0, 13])
def test_its_weights_are_those_of_the_twin(program: Path, trial: int) -> None:
    before, *lines, after = dump(program, 12, trial)
    sequences = [(line[1:].reshape(-1, 2), {len(line) // 2 - 1: line[:1]}) for line in lines]
    hidden, output, _ = naive.train(NETWORK, Training(rate=0.5), *weights(before), sequences)
    assert np.abs(hidden - weights(before)[0]).max() > 1e-3
    np.testing.assert_allclose(weights(after)[0], hidden, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weights(after)[1], output, rtol=0, atol=1e-12)


def test_its_sequences_obey_the_task(program: Path) -> None:
    _, *lines, _ = dump(program, 200, 3)
    lengths = [len(line) // 2 for line in lines]
    assert (min(lengths), max(lengths)) == (100, 110)
    for line in lines:
        value, marker = line[1:].reshape(-1, 2).T
        marked = np.flatnonzero(marker == 1)
        assert (marker[0], marker[-1]) == (-1, -1)
        assert np.abs(value).max() < 1
        assert len(marked) in (1, 2)
        assert marked[0] < 10 or len(marked) == 1
        assert marked[-1] < 50
        assert line[0] == pytest.approx(0.5 + value[marked].sum() / 4)


def test_the_peers_learn_the_same_task() -> None:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from adding import adding_data
    finally:
        sys.path.remove(str(BENCHMARKS))
    x, target = adding_data(np.random.default_rng(0), 300)
    assert set(np.unique(x[:, :, 1])) == {-1, 0, 1}
    np.testing.assert_allclose(target, 0.5 + np.where(x[:, :, 1] == 1, x[:, :, 0], 0).sum(axis=1) / 4)


@pytest.fixture(scope="module")
def search() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("search")


def test_its_trials_are_a_hundred_of_each_cell_of_the_space(search: ModuleType) -> None:
    codes = search.recorded_codes()
    assert [row.name for row in search.field_of(codes)] == list(codes)
    assert [len(trials) for trials in codes.values()] == 24 * [100]
    assert {-code for trials in codes.values() for code in trials if code < 0} == {370_000}
    assert max(code for trials in codes.values() for code in trials) <= 370_000
    best = min(codes, key=lambda name: search.running_time(codes[name]))
    assert best == "T100 rate=0.5 recurrent=none cell_bias=none output=linear"


def test_a_study_is_recorded_as_what_searches_look_at(search: ModuleType, tmp_path: Path) -> None:
    (row,) = search.rows("table=7", "rows=T100", "replicates=3")
    results = [search.result(row, code) for code in (34_561, -row.cap)]
    diverged = replace(search.result(row, -12), outcome=Outcome.DIVERGED)  # censored: it would never have solved
    with Record.open(tmp_path, Definition("some", 7, (row,))) as record:
        ended = zip(row.trials(7), [*results, diverged], strict=True)
        record.add(Trial(spec, replace(result, key=spec.key)) for spec, result in ended)
    assert search.record(tmp_path, "some") == f"{row.name},34561,-{row.cap},-{row.cap}\n"


def test_a_race_on_recorded_trials_takes_fewer_than_the_grid_and_picks_as_well(search: ModuleType) -> None:
    codes = search.recorded_codes()
    field = search.field_of(codes)
    first = search.repetition(field, codes, seed=0)
    assert first == search.repetition(field, codes, seed=0)
    assert first != search.repetition(field, codes, seed=1)
    assert 24 * 5 < first.trials < 24 * 30
    assert first.sequences < first.grid_sequences
    assert first.picked == first.grid_picked == "T100 rate=0.5 recurrent=none cell_bias=none output=linear"
    assert first.picked not in first.dropped
    assert {row.name for row in field if row.name.endswith("logistic")} <= first.dropped


def test_what_it_prints_counts_repetitions(search: ModuleType) -> None:
    printed = "\n".join(search.simulated(2))
    assert "| trials of the grid | 720 | 360 |" in printed
    assert "| the race picks the best cell | 2 of 2 [15.8 to 100.0 %] | 2 of 2 [15.8 to 100.0 %] |" in printed
    assert "of 24 cells are" in printed


def test_later_forms_of_a_net_differ_from_it_in_their_gates_alone() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        variants = importlib.import_module("variants")
    cells = variants.cells_of(variants.ROWS["adding, T = 100"])
    weights = {form: cell.network.n_weights(2, 1) for form, cell in cells.items()}
    assert weights == {
        "1997": 93,
        "forget gates": 135,
        "forget gates, peepholes": 147,
        "coupled": 93,
        "peepholes": 101,
        "1997, full gradient": 93,
        "forget gates, full gradient": 135,
    }
    assert {cell.network.input_gate_bias for cell in cells.values()} == {(-3.0, -6.0)}
