"""Cells that Optuna proposes: better ones than random draws, values of every kind, and nothing imported before it."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from lstm_search import config
from lstm_search.execute import Response, Simulated
from lstm_search.networks import Lstm1997
from lstm_search.search import PROPOSERS, Numbers, Search, SearchSettings, Span, loss_of
from lstm_search.spec import Cell, Trial

AXES: dict[str, Any] = {
    "rate": Numbers(Span("rate", 0.01, 10, log=True), whole=False),
    "blocks": Numbers(Span("blocks", 1, 8), whole=True),
    "output": ["logistic", "linear"],
    "scale": [0.5, 1, 2],
}


def loss(point: tuple[Any, ...]) -> tuple[float, ...]:
    """Best at rate 1, 4 blocks, a linear output and half the error."""
    rate, blocks, output, scale = point
    far = math.log(rate) ** 2 + (blocks - 4) ** 2 / 4 + (output != "linear") + abs(math.log2(scale) + 1)
    return (1000 * math.exp(far), -1.0)


def best(kind: str, cells: int, seed: int) -> float:
    proposer = PROPOSERS[kind](AXES, SearchSettings("random", cells=cells), seed)
    found = []
    while (point := proposer.propose()) is not None:
        found.append(loss(point))
        proposer.tell(point, found[-1])
    assert len(found) == cells
    return min(found)[0]


def test_it_finds_better_cells_than_as_many_random_ones() -> None:
    pairs = [(best("tpe", 60, seed), best("random", 60, seed)) for seed in range(5)]
    assert sum(tpe < random for tpe, random in pairs) >= 4


def test_values_are_of_their_kinds_and_numbers_are_short() -> None:
    proposer = PROPOSERS["tpe"](AXES, SearchSettings("random", cells=40), 1)
    for _ in range(40):
        rate, blocks, output, scale = proposer.propose() or ()
        assert 0.01 <= rate <= 10
        assert float(f"{rate:.4g}") == rate
        assert blocks in range(1, 9)
        assert isinstance(blocks, int)
        assert output in AXES["output"]
        assert scale in AXES["scale"]


def test_points_that_run_are_not_proposed_again_and_need_no_result() -> None:
    proposer = PROPOSERS["tpe"]({"output": ["a", "b"], "scale": [1, 2, 3]}, SearchSettings("random", cells=6), 1)
    points = [proposer.propose() for _ in range(7)]
    assert len(set(points)) == 7
    assert points[6] is None
    short = PROPOSERS["tpe"]({"output": ["a", "b"], "scale": [1, 2, 3]}, SearchSettings("random", cells=7), 1)
    assert len({short.propose() for _ in range(6)}) == 6
    with pytest.raises(ValueError, match="the space has 6 cells"):
        short.propose()


def test_what_an_earlier_run_met_is_known() -> None:
    first = PROPOSERS["tpe"](AXES, SearchSettings("random", cells=30), 1)
    known = {}
    for _ in range(20):
        point = first.propose()
        assert point is not None
        known[point] = loss(point)
        first.tell(point, known[point])
    again = PROPOSERS["tpe"](AXES, SearchSettings("random", cells=30), 1)
    for point, value in known.items():
        again.meet(point)
        again.tell(point, value)
    assert again.left == 10
    rest = [again.propose() for _ in range(10)]
    assert len({*rest, *known}) == 30
    assert min(loss(point) for point in rest if point) < sorted(known.values())[10], "it goes on where it is good"


def test_cells_without_a_success_are_ranked_by_what_they_spent() -> None:
    from lstm_search.search.tpe import _one_number

    losses = [(900.0, -1.0), (5000.0, -0.2), (math.inf, 3000.0), (math.inf, 9000.0)]
    numbers = [_one_number(one) for one in losses]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 4


@pytest.mark.parametrize("words", ["task=adding", "task=adding search=random search.cells=3 training.rate=0.1,0.5,1,2"])
def test_optuna_is_imported_only_where_it_is_used(words: str) -> None:
    code = (
        f"import sys; from lstm_search import config; config.compose({words.split()!r}).rows_ahead();"
        "print('optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("task=adding search=tpe", "nothing to draw from"),
        ("task=adding search=grid search.proposer=tpe training.rate=0.1,0.5", r"search\.cells=null.* search\.cells=40"),
        ("task=adding search=tpe training.rate=0.1,0.5", r"search\.cells=40: the space has 2 cells"),
    ],
)
def test_a_space_with_nothing_to_propose_is_refused(words: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        config.compose(words.split())


LEARNER = (
    *("training.rate=tag(log,interval(0.1,1))", "network.init=tag(log,interval(0.01,0.1))"),
    *("network.blocks=interval(1,9)", "network.size=interval(1,9)"),
)
GRID = ("training.rate=0.1,1", "network.init=0.01,0.1", "network.blocks=1,5,9", "network.size=1,5,9")
"""36 cells, the ends of each axis among them."""


def thirds(cell: Cell) -> Response:
    """Each setting is right from 2 to 4.3 of its decade. One that is wrong leaves 40 % of the successes and takes 1.5
    times the sequences; where all are right, which is one cell in 80, nine trials of ten succeed."""
    assert isinstance(cell.network, Lstm1997)
    numbers = 10 * cell.training.rate, 100 * cell.network.init, cell.network.blocks, cell.network.size
    wrong = sum(not 2 <= number < 4.3 for number in numbers)
    return Response(0.9 * 0.4**wrong, 20_000 * 1.5**wrong)


def solved(seed: int, *words: str) -> float:
    """The share of its trials that a cell solves: the one that a race of simulated trials ends with."""
    biases = "network.input_gate_bias=[]", "network.output_gate_bias=[]"
    settings = config.compose(["task=adding", *biases, "search.allocator=race", *words])
    search, simulated = Search(settings.space, settings.search, seed), Simulated(thirds, 8)
    trials: dict[str, list[Trial]] = {}
    while search.remaining or simulated.pending:
        simulated.submit(search.ask(simulated.room))
        finished = simulated.gather(0.0)
        search.tell(finished)
        names = search.names(one.spec for one in finished)
        for trial in finished:
            trials.setdefault(names[trial.spec.key], []).append(trial)
    staying = [one for one in search.candidates() if not one.left]
    best = min(staying, key=lambda one: loss_of(settings.search, one, trials))
    return thirds(best.rows[0].cell).solved


def test_it_solves_a_space_that_a_grid_of_as_many_cells_does_not() -> None:
    assert solved(1, "search=grid", *GRID) <= 0.9 * 0.4**3
    assert solved(1, "search=tpe", "search.cells=36", *LEARNER) == 0.9
