"""How a study is searched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lstm_search.checks import setting, settle


@dataclass(frozen=True)
class SearchSettings:
    """Which cells are met, which of their trials come next, and which cell is the best.

    A search is a proposer and an allocator; `kind` names the common pairs. Among cells of the same success rate, the
    objective `success` takes the one with the smallest expected running time. `error` is the probability over all looks
    at a race. The best are those of each task of a study.
    """

    kind: Literal["grid", "random", "race", "tpe"] = "grid"
    max_trials: int = setting(
        100_000, "a study of more trials is refused before anything is planned", low=1, high=10_000_000
    )
    proposer: Literal["grid", "random", "sobol", "tpe"] | None = setting(
        None,
        "who says which cell comes next: every combination (grid), drawn independently (random) or as a Sobol "
        "sequence (sobol), or by a model of what was seen (tpe); null takes that of search=NAME: a race draws where "
        "search.cells is given",
    )
    allocator: Literal["full", "race"] | None = setting(
        None,
        "who says which trial of the cells comes next: all (full), or no more of those that an exact test finds worse "
        "than the best (race); null takes that of search=NAME",
    )
    cells: int | None = setting(
        None,
        "how many cells are met; every combination where the proposer is grid",
        low=1,
        high=1_000_000,
    )
    joint: bool = setting(
        False,
        "one set of settings for all rows: they are judged together, and axes that a row lacks are left out for it",
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
    blocks: tuple[int, ...] = setting(
        (5, 10, 20, 30),
        "after how many replicates a race looks at a configuration; replicates=N ends them at N",
        low=2,
        high=1_000_000,
    )
    error: float = setting(
        0.05, "probability that a race drops the best configuration", above=0, high=0.5, example="0.05"
    )

    def __post_init__(self) -> None:
        settle(self, "search")
        self._check_blocks()
        if self.cells is not None and self.proposes == "grid":
            raise ValueError(
                f"search.cells={self.cells}: search={self.kind} takes every combination; search=random, search=race or "
                "search=tpe meet so many cells"
            )

    @property
    def proposes(self) -> str:
        """The name of the proposer."""
        usual = {"random": "random", "tpe": "tpe"}.get(self.kind, "grid")
        drawn = self.kind == "race" and self.cells is not None
        return self.proposer or ("random" if drawn else usual)

    @property
    def allocates(self) -> str:
        """The name of the allocator."""
        return self.allocator or ("race" if self.kind in ("race", "tpe") else "full")

    def up_to(self, replicates: int | None) -> SearchSettings:
        """A race whose last block has so many replicates (None: as it is); another search is what it is."""
        if self.allocates != "race" or replicates is None:
            return self
        return replace(self, blocks=(*(size for size in self.blocks if size < replicates), replicates))

    def _check_blocks(self) -> None:
        if not self.blocks or list(self.blocks) != sorted(set(self.blocks)):
            raise ValueError(
                f"search.blocks={list(self.blocks)}: takes numbers of replicates that rise, for example [5,10,20,30]"
            )
