"""What docs/theory.md shows: how errors flow back, and gates at work.

`python docs/theory.py` trains three small studies (about two minutes; again, it only draws), and renews the tables of
docs/theory.md and its figures in docs/images.
"""

from __future__ import annotations

import re
import shutil

from pages import ROOT, printed, renew

import lstm_search
from lstm_search.record import Record

PAGE, IMAGES, HOME = ROOT / "docs" / "theory.md", ROOT / "docs" / "images", ROOT / "studies"
BLOCK = re.compile(r"(<!-- theory: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

STUDIES = {
    "theory-6a": "task=temporal_order_6a replicates=1",
    "theory-2c": "table=3 rows=q50-p50 replicates=3 cap=100000",
    "theory-bptt": "task=temporal_order_6a network=bptt network.hidden=6 training.rate=0.3 replicates=1 cap=5000",
}
PLACE = f"home={HOME} tracking=none"


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
    if name == "lstm":
        text = ""  # the figure says it
    study = {"bptt": "theory-bptt", "untrained": ""}.get(name, "theory-2c" if name == "drifted" else "theory-6a")
    trained = f"    lstm-search run {STUDIES[study]} study={study}\n" if study else ""
    return f"\n{trained}    lstm-search {command} format=svg\n\n{text.strip()}\n".rstrip() + "\n\n"


def main() -> None:
    """Train what is missing, then draw, and renew the page."""
    for study, words in STUDIES.items():
        lstm_search.run(*words.split(), f"study={study}", *PLACE.split())
    commands = shown()
    renew(PAGE, BLOCK, lambda found: block(found[2], *commands[found[2]]))


if __name__ == "__main__":
    main()
