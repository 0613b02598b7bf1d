"""The record's projection into MLflow, and what can be read back from there. MLflow enters the package here and nowhere
else; results never wait for it.
"""

from lstm_search.tracking.projection import CellView, StudyView, definition_of, error_of, metric_name
from lstm_search.tracking.reader import CURVES, Stored
from lstm_search.tracking.tracker import BackgroundTracker, Tracker, TrackingFailed, shown, ui

__all__ = [
    "CURVES",
    "BackgroundTracker",
    "CellView",
    "Stored",
    "StudyView",
    "Tracker",
    "TrackingFailed",
    "definition_of",
    "error_of",
    "metric_name",
    "shown",
    "ui",
]
