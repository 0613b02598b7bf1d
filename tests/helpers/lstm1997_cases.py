"""Cases for the 1997 net: nets that differ in every setting, how they learn, and what they are fed."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

from lstm_search.networks import Lstm1997
from lstm_search.spec import Training

N_INPUTS, N_OUTPUTS = 3, 2


@dataclass(frozen=True)
class Case:
    """A net, how it learns, and what it is fed."""

    network: Lstm1997
    training: Training = field(default_factory=Training)
    symbols: bool = False
    targets: str = "some"  # at some steps, or only at the "last" one


def cases() -> list[Case]:
    """Every connectivity with every bias option and both kinds of input; all other options change along."""
    connectivity = product(("all", "cells", "none"), (True, False), ("random", "zero", "none"), (True, False))
    shapes = list(product((1, 2, 3), (1, 2, 3)))
    found = []
    for n, (recurrent, gates_biased, cell_bias, symbols) in enumerate(connectivity):
        blocks, size = shapes[n % 9]
        network = Lstm1997(
            blocks=blocks,
            size=size,
            gates_biased=gates_biased,
            recurrent=recurrent,
            cell_bias=cell_bias,
            output_bias=n % 5 < 3,
            g=("bipolar", "logistic")[n // 2 % 2],
            h=("bipolar", "identity")[n // 3 % 2],
            output=("logistic", "linear")[n % 7 > 4],
            output_gates=n % 13 % 3 > 0,
            direct=n % 17 % 2 == 0,
            reset=(0.0, 0.5)[n % 9 > 4],
        )
        rate = 0.02 if network.output == "linear" or network.h == "identity" else 0.3
        training = Training(rate, ("sequence", "step")[n // 4 % 2], (1.0, 2.0, 0.5)[n % 3])
        found.append(Case(network, training, symbols, ("some", "some", "last")[n % 11 % 3]))
    return found


ALONE: list[tuple[dict[str, Any], dict[str, Any]]] = [  # of the net, of the training
    ({"hidden": 1}, {}),
    ({"hidden": 2, "output_gates": False, "direct": True}, {}),
    ({"g": "half"}, {}),
    ({"h": "double"}, {}),
    ({"recurrent_to": "gates"}, {}),
    ({}, {"margin": 0.3}),
    ({}, {"slope": False}),
    ({}, {"slope_added": 0.1}),
]
TOGETHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"hidden": 1, "recurrent_to": "gates", "direct": True}, {"margin": 0.3}),
    ({"hidden": 2, "recurrent": "cells", "recurrent_to": "gates", "h": "double"}, {"slope_added": 0.1}),
    ({"hidden": 2, "recurrent": "none", "g": "half", "output_gates": False, "cell_bias": "none"}, {"slope": False}),
    ({"hidden": 1, "gates_biased": False, "blocks": 3, "size": 1}, {"slope": False, "margin": 0.3}),
    ({"hidden": 2, "gates_biased": False, "cell_bias": "none", "recurrent_to": "gates", "blocks": 1}, {}),
    ({"output": "linear", "hidden": 1, "g": "half", "reset": 0.5, "size": 3}, {"margin": 0.3}),
]
WAYS: list[tuple[Any, str]] = [("sequence", "some"), ("step", "some"), ("sequence", "last")]


def cases_of_readings() -> list[Case]:
    """Each setting that is not in the text, alone and several at once, for both kinds of input, summed or not."""
    found = []
    for (net, training), symbols, (update, targets) in product(ALONE + TOGETHER, (False, True), WAYS):
        rate = 0.05 if net.get("output") == "linear" else 0.3
        found.append(Case(Lstm1997(**net), Training(rate, update, **training), symbols, targets))
    return found


READINGS = cases_of_readings()
CASES = cases() + READINGS


def name_of(case: Case) -> str:
    n = case.network
    kind = f"{'direct-' * n.direct}{'ungated-' * (not n.output_gates)}{n.blocks}x{n.size}-{n.recurrent}-{n.cell_bias}"
    kind += f"-{n.hidden}-to-{n.recurrent_to}" if (n.hidden, n.recurrent_to) != (0, "all") else ""
    margin, *slope = case.training.signal[1:]
    return f"{kind}-{n.g}-{n.h}-{n.output}-{margin:g}-{slope}-{case.training.update}-{case.targets}"
