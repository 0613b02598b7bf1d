"""The figures and tables of error flow and of gates: the same bytes each time, and showing what was computed."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from lstm_search.networks import Lstm1997, Lstm2000
from lstm_search.report import Figures, Shown, class_table, draw_flow, draw_gates, flow_csv, flow_table
from lstm_search.report.error_flow import power_of_ten
from lstm_search.theory import Curve, Example, passage_of

STEPS = 12
CURVES = [
    Curve("falls", -20.0 * np.arange(1, STEPS + 1), -10.0 * np.arange(1, STEPS + 1)),
    Curve("stays", np.zeros(STEPS)),
    Curve("stops", np.full(STEPS, -math.inf)),
]
PANELS = {"all of them": CURVES, "one": CURVES[1:2]}


def shown(kind: type[Lstm1997 | Lstm2000] = Lstm1997, **settings: Any) -> Shown:
    network = kind(**settings)
    x = np.random.default_rng(0).normal(0, 1, (STEPS, 3))
    seen = passage_of(network, *network.initial(np.uint64(1), 3, 2), x)
    target = np.full((STEPS, 2), np.nan)
    target[-1] = (0.0, 1.0)
    return Shown("a net", network, seen, Example(x, target), {2: "X", 3: "Y"})


def with_classes(net: Shown) -> Shown:
    rng = np.random.default_rng(1)
    return replace(net, classes=("x", "y"), means=rng.normal(0, 1, (STEPS, 2, net.network.cells)))


NETS = {
    "one": [shown()],
    "of other sizes": [with_classes(shown()), with_classes(shown(blocks=1, size=3, output_gates=False))],
    "many blocks": [shown(blocks=12, size=1, hidden=2)],
    "one that forgets": [shown(), shown(Lstm2000, peepholes=True)],
}


@pytest.mark.parametrize("width", ["text", "single"])
def test_flow_is_drawn_the_same_every_time(width: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    draw_flow(PANELS, first, Figures("svg", width))
    with mpl.rc_context({"font.size": 30}):
        draw_flow(PANELS, second, Figures("svg", width))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("nets", NETS.values(), ids=NETS)
def test_gates_of_any_nets_are_drawn(nets: list[Shown], tmp_path: Path) -> None:
    draw_gates(nets, tmp_path / "first.svg", Figures("svg"))
    text = (tmp_path / "first.svg").read_text(encoding="utf-8")
    assert text.count("<!-- a net -->") == len(nets)
    assert ("<!-- classes apart, s -->" in text) == (nets[0].means is not None)
    assert ("<!-- forget gates -->" in text) == isinstance(nets[-1].network, Lstm2000)


def test_gates_are_drawn_the_same_every_time(tmp_path: Path) -> None:
    for path in (paths := [tmp_path / "first.png", tmp_path / "second.png"]):
        draw_gates(NETS["one"], path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_table_has_factors_with_their_bounds() -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in flow_table(PANELS, [1, 10]).splitlines()]
    assert lines[0] == ["net", "error flow", "lag 1", "lag 10"]
    assert lines[2:] == [
        ["all of them", "falls", "1.0e-20", "1.0e-200"],
        ["all of them", "bound n tau^q", "1.0e-10", "1.0e-100"],
        ["all of them", "stays", "1", "1"],
        ["all of them", "stops", "0", "0"],
        ["one", "stays", "1", "1"],
    ]


def test_csv_has_logarithms_which_can_be_read_where_factors_cannot() -> None:
    lines = list(csv.DictReader(io.StringIO(flow_csv(PANELS, range(1, STEPS + 1)))))
    assert len(lines) == 4 * STEPS
    assert [float(line["log10_factor"]) for line in lines[:STEPS]] == CURVES[0].factor.tolist()
    assert [float(line["log10_bound"]) for line in lines[:STEPS]] == (-10.0 * np.arange(1, STEPS + 1)).tolist()
    assert lines[-1]["bound"] == lines[-1]["log10_bound"] == ""


@pytest.mark.parametrize(
    ("exponent", "written"),
    [
        (0.0, "1"), (-math.inf, "0"), (2.0, "100"), (-1.3, "0.0501"), (-300.5, "3.2e-301"), (96.91, "8.1e+96"),
        (-9.0001, "1.0e-9"), (-5.0, "1.0e-5"), (-1043.999, "1.0e-1044"),
    ],
)  # fmt: skip
def test_a_power_of_ten_is_written_in_few_letters(exponent: float, written: str) -> None:
    assert power_of_ten(exponent) == written


def test_the_table_of_classes_says_how_far_they_are_apart() -> None:
    net = replace(
        shown(blocks=1, size=2), classes=("x", "y"), means=np.array([[[0.0, 0.0]] * 2, [[1.0, 5.0], [-2.0, 5.5]]])
    )
    assert class_table(net).splitlines()[2:] == [
        "| block 1, cell 1 | 1.00 | -2.00 | 3.00  |",
        "| block 1, cell 2 | 5.00 | 5.50  | 0.50  |",
    ]
