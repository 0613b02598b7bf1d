"""The catalogue of verbs: the name written on the command line, then what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lstm_search.cli import completion
from lstm_search.cli.doctor import doctor
from lstm_search.cli.plan import plan
from lstm_search.cli.replay import replay
from lstm_search.cli.run import run
from lstm_search.cli.shell import Exit
from lstm_search.cli.studies import delete, status
from lstm_search.cli.submit import submit
from lstm_search.cli.sync import recover, sync, ui, verify
from lstm_search.cli.views import export, show_comparison, show_config, show_figures, show_table
from lstm_search.config import Settings


class Verb(NamedTuple):
    """What a verb does, in one line, and the function that does it. `positional` names an argument that stands before
    the overrides; the function takes it after the settings. `resumes`: given the name of a study alone, it takes the
    study as it is recorded."""

    meaning: str
    call: Callable[..., int]
    positional: str = ""
    resumes: bool = False


def complete(_: Settings) -> int:
    """Print the script that gives bash completion."""
    print(completion.script(VERBS), end="")
    return Exit.DONE


VERBS = {
    "run": Verb("train what is missing of a study; again to resume it", run, resumes=True),
    "plan": Verb("print rows, trials and caps; nothing runs", plan, resumes=True),
    "status": Verb("how far all studies are, or one", status),
    "table": Verb("the study's table beside the published rows", show_table),
    "compare": Verb("two studies side by side, study=[a,b]", show_comparison),
    "plot": Verb("solved fraction and learning curves as PNG", show_figures),
    "export": Verb("one line a trial and milestone", export),
    "replay": Verb("train one trial again and compare its weights", replay, "KEY_OR_RUN_ID"),
    "sync": Verb("bring MLflow up to date with the record", sync),
    "submit": Verb("run a study as a job of a Ray cluster; again to attach to it", submit),
    "recover": Verb("rebuild a lost record from MLflow, study=NAME", recover),
    "doctor": Verb("check this machine, the cluster and MLflow, and say what to do", doctor),
    "ui": Verb("start the MLflow server on 127.0.0.1 and print its link", ui),
    "config": Verb("print the composed configuration", show_config, resumes=True),
    "verify": Verb("check that planned, recorded and published trials agree", verify),
    "delete": Verb("remove a study's record, after asking", delete),
    "completion": Verb('tab completion for bash: eval "$(lstm-search completion)"', complete),
}
