"""Points of a scrambled Sobol sequence, which leaves smaller gaps than independent ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lstm_search.search.drawn import Drawn
from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Values


def sobol(axes: Mapping[str, Values], settings: SearchSettings, seed: int) -> Drawn:
    """Proposes points of a Sobol sequence."""
    return Drawn(axes, settings, _shares(len(axes), seed))


def _shares(dimensions: int, seed: int) -> Iterator[Sequence[float]]:
    """Points of the unit cube; twice as many each time that they are used up. A longer sequence begins with the
    shorter one."""
    from scipy.stats import qmc

    sequence, drawn = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)), 0
    while True:
        more = max(drawn, 1024)
        yield from sequence.random(more).tolist()
        drawn += more
