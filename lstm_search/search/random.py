"""Points drawn independently of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lstm_search.search.drawn import Drawn
from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Values


def independent(axes: Mapping[str, Values], settings: SearchSettings, seed: int) -> Drawn:
    """Proposes points that are drawn independently."""
    return Drawn(axes, settings, _shares(len(axes), seed))


def _shares(dimensions: int, seed: int) -> Iterator[Sequence[float]]:
    rng = np.random.default_rng(seed)
    while True:
        yield rng.random(dimensions).tolist()
