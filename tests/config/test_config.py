"""Composition: the paper's configurations, axes, readings, labels, identity, and what the help says."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lstm_search.checks import types_of
from lstm_search.config import composition, keys
from lstm_search.config.axes import READINGS, SECTIONS, fit_biases
from lstm_search.config.composition import ConfigError, compose, composed_yaml
from lstm_search.config.settings import TrackingSettings
from lstm_search.execute import ExecuteSettings
from lstm_search.networks import NETWORKS, lstm1997
from lstm_search.search import SearchSettings
from lstm_search.spec import Row, Stop, Training
from lstm_search.tasks import TASKS

SETTINGS = {"search": SearchSettings, "execute": ExecuteSettings, "tracking": TrackingSettings}


def rows(*overrides: str) -> tuple[Row, ...]:
    return tuple(compose(overrides).rows_ahead())


def row(*overrides: str) -> Row:
    (only,) = rows(*overrides)
    return only


# sections 5.4 and 5.6 of the paper: blocks, rate, input gate biases, tolerance, mean error, trials, T, marks
PRINTED = {
    ("9", "6a"): (2, 0.5, (-2, -4), 0.3, 0.1, 20, 100, 2),
    ("9", "6b"): (3, 0.1, (-2, -4, -6), 0.3, 0.1, 10, 100, 3),
    ("7", "T100"): (2, 0.5, (-3, -6), 0.04, 0.01, 10, 100, None),
    ("7", "T500"): (2, 0.5, (-3, -6), 0.04, 0.01, 10, 500, None),
    ("7", "T1000"): (2, 0.5, (-3, -6), 0.04, 0.01, 10, 1000, None),
}
PUBLISHED_MEANS = {"6a": 31390, "6b": 571100, "T100": 74000, "T500": 209000, "T1000": 853000}


@pytest.mark.parametrize(("table", "name"), PRINTED)
def test_a_row_is_what_the_paper_prints(table: str, name: str) -> None:
    blocks, rate, biases, tolerance, mean_error, trials, length, marks = PRINTED[table, name]
    line = row(f"table={table}", f"rows={name}")
    network, (stop,) = line.cell.network, line.cell.stop
    assert (network.blocks, network.size, network.init) == (blocks, 2, 0.1)
    assert network.input_gate_bias == biases
    assert network.output_gate_bias == ()
    assert network.gates_biased
    assert network.output_bias
    assert (network.cell_bias, network.recurrent, network.output) == ("random", "all", "logistic")
    assert (line.cell.training.rate, line.cell.training.update) == (rate, "sequence")
    assert (stop.tolerance, stop.mean_error, stop.window, stop.max_wrong) == (tolerance, mean_error, 2000, 0)
    assert stop.test_sequences == 2560
    assert (line.replicates, line.cap) == (trials, 5 * PUBLISHED_MEANS[name])
    assert (line.cell.task.T, getattr(line.cell.task, "marks", None)) == (length, marks)
    assert (line.name, line.table, line.published, line.readings, line.altered) == (name, table, name, (), ())


@pytest.mark.parametrize(
    ("task", "table", "name"),
    [("adding", "7", "T100"), ("temporal_order_6a", "9", "6a"), ("temporal_order_6b", "9", "6b")],
)
def test_a_task_starts_from_the_papers_configuration(task: str, table: str, name: str) -> None:
    mine = row(f"task={task}")
    assert mine.cell == row(f"table={table}", f"rows={name}").cell
    assert (mine.name, mine.table, mine.published, mine.replicates, mine.cap) == (task, "", "", 10, 1_000_000)


def test_defaults_of_a_study() -> None:
    settings = compose(["table=9"])
    assert (settings.definition.name, settings.definition.seed) == ("table-9", 1997)
    assert settings.definition.title.startswith("Table 9")
    assert (settings.home, settings.format, settings.max_failed) == (Path("studies"), "markdown", 0.1)
    assert (settings.execute.kind, settings.execute.workers) == ("local", None)
    assert (settings.tracking.kind, settings.tracking.uri, settings.tracking.wait) == ("mlflow", None, 60)
    assert (settings.budget_hours, settings.retry, settings.rows, settings.replicates) == (None, (), None, None)


def test_nothing_chosen_has_no_rows() -> None:
    assert compose([]).definition.rows == ()
    assert compose([]).definition.name == ""
    settings = compose(["study=mine", "rows=[6a,b]"])
    assert (settings.definition.name, settings.rows, settings.definition.rows) == ("mine", ("6a", "b"), ())


def test_plain_settings() -> None:
    settings = compose(
        [
            "table=9",
            "rows=[6b,6a]",
            "study=My_study-2.0",
            "replicates=3",
            "seed=7",
            "cap=1e6",
            'home=/tmp/it\'s, "mine"',
            "format=csv",
            "budget.hours=0.5",
            "retry=[lost,oom]",
            "execute=ray",
            "execute.address=127.0.0.1:6379",
            "tracking.uri=http://127.0.0.1:5000/a?b=c",
            "max_failed=0",
        ]
    )
    assert [(line.name, line.replicates, line.cap) for line in settings.definition.rows] == [
        ("6a", 3, 1_000_000),
        ("6b", 3, 1_000_000),
    ]
    assert (settings.definition.name, settings.definition.seed) == ("My_study-2.0", 7)
    assert settings.home == Path('/tmp/it\'s, "mine"')  # noqa: S108  # a text, nothing is opened
    assert (settings.format, settings.budget_hours, settings.retry) == ("csv", 0.5, ("lost", "oom"))
    assert settings.execute == ExecuteSettings("ray", address="127.0.0.1:6379")
    assert settings.tracking.uri == "http://127.0.0.1:5000/a?b=c"
    assert (settings.max_failed, settings.replicates) == (0, 3)


def test_the_last_of_a_repeated_key_counts() -> None:
    assert row("task=adding", "training.rate=0.1", "training.rate=0.2").cell.training.rate == 0.2


def test_an_override_marks_every_row_altered() -> None:
    for line in rows("table=9", "training.rate=0.3"):
        assert line.altered == (("training.rate", "0.3"),)
        assert line.readings == ()
        assert line.cell.training.rate == 0.3


def test_an_override_that_changes_nothing_is_no_alteration() -> None:
    first, second = rows("table=9", "training.rate=0.5")
    assert (first.altered, second.altered) == ((), (("training.rate", "0.5"),))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network.recurrent", "none"),
        ("network.recurrent_init", "zero"),
        ("network.cell_bias", "none"),
        ("network.gate_bias", "adds"),
        ("network.output", "linear"),
        ("network.output_bias", "false"),
        ("network.reset", "0.5"),
        ("training.update", "step"),
        ("training.error_scale", "0.5"),
        ("stop.error", "squared"),
    ],
)
def test_a_reading_keeps_the_row_beside_the_published_one(key: str, value: str) -> None:
    line = row("table=7", "rows=T100", f"{key}={value}")
    assert (line.readings, line.altered, line.published) == (((key, value),), (), "T100")
    assert key in READINGS


@pytest.mark.parametrize(
    ("words", "biases", "is_open"),
    [
        ("table=1 rows=lstm-4x1-0.1", "[-1,-1,-1,-1]", True),
        ("table=8", "[-3,-6]", True),
        ("table=7 rows=T100", "[-1,-2]", False),
        ("table=3 rows=q50-p50 network.gates_biased=true", "[-1,-2]", False),
    ],
)
def test_input_gate_biases_are_an_open_point_where_the_paper_has_some_and_states_none(
    words: str, biases: str, is_open: bool
) -> None:
    line = row(*words.split(), f"network.input_gate_bias={biases}")
    change = "network.input_gate_bias", biases
    assert (change in line.readings, change in line.altered) == (is_open, not is_open)


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


def test_whole_numbers_and_floats_give_the_same_key() -> None:
    one, other = row("task=adding", "training.rate=1"), row("task=adding", "training.rate=1.0", "network.init=1e-1")
    assert one.cell.digest == other.cell.digest
    assert one.cell == other.cell
    assert Training(rate=1) == Training(rate=1.0)
    assert type(Training(rate=1).rate) is float
    network = lstm1997.Lstm1997(input_gate_bias=[-1, -2])
    assert network.input_gate_bias == (-1.0, -2.0)
    assert {type(bias) for bias in network.input_gate_bias} == {float}


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks": 0}, {"blocks": 65}, {"blocks": 1.5}, {"blocks": True}, {"size": 0}, {"blocks": 64, "size": 64},
        {"init": -0.1}, {"init": float("nan")}, {"init": float("inf")}, {"input_gate_bias": (1.0,)},
        {"input_gate_bias": (1.0, float("nan"))}, {"input_gate_bias": 3}, {"g": "tanh"}, {"output_bias": "yes"},
        {"reset": 0.7}, {"gates_biased": False, "output_gate_bias": (-1.0, -2.0)},
    ],
)  # fmt: skip
def test_the_network_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"network\.({'|'.join(changes)})=.*takes"):
        lstm1997.Lstm1997(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"milestone": "a b"}, {"milestone": ""}, {"tolerance": 0}, {"tolerance": float("nan")}, {"window": 0},
        {"window": 2.5}, {"max_wrong": -1}, {"max_wrong": 2000}, {"mean_error": 0}, {"error": "mean"},
        {"test_sequences": -1},
    ],
)  # fmt: skip
def test_the_stop_rule_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"stop\.{next(iter(changes))}=.*takes"):
        Stop(**changes)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_training_refuses(rate: float) -> None:
    with pytest.raises(ValueError, match=r"training\.rate=.*takes a finite number above 0"):
        Training(rate=rate)


@pytest.mark.parametrize("rate", ["fast", True, None, (0.1,)])
def test_training_refuses_what_is_no_number(rate: Any) -> None:
    with pytest.raises(ValueError, match=r"training\.rate=.*takes a number"):
        Training(rate=rate)


STUDIES = [
    ("table=9",),
    ("table=7", "rows=[T100,T500]", "network.recurrent=all,cells", "replicates=3", "study=x", "seed=5", "cap=99"),
    ("task=adding", "task.T=200", "network.blocks=1,3", "training.rate=range(0.1,0.4,0.1)", "execute=inline"),
    ("task=temporal_order_6b", "network.input_gate_bias=[-1,-2,-3]", "home='/tmp/a b'", "stop.milestone=end"),
]


@pytest.mark.parametrize("overrides", STUDIES)
def test_the_composed_configuration_composes_to_the_same_study(overrides: tuple[str, ...]) -> None:
    settings = compose(overrides)
    tree = OmegaConf.to_container(OmegaConf.create(composed_yaml(settings)))
    again = compose(tree["overrides"])
    assert again.definition == settings.definition
    assert [line.cell.digest for line in again.rows_ahead()] == [line.cell.digest for line in settings.rows_ahead()]
    assert tree["home"] == str(settings.home)
    assert tree["execute"]["kind"] == settings.execute.kind


def test_a_password_is_never_printed() -> None:
    settings = compose(["table=9", "tracking.uri=http://me:hush@127.0.0.1:5000"])
    assert settings.tracking.uri == "http://me:hush@127.0.0.1:5000"
    assert "hush" not in composed_yaml(settings)
    with pytest.raises(ConfigError, match=r"tracking\.uri=") as refused:
        compose(["table=9", "tracking.uri=ftp://me:hush@127.0.0.1"])
    assert "hush" not in str(refused.value)


def test_the_composed_rows_show_the_cells() -> None:
    settings = compose(["table=9", "rows=6b", "network.blocks=4"])
    shown_row = OmegaConf.to_container(OmegaConf.create(settings.definition.config))["rows"]["6b"]
    cell = json.loads(json.dumps(settings.definition.rows[0].cell.as_dict()))
    assert shown_row["network"] == cell["network"]
    assert shown_row["training"] == cell["training"]
    assert [shown_row["stop"]] == cell["stop"]
    assert shown_row["task"] == cell["task"]


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


def test_help_lists_every_key_of_every_choice() -> None:
    text = keys.describe()
    for group in keys.GROUPS:
        for name in keys.options(group):
            assert f"{group}={name} " in text
            tree = composition._tree([f"{group}={name}"], {})
            for key in {f"{section}.{key}" for section in tree for key in tree[section]} - keys.SELECTED:
                assert f"  {key}=" in text, key
    assert set(keys.all_keys()) >= {"training.rate", "network.blocks", "execute.address", "budget.hours", "rows"}


@pytest.mark.parametrize(
    "kind", [*NETWORKS.values(), *TASKS.values(), Training, Stop, *SETTINGS.values()], ids=lambda kind: kind.__name__
)
def test_every_choice_is_checked_and_the_refusal_names_all(kind: Any) -> None:
    for field in fields(kind):
        if get_origin(types_of(kind)[field.name]) is Literal:
            allowed = ", ".join(get_args(types_of(kind)[field.name]))
            with pytest.raises(ValueError, match=rf"\.{field.name}=other: takes one of {allowed}$"):
                kind(**{field.name: "other"})


def test_readings_are_keys() -> None:
    assert set(keys.all_keys()) >= READINGS
    assert {key.partition(".")[0] for key in READINGS} <= set(SECTIONS)


def test_composing_inside_another_hydra_program_leaves_it_alone(tmp_path: Path) -> None:
    import hydra

    (tmp_path / "theirs.yaml").write_text("mine: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        composition._hydra.cache_clear()
        theirs = GlobalHydra.instance().hydra
        compose(["table=9"])
        assert GlobalHydra.instance().hydra is theirs
        assert hydra.compose("theirs").mine == 1


def test_caps_and_replicates_are_no_part_of_identity() -> None:
    first, second = row("table=9", "rows=6a"), row("table=9", "rows=6a", "cap=10", "replicates=2")
    assert first.cell == second.cell
    assert replace(second, cap=first.cap, replicates=first.replicates) == first
    assert second.altered == ()


def test_heavy_libraries_stay_out(tmp_path: Path) -> None:
    code = (
        "import sys; from lstm_search.cli import main; code = main(['plan', 'table=9']);"
        "heavy = ('ray', 'mlflow', 'matplotlib', 'scipy.stats', 'pandas');"
        "print([name for name in heavy if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes the recipe `mine`, beside a copy of the configuration."""
    folder = tmp_path / "conf"
    shutil.copytree(keys.conf_dir(), folder)
    monkeypatch.setattr(composition, "conf_dir", lambda: folder)
    monkeypatch.setattr(keys, "conf_dir", lambda: folder)
    return lambda text: (folder / "recipe" / "mine.yaml").write_text(f"# A recipe\n{text}", encoding="utf-8") and None


MINE = "table: 3\nrows: q50-p50\nnetwork.recurrent: none\nnetwork.output_bias: true\nseed: 5\n"


def test_a_recipe_stands_below_the_words_of_the_user(kept: Callable[[str], None]) -> None:
    kept(MINE)
    plain = compose(["recipe=mine"]).definition
    written = compose(
        [
            "study=table-3-mine",
            "table=3",
            "rows=q50-p50",
            "network.recurrent=none",
            "network.output_bias=true",
            "seed=5",
        ]
    ).definition
    assert plain == written
    (line,) = rows("recipe=mine", "network.recurrent=cells")
    assert line.readings == (("network.recurrent", "cells"), ("network.output_bias", "true"))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("recipe=mine",), "table-3-mine"),
        (("recipe=mine", "study=other"), "other"),
        (("recipe=mine", "table=9", "rows=6a"), "table-9-mine"),
        (("recipe=half-cells", "task=adding"), "adding-half-cells"),
        (("recipe=null", "table=9"), "table-9"),
    ],
)
def test_a_study_by_a_recipe_is_named_by_both(words: tuple[str, ...], name: str, kept: Callable[[str], None]) -> None:
    kept(MINE)
    assert compose(words).definition.name == name


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("network.recurent: none", ("table=3",), r"recipe=mine: network\.recurent: no such key; nearest: network"),
        ("network.recurrent: some", ("table=3",), "recipe=mine: network.recurrent=some: takes one of"),
        ("table: 33", (), "recipe=mine: table=33: no such table"),
        ("recipe: half-cells", ("table=3",), "recipe=mine: mine.yaml names a recipe"),
        ("seed: ${rows}", ("table=3",), "recipe=mine: seed=.*references"),
        ("seed: 5", ("table=33",), "^table=33: no such table"),
    ],
)
def test_what_a_recipe_cannot_say_is_refused_with_its_name(
    text: str, words: tuple[str, ...], message: str, kept: Callable[[str], None]
) -> None:
    kept(text)
    with pytest.raises(ValueError, match=message):
        compose(["recipe=mine", *words])


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"recipe=half-cell: no such recipe; nearest: half-cells, early-cell"):
        compose(["recipe=half-cell", "table=3"])
    assert all(f"recipe={name}" in keys.describe() for name in keys.options("recipe"))
