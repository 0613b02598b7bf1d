"""The check of tasks from outside takes every task of the package, and names the part that another one breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from helpers import outside

from lstm_search.tasks import TASKS, BrokenTask, check_task, register_task


@pytest.mark.parametrize("name", TASKS)
def test_tasks_of_the_package_keep_to_the_contract(name: str) -> None:
    check_task(TASKS[name])


def test_a_task_from_outside_may_keep_to_it() -> None:
    check_task(outside.Echo)
    check_task(outside.Echo(volume=2.0))


@pytest.mark.parametrize(("part", "broken"), outside.BROKEN.items(), ids=lambda value: str(value)[:20])
def test_the_broken_part_is_named(part: str, broken: tuple[Any, str]) -> None:
    kind, why = broken
    with pytest.raises(BrokenTask) as refused:
        register_task(kind)
    assert f": {part.split(maxsplit=1)[0]}: " in str(refused.value)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_class_that_workers_cannot_import_is_refused() -> None:
    @dataclass(frozen=True)
    class Local:
        name = "local"

    with pytest.raises(BrokenTask, match="workers cannot import it"):
        register_task(Local)  # type: ignore[arg-type]


def test_a_name_of_the_package_is_refused() -> None:
    with pytest.raises(BrokenTask, match="task adding: this package has a task of that name"):
        register_task(outside.variant("Doubled", name="adding"))
