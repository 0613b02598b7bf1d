"""The terms of a study as values: cell, trial, outcome, result, row, definition; their keys, and their forms as plain
values for the record, for files and for MLflow. Plain data that every room above shares.
"""

from lstm_search.spec.canonical import canonical, canonical_json, digest, flat
from lstm_search.spec.cell import NUMERICS_VERSION, SCHEMA_VERSION, SEQUENCES, Cell, cell_from_dict
from lstm_search.spec.curve import Curve, CurvePoint
from lstm_search.spec.row import (
    FINALIST,
    Candidate,
    Definition,
    Purpose,
    Row,
    counted,
    dropped_rows,
    points_of,
    row_from_plain,
    settings_of,
    short_names,
    unit_of,
)
from lstm_search.spec.settings import Stop, Training
from lstm_search.spec.trial import (
    BROKEN,
    Outcome,
    Reached,
    Trial,
    TrialResult,
    TrialSpec,
    all_from_plain,
    from_plain,
    trial_from_plain,
    trial_key,
    trials_from_plain,
)
