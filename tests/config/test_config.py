"""Composition: the paper's configurations, axes, readings, labels, identity, and what the help says."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.rows import row, rows
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lstm_search.config import composition, keys
from lstm_search.config.axes import READINGS, SECTIONS
from lstm_search.config.composition import ConfigError, compose, composed_yaml
from lstm_search.execute import ExecuteSettings
from lstm_search.networks import lstm1997
from lstm_search.spec import Training

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
    assert (settings.home, settings.format, settings.max_failed) == (Path("studies"), "", 0.1)
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


def test_whole_numbers_and_floats_give_the_same_key() -> None:
    one, other = row("task=adding", "training.rate=1"), row("task=adding", "training.rate=1.0", "network.init=1e-1")
    assert one.cell.digest == other.cell.digest
    assert one.cell == other.cell
    assert Training(rate=1) == Training(rate=1.0)
    assert type(Training(rate=1).rate) is float
    network = lstm1997.Lstm1997(input_gate_bias=[-1, -2])
    assert network.input_gate_bias == (-1.0, -2.0)
    assert {type(bias) for bias in network.input_gate_bias} == {float}


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


def test_help_lists_every_key_of_every_choice() -> None:
    text = keys.describe({})
    for group in keys.GROUPS:
        for name in keys.options(group):
            assert f"{group}={name} " in text
            tree = composition._tree([f"{group}={name}"], {})
            for key in {f"{section}.{key}" for section in tree for key in tree[section]} - keys.SELECTED:
                assert f"  {key}=" in text, key
    assert set(keys.all_keys()) >= {"training.rate", "network.blocks", "execute.address", "budget.hours", "rows"}


def test_readings_are_keys() -> None:
    assert set(keys.all_keys()) >= READINGS
    assert {key.partition(".")[0] for key in READINGS} <= set(SECTIONS)


def test_composing_inside_another_hydra_program_leaves_it_alone(tmp_path: Path) -> None:
    import hydra

    (tmp_path / "theirs.yaml").write_text("mine: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        composition._composed.cache_clear()
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
