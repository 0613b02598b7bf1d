"""How much each axis of a search matters: the share of the objective's variance that it explains by itself and together
with others, by a functional analysis of variance (Hutter, Hoos & Leyton-Brown 2014) of the cells met, made by Optuna.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lstm_search.checks import are_numbers

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 8
"""Cells that it takes at least: of fewer, the trees of the model see little but noise."""


def importances(points: Sequence[Mapping[str, Any]], losses: Sequence[float]) -> dict[str, float]:
    """The importance of each key of `points`, the largest first; together 1. Empty where there is nothing to tell: too
    few cells, less than two axes that vary, or losses that are all alike. A loss that is not finite is left out.
    """
    known = [(point, loss) for point, loss in zip(points, losses, strict=True) if math.isfinite(loss)]
    keys = [key for key in (known[0][0] if known else ()) if len({str(point.get(key)) for point, _ in known}) > 1]
    if len(known) < FEWEST or len(keys) < 2 or len({loss for _, loss in known}) < 2:
        return {}
    return _fanova([{key: point.get(key) for key in keys} for point, _ in known], [loss for _, loss in known])


def _fanova(points: Sequence[Mapping[str, Any]], losses: Sequence[float]) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    axes = {key: [point[key] for point in points] for key in points[0]}
    kinds = {key: _distribution(values) for key, values in axes.items()}
    study = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its libraries say of each other helps no user
        for point, loss in zip(points, losses, strict=True):
            params = {key: value if are_numbers(axes[key]) else repr(value) for key, value in point.items()}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=loss))
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(value) for key, value in found.items()}


def _distribution(values: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if not are_numbers(values):
        return CategoricalDistribution(sorted({repr(value) for value in values}))
    low, high = min(values), max(values)
    return FloatDistribution(low, high, log=low > 0 and high >= 20 * low)
