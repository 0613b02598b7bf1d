"""Ray clusters of several nodes on this machine, on loopback, with a token."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from helpers.program import processes

TOKEN = secrets.token_hex(32)
"""One for all clusters of a process: Ray keeps the first that it sees."""


@contextmanager
def cluster_in(folder: Path, **variables: str) -> Iterator[Any]:
    """A cluster of one node with one core; what reaches it is in the environment meanwhile."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    with patch.dict(os.environ, environment | variables):
        from ray.cluster_utils import Cluster

        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            yield found
        finally:
            found.shutdown()


def processes_of(node: Any) -> list[int]:
    """The processes of a node, its workers included, the raylet first."""
    everyone = processes()
    found = [started.process.pid for kind in ("raylet", "gcs_server") for started in node.all_processes.get(kind, ())]
    for pid in found:
        found += [child for child, (parent, _) in everyone.items() if parent == pid]
    return found
