"""Compile the kernels of every table into LSTM_SEARCH_CACHE, for the processor level that NUMBA_CPU_NAME names."""

from __future__ import annotations

import os

from lstm_search import config
from lstm_search.jit import CACHE_DIR, LEVELS
from lstm_search.keys import options
from lstm_search.lanes import full_width
from lstm_search.trial import demand, warm


def main() -> None:
    """Every shape of every table, in every width in which its trials can run."""
    level = os.environ.get("NUMBA_CPU_NAME", "")
    if level not in LEVELS:
        raise SystemExit(f"CPU_LEVEL={level}: takes {' or '.join(LEVELS)}")
    rows = [row for table in options("table") for row in config.compose([f"table={table}"]).definition.rows]
    warm([(spec, full_width()) for spec, _ in demand(rows)])
    print(f"compiled {len(list(CACHE_DIR.rglob('*.nbc')))} kernels, {full_width()} lanes wide at most")


if __name__ == "__main__":
    main()
