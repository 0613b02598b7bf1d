"""The C programs that the kernel is measured against train the same net on the same task as the naive twin."""

import shutil
import subprocess
import sys
from pathlib import Path

import naive
import numpy as np
import pytest

from lstm_search.networks import Lstm1997
from lstm_search.spec import Training

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
NETWORK = Lstm1997(blocks=2, size=2)

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="compiles C")


@pytest.fixture(scope="module", params=["scalar", "simd"])
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
