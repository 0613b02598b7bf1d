"""Renew what the documentation shows of recorded studies: `make docs` trains them first, then calls this.

Between `<!-- output of: lstm-search ... -->` and `<!-- end -->` stands what that command prints; `docs/images/` holds
the figures of the studies.
"""

from __future__ import annotations

import re
import shutil

from pages import ROOT, printed, renew

BLOCK = re.compile(r"(<!-- output of: lstm-search ([^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)
FIGURES = {
    "table-1": ("learning_curves",),
    "table-3": ("learning_curves",),
    "table-4": ("solved_fraction",),
    "table-7": ("learning_curves",),
    "table-9": ("learning_curves", "solved_fraction"),
}
"""The figures that the documentation shows, by study."""


def main() -> None:
    """Renew every marked block, and the figures."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        renew(page, BLOCK, lambda block: f"\n{printed(block[2]).strip()}\n\n")
    for study, kinds in FIGURES.items():
        for path in printed(f"plot study={study}").split():
            if path.endswith(tuple(f"-{kind}.png" for kind in kinds)):
                shutil.copy(ROOT / path, ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
