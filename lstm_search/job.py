"""What a job of a Ray cluster runs: `lstm-search run` with the words that `lstm-search submit` sent along."""

from __future__ import annotations

import os
import sys

from lstm_search import cli, jobs_api

CLUSTER = ("execute=ray", "execute.address=auto")
"""Given last, so that they count: the study is trained on the cluster that the job belongs to."""


def main() -> int:
    """Run the study; its exit code."""
    try:
        words = jobs_api.unpacked(os.environ.pop(jobs_api.VARIABLE, ""))
    except ValueError as error:
        print("lstm-search:", error, file=sys.stderr)
        return 2
    return cli.main(["run", *words, *CLUSTER])


if __name__ == "__main__":
    sys.exit(main())
