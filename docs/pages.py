"""What the scripts of this folder share: they call the program, write tables, and renew marked blocks of a page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


def printed(words: str) -> str:
    """What `lstm-search WORDS` prints; its progress goes to the terminal."""
    command = [sys.executable, "-m", "lstm_search", *shlex.split(words)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))


def renew(page: Path, block: re.Pattern[str], text: Callable[[re.Match[str]], str]) -> None:
    """Put `text` into each block of the page: between the first and the last group of what `block` matches."""
    before = page.read_text(encoding="utf-8")
    after = block.sub(lambda found: found[1] + text(found) + found.groups()[-1], before)
    page.write_text(after, encoding="utf-8")
