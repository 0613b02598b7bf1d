"""The study's record: one SQLite file, written by the driver alone, in which a trial counts once it is committed; and
the trials that are shipped with the package.
"""

from lstm_search.record.archive import unpacked
from lstm_search.record.audit import Rescued, findings, rescued
from lstm_search.record.changes import DefinitionChanged
from lstm_search.record.record import Record
from lstm_search.record.shipped import FOLDER as SHIPPED
from lstm_search.record.shipped import counts as shipped_counts
from lstm_search.record.shipped import studies as shipped_studies
from lstm_search.record.shipped import trials as shipped_trials
from lstm_search.record.study_file import (
    HomeUnwritable,
    RecordDamaged,
    RecordFull,
    StudyLocked,
    UnknownStudy,
    acquire,
    check_name,
    holder,
    named_errors,
    studies,
)
from lstm_search.record.study_file import delete as delete_study
from lstm_search.record.study_file import existing as existing_study
