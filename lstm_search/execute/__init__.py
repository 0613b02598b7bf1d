"""Trials to workers and results back, once each: in this process, on the cores of this machine, or on a Ray cluster.
Ray enters the package here and nowhere else.
"""

from lstm_search.execute.cluster import ClusterUnreachable
from lstm_search.execute.crew import Finished
from lstm_search.execute.executor import ExecuteSettings, Executor, open_executor
from lstm_search.execute.jobs_api import Job, Jobs, SubmitSettings

__all__ = [
    "ClusterUnreachable",
    "ExecuteSettings",
    "Executor",
    "Finished",
    "Job",
    "Jobs",
    "SubmitSettings",
    "open_executor",
]
