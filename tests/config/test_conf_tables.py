"""Every row that the paper printed is there as printed, and settings of stop rules can be lists."""

from __future__ import annotations

import pytest

from lstm_search import config
from lstm_search.config.composition import DEFAULT_REPLICATES, ConfigError
from lstm_search.published import Published, published_at, published_rows
from lstm_search.spec import Row

TABLES = ("1", "2", "2b", "3", "4", "5", "6", "7", "8", "9", "guessing")
PRINTED = published_rows()
METHODS = {
    "lstm1997": "LSTM",
    "rtrl": "RTRL",
    "bptt": "BPTT",
    "elman": "Elman",
    "cascade": "RCC",
    "chunker": "neural sequence chunker",
    "guessing": "random weight guessing",
}


def rows(*words: str) -> tuple[Row, ...]:
    return tuple(config.compose([*words, "tracking=none"]).rows_ahead())


def found(*words: str) -> list[tuple[Row, str, Published | None]]:
    """The rows that `words` select at each milestone, and what is printed there."""
    return [
        (row, stop.milestone, published_at(row.table, row.published, stop.milestone))
        for row in rows(*words)
        for stop in row.cell.stop
    ]


def printed_rows(*words: str) -> list[tuple[Row, Published]]:
    """Those beside which something is printed."""
    return [(row, entry) for row, _, entry in found(*words) if entry]


def numbers(printed: str) -> tuple[float, float]:
    """A printed number, or a printed range such as 1.0-10.0."""
    low, _, high = printed.partition("-")
    return float(low), float(high or low)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_every_printed_row_of_its_own_and_no_other(table: str) -> None:
    printed = [entry for _, entry in printed_rows(f"table={table}", "rows=all")]
    assert list(dict.fromkeys(printed)) == [entry for entry in PRINTED if entry.table == table]


@pytest.mark.parametrize("table", [table for table in TABLES if table != "guessing"])
def test_without_rows_a_table_has_those_of_lstm(table: str) -> None:
    chosen = found(f"table={table}")
    assert [entry for _, _, entry in chosen] == [
        entry for entry in PRINTED if (entry.table, entry.method) == (table, "LSTM")
    ]
    assert rows(f"table={table}", "network=lstm1997") == rows(f"table={table}")


def test_all_printed_rows_are_in_some_table() -> None:
    assert {entry.table for entry in PRINTED} == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_rows_have_the_printed_number_of_trials_and_weights_and_the_printed_rate(table: str) -> None:
    for row, printed in printed_rows(f"table={table}", "rows=all"):
        layout, network = row.cell.task.layout, row.cell.network
        assert METHODS[network.name] == printed.method
        assert row.replicates == (printed.trials or DEFAULT_REPLICATES)
        if printed.weights.isdigit() and network.name != "chunker":  # a net that grows has a range, a pair that of one
            assert network.n_weights(layout.inputs, layout.outputs) == int(printed.weights)
        assert row.unit == printed.unit
        if printed.learning_rate:
            low, high = numbers(printed.learning_rate)
            assert low <= row.cell.training.rate <= high
        assert (row.readings, row.altered) == ((), ())


def test_a_range_of_rates_has_a_row_at_each_end() -> None:
    for printed in (entry for entry in PRINTED if "-" in entry.learning_rate):
        mine = [row for row, entry in printed_rows(f"table={printed.table}", "rows=all") if entry == printed]
        rates = [row.cell.training.rate for row in mine]
        assert (min(rates), max(rates)) == numbers(printed.learning_rate)


LOWERED = {"rtrl-p100", "bptt-p100"}
"""Published rows whose cap is lower than printed."""


@pytest.mark.parametrize("table", TABLES)
def test_caps_are_five_times_the_mean_of_the_last_milestone_or_those_of_the_paper(table: str) -> None:
    last = {row.name: (row.cap, printed) for row, printed in printed_rows(f"table={table}", "rows=all")}
    for cap, printed in last.values():
        if printed.mean_sequences is not None:
            assert cap == 5 * printed.mean_sequences or cap == 5_000_000 > 5 * printed.mean_sequences
        else:
            assert printed.bound is not None
            assert cap < printed.bound if printed.row in LOWERED else cap == printed.bound


def test_rows_are_chosen_by_network_and_by_what_is_no_lstm() -> None:
    names = [row.name for row in rows("table=1", "network=rtrl")]
    assert names == ["rtrl-3", "rtrl-12"]
    assert [row.name for row in rows("table=1", "network=rtrl", "rows=all")] == names
    rivals = rows("table=1", "rows=rivals")
    assert {*names, "elman-15"} <= {row.name for row in rivals}
    assert rivals + rows("table=1") == rows("table=1", "rows=all")


def test_rows_of_several_networks_take_the_keys_that_all_have() -> None:
    both = rows("table=2", "rows=[rtrl-p4-1,lstm-p100]", "training.rate=0.3", "network.init=0.1")
    assert [(row.cell.training.rate, row.cell.network.init) for row in both] == [(0.3, 0.1)] * 2
    assert {row.altered for row in both} == {(("network.init", "0.1"), ("training.rate", "0.3"))}


def test_a_task_is_as_the_first_row_of_its_table() -> None:
    for name, words in {
        "embedded_reber": ("table=1", "rows=lstm-4x1-0.1"),
        "long_lag_2a": ("table=2",),
        "long_lag_2b": ("table=2b",),
        "very_long_lag_2c": ("table=3", "rows=q50-p50"),
        "two_sequence_3a": ("table=4", "rows=T100-N3"),
        "two_sequence_3b": ("table=5", "rows=T100-N3"),
        "two_sequence_3c": ("table=6", "rows=T100-N3"),
        "adding": ("table=7", "rows=T100"),
        "multiplication": ("table=8",),
        "temporal_order_6a": ("table=9", "rows=6a"),
        "temporal_order_6b": ("table=9", "rows=6b"),
    }.items():
        (alone,), (row,) = rows(f"task={name}"), rows(*words)
        assert alone.cell == row.cell


# Several milestones


def test_a_list_has_a_value_for_each_milestone_and_one_value_is_for_all() -> None:
    (row,) = rows("task=multiplication", "stop.max_wrong=[100,10]", "stop.window=1000")
    assert [(s.milestone, s.max_wrong, s.window) for s in row.cell.stop] == [("n140", 100, 1000), ("n13", 10, 1000)]


def test_milestones_can_be_asked_for_on_the_command_line() -> None:
    (row,) = rows("task=adding", "stop.milestone=[rough,fine]", "stop.mean_error=[0.05,0.01]")
    assert [(s.milestone, s.mean_error, s.tolerance) for s in row.cell.stop] == [
        ("rough", 0.05, 0.04),
        ("fine", 0.01, 0.04),
    ]


def test_lists_can_be_the_values_of_an_axis() -> None:
    few, many = rows("task=multiplication", "stop.max_wrong=[50,5],[200,20]")
    assert [[stop.max_wrong for stop in row.cell.stop] for row in (few, many)] == [[50, 5], [200, 20]]
    assert few.name == "max_wrong=[50,5]"


def test_what_differs_from_the_table_is_told_once() -> None:
    (row,) = rows("table=4", "rows=T100-N3", "stop.tolerance=0.3", "stop.check_every=[50,100]")
    assert row.altered == (("stop.tolerance", "0.3"),)
    assert row.readings == (("stop.check_every", "[50,100]"),)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (
            "task=multiplication stop.max_wrong=[1,2,3]",
            r"stop.max_wrong=\[1,2,3\]: takes one value, or one for each of",
        ),
        ("task=multiplication stop.milestone=[]", r"stop.milestone=\[\]: takes at least one name"),
        ("task=adding stop.milestone=[a,a]", "takes names that differ"),
        ("task=adding stop.correct=ranked", "needs a grammar, and task adding has none"),
        ("task=adding stop.learn_while_tested=true", "stop.learn_while_tested=true: speaks of checks"),
        ("task=embedded_reber stop.window=256", "stop.window=256: a check of task embedded_reber takes all"),
        ("task=embedded_reber task.training_strings=all", "one of with_replacement, distinct"),
        ("task=long_lag_2a task.p=1", "task.p=1: takes 2 to 500"),
        ("task=very_long_lag_2c task.q=0", "task.q=0: takes a lag of 1"),
        ("task=very_long_lag_2c task.p=0", "task.p=0: takes 1 to 10000"),
        ("task=two_sequence_3a task.N=100", "task.N=100: takes 1 to 99"),
        ("task=two_sequence_3b task.T=1", "task.T=1: the two-sequence problem takes 2"),
        ("task=multiplication task.T=10", "task.T=10: the multiplication problem takes 11"),
        ("task=adding network.growth=often", "one of none, plateau"),
        ("task=adding network.growth_drop=2", "network.growth_drop=2.0: takes a finite number from 0 up to 1"),
        ("table=9 network=elman", "table=9 network=elman: the table has rows of lstm1997; or choose a network"),
        ("table=2 network=rtrl rows=lstm-p100", "rows=lstm-p100: table 2 has no such row of network rtrl; nearest: "),
        ("table=9 rows=rivals", "rows=rivals: table 9 has no such row"),
        ("table=1 rows=all network.blocks=3", "network.blocks: no such key with this network, or not in all rows"),
        ("recipe=best-1 rows=all", "network.direct: no such key with this network, or not in all rows"),
        ("task=long_lag_2a network.output_gate_bias=[-1]", r"takes \[\] where network.output_gates=false"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_can(words: str, what: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=what):
        rows(*words.split())
