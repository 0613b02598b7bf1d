"""What those who come from other programs type, and what is meant by it here."""

from __future__ import annotations

from collections.abc import Mapping

_PLAN = "for example lstm-search plan task=adding"

_NUMBERS = (
    "replicates is the number of seeds of each cell, search.cells the number of cells that a search draws, "
    f"{_PLAN} replicates=10 search=random search.cells=20 'training.rate=interval(0.1,1)'"
)
_RATE = f"the learning rate is training.rate, {_PLAN} training.rate=0.1"
_EPOCHS = f"there are no epochs, every sequence is new; cap is the number of sequences of a trial, {_PLAN} cap=100000"
_UNITS = (
    "other networks have network.hidden, the default one has blocks of memory cells, "
    f"{_PLAN} network.blocks=2 network.size=2"
)
_BATCHES = f"there are no batches; training.update says when weights change, {_PLAN} training.update=sequence"
_AXES = f"leave it out, several values make a grid, {_PLAN} training.rate=0.1,0.5"
_SHOW = "for example lstm-search table study=NAME"

HINTS: Mapping[str, str] = {
    "lr": _RATE,
    "learning_rate": _RATE,
    "epochs": _EPOCHS,
    "max_epochs": _EPOCHS,
    "batch_size": _BATCHES,
    "hidden_size": _UNITS,
    "num_samples": _NUMBERS,
    "n_trials": _NUMBERS,
    "m": _AXES,
    "multirun": _AXES,
    "best": f"a search's table has the best cell first, {_SHOW}",
    "list": "status lists all studies: lstm-search status",
    "dashboard": "ui opens it, for example lstm-search ui study=NAME",
}
"""By word, without dashes in front: what to do, with a command that works as it stands."""


def hint(word: str) -> str:
    """The advice for a word, as the end of a message; empty where there is none."""
    known = HINTS.get(word.lstrip("-").rpartition(".")[2].replace("-", "_").lower())
    return f"; {known}" if known else ""
