"""Trials to workers and results back, once each: in this process, on the cores of this machine, or on a Ray cluster;
or simulated. Ray enters the package here and nowhere else.
"""

from lstm_search.execute.cluster import ClusterUnreachable, reach, token_path
from lstm_search.execute.crew import Executor
from lstm_search.execute.executor import ExecuteSettings, open_executor
from lstm_search.execute.jobs_api import VARIABLE as JOB_VARIABLE
from lstm_search.execute.jobs_api import Job, Jobs, SubmitSettings, connect, unpacked
from lstm_search.execute.simulated import HOST as SIMULATED_HOST
from lstm_search.execute.simulated import SURFACES, Response, Simulated, Surface, simulates
