"""`conf=DIR`: recipes, tables and tasks of one's own, beside the program's, under the same rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstm_search.cli.dispatch import main
from lstm_search.config import ConfigError, compose, composed_yaml, recorded_words

TASK = (
    "# @package _global_\n# Adding, but short\ntask:\n  name: adding\n  T: 20\n\nnetwork:\n  blocks: 3\n\n"
    "stop:\n  window: 100\n"
)
TABLE = (
    'title: "Mine: short sums"\ncommon: {task: adding_short, trials: 4}\n'
    "rows:\n  a: {training.rate: 0.1}\n  b: {network: elman, cap: 500}\n"
)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task, a table and a recipe, under a name that Hydra has to be told with care."""
    folder = tmp_path / "it's, mine=1"
    for group, name, text in (
        ("task", "adding_short", TASK),
        ("table", "table_mine", TABLE),
        ("recipe", "slow", "table: mine\ntraining.rate: 0.05\n"),
    ):
        (folder / group).mkdir(parents=True)
        (folder / group / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_task_of_ones_own_is_composed_like_the_programs(own: Path) -> None:
    (row,) = compose(["task=adding_short", f"conf={own}"]).definition.rows
    assert (row.cell.task.T, row.cell.network.blocks, row.cell.stop[0].window) == (20, 3, 100)  # type: ignore[attr-defined]
    assert row.cell.network.init == compose(["task=temporal_order_6a"]).definition.rows[0].cell.network.init  # type: ignore[attr-defined]


def test_a_table_of_ones_own_has_rows_and_a_title(own: Path) -> None:
    settings = compose(["table=mine", "rows=all", f"conf={own}"])
    rows = settings.definition.rows
    named = [(row.name, row.replicates, row.cell.network.name) for row in rows]
    assert named == [
        ("a", 4, "lstm1997"),
        ("b", 4, "elman"),
    ]
    assert (rows[0].cell.training.rate, rows[1].cap) == (0.1, 500)
    assert settings.definition.title == "Mine: short sums"
    assert settings.definition.name == "table-mine"


def test_a_recipe_of_ones_own_is_taken(own: Path) -> None:
    settings = compose(["recipe=slow", f"conf={own}"])
    assert settings.definition.name == "table-mine-slow"
    assert settings.definition.rows[0].cell.training.rate == 0.05


def test_the_folder_is_asked_for_again_with_the_study(own: Path) -> None:
    settings = compose(["task=adding_short", f"conf={own.name}", "study=s"])
    words = recorded_words(settings.definition)
    assert f"conf={own.name}" in words
    assert compose(words).definition.rows == settings.definition.rows
    assert "conf" in composed_yaml(settings)


def test_where_the_files_are_does_not_name_a_search(own: Path) -> None:
    words = ["training.rate=0.1,0.5", "task=adding"]
    assert compose([*words, f"conf={own}"]).definition.name == compose(words).definition.name


def test_files_are_found_while_their_settings_are_composed_and_no_longer(own: Path) -> None:
    compose(["task=adding_short", f"conf={own}"])
    with pytest.raises(ConfigError, match="task=adding_short: no such task"):
        compose(["task=adding_short"])


@pytest.mark.parametrize(
    ("file", "text", "words", "message"),
    [
        ("task/adding.yaml", TASK, "task=adding", "task/adding.yaml is a file of the program; give it another name"),
        (
            "task/x.yaml",
            TASK.replace("blocks", "blocs"),
            "task=x",
            "network.blocs: no such key; nearest: network.blocks",
        ),
        ("task/x.yaml", "task: adding\n", "task=x", "does not name its task"),
        ("task/x.yaml", "task: [\n", "task=x", "cannot be read"),
        ("task/x.yaml", "- task\n", "task=x", "takes lines KEY: VALUE"),
        ("task/x.yaml", TASK.replace("name: adding", "name: nothing"), "task=x", "task=nothing: no such task here"),
        ("task/x.yaml", TASK + "defaults: [/nothing]\n", "task=x", "cannot be composed"),
        ("table/table_x.yaml", "rows:\n  a: {task: adding, trials: 1}\n", "table=x", "takes a title"),
        ("table/table_x.yaml", "title: X\n", "table=x", "takes rows"),
        ("table/table_x.yaml", "title: X\nrows: [a]\n", "table=x", "takes rows"),
        ("table/table_x.yaml", "title: X\nrows:\n  a: {task: adding}\n", "table=x", "row a takes a task and a number"),
        (
            "table/table_x.yaml",
            "title: X\nrows:\n  a: {task: adding, trials: 1, training.rat: 1}\n",
            "table=x",
            "training.rat: no such key; nearest: training.rate",
        ),
        (
            "table/table_x.yaml",
            "title: X\nrows:\n  a: {task: nothing, trials: 1}\n",
            "table=x",
            "task=nothing: no such",
        ),
        ("recipe/x.yaml", "task: adding\nhydra.run.dir: /\n", "recipe=x", "Hydra's own settings are not open here"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(own: Path, file: str, text: str, words: str, message: str) -> None:
    (own / file).write_text(text)
    with pytest.raises(ValueError, match=r"[:=]") as refused:
        compose([words, f"conf={own}"])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder; takes one with files in task/, table/ or recipe/"):
        compose(["task=adding", f"conf={tmp_path / 'nowhere'}"])


def test_help_names_a_recipe_and_a_table_that_say_nothing_of_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for group, name in (("recipe", "quiet"), ("table", "table_quiet")):
        (tmp_path / group).mkdir()
        (tmp_path / group / f"{name}.yaml").write_text("task: adding\n")
    assert main(["--help", f"conf={tmp_path}"]) == 0
    assert {"recipe=quiet", "table=quiet"} <= set(capsys.readouterr().out.split())
