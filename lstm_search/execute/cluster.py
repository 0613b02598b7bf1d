"""What every way to a Ray cluster shares, without Ray: its token, its error, its settings in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
"""What Ray shall not do of its own accord."""


class ClusterUnreachable(ConnectionError):  # noqa: N818  (it says what is the case; callers catch it by this name)
    """No usable Ray cluster at the address: nothing listens there, or it refused the token."""


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Ray and its processes take these settings from the environment (None: unset); afterwards it is as before."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def token_path() -> Path:
    """The file of the token, where Ray looks for it."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def token() -> str:
    """The cluster's token, looked up where Ray looks; empty where there is none."""
    if os.environ.get("RAY_AUTH_MODE") == "disabled":
        return ""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"].strip()
    path = token_path()
    return path.read_text().strip() if path.is_file() else ""
