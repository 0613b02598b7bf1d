"""Points that Optuna's tree-structured Parzen estimator expects to be good (Bergstra et al. 2011)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lstm_search.search.drawn import cells_of
from lstm_search.search.random import independent
from lstm_search.search.settings import SearchSettings
from lstm_search.search.space import Numbers, Point, Values

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution

_MOST_TRIES = 100
"""How many proposals in a row may be points that were met, before a point is drawn independently."""


class Tpe:
    """`search.cells` points, each proposed with all that is known: losses of the points met, and that some still run
    (constant liar). The study of Optuna is kept in memory and made anew from what is recorded."""

    blind: ClassVar[bool] = False

    def __init__(self, axes: Mapping[str, Values], settings: SearchSettings, seed: int) -> None:
        self._axes, self._cells = axes, cells_of(axes, settings)
        self._distributions = {key: _distribution(values) for key, values in axes.items()}
        self._study = _study(seed)
        self._number: dict[Point, int] = {}
        self._elsewhere = independent(axes, settings, seed)

    @property
    def left(self) -> int:
        """How many of the cells were not met yet."""
        return max(0, self._cells - len(self._number))

    def propose(self) -> Point | None:
        """The next point; None where all cells were met. Raises ValueError where the space holds no other."""
        for _ in range(_MOST_TRIES if self.left else 0):
            trial = self._study.ask(self._distributions)
            point = self._point(trial)
            if point not in self._number:
                self._elsewhere.meet(point)
                self._number[point] = trial.number
                return point
            self._forget(trial)
        elsewhere = self._elsewhere.propose() if self.left else None
        if elsewhere is not None:
            self._add(elsewhere)
        return elsewhere

    def meet(self, point: Point) -> None:
        """Take note of a point that an earlier run has met."""
        self._elsewhere.meet(point)
        self._add(point)

    def tell(self, point: Point, loss: tuple[float, ...]) -> None:
        """Take note of the first loss of a point; Optuna takes no second one."""
        number = self._number[point]
        if not self._study.get_trials(deepcopy=False)[number].state.is_finished():
            self._study.tell(number, _one_number(loss))

    def _point(self, trial: Trial) -> Point:
        return tuple(_value(values, trial.params[key]) for key, values in self._axes.items())

    def _add(self, point: Point) -> None:
        from optuna.trial import TrialState, create_trial

        params = {
            key: value if isinstance(values, Numbers) else values.index(value)
            for (key, values), value in zip(self._axes.items(), point, strict=True)
        }
        self._number[point] = len(self._study.get_trials(deepcopy=False))
        self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=self._distributions))

    def _forget(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        self._study.tell(trial.number, state=TrialState.FAIL)


def _study(seed: int) -> Study:
    """An empty study with all options named, so that another release of Optuna with other defaults proposes alike."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=10,
        n_ei_candidates=24,
        multivariate=True,
        constant_liar=True,
        seed=seed % 2**32,
    )
    return optuna.create_study(sampler=sampler)


def _distribution(values: Values) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Numbers):
        return CategoricalDistribution(tuple(range(len(values))))  # by number: a value may be a list
    low, high, log = values.interval.low, values.interval.high, values.interval.log
    if values.whole:
        return IntDistribution(math.ceil(low), math.floor(high), log=log)
    return FloatDistribution(low, high, log=log)


def _value(values: Values, chosen: Any) -> Any:
    if isinstance(values, Numbers):
        return chosen if values.whole else values.interval.shortened(chosen)
    return values[chosen]


def _one_number(loss: Sequence[float]) -> float:
    """A loss as one number in the same order, but for differences of about a thousandth in the first part."""
    parts = [math.asinh(part) if math.isfinite(part) else 50.0 for part in loss]  # asinh(1e21) is less than 50
    return math.fsum(part / 50_000**place for place, part in enumerate(parts))
