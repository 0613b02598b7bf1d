"""Statistics as pure functions on plain sequences of numbers; every estimate has its interval.

Where a figure is not defined (too few values, no spread) the answer is None; an infinite one is `math.inf`. Random
resampling starts from a fixed seed, so the same record always gives the same table. scipy is imported where it is first
needed, and what every table has takes its special functions alone: its tests take half a second more to load.
"""

from lstm_search.stats.joint import ert_over_rows_p, fewer_over_rows_p
from lstm_search.stats.means import FEWEST_FOR_PREDICTION, mean, mean_interval, mean_prediction, prediction_p
from lstm_search.stats.rates import (
    boschloo_p,
    detectable_difference,
    fewer_p,
    fisher_p,
    mcnemar_p,
    rate_told_apart,
    success_interval,
)
from lstm_search.stats.remaining import Load, seconds_left
from lstm_search.stats.sample import Interval, Times
from lstm_search.stats.several import holm
from lstm_search.stats.times import (
    ert_p,
    expected_running_time,
    logrank_p,
    median_time,
    ratio_interval,
    solved_curve,
)
