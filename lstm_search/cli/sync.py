"""The verbs between the record and MLflow: `sync`, `ui`, `verify` and `recover`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from lstm_search import publish
from lstm_search.cli.seen import about, see
from lstm_search.cli.shell import Exit, refuse_untracked, same_place, say
from lstm_search.cli.studies import names
from lstm_search.config import ConfigError, Settings
from lstm_search.record import Record, existing_study, findings, holder
from lstm_search.tracking import StudyView, Tracker, is_server
from lstm_search.tracking import ui as served

MOST_TOLD = 10
"""Findings of `verify` that are told one by one."""


def sync(settings: Settings) -> int:
    """Bring MLflow up to date with the record of one study, or of all. Raises UnknownStudy, TrackingFailed, and
    ConfigError where MLflow is switched off; so do the other verbs here."""
    refuse_untracked(settings, "sync")
    tracker = Tracker(settings.tracking.uri, settings.home)
    for name in names(settings, hint=True):
        print(f"{name}: {tracker.sync(_view(settings, name))} runs written")
    return Exit.DONE


def _view(settings: Settings, name: str) -> StudyView:
    with Record.read(settings.home, name) as record:
        definition = record.definition()
    return publish.view(settings.home, name, about(definition))


def ui(settings: Settings) -> int:
    """Serve the dashboard until interrupted."""
    refuse_untracked(settings, "ui")
    name, uri = settings.definition.name or None, settings.tracking.uri
    if name:
        existing_study(settings.home, name)
    _catch_up(settings)
    if not is_server(uri or ""):
        say("starting the MLflow server ...")
    with suppress(KeyboardInterrupt):  # the way to end it
        with served(settings.home, uri, settings.tracking.port, name) as dashboard:
            print(*dashboard.links, sep="\n", flush=True)
            dashboard.wait()
        return Exit.DONE
    say("stopped")
    return Exit.DONE


def _catch_up(settings: Settings) -> None:
    """Correct what MLflow shows as running although nothing runs it, and what an earlier release has published."""
    tracker = Tracker(settings.tracking.uri, settings.home)
    for name in names(settings):
        if tracker.is_behind(name) and not holder(settings.home, name):
            say(f"bringing study {name} up to date in MLflow ...")
            tracker.sync(_view(settings, name))


def verify(settings: Settings) -> int:
    """Whether all that was recorded is as it was written, and how many trials are planned, recorded and published, of
    one study or of all. Of a study that runs nothing can be told yet: the exit code is LOCKED."""
    one = settings.definition.name
    codes = {Exit.DONE}
    for name in names(settings, hint=True):
        held = holder(settings.home, name)  # asked first: what has ended meanwhile is counted as it ended
        if not held and (wrong := findings(settings.home, name)):
            codes.add(_not_whole(settings, name, wrong))
            continue
        counts = _counts(settings if one else replace(settings, definition=replace(settings.definition, name=name)))
        if one:
            print(*(f"{what}: {count:,}" for what, count in counts.items()), sep="\n")
        else:
            print(f"{name}:", ", ".join(f"{count:,} {what}" for what, count in counts.items()))
        codes.add(_still_running(name, held, counts) if held else _agree(settings, name, counts))
    return max(codes)


def _not_whole(settings: Settings, name: str, wrong: Sequence[str]) -> Exit:
    """Say what of a record is not as it was written, and what to do."""
    for what in wrong[:MOST_TOLD]:
        say(f"study {name}: {what}")
    if len(wrong) > MOST_TOLD:
        say(f"study {name}: and {len(wrong) - MOST_TOLD:,} more")
    verb = f"lstm-search recover study={name}{same_place(settings)}"
    say(f"{verb} keeps what is as it was written, takes the rest from MLflow, and leaves the file beside the new one")
    return Exit.MISMATCH


def _counts(settings: Settings) -> dict[str, int]:
    seen = see(settings)
    planned = sum(
        len(seen.trials[row.name]) if row.purpose == "race" else row.replicates for row in seen.definition.rows
    )
    counts = {"planned": planned, "recorded": sum(len(seen.trials[row.name]) for row in seen.definition.rows)}
    if settings.tracking.kind == "mlflow":
        tracker = Tracker(settings.tracking.uri, settings.home)
        counts["runs not published"] = tracker.unpublished(_view(settings, seen.definition.name))
    return counts


def _still_running(name: str, held: str, counts: Mapping[str, int]) -> Exit:
    """Say what is still to come."""
    missing = counts["planned"] - counts["recorded"]
    runs = f", {counts['runs not published']:,} runs to be published" if "runs not published" in counts else ""
    say(f"study {name} runs, by {held}: {missing:,} trials are still to come{runs}; verify it when that has ended")
    return Exit.LOCKED


def _agree(settings: Settings, name: str, counts: Mapping[str, int]) -> Exit:
    """Whether nothing is missing; what is, is told."""
    missing, unpublished = counts["planned"] - counts["recorded"], counts.get("runs not published", 0)
    if missing:
        say(
            f"{missing:,} trials of study {name} are planned and not recorded: lstm-search run study={name} trains them"
        )
    if unpublished:
        sync = f"lstm-search sync study={name}{same_place(settings)}"
        say(f"{unpublished:,} runs of study {name} are not in MLflow as recorded: {sync} writes them")
    return Exit.MISMATCH if missing or unpublished else Exit.DONE


def recover(settings: Settings) -> int:
    """Rebuild a lost record from MLflow. Raises ConfigError without a study, and what `publish.recover` raises."""
    refuse_untracked(settings, "recover")
    if not settings.definition.name:
        raise ConfigError("recover: takes the study, study=NAME")
    tracker = Tracker(settings.tracking.uri, settings.home)
    found = publish.recover(settings.home, tracker, settings.definition.name)
    kept = f"{found.kept:,} trials kept with their weights, " if found.kept else ""
    print(f"{found.definition.name}: {kept}{len(found.trials):,} trials recovered, without their weights")
    if found.unfinished:
        say(f"{found.unfinished:,} trials were still being published; the study's run command trains them again")
    if found.changed:
        say(f"{found.changed:,} trials are not as they were published; the study's run command trains them again")
    return Exit.DONE
