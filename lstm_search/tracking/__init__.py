"""The record's projection into MLflow, and what can be read back from there. MLflow enters the package here and nowhere
else; results never wait for it.
"""

from lstm_search.tracking.address import check_address, is_server, without_password
from lstm_search.tracking.background import BackgroundTracker
from lstm_search.tracking.dashboard import PortTaken
from lstm_search.tracking.projection import RUN_ID, CellView, Status, StudyView
from lstm_search.tracking.recovery import NotRecoverable, Recovered, recovered
from lstm_search.tracking.tracker import Tracker, TrackingFailed, ui
