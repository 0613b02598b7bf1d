"""The catalogue of verbs: the name written on the command line, then what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from lstm_search.cli import completion
from lstm_search.cli.doctor import doctor
from lstm_search.cli.error_flow import error_flow
from lstm_search.cli.plan import plan
from lstm_search.cli.replay import replay
from lstm_search.cli.run import run
from lstm_search.cli.shell import Exit
from lstm_search.cli.studies import delete, status
from lstm_search.cli.submit import submit
from lstm_search.cli.sync import recover, sync, ui, verify
from lstm_search.cli.views import export, show_comparison, show_config, show_figures, show_report, show_table
from lstm_search.config import ConfigError, Settings
from lstm_search.report import COMPARED, EXPORTERS, FIGURE_FORMATS, RENDERERS


class Verb(NamedTuple):
    """What a verb does, in one line, and the function that does it. `positional` names an argument that stands before
    the overrides, in brackets where it may be left out; the function takes it after the settings. `resumes`: given the
    name of a study alone, it takes the study as it is recorded. `formats`: what it prints; `sources`: whose trials it
    shows."""

    meaning: str
    call: Callable[..., int]
    positional: str = ""
    resumes: bool = False
    formats: Sequence[str] = ("markdown",)
    sources: Sequence[str] = ("record",)


TEXT = ("markdown", "json")
HERE, ANYWHERE = ("record", "shipped"), ("record", "shipped", "cluster")


def complete(_: Settings) -> int:
    """Print the script that gives bash completion."""
    print(completion.script(VERBS), end="")
    return Exit.DONE


SHOWN = tuple(RENDERERS)
DRAWN, FLOW = ("markdown", *FIGURE_FORMATS), ("markdown", "csv", *FIGURE_FORMATS)

VERBS = {
    "run": Verb("train what is missing of a study; again to resume it", run, resumes=True, formats=SHOWN),
    "plan": Verb(
        "rows, trials and caps; a search is tried for seconds to tell its cost", plan, resumes=True, formats=TEXT
    ),
    "status": Verb("how far all studies are, or one", status, formats=TEXT, sources=ANYWHERE),
    "table": Verb("the study's table beside the published rows", show_table, formats=SHOWN, sources=ANYWHERE),
    "compare": Verb("two studies side by side, 'study=[a,b]'", show_comparison, formats=tuple(COMPARED)),
    "plot": Verb("solved fraction and learning curves", show_figures, formats=FIGURE_FORMATS, sources=HERE),
    "report": Verb("the study on one page, to look at and to send", show_report, formats=("html",), sources=HERE),
    "export": Verb("one line a trial and milestone", export, formats=tuple(EXPORTERS), sources=ANYWHERE),
    "replay": Verb("train a trial again, compare its weights, draw its gates", replay, "KEY_OR_RUN_ID", formats=DRAWN),
    "error-flow": Verb("how errors shrink or grow on their way back", error_flow, "[KEY]", formats=FLOW),
    "sync": Verb("bring MLflow up to date with the record", sync),
    "submit": Verb("run a study as a job of a Ray cluster; again to attach to it", submit, formats=SHOWN),
    "recover": Verb("rebuild a lost record from MLflow, study=NAME", recover),
    "doctor": Verb("check this machine, the cluster and MLflow, and say what to do", doctor),
    "ui": Verb("start the MLflow server on 127.0.0.1 and print its link", ui),
    "config": Verb("print the composed configuration as YAML", show_config, resumes=True, sources=HERE),
    "verify": Verb("check that planned, recorded and published trials agree", verify, sources=("record", "cluster")),
    "delete": Verb("remove a study's record, after asking", delete),
    "completion": Verb('tab completion for bash: eval "$(lstm-search completion)"', complete),
}


def checked(name: str, settings: Settings) -> Settings:
    """The settings, with the verb's first format where none was asked for.

    Raises ConfigError for a format that the verb does not print, or a source that it does not show."""
    verb = VERBS[name]
    if settings.format not in ("", *verb.formats):
        able = [other for other, one in VERBS.items() if settings.format in one.formats]
        prints = f"prints {', '.join(verb.formats)}" if len(verb.formats) > 1 else "has no choice of formats"
        raise ConfigError(f"format={settings.format}: {name} {prints}; {', '.join(able)} take it")
    if settings.source not in verb.sources:
        able = [other for other, one in VERBS.items() if settings.source in one.sources]
        raise ConfigError(
            f"source={settings.source}: {name} takes source={' or '.join(verb.sources)}; {', '.join(able)} take it"
        )
    return replace(settings, format=settings.format or verb.formats[0])
