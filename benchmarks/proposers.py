"""TPE with a race beside random draws with a race, on three spaces of simulated trials: the expected running time of
the cell that each ends with, by its response surface, and the trials that it took. Time of a call by number of cells.

python benchmarks/proposers.py [--repetitions 10] [--cells 80] [--first 1]
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import median
from typing import NamedTuple

from lstm_search import config
from lstm_search.execute import SURFACES, Response, Simulated, Surface
from lstm_search.networks import Lstm1997
from lstm_search.search import Search, loss_of
from lstm_search.spec import Cell, Trial

RATE, INIT = "training.rate=tag(log,interval(0.02,5))", "network.init=tag(log,interval(0.01,1))"


def needle(cell: Cell) -> Response:
    """Six settings, each right in a third of its values: one cell in 729 is good. Each that is wrong leaves 40 % of the
    successes and takes 1.5 times the sequences."""
    network, training = cell.network, cell.training
    assert isinstance(network, Lstm1997)  # noqa: S101  # the default
    numbers = (training.rate, 10 * network.init, network.blocks, network.size)
    right = [2 <= 10 ** (math.log10(number) % 1) < 4.3 for number in numbers]
    wrong = 6 - sum(right) - (network.recurrent == "cells") - (training.error_scale == 0.5)
    return Response(0.9 * 0.4**wrong, 20_000 * 1.5**wrong)


SPACES: dict[str, tuple[Surface, tuple[str, ...]]] = {
    "adding T=100, 4 axes": (
        SURFACES["smooth"],
        (
            "task=adding",
            RATE,
            INIT,
            "network.input_gate_bias=[-5,-9],[-3,-6],[-1,-2],[0,0]",
            "training.error_scale=0.5,1,2",
        ),
    ),
    "6a, 4 axes": (
        SURFACES["smooth"],
        ("table=9", "rows=6a", RATE, INIT, "network.blocks=interval(1,4)", "network.size=interval(1,4)"),
    ),
    "6 axes, one cell in 729 is good": (
        needle,
        (
            *("task=adding", "network.input_gate_bias=[]", "network.output_gate_bias=[]"),
            *("training.rate=tag(log,interval(0.1,1))", "network.init=tag(log,interval(0.01,0.1))"),
            *("training.error_scale=0.5,1,2", "network.recurrent=all,cells,none"),
            *("network.blocks=interval(1,9)", "network.size=interval(1,9)"),
        ),
    ),
}
CONTESTANTS = (("random", 1.0), ("tpe", 0.35), ("random", 0.5), ("tpe", 1.0))
"""Proposers, and shares of the cells that they propose. A race drops fewer of the cells of TPE: a third of the cells
takes about half the trials."""
WORKERS = 8
SEARCHES = {
    "grid": "search=grid",
    "random": "search=random",
    "sobol": "search.proposer=sobol",
    "race": "search=race",
    "tpe": "search=tpe",
}
CALLS = (
    *((kind, "ert", 10_000) for kind in ("grid", "random", "sobol")),
    *(("race", objective, 10_000) for objective in ("success", "ert")),
    ("tpe", "ert", 2000),
)
"""What a trial of it costs: search, objective, and cells."""


class End(NamedTuple):
    """How a search ended: the ERT of its best cell by the surface, in training sequences, and its trials."""

    ert: float
    trials: int


def searched(surface: Surface, words: tuple[str, ...], kind: str, cells: int, seed: int) -> End:
    """One search from its first trial to its last."""
    more = (f"search={kind}", f"search.cells={cells}", "search.allocator=race", f"seed={seed}", "tracking=none")
    settings = config.compose([*words, *more, "search.max_trials=10000000"])
    search, simulated = Search(settings.space, settings.search, seed), Simulated(surface, WORKERS)
    trials: dict[str, list[Trial]] = {}
    while search.remaining or simulated.pending:
        simulated.submit(search.ask(simulated.room))
        finished = simulated.gather(0.0)
        search.tell(finished)
        for trial in finished:
            trials.setdefault(trial.spec.cell.digest, []).append(trial)
    staying = [one for one in search.candidates() if not one.left]
    named = {one.rows[0].name: trials[one.rows[0].cell.digest] for one in staying}
    best = min(staying, key=lambda one: loss_of(settings.search, one, named))
    response = surface(best.rows[0].cell)
    cap = best.rows[0].cap
    failures = (1 - response.solved) / max(response.solved, 1e-9) * cap
    return End(min(response.mean, cap) + failures, sum(map(len, trials.values())))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--cells", type=int, default=80)
    parser.add_argument("--first", type=int, default=1, help="seed of the first repetition")
    asked = parser.parse_args()
    print("| space | proposer | cells | trials | ERT of the best |\n|---|---|---:|---:|---:|")
    for name, (surface, words) in SPACES.items():
        for kind, share in CONTESTANTS:
            cells, last = round(share * asked.cells), asked.first + asked.repetitions
            ends = [searched(surface, words, kind, cells, seed) for seed in range(asked.first, last)]
            figures = f"{median(end.trials for end in ends):,.0f} | {median(end.ert for end in ends):,.0f}"
            print(f"| {name} | {kind} | {cells} | {figures} |", flush=True)
    for kind, objective, cells in CALLS:
        spent = 1000 * call(kind, objective, cells)
        print(f"{kind}, objective {objective}, {cells:,} cells: {spent:.2f} ms of a core a trial", flush=True)


def call(kind: str, objective: str, cells: int) -> float:
    """Seconds of a core that a search takes to ask for a trial and to be told its result, one at a time."""
    side = math.isqrt(cells)
    rates, scales = (",".join(f"{low * (number + 1):g}" for number in range(side)) for low in (0.05, 0.01))
    grid = f"training.rate={rates}", f"network.init={scales}"
    space = grid if kind in ("grid", "race") else (RATE, INIT, f"search.cells={cells}")
    words = ("task=adding", *space, SEARCHES[kind], f"search.objective={objective}")
    settings = config.compose([*words, "search.max_trials=10000000", "tracking=none"])
    search, simulated = Search(settings.space, settings.search, 1), Simulated(SURFACES["smooth"], 1)
    count, spent = 0, 0.0
    while search.remaining or simulated.pending:
        began = time.process_time()
        new = search.ask(1)
        spent += time.process_time() - began
        simulated.submit(new)
        finished = simulated.gather(0.0)
        began = time.process_time()
        search.tell(finished)
        spent += time.process_time() - began
        count += len(finished)
    return spent / max(count, 1)


if __name__ == "__main__":
    main()
