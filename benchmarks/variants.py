"""Time a step and weight of later forms of LSTM, beside the 1997 net's, on one core.

python benchmarks/variants.py [--rounds N]: the nets of three rows of the tables, trained in turns. Times are of the
processor, and ratios are taken within a round. The forms are to stay within 1.3 times the 1997 net, and with the full
gradient within 2.5 times.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from bench import CORES, rows, spread, trained

from lstm_search.networks import Lstm2000

if TYPE_CHECKING:
    from lstm_search.spec import Cell

ROWS = {
    "adding, T = 100": ("table=7", "rows=T100"),
    "temporal order 6a": ("table=9", "rows=6a"),
    "embedded Reber": ("table=1", "rows=lstm-3x2-0.5"),
}
FORMS: dict[str, dict[str, Any]] = {
    "forget gates": {},
    "forget gates, peepholes": {"peepholes": True},
    "coupled": {"forget": "coupled"},
    "peepholes": {"forget": "none", "peepholes": True},
    "1997, full gradient": {"forget": "none", "gradient": "full"},
    "forget gates, full gradient": {"gradient": "full"},
}
TRIALS, STEPS = 16, 100_000  # of a trial in a round, about


def cells_of(words: tuple[str, ...]) -> dict[str, Cell]:
    """The cell of a row, and the same with the later forms of its net."""
    cell = rows(*words)[0].cell
    shared = {of.name for of in fields(cell.network)} & {of.name for of in fields(Lstm2000)}
    settings = {name: getattr(cell.network, name) for name in shared}
    later = {form: replace(cell, network=Lstm2000(**(settings | changed))) for form, changed in FORMS.items()}
    return {"1997": cell, **later}


def per_weight(cell: Cell, sequences: int) -> float:
    """Ns a trial, step and weight."""
    layout = cell.task.layout
    finished, seconds = trained(cell, TRIALS, sequences)
    steps = sum(result.steps for result in finished)
    return 1e9 * seconds / steps / cell.network.n_weights(layout.inputs, layout.outputs)


def lines(rounds: int) -> list[str]:
    """What was measured, in Markdown."""
    found = ["| row | form | ns a step and weight | times the 1997 net's |", "|---|---|---|---|"]
    for row, words in ROWS.items():
        print(row, file=sys.stderr)
        cells = cells_of(words)
        sequences = max(20, round(STEPS / cells["1997"].task.length))
        for cell in cells.values():
            trained(cell, TRIALS, 2)  # compiled, and warm
        ns: dict[str, list[float]] = {form: [] for form in cells}
        for _ in range(rounds):
            for form, cell in cells.items():
                ns[form].append(per_weight(cell, sequences))
        for form, values in ns.items():
            ratios = [value / of_1997 for value, of_1997 in zip(values, ns["1997"], strict=True)]
            found.append(f"| {row} | {form} | {spread(values, 3)} | {spread(ratios, 2)} |")
    return found


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    if CORES:
        os.sched_setaffinity(0, {max(CORES)})
    print("\n".join(lines(chosen.rounds)))


if __name__ == "__main__":
    main()
