"""Searches among readings: `python docs/readings.py` trains what is missing of them, some hours on two cores; again to
resume. With `report`, writes what the program prints of each into docs/searches/."""

from __future__ import annotations

import shlex
import sys

from pages import ROOT, printed

from lstm_search.config import compose
from lstm_search.record import Record, studies

FOLDER, HOME = ROOT / "docs" / "searches", ROOT / "studies"

SEARCHES = tuple(
    f"recipe=readings-{name}"
    for name in ("1", "1-9", "2", "2-rtrl", "2-chunker", "2b", "3", "4-5", "4", "5", "6", "7", "9", "all")
)


def report() -> None:
    """Write the pages of the searches that are recorded; the others stay as they are."""
    FOLDER.mkdir(exist_ok=True)
    for words in SEARCHES:
        name = compose(shlex.split(words)).definition.name
        if name in studies(HOME):
            path = FOLDER / f"{words.removeprefix('recipe=readings-')}.md"
            path.write_text(page(words, name), encoding="utf-8")
        else:
            print(f"{name} is not recorded: its page stays as it is", flush=True)


def page(words: str, name: str) -> str:
    """What was searched, what it cost, and the table that the program prints."""
    record = Record.read(HOME, name)
    results = [trial.result for some in record.trials(curves=False).values() for trial in some]
    record.close()
    hours = sum(result.seconds for result in results) / 3600
    title, _, table = printed(f"table study={name} lines=40").partition("\n")
    cost = (
        f"{len(results):,} trials, {hours:.1f} core-hours on one machine. Written by `python docs/readings.py report`."
    )
    return f"# Search: {title}\n\n    lstm-search run {words}\n\n{cost}\n\n{table.strip()}\n"


def main() -> None:
    """Train what is missing of the searches."""
    for number, words in enumerate(SEARCHES, 1):
        print(f"{number} of {len(SEARCHES)}: lstm-search run {words}", flush=True)
        print(printed(f"run {words} tracking=none"), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["report"]:
        report()
    elif sys.argv[1:]:
        sys.exit(f"{' '.join(sys.argv[1:])}: takes nothing, or report")
    else:
        main()
