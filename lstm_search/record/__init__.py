"""The study's record: one SQLite file, written by the driver alone, in which a trial counts once it is committed; and
the trials that are shipped with the package.
"""

from lstm_search.record.record import Record, RecordFull, StudyLocked, check_name

__all__ = ["Record", "RecordFull", "StudyLocked", "check_name"]
