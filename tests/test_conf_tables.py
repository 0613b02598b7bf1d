"""Every LSTM row that the paper printed is there as printed, and settings of stop rules can be lists."""

from __future__ import annotations

import pytest

from lstm_search import config
from lstm_search.config import ConfigError
from lstm_search.published import Published, published_at, published_rows
from lstm_search.spec import Row

TABLES = ("1", "2", "2b", "3", "4", "5", "6", "7", "8", "9")
PRINTED = [entry for entry in published_rows() if entry.method == "LSTM"]


def rows(*words: str) -> tuple[Row, ...]:
    return config.compose([*words, "tracking=none"]).definition.rows


def found(table: str) -> list[tuple[Row, str, Published | None]]:
    """The table's rows at each milestone, and what is printed there."""
    return [
        (row, stop.milestone, published_at(table, row.published, stop.milestone))
        for row in rows(f"table={table}")
        for stop in row.cell.stop
    ]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_every_printed_row_of_its_own_and_no_other(table: str) -> None:
    printed = [entry for _, _, entry in found(table)]
    assert printed == [entry for entry in PRINTED if entry.table == table]


def test_all_printed_rows_are_in_some_table() -> None:
    assert {entry.table for entry in PRINTED} == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_rows_have_the_printed_number_of_trials_and_weights_and_the_printed_rate(table: str) -> None:
    for row, _, printed in found(table):
        assert printed is not None
        layout = row.cell.task.layout
        assert row.replicates == printed.trials
        assert row.cell.network.n_weights(layout.inputs, layout.outputs) == int(printed.weights)
        assert row.cell.training.rate == float(printed.learning_rate)
        assert (row.readings, row.altered) == ((), ())


@pytest.mark.parametrize("table", TABLES)
def test_caps_are_five_times_the_mean_of_the_last_milestone(table: str) -> None:
    last = {row.name: (row.cap, printed) for row, _, printed in found(table)}
    for cap, printed in last.values():
        assert printed is not None
        assert printed.mean_sequences is not None
        assert cap == 5 * printed.mean_sequences


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
        ("task=long_lag_2a network.output_gate_bias=[-1]", r"takes \[\] where network.output_gates=false"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_can(words: str, what: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=what):
        rows(*words.split())
