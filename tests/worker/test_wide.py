"""A wide pack on a stand-in for a GPU: the same kernels, thread after thread, give the same bits as packs on a core."""

from dataclasses import replace

import pytest
from helpers.packs import Results, by_key, one_by_one
from helpers.threads import Threads

from lstm_search.networks import Elman, Lstm1997
from lstm_search.spec import Cell, Stop, Training, TrialSpec
from lstm_search.tasks import Adding, EmbeddedReber, LongLag, TwoSequence
from lstm_search.worker import refuse, shape_of
from lstm_search.worker.wide import WidePack

NET = Lstm1997(input_gate_bias=(-2.0, -4.0))
EASY = Stop("easy", 0.5, window=30, max_wrong=8, mean_error=0.5, test_sequences=20)
HARD = Stop("solved", 0.04, window=40, max_wrong=1, mean_error=0.01, test_sequences=10)
CHECKED = replace(HARD, correct="ranked", mean_error=None, check_every=40, window=512, max_wrong=500)
DIRECT = replace(NET, input_gate_bias=(), direct=True, output_gates=False, growth="plateau", growth_window=8)
CODED = Training(0.8, targets=(0.1, 0.9), margin=0.05, slope_added=0.1)
CELLS = {  # cell, cap; a kernel each is compiled anew, and `make bench-gpu` compares every row
    "adding": (Cell(Adding(20), replace(NET, output="linear"), Training(0.5), (EASY, HARD)), 150),
    "embedded Reber": (Cell(EmbeddedReber(), Lstm1997(blocks=1, hidden=1), Training(0.4), (CHECKED,)), 130),
    "two-sequence": (Cell(TwoSequence(), NET, Training(0.5), (EASY, HARD)), 60),
    "2a": (Cell(LongLag(p=10), DIRECT, CODED, (replace(EASY, judged="last", tolerance=0.25),)), 90),
}  # fmt: skip


def trials(cell: Cell, cap: int, count: int = 64) -> list[TrialSpec]:
    """Some trials end long before the others."""
    return [TrialSpec(cell, i, 1997, cap - i % 5 * (cap // 8)) for i in range(count)]


def widely(specs: list[TrialSpec], width: int, device: Threads) -> Results:
    pack, waiting, found = WidePack(shape_of(specs[0].cell), width, device), list(specs), []
    assert pack.width == width
    while len(found) < len(specs):
        while waiting and pack.free:
            pack.add(waiting.pop())
        found += pack.advance()
        assert set(pack.sequences()) <= {spec.key for spec in specs} - {result.key for result in found}
    assert pack.free == width
    return by_key(found)


@pytest.mark.parametrize("name", CELLS)
def test_the_same_bits_as_on_a_core(name: str) -> None:
    cell, cap = CELLS[name]
    specs = trials(cell, cap)
    found = widely(specs, width=32, device=Threads())  # half the trials: lanes are refilled
    expected = one_by_one(specs)
    assert found == expected
    assert len({result.weights_sha256 for result in found.values()}) == len(specs)


@pytest.mark.parametrize(("held", "shared"), [(96, 224), (0, 200), (96, 0)])
def test_what_a_thread_keeps_close_moves_no_bit(held: int, shared: int) -> None:
    cell, cap = CELLS["adding"]
    specs = trials(cell, cap)[:32]
    assert widely(specs, 32, Threads(held=held, shared=shared)) == one_by_one(specs)


def test_a_pack_is_as_wide_as_memory_allows() -> None:
    shape = shape_of(CELLS["2a"][0])
    assert WidePack(shape, 65_536, Threads(free=1 << 24)).width in range(64, 1024, 32)


@pytest.mark.parametrize(
    ("cell", "named"),
    [
        (Cell(EmbeddedReber(), Elman(), Training(0.5), (CHECKED,)), "network=elman: a GPU takes network=lstm1997"),
        (Cell(Adding(20), replace(NET, gradient="full"), Training(0.5), (HARD,)), "network.gradient=full: a GPU takes"),
        (Cell(Adding(20), NET, Training(0.5, optimizer="adam"), (HARD,)), "training.optimizer=adam: a GPU takes"),
    ],
)
def test_what_would_not_have_the_same_bits_is_refused(cell: Cell, named: str) -> None:
    refuse([CELLS["adding"][0]])
    with pytest.raises(ValueError, match=named):
        refuse([CELLS["adding"][0], cell])
