"""What docs/theory.md shows: how errors flow back, gates at work, and what goes wrong.

`python docs/theory.py` trains the studies behind it (some core-minutes; again, it only watches some nets learn anew),
and renews docs/theory.md, docs/tables/error-flow.md and their figures in docs/images.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable

import learning
from pages import ROOT, markdown, printed, renew

import lstm_search
from lstm_search.config import compose
from lstm_search.record import Record

PAGE, FLOW = ROOT / "docs" / "theory.md", ROOT / "docs" / "tables" / "error-flow.md"
IMAGES, HOME = ROOT / "docs" / "images", ROOT / "studies"
BLOCK = re.compile(r"(<!-- theory: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

STUDIES = {
    "theory-6a": "task=temporal_order_6a replicates=1",
    "theory-2c": "table=3 rows=q50-p50 replicates=3 cap=100000",
    "theory-bptt": "task=temporal_order_6a network=bptt network.hidden=6 training.rate=0.3 replicates=1 cap=5000",
}
WRONG = {
    "drift": {
        "table-3-drift": "recipe=drift",
        "drift-biased": "recipe=drift network.recurrent=all network.gates_biased=true network.input_gate_bias=[-3,-3]",
    },
    "abuse": {"abuse-2a": "recipe=abuse-2a", "abuse": "recipe=abuse"},
    "conflict": {
        "conflict-input": "recipe=conflict-input",
        "conflict-input-gates": "recipe=conflict-input network=lstm1997",
        "conflict-output": "recipe=conflict-output",
        "conflict-output-gates": "recipe=conflict-output-gates",
        "conflict-both": "recipe=conflict-both",
        "conflict-both-gates": "recipe=best-1 rows=lstm-3x2-0.2 task.sharing=1 seed=2027 replicates=20 cap=200000",
    },
    "flat": {
        "flat-spots": "recipe=flat-spots",
        "flat-spots-linear": (
            "recipe=flat-spots network.output=linear training.rate=0.1 training.targets=[0,1] training.slope_added=0"
        ),
    },
}
"""By what goes wrong: the studies that show it."""

PLACE = f"home={HOME} tracking=none"


def named(study: str, words: str) -> str:
    """The words of a study with its name, where they do not say it already."""
    return words if compose(shlex.split(words)).definition.name == study else f"{words} study={study}"


def keys(study: str) -> list[str]:
    """The first digits of the keys of a study's trials, by replicate."""
    with Record.read(HOME, study) as record:
        return [trial.result.key[:8] for trials in record.trials(curves=False).values() for trial in trials]


def shown() -> dict[str, tuple[str, str, str]]:
    """By the name of a block: the command behind it, the figure that it writes, and its name in docs/images."""
    ((learned,), (first, _, drifted), (bptt,)) = (keys(study) for study in STUDIES)
    return {
        "untrained": ("error-flow", "error-flow.svg", "error-flow.svg"),
        "bptt": (f"error-flow {bptt}", "", ""),
        "lstm": (f"error-flow {learned}", f"theory-6a-error-flow-{learned}.svg", "error-flow-lstm.svg"),
        "gates": (f"replay {learned}", f"theory-6a-replay-{learned}.svg", "gates.svg"),
        "drifted": (f"replay {first},{drifted}", f"theory-2c-replay-{first}-{drifted}.svg", "drifted.svg"),
    }


def block(name: str, command: str, figure: str, copy: str) -> str:
    """The command as it is typed, and what it prints; of a replay what is said of the classes."""
    text = printed(f"{command} format=svg {PLACE}")
    if figure:
        shutil.copy(HOME / figure, IMAGES / copy)
    if command.startswith("replay"):
        text = text.partition("the same to the last bit\n\n")[2]
    if name in ("lstm", "drifted"):
        text = ""  # the figure says it
    study = {"bptt": "theory-bptt", "untrained": ""}.get(name, "theory-2c" if name == "drifted" else "theory-6a")
    trained = f"    lstm-search run {STUDIES[study]} study={study}\n" if study else ""
    return f"\n{trained}    lstm-search {command} format=svg\n\n{text.strip()}\n".rstrip() + "\n\n"


def counted(study: str) -> Iterable[tuple[str, ...]]:
    """A line a row: trials solved of all, with the exact interval, and sequences for one success."""
    cells = lstm_search.open_study(f"study={study}", *PLACE.split()).cells()
    for _, cell in cells.drop_duplicates("row", keep="last").iterrows():  # the last milestone comes last
        low, high = cell["success_interval_low"], cell["success_interval_high"]
        solved = f"{cell['k']}/{cell['n']} [{100 * low:.0f} to {100 * high:.0f} %]"
        yield study, cell["row"], solved, f"{cell['ert']:,.0f}" if cell["k"] else "-"


def wrong(name: str) -> str:
    """The commands behind what goes wrong, and how many trials were solved."""
    commands = (f"    lstm-search run {named(*each)}" for each in WRONG[name].items())
    rows = [line for study in WRONG[name] for line in counted(study)]
    table = markdown(("study", "row", "solved", "ERT"), rows)
    return "\n" + "\n".join(commands) + f"\n\n{table}\n\n"


def main() -> None:
    """Train what is missing, then draw, and renew the pages."""
    for studies in (STUDIES, *WRONG.values()):
        for study, words in studies.items():
            lstm_search.run(*shlex.split(named(study, words)), *PLACE.split())
    commands = shown()
    for page in (FLOW, PAGE):
        renew(page, BLOCK, lambda found: wrong(found[2]) if found[2] in WRONG else block(found[2], *commands[found[2]]))
    learning.draw_drift(WRONG["drift"])
    learning.draw_abuse(WRONG["abuse"])
    learning.draw_flat(WRONG["flat"])


if __name__ == "__main__":
    main()
