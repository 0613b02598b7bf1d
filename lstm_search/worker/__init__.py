"""The worker's side: trials in lanes, advanced in slices, results out. A worker is one object with one method; it knows
no database, no cluster and no credential.
"""

from lstm_search.worker.shape import shape_of
from lstm_search.worker.trial import Progress, Worker, demand, warm

__all__ = ["Progress", "Worker", "demand", "shape_of", "warm"]
