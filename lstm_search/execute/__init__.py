"""Trials to workers and results back, once each: in this process, on the cores of this machine, or on a Ray cluster.
Ray enters the package here and nowhere else.
"""

from lstm_search.execute.cluster import ClusterUnreachable, token_path
from lstm_search.execute.crew import Finished
from lstm_search.execute.executor import ExecuteSettings, Executor, open_executor, reach
from lstm_search.execute.jobs_api import VARIABLE as JOB_VARIABLE
from lstm_search.execute.jobs_api import Job, Jobs, SubmitSettings, connect, unpacked

__all__ = [
    "JOB_VARIABLE",
    "ClusterUnreachable",
    "ExecuteSettings",
    "Executor",
    "Finished",
    "Job",
    "Jobs",
    "SubmitSettings",
    "connect",
    "open_executor",
    "reach",
    "token_path",
    "unpacked",
]
