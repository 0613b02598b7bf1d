"""What a job of a Ray cluster runs: `lstm-search run`, or a verb that only shows, with the overrides that were sent."""

from __future__ import annotations

import os
import sys

from lstm_search.cli import dispatch as cli
from lstm_search.execute import JOB_VARIABLE, unpacked

CLUSTER = ("execute=ray", "execute.address=auto")
"""Given in place of what was sent: the study is trained on the cluster that the job belongs to."""


def main(verb: str = "run") -> int:
    """Run the study, or show what is recorded here; the exit code."""
    try:
        overrides = unpacked(os.environ.pop(JOB_VARIABLE, ""))
    except ValueError as error:
        print("lstm-search:", error, file=sys.stderr)
        return 2
    if verb == "run":
        ours = {word.partition("=")[0] for word in CLUSTER}
        overrides = [*(word for word in overrides if word.partition("=")[0] not in ours), *CLUSTER]
    return cli.main([verb, *overrides])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
