"""How a study is searched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lstm_search.checks import setting, settle


@dataclass(frozen=True)
class SearchSettings:
    """Which cells and replicates come next, and which cell is the best.

    Among cells of the same success rate, the objective `success` takes the one with the smallest expected running time.
    `error` is the probability over all looks at a race. The best are those of each task of a study.
    """

    kind: Literal["grid", "random", "race"] = "grid"
    max_trials: int = setting(
        100_000, "a study of more trials is refused before anything is planned", low=1, high=10_000_000
    )
    objective: Literal["ert", "success", "published"] = setting(
        "ert",
        "the best has the least expected running time (ert), or most successes (success), or is like the printed row "
        "(published)",
    )
    milestone: str | None = setting(None, "the point of a trial that the objective is about; null takes the last one")
    confirm: int = setting(
        0, "fresh replicates, of which no choice was made, of the best configurations", low=0, high=1_000_000
    )
    finalists: int = setting(3, "how many of the best are trained again on fresh replicates", low=1, high=1000)
    fresh_from: int = setting(1_000_000, "number of the first of these replicates", low=1, high=10**9)
    pilot: int = setting(
        0,
        "slices of half a second that plan trains, each of another configuration, to measure the cost",
        low=0,
        high=1000,
    )
    cells: int | None = setting(
        None,
        "how many are drawn from the values and intervals given; null takes every combination",
        low=1,
        high=1_000_000,
        kinds=("race", "random"),
    )
    draw: Literal["random", "sobol"] = setting(
        "random",
        "independently, or as a scrambled Sobol sequence, which leaves smaller gaps (sobol)",
        kinds=("race", "random"),
    )
    blocks: tuple[int, ...] = setting(
        (5, 10, 20, 30),
        "after how many replicates a configuration is looked at; replicates=N ends them at N",
        low=2,
        high=1_000_000,
        kinds=("race",),
    )
    error: float = setting(
        0.05, "probability that the best configuration is dropped", above=0, high=0.5, example="0.05", kinds=("race",)
    )

    def __post_init__(self) -> None:
        settle(self, "search")
        self._check_blocks()

    def up_to(self, replicates: int | None) -> SearchSettings:
        """A race whose last block has so many replicates (None: as it is); another search is what it is."""
        if self.kind != "race" or replicates is None:
            return self
        return replace(self, blocks=(*(size for size in self.blocks if size < replicates), replicates))

    def _check_blocks(self) -> None:
        if not self.blocks or list(self.blocks) != sorted(set(self.blocks)):
            raise ValueError(
                f"search.blocks={list(self.blocks)}: takes numbers of replicates that rise, for example [5,10,20,30]"
            )
