"""Renew what the documentation shows of recorded studies: `make docs` trains them first, then calls this.

Between `<!-- output of: lstm-search ... -->` and `<!-- end -->` stands what that command prints.
"""

from __future__ import annotations

import re

from pages import ROOT, printed, renew

BLOCK = re.compile(r"(<!-- output of: lstm-search ([^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Renew every marked block."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        renew(page, BLOCK, lambda block: f"\n{printed(block[2]).strip()}\n\n")


if __name__ == "__main__":
    main()
