"""Compile the kernels of every table, or of the study that words like those of `run` choose, into LSTM_SEARCH_CACHE,
for the processor level that NUMBA_CPU_NAME names."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lstm_search import config
from lstm_search.config import options
from lstm_search.simd import CACHE_DIR, LEVELS, full_width
from lstm_search.worker import demand, warm


def main(words: Sequence[str]) -> None:
    """Every shape, in every width in which its trials can run."""
    level = os.environ.get("NUMBA_CPU_NAME", "")
    if level not in LEVELS:
        raise SystemExit(f"CPU_LEVEL={level}: takes {' or '.join(LEVELS)}")
    studies = [words] if words else [[f"table={table}"] for table in options("table")]
    rows = [row for study in studies for row in config.compose(study).definition.rows]
    warm([(spec, full_width()) for spec, _ in demand(rows)])
    print(f"compiled {len(list(CACHE_DIR.rglob('*.nbc')))} kernels, {full_width()} lanes wide at most")


if __name__ == "__main__":
    main(sys.argv[1:])
