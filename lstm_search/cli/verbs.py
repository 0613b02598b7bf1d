"""What each verb of the command line does: settings and positional arguments to an exit code."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lstm_search import config, publish, study
from lstm_search import recover as recovering
from lstm_search.cli import completion
from lstm_search.cli.doctor import doctor
from lstm_search.cli.planning import plan
from lstm_search.cli.progress import display
from lstm_search.cli.seen import see
from lstm_search.cli.shell import Exit, chosen, refuse_untracked, same_place, say
from lstm_search.cli.submit import submit
from lstm_search.config import ConfigError, Settings
from lstm_search.record import Record
from lstm_search.record import study_file as recordfile
from lstm_search.report import comparison as compare
from lstm_search.report import summary, table
from lstm_search.simd import full_width
from lstm_search.spec import BROKEN, Outcome, Row, Trial, TrialResult
from lstm_search.tracking import tracker as tracking
from lstm_search.worker import Worker


class Verb(NamedTuple):
    """What a verb does, in one line, and the function that does it. `positional` names an argument that stands before
    the overrides."""

    meaning: str
    call: Callable[[Settings, Sequence[str]], int]
    positional: str = ""


def train(settings: Settings) -> study.Ended:
    """Train what is missing of the study, with progress on stderr. Raises what `study.run` raises."""
    rows, publishing = chosen(settings, "run"), None
    if settings.execute.kind != "ray":
        full_width()  # a processor that will not do is refused before anything is written
    if settings.tracking.kind == "mlflow":
        tracker = tracking.Tracker(settings.tracking.uri, settings.home)
        publishing = study.Publishing(tracker, settings.tracking.wait, say)
    with display(rows, _workers(settings)) as watch:
        return study.run(
            settings.definition,
            settings.home,
            settings.execute,
            search=settings.search,
            publishing=publishing,
            hours=settings.budget_hours,
            retry=settings.retry,
            watch=watch,
        )


def _workers(settings: Settings) -> int | None:
    """How many workers this machine starts; None where a cluster has them."""
    if settings.execute.kind == "ray":
        return settings.execute.workers
    return 1 if settings.execute.kind == "inline" else settings.execute.workers or len(os.sched_getaffinity(0))


def run(settings: Settings, _: Sequence[str]) -> int:
    """Train what is missing and print the table."""
    _refuse_hash(settings, "run")
    ended = train(settings)
    show_table(settings, _)
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
    with suppress(tracking.TrackingFailed):
        link = tracking.Tracker(uri, settings.home).link(name)
        if link:
            return tracking.shown(link)
    return f"lstm-search ui study={name}" + same_place(settings)


def status(settings: Settings, _: Sequence[str]) -> int:
    """Print how far all studies are, or the one chosen."""
    lines = [line for name in _names(settings, hint=True) for line in _status_lines(settings.home, name)]
    print("| study | row | finished | solved | capped | diverged | broken |\n|---|---|---:|---:|---:|---:|---:|")
    for line in lines:
        print(line)
    return Exit.DONE


def _names(settings: Settings, *, hint: bool = False) -> list[str]:
    """The study that was chosen, or else all there are; `hint`: where there is none, say how one is made."""
    names = [settings.definition.name] if settings.definition.name else recordfile.studies(settings.home)
    if hint and not names:
        say(f"no study in {settings.home.absolute()} yet; lstm-search run table=9 makes one")
    return names


def _status_lines(home: Path, name: str) -> list[str]:
    with Record.read(home, name) as record:
        counts, rows = record.counts(), record.definition().rows
    return [f"| {name} | {row.name} | {_status(row, counts[row.name])} |" for row in rows]


def _status(row: Row, counts: Counter[Outcome]) -> str:
    told = [counts[outcome] for outcome in (Outcome.SOLVED, Outcome.CAPPED, Outcome.DIVERGED)]
    most = f"{counts.total()} of {'at most ' if row.purpose == 'race' else ''}{row.replicates}"
    return " | ".join(map(str, [most, *told, counts.total() - sum(told)]))


def show_table(settings: Settings, _: Sequence[str]) -> int:
    """Print the study's table beside the published rows."""
    _refuse_hash(settings, "table")
    seen = see(settings)
    summaries = summary.summaries(seen.definition.rows, seen.trials)
    print(table.render(summaries, settings.format, seen.definition.title), end="")
    return Exit.DONE


def show_comparison(settings: Settings, _: Sequence[str]) -> int:
    """Print two studies side by side."""
    if len(settings.studies) != 2:
        raise ConfigError("compare: takes two studies, study=[a,b]")
    if settings.definition.rows:
        raise ConfigError("compare: takes studies as they were recorded, without table= or task=")
    a, b = (see(replace(settings, definition=replace(settings.definition, name=name))) for name in settings.studies)
    print(compare.markdown(compare.compare(a, b), *settings.studies), end="")
    return Exit.DONE


def _refuse_hash(settings: Settings, verb: str) -> None:
    if settings.format not in table.RENDERERS:
        raise ConfigError(f"format={settings.format}: {verb} prints {', '.join(table.RENDERERS)}; take export")


def draw(settings: Settings, _: Sequence[str]) -> int:
    """Draw the figures into the home folder and print their paths."""
    seen = see(settings, curves=True)
    settings.home.mkdir(parents=True, exist_ok=True)
    curves = settings.source == "record"  # what is shipped has none
    prefix = f"{seen.definition.name}-"
    for path in publish.draw(seen.definition.rows, seen.trials, settings.home, prefix, curves=curves):
        print(path)
    return Exit.DONE


def export(settings: Settings, _: Sequence[str]) -> int:
    """Print one line a trial and milestone."""
    seen = see(settings)
    form = "csv" if settings.format == "markdown" else settings.format
    print(table.export(seen.definition.rows, seen.trials, form), end="")
    return Exit.DONE


def replay(settings: Settings, arguments: Sequence[str]) -> int:
    """Train one trial again and say whether it comes out the same."""
    found = _find(settings, arguments[0])
    for name, trial in found.items():
        _refuse_broken(name, trial)
    trial = next(iter(found.values()))
    unit = trial.spec.cell.unit
    where = f"study {next(iter(found))}" if len(found) == 1 else f"studies {', '.join(found)}"
    say(f"training replicate {trial.spec.replicate} of {where} again, {trial.result.sequences:,} {unit}")
    again = _trained(trial)
    results = [*(trial.result for trial in found.values()), again]
    heads = ["recorded"] if len(found) == 1 else [f"recorded in {name}" for name in found]
    print(f"| | {' | '.join(heads)} | replayed |\n|---|{'---|' * len(results)}")
    for what, name in (("outcome", "outcome"), ("sequences", unit), ("weights_sha256", "weights_sha256")):
        print(f"| {name} | {' | '.join(str(getattr(result, what)) for result in results)} |")
    same = len({(result.outcome, result.sequences, result.weights_sha256) for result in results}) == 1
    print("\nthe same to the last bit" if same else "\nDIFFERENT: another numerics version, or a defect")
    return Exit.DONE if same else Exit.MISMATCH


def _refuse_broken(name: str, trial: Trial) -> None:
    outcome = trial.result.outcome
    if outcome in BROKEN:
        raise ConfigError(
            f"replicate {trial.spec.replicate} of study {name} ended {outcome}: it has no weights to compare; "
            f"retry=[{outcome.lower()}] trains it again"
        )


def _find(settings: Settings, wanted: str) -> dict[str, Trial]:
    """The trial that a key, its first digits, or an MLflow run id names, by the studies that hold it."""
    found = _recorded(settings, wanted)
    if not found and settings.tracking.kind == "mlflow" and re.fullmatch("[0-9a-f]{32}", wanted):
        wanted = tracking.Tracker(settings.tracking.uri, settings.home).find_run(wanted)
        found = _recorded(settings, wanted)
    if not found:
        raise ConfigError(f"{wanted[:80]}: no trial of a study in {settings.home} has such a key; export lists them")
    if len({trial.result.key for trial in found.values()}) > 1:
        raise ConfigError(f"{wanted}: different trials of studies {', '.join(found)} start so; give more digits")
    first = next(iter(found.values()))  # studies with another cap have the same trial, cut off elsewhere
    return {name: trial for name, trial in found.items() if trial.spec.cap == first.spec.cap}


def _recorded(settings: Settings, prefix: str) -> dict[str, Trial]:
    """The studies, of all or of the one chosen, with a trial whose key starts so, and that trial."""
    found = {}
    for name in _names(settings):
        with Record.read(settings.home, name) as record:
            if record.holds(prefix):
                found[name] = record.find(prefix)
    return found


def _trained(trial: Trial) -> TrialResult:
    worker, new = Worker(), [trial.spec]
    while True:
        progress = worker.advance(new, seconds=0.5)
        if progress.finished:
            return progress.finished[0]
        new = []


def sync(settings: Settings, _: Sequence[str]) -> int:
    """Bring MLflow up to date with the record of one study, or of all."""
    refuse_untracked(settings, "sync")
    tracker = tracking.Tracker(settings.tracking.uri, settings.home)
    for name in _names(settings, hint=True):
        print(f"{name}: {tracker.sync(publish.view(settings.home, name))} runs written")
    return Exit.DONE


def ui(settings: Settings, _: Sequence[str]) -> int:
    """Serve the dashboard until interrupted."""
    refuse_untracked(settings, "ui")
    name, uri = settings.definition.name or None, settings.tracking.uri
    if name:
        recordfile.existing(settings.home, name)
    if not (uri or "").startswith("http"):
        say("starting the MLflow server ...")
    with suppress(KeyboardInterrupt):  # the way to end it
        with tracking.ui(settings.home, uri, settings.tracking.port, name) as dashboard:
            print(*filter(None, (dashboard.link, dashboard.study_link)), sep="\n", flush=True)
            dashboard.wait()
        return Exit.DONE
    say("stopped")
    return Exit.DONE


def show_config(settings: Settings, _: Sequence[str]) -> int:
    """Print the composed configuration as YAML."""
    print(config.composed_yaml(settings), end="")
    return Exit.DONE


def verify(settings: Settings, _: Sequence[str]) -> int:
    """Compare how many trials are planned, recorded and published, of one study or of all."""
    one = settings.definition.name
    agree = True
    for name in _names(settings, hint=True):
        counts = _counts(settings if one else replace(settings, definition=replace(settings.definition, name=name)))
        if one:
            print(*(f"{what}: {count:,}" for what, count in counts.items()), sep="\n")
        else:
            print(f"{name}:", ", ".join(f"{count:,} {what}" for what, count in counts.items()))
        agree &= _agree(settings, name, counts)
    return Exit.DONE if agree else Exit.MISMATCH


def _counts(settings: Settings) -> dict[str, int]:
    seen = see(settings)
    planned = sum(
        len(seen.trials[row.name]) if row.purpose == "race" else row.replicates for row in seen.definition.rows
    )
    counts = {"planned": planned, "recorded": sum(len(seen.trials[row.name]) for row in seen.definition.rows)}
    if settings.tracking.kind == "mlflow":
        tracker = tracking.Tracker(settings.tracking.uri, settings.home)
        counts["runs not published"] = tracker.unpublished(publish.view(settings.home, seen.definition.name))
    return counts


def _agree(settings: Settings, name: str, counts: Mapping[str, int]) -> bool:
    """Whether nothing is missing; what is, is told."""
    missing, unpublished = counts["planned"] - counts["recorded"], counts.get("runs not published", 0)
    if missing:
        say(f"{missing:,} trials of study {name} are planned and not recorded: its lstm-search run command trains them")
    if unpublished:
        sync = f"lstm-search sync study={name}{same_place(settings)}"
        say(f"{unpublished:,} runs of study {name} are not in MLflow as recorded: {sync} writes them")
    return not missing and not unpublished


def delete(settings: Settings, _: Sequence[str]) -> int:
    """Remove a study's record, after asking; what MLflow shows of it stays there."""
    name = settings.definition.name
    if not name:
        raise ConfigError("delete: takes the study, study=NAME")
    path = recordfile.existing(settings.home, name)
    print(f"{path}: type the study's name to delete it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise ConfigError(f"delete: study {name} is kept; its name was not typed")
    recordfile.delete(settings.home, name)
    say(f"study {name} is deleted")
    return Exit.DONE


def recover(settings: Settings, _: Sequence[str]) -> int:
    """Rebuild a lost record from MLflow."""
    refuse_untracked(settings, "recover")
    if not settings.definition.name:
        raise ConfigError("recover: takes the study, study=NAME")
    tracker = tracking.Tracker(settings.tracking.uri, settings.home)
    found = recovering.recover(settings.home, tracker, settings.definition.name)
    print(f"{found.definition.name}: {len(found.trials):,} trials recovered, without their weights")
    if found.unfinished:
        say(f"{found.unfinished:,} trials were still being published; the study's run command trains them again")
    return Exit.DONE


def complete(_settings: Settings, _: Sequence[str]) -> int:
    """Print the script that gives bash completion."""
    print(completion.script(VERBS), end="")
    return Exit.DONE


VERBS = {
    "run": Verb("train what is missing of a study; again to resume it", run),
    "plan": Verb("print rows, trials and caps; nothing runs", plan),
    "status": Verb("how far all studies are, or one", status),
    "table": Verb("the study's table beside the published rows", show_table),
    "compare": Verb("two studies side by side, study=[a,b]", show_comparison),
    "plot": Verb("solved fraction and learning curves as PNG", draw),
    "export": Verb("one line a trial and milestone", export),
    "replay": Verb("train one trial again and compare its weights", replay, "KEY_OR_RUN_ID"),
    "sync": Verb("bring MLflow up to date with the record", sync),
    "submit": Verb("run a study as a job of a Ray cluster; again to attach to it", submit),
    "recover": Verb("rebuild a lost record from MLflow, study=NAME", recover),
    "doctor": Verb("check this machine, the cluster and MLflow, and say what to do", doctor),
    "ui": Verb("start the MLflow server on 127.0.0.1 and print its link", ui),
    "config": Verb("print the composed configuration", show_config),
    "verify": Verb("check that planned, recorded and published trials agree", verify),
    "delete": Verb("remove a study's record, after asking", delete),
    "completion": Verb('tab completion for bash: eval "$(lstm-search completion)"', complete),
}
