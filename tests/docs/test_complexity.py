"""Memory as nets and sequences grow, as benchmarks/complexity.py has it; times are left to the benchmark."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from lstm_search.worker.shape import shape_of

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "complexity.py"))


def held(kind: str, units: int, length: int = 20) -> int:
    """Bytes of one trial's arrays."""
    cell = SCRIPT["cell"](kind, units, length)
    shape, kernels = shape_of(cell), cell.network.kernels
    return sum(array.nbytes for array in kernels.lanes_last(kernels.new_state(8, shape.variant, 1))) // 8


def test_the_exponent_of_a_power_is_found() -> None:
    assert SCRIPT["slope"]([1.0, 2.0, 4.0, 8.0], [9.0, 3.0, 48.0, 768.0]) == pytest.approx(4)


@pytest.mark.parametrize(("kind", "power"), [("LSTM", 2), ("RTRL", 3)])
def test_memory_grows_with_units_as_the_method_says(kind: str, power: int) -> None:
    """Twice the units: LSTM keeps a few numbers a weight, RTRL one for every unit and weight."""
    ratio = held(kind, 96 if kind == "LSTM" else 48) / held(kind, 48 if kind == "LSTM" else 24)
    assert ratio == pytest.approx(2**power, rel=0.12)


def test_only_unrolling_takes_memory_by_the_length_of_sequences() -> None:
    assert held("LSTM", 12, 800) == held("LSTM", 12, 25)
    assert held("RTRL", 12, 800) == held("RTRL", 12, 25)
    assert held("BPTT", 12, 800) - held("BPTT", 12, 400) == pytest.approx(
        2 * (held("BPTT", 12, 400) - held("BPTT", 12, 200)), rel=0.01
    )
