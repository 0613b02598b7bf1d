"""The printed rows: complete, consistent with themselves, and found by table, row and milestone."""

from __future__ import annotations

from collections import Counter

import pytest

from lstm_search.published import Published, published_at, published_row, published_rows

EACH = pytest.mark.parametrize("entry", published_rows(), ids=lambda entry: f"{entry.table}/{entry.row}")


def test_every_table_has_its_rows() -> None:
    counts = Counter(entry.table for entry in published_rows())
    assert counts == {"1": 9, "2": 8, "2b": 1, "3": 9, "4": 6, "5": 6, "6": 2, "7": 3, "8": 2, "9": 2, "guessing": 2}


def test_a_table_and_row_name_one_printed_row() -> None:
    assert set(Counter((entry.table, entry.row) for entry in published_rows()).values()) == {1}


@EACH
def test_a_printed_row_is_consistent(entry: Published) -> None:
    assert entry.sequences.lstrip(">").isdigit()
    assert (entry.mean_sequences is None) == entry.sequences.startswith(">")
    assert all(part.isdigit() for part in entry.weights.split("-") if part)
    assert entry.unit == ("draws" if entry.table == "guessing" else "sequences")
    assert all(float(part) > 0 for part in entry.learning_rate.split("-") if part)
    assert (entry.test_error is None) == (entry.test_error_kind == "")
    assert entry.trials is None or entry.trials > 0


@EACH
def test_success_percent_is_a_whole_number_of_trials(entry: Published) -> None:
    if entry.successes is None:
        assert entry.trials is None or entry.success_percent is None
    else:
        assert entry.trials is not None
        assert 0 <= entry.successes <= entry.trials
        assert round(100 * entry.successes / entry.trials) == entry.success_percent
        assert (entry.successes == 0) == (entry.mean_sequences is None)


@EACH
def test_fraction_misclassified_is_wrong_of_2560(entry: Published) -> None:
    if entry.test_error_kind == "fraction misclassified":
        assert entry.wrong_of_2560 is not None
        assert entry.test_error is not None
        assert entry.wrong_of_2560 / 2560 == pytest.approx(entry.test_error, abs=6e-6)


@pytest.mark.parametrize(
    ("table", "row", "successes", "trials", "mean"),
    [
        ("1", "lstm-3x2-0.2", 29, 30, 14060),
        ("1", "rcc", 3, 6, 182000),
        ("2", "rtrl-p4-1", 14, 18, 1043000),
        ("2", "chunker-p100", 6, 18, 32400),
        ("2", "rtrl-p100", 0, 18, None),
        ("7", "T1000", 10, 10, 853000),
        ("9", "6a", 20, 20, 31390),
        ("9", "6b", 10, 10, 571100),
    ],
)
def test_successes_and_means(table: str, row: str, successes: int, trials: int, mean: float | None) -> None:
    entry = published_row(table, row)
    assert entry is not None
    assert (entry.successes, entry.trials, entry.mean_sequences) == (successes, trials, mean)


@pytest.mark.parametrize(
    ("table", "row", "milestone", "sequences"),
    [
        ("9", "6a", "solved", "31390"),
        ("4", "T100-N3", "st1", "27380"),
        ("4", "T100-N3", "st2", "39850"),
        ("8", "T100", "n140", "482000"),
        ("8", "T100", "n13", "1273000"),
    ],
)
def test_a_row_is_found_at_each_milestone(table: str, row: str, milestone: str, sequences: str) -> None:
    entry = published_at(table, row, milestone)
    assert entry is not None
    assert entry.sequences == sequences


def test_what_was_not_printed_is_not_found() -> None:
    assert published_row("9", "6c") is None
    assert published_at("9", "6a", "st1") is None
    assert published_at("", "", "solved") is None
