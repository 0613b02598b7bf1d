"""How a study is searched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lstm_search import checks


@dataclass(frozen=True)
class SearchSettings:
    """Which cells and replicates come next, and which cell is the best.

    `cells`: so many are drawn from the space (`draw`: independently, or as a Sobol sequence); None takes every
    combination. `objective`, at `milestone` (None: the last): the smallest expected running time (ert), the highest
    success rate and among equals the smallest ERT (success), or the smallest distance to the printed row (published).
    `blocks`: after how many replicates a racing cell is looked at; `error`: probability that the best cell of a task is
    dropped, over all looks. The best `finalists` of a task are trained again on `confirm` fresh replicates, numbered
    from `fresh_from` on. `pilot`: slices of half a second that `plan` trains to measure the cost.
    """

    kind: Literal["grid", "random", "race"] = "grid"
    max_trials: int = 100_000
    objective: Literal["ert", "success", "published"] = "ert"
    milestone: str | None = None
    confirm: int = 0
    finalists: int = 3
    fresh_from: int = 1_000_000
    pilot: int = 0
    cells: int | None = None
    draw: Literal["random", "sobol"] = "random"
    blocks: tuple[int, ...] = (5, 10, 20, 30)
    error: float = 0.05

    def __post_init__(self) -> None:
        checks.whole("search.max_trials", self.max_trials, 1, 10_000_000)
        checks.whole("search.confirm", self.confirm, 0, 1_000_000)
        checks.whole("search.finalists", self.finalists, 1, 1000)
        checks.whole("search.fresh_from", self.fresh_from, 1, 10**9)
        checks.whole("search.pilot", self.pilot, 0, 1000)
        if self.cells is not None:
            checks.whole("search.cells", self.cells, 1, 1_000_000)
        checks.real("search.error", self.error, above=0, high=0.5, example="0.05")
        self._check_blocks()

    def up_to(self, replicates: int | None) -> SearchSettings:
        """A race whose last block has so many replicates (None: as it is); another search is what it is."""
        if self.kind != "race" or replicates is None:
            return self
        return replace(self, blocks=(*(size for size in self.blocks if size < replicates), replicates))

    def _check_blocks(self) -> None:
        for number in self.blocks:
            checks.whole("search.blocks", number, 2, 1_000_000)
        if not self.blocks or list(self.blocks) != sorted(set(self.blocks)):
            raise ValueError(
                f"search.blocks={list(self.blocks)}: takes numbers of replicates that rise, for example [5,10,20,30]"
            )
