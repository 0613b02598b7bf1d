"""The command line: verbs, progress, help. Results go to stdout, everything else to stderr, and every error becomes one
line and an exit code.
"""

from lstm_search.cli.dispatch import main
from lstm_search.cli.run import train
from lstm_search.cli.seen import as_recorded, see
