"""Renew what the documentation shows of recorded studies: `make docs` trains them first, then calls this.

Between `<!-- output of: lstm-search ... -->` and `<!-- end -->` stands what that command prints; `docs/images/` holds
the figures of the studies.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- output of: lstm-search ([^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)
FIGURES = {
    "table-1": ("learning_curves",),
    "table-3": ("learning_curves",),
    "table-4": ("solved_fraction",),
    "table-7": ("learning_curves",),
    "table-7-adding": ("solved_fraction",),
    "table-9": ("learning_curves", "solved_fraction"),
}
"""The figures that the documentation shows, by study."""


def output(arguments: str) -> str:
    """What `lstm-search ARGUMENTS` prints."""
    command = [sys.executable, "-m", "lstm_search", *shlex.split(arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Renew every marked block, and the figures."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        renewed = BLOCK.sub(lambda block: block[1] + "\n" + output(block[2]).strip() + "\n\n" + block[3], text)
        page.write_text(renewed, encoding="utf-8")
    for study, kinds in FIGURES.items():
        for path in output(f"plot study={study}").split():
            if path.endswith(tuple(f"-{kind}.png" for kind in kinds)):
                shutil.copy(ROOT / path, ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
