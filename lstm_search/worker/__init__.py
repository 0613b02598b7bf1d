"""The worker: trials of one shape are trained side by side in the lanes of a pack, in slices of work.

It returns results and knows no database, no cluster and no credential.
"""

from lstm_search.worker.pack import GROWN, Pack
from lstm_search.worker.shape import shape_of
from lstm_search.worker.trial import Progress, Worker, demand, lanes_of, warm
from lstm_search.worker.wide import MOST_WIDE, WidePack, refuse
