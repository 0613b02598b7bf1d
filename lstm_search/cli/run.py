"""The verb `run`: train what is missing of a study, then show its table."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from lstm_search import study
from lstm_search.cli.progress import display
from lstm_search.cli.seen import about
from lstm_search.cli.shell import Exit, chosen, same_place, say
from lstm_search.cli.views import show_table
from lstm_search.config import Settings
from lstm_search.execute import reach
from lstm_search.simd import cache_trouble, full_width, gpus
from lstm_search.spec import Row
from lstm_search.tasks import check_task, task_origin
from lstm_search.tracking import Tracker, TrackingFailed, without_password


def train(settings: Settings) -> study.Ended:
    """Train what is missing of the study, with progress on stderr. Raises what `study.run` raises."""
    rows = chosen(settings, "run")
    publishing = None
    if settings.execute.kind == "ray":  # what will not do is refused before anything is written
        reach(settings.execute.address)
    elif settings.execute.kind != "simulated":
        _ = gpus() if settings.execute.device == "gpu" else full_width()
    if settings.execute.kind != "simulated":
        _check_tasks(rows)
    if settings.execute.kind in {"inline", "local"} and (trouble := cache_trouble()):
        say(f"every worker compiles its kernels for itself, which takes minutes: {trouble}")
    if settings.tracking.kind == "mlflow":
        tracker = Tracker(settings.tracking.uri, settings.home)
        publishing = study.Publishing(tracker, settings.tracking.wait, say, about(settings.definition, settings))
    with display(settings.definition.rows, _workers(settings)) as watch:
        return study.run(
            settings.definition,
            settings.home,
            settings.execute,
            space=settings.space,
            search=settings.search,
            publishing=publishing,
            hours=settings.budget_hours,
            retry=settings.retry,
            watch=watch,
        )


def _check_tasks(rows: Iterable[Row]) -> None:
    """Raises BrokenTask where a task from outside of the package does not keep to the contract with these settings."""
    for task in dict.fromkeys(row.cell.task for row in rows):
        if task_origin(type(task)):
            check_task(task)


def _workers(settings: Settings) -> int | None:
    """How many workers this machine starts; None where a cluster has them, or nothing is trained."""
    if settings.execute.kind == "simulated":
        return None
    if settings.execute.kind == "ray":
        return settings.execute.workers
    if settings.execute.kind == "inline":
        return 1
    return settings.execute.workers or len(gpus() if settings.execute.device == "gpu" else os.sched_getaffinity(0))


def run(settings: Settings) -> int:
    """Train what is missing and print the table."""
    ended = train(settings)
    show_table(settings)
    if ended.left:
        say(
            f"{ended.left:,} trials are left (budget.hours={settings.budget_hours}); the same command goes on from here"
        )
    name = settings.definition.name
    if settings.tracking.kind == "mlflow" and ended.published:
        say(f"the runs in a browser: {_where(settings)}")
    if ended.broken > settings.max_failed:
        say(f"{100 * ended.broken:.0f} % of the trials failed or were lost; max_failed={settings.max_failed}")
        return Exit.TOO_MANY_FAILED
    if not ended.published:
        why = f" ({ended.trouble})" if ended.trouble else ""
        again = f"lstm-search sync study={name}{same_place(settings)}"
        say(f"not everything is in MLflow yet{why}; {again} goes on with it")
        return Exit.UNPUBLISHED
    return Exit.DONE


def _where(settings: Settings) -> str:
    """The link to a study's runs, or the command that makes one."""
    name, uri = settings.definition.name, settings.tracking.uri
    with suppress(TrackingFailed):
        link = Tracker(uri, settings.home).link(name)
        if link:
            return without_password(link)
    return f"lstm-search ui study={name}" + same_place(settings)
