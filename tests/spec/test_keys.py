"""Keys last: a new setting moves none, what is at its default is no part of them, and defaults stay what they are."""

from __future__ import annotations

import json
from dataclasses import fields, make_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from helpers import synthetic

from lstm_search.networks import NETWORKS, Lstm1997
from lstm_search.spec import (
    Cell,
    Stop,
    Training,
    TrialSpec,
    canonical,
    canonical_json,
    cell_from_dict,
    digest,
    trial_from_plain,
    trial_key,
    trials_from_plain,
)
from lstm_search.tasks import TASKS, TemporalOrder

CELL = Cell(TemporalOrder(marks=3), Lstm1997(blocks=3), Training(0.1), (Stop(window=500), Stop("late")))
DEFAULTS = Path(__file__).parent / "defaults.json"


def with_one_more(settings: Any, value: object) -> Any:
    """The same settings, of a class that has one more, with the default 1.5."""
    kind = type(settings)
    more = make_dataclass(kind.__name__, [("one_more", float, 1.5)], bases=(kind,), frozen=True)
    return more(**vars_of(settings), one_more=value)


def vars_of(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


@pytest.mark.parametrize("group", ["task", "network", "training", "stop"])
def test_a_new_setting_moves_no_key(group: str) -> None:
    def cell(value: object) -> Cell:
        settings = getattr(CELL, group)
        stops = (with_one_more(CELL.stop[0], value), CELL.stop[1])
        return replace(CELL, **{group: stops if group == "stop" else with_one_more(settings, value)})

    assert "one_more" in canonical_json(cell(1.5).as_dict())
    assert cell(1.5).digest == CELL.digest
    assert TrialSpec(cell(1.5), 3, 7, 100).key == TrialSpec(CELL, 3, 7, 100).key
    assert cell(2.5).digest != CELL.digest
    assert TrialSpec(cell(2.5), 3, 7, 100).key != TrialSpec(CELL, 3, 7, 100).key


def test_a_key_is_made_of_what_is_not_at_its_default() -> None:
    assert json.loads(CELL.text) == {
        "task": {"name": "temporal_order", "marks": 3},
        "network": {"name": "lstm1997", "blocks": 3},
        "training": {"rate": (0.1).hex()},
        "stop": [{"window": 500}, {"milestone": "late"}],
    }
    assert TrialSpec(CELL, 3, 7, 100).key == digest([2, json.loads(CELL.text), 3, 7])
    assert TrialSpec(CELL, 3, 7, 100).key == "ec65d5e5aec2e95371c5c63d5727341399e553c4ce7ea3653bfaeeb2a604503c"


def test_a_default_is_left_out_however_it_is_written() -> None:
    assert Cell(CELL.task, CELL.network, Training(0.5, "sequence", 1), (Stop(max_wrong=0),)).digest == (
        Cell(CELL.task, CELL.network, Training(), (Stop(),)).digest
    )


def test_a_key_of_version_1_is_made_of_the_whole_description() -> None:
    described = CELL.as_dict()
    assert trial_key(1, canonical_json(described), 3, 7) == digest([1, described, 3, 7])


def test_a_description_may_lack_settings_that_are_newer() -> None:
    described = json.loads(json.dumps(CELL.as_dict()))
    assert cell_from_dict(described) == CELL
    for group in (described["task"], described["network"], described["training"], *described["stop"]):
        for name in {"T", "error_scale", "test_sequences", "init"} & group.keys():
            del group[name]
    assert cell_from_dict(described) == CELL


@pytest.mark.parametrize("group", ["task", "network", "training"])
def test_a_setting_that_does_not_exist_is_refused(group: str) -> None:
    described = CELL.as_dict()
    described[group]["dropout"] = 0.9
    with pytest.raises(ValueError, match=rf"{group}\.dropout: this release has no such setting"):
        cell_from_dict(described)


def test_no_default_has_changed() -> None:
    """Of any setting. Who changes a default changes what keys mean: SCHEMA_VERSION rises."""
    kinds = {**TASKS, **NETWORKS, "training": Training, "stop": Stop}
    for name, defaults in json.loads(DEFAULTS.read_text(encoding="utf-8")).items():
        now = {field.name: canonical(field.default) for field in fields(kinds[name])}
        assert now | defaults == now, name


@pytest.mark.parametrize("name", synthetic.study()[1])
def test_a_trial_comes_back_from_its_plain_values(name: str) -> None:
    for trial in synthetic.study()[1][name]:
        plain = trial.plain()
        assert trial_from_plain(trial.spec.cell, trial.spec.seed, plain) == trial
        as_text = {key: str(value) if isinstance(value, int | float) else value for key, value in plain.items()}
        assert trial_from_plain(trial.spec.cell, trial.spec.seed, as_text) == trial


@pytest.mark.parametrize("name", synthetic.study()[1])
def test_very_many_trials_come_back_from_columns_of_plain_values(name: str) -> None:
    trials = synthetic.study()[1][name]
    spec = trials[0].spec
    columns = {key: [trial.plain()[key] for trial in trials] for key in trials[0].plain()}
    assert trials_from_plain(spec.cell, spec.seed, columns) == trials
    del columns["host"], columns["error"]
    without = [replace(trial, result=replace(trial.result, host="", error="")) for trial in trials]
    assert trials_from_plain(spec.cell, spec.seed, columns) == without
