"""What trials come to: summaries with intervals and verdicts, tables, plots and comparisons. Pure functions of a record
and of what was printed in 1997.
"""

__all__ = []
