"""The command line: verbs, progress, help. Results go to stdout, everything else to stderr, and every error becomes one
line and an exit code.
"""

from lstm_search.cli.dispatch import main

__all__ = ["main"]
