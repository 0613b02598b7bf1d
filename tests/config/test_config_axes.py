"""Axes: names, order, the sweep grammar, and how many trials they make."""

import pytest
from helpers.rows import row, rows

from lstm_search.config.axes import fit_biases
from lstm_search.config.composition import ConfigError


def test_axes_are_named_and_ordered() -> None:
    names = [line.name for line in rows("table=9", "training.rate=0.1,0.5", "network.recurrent=all,none")]
    assert names[:4] == [
        "6a rate=0.1 recurrent=all",
        "6a rate=0.1 recurrent=none",
        "6a rate=0.5 recurrent=all",
        "6a rate=0.5 recurrent=none",
    ]
    assert len(names) == 8
    first, second, third, fourth = rows("table=9", "rows=6a", "training.rate=0.1,0.5", "network.recurrent=all,none")
    assert (first.altered, first.readings) == ((("training.rate", "0.1"),), ())
    assert (second.altered, second.readings) == ((("training.rate", "0.1"),), (("network.recurrent", "none"),))
    assert (third.altered, third.readings) == ((), ())
    assert (fourth.altered, fourth.readings) == ((), (("network.recurrent", "none"),))


def test_axes_of_a_task() -> None:
    assert [line.name for line in rows("task=adding", "training.rate=0.1,1", "task.T=choice(100,200)")] == [
        "rate=0.1,T=100",
        "rate=0.1,T=200",
        "rate=1,T=100",
        "rate=1,T=200",
    ]


@pytest.mark.parametrize(
    ("sweep", "values"),
    [
        ("range(1,4)", [1, 2, 3]),
        ("range(3)", None),
        ("range(0.1,0.5,0.1)", [0.1, 0.2, 0.3, 0.4]),
        ("range(3,1,-1)", [3, 2]),
        ("choice(0.25)", [0.25]),
        ("sort(3,1,2)", [1, 2, 3]),
        ("float(1,2)", [1, 2]),
    ],
)
def test_sweep_grammar(sweep: str, values: list[float] | None) -> None:
    if values is None:
        with pytest.raises(ValueError, match=r"training\.rate=0"):  # range(3) begins with 0
            rows("task=adding", f"training.rate={sweep}")
    else:
        assert [line.cell.training.rate for line in rows("task=adding", f"training.rate={sweep}")] == values


def test_lists_can_be_axes() -> None:
    lines = rows("task=adding", "network.input_gate_bias=[-1,-2],[]")
    assert [line.name for line in lines] == ["input_gate_bias=[-1,-2]", "input_gate_bias=[]"]
    assert [line.cell.network.input_gate_bias for line in lines] == [(-1.0, -2.0), ()]


def test_more_blocks_go_on_with_the_staggered_biases() -> None:
    assert [line.cell.network.input_gate_bias for line in rows("task=adding", "network.blocks=1,2,4")] == [
        (-3.0,),
        (-3.0, -6.0),
        (-3.0, -6.0, -9.0, -12.0),
    ]
    line = row("table=9", "rows=6a", "network.blocks=3")
    assert line.cell.network.input_gate_bias == (-2.0, -4.0, -6.0)
    assert line.altered == (("network.blocks", "3"), ("network.input_gate_bias", "[-2,-4,-6]"))
    with pytest.raises(ValueError, match=r"network\.input_gate_bias=.*one number a block \(3\)"):
        row("task=adding", "network.blocks=3", "network.input_gate_bias=[-1,-2]")
    assert fit_biases({"blocks": 3, "input_gate_bias": [-1]}, {"network.blocks"})["input_gate_bias"] == [-1, -2, -3]


def test_size_is_counted_before_anything_is_expanded() -> None:
    with pytest.raises(ConfigError, match=r"search\.max_trials=100000: .* 1,000,000,000,000 trials"):
        rows("task=adding", "replicates=1", "stop.window=range(1,1000001)", "stop.max_wrong=range(0,1000000)")
    with pytest.raises(ConfigError, match="1,000,000,000,000,000 trials"):
        rows("table=9", "rows=6a", "replicates=1000", "training.rate=range(1,1000000000001)")
    with pytest.raises(ConfigError, match=r"more than 10\^18"):
        rows("table=9", "training.rate=range(0,1e300,1e-300)")
    assert len(rows("task=adding", "replicates=1", "search.max_trials=4", "training.rate=range(1,5)")) == 4
    with pytest.raises(ConfigError, match=r"search\.max_trials=4: the study would have 5 trials"):
        rows("task=adding", "replicates=1", "search.max_trials=4", "training.rate=range(1,6)")


def test_many_rows_share_their_unchanged_parts() -> None:
    lines = rows("task=adding", "replicates=1", "training.rate=range(1,51)", "stop.window=range(1,51)")
    assert len({line.cell.digest for line in lines}) == len({line.name for line in lines}) == 2500
    assert len({id(line.cell.network) for line in lines}) == 1


def test_rows_that_become_one_configuration_are_refused() -> None:
    with pytest.raises(ConfigError, match="rows 'T100' and 'T500' are one configuration"):
        rows("table=7", "task.T=100")
