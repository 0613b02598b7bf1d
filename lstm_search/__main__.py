"""`python -m lstm_search` is `lstm-search`."""

import sys

from lstm_search.cli import main

if __name__ == "__main__":
    sys.exit(main())
