"""What every way to a Ray cluster shares, without Ray: its address, its token, its error, its environment."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PROBE_SECONDS = 3.0
_GONE_SECONDS = 20.0  # a head takes 6 to 8 to start
_LAST_PORT = 65535
_KNOWN_CLUSTER = Path("/tmp/ray/ray_current_cluster")  # noqa: S108  (where `ray start` leaves the address)
_LOOPBACK = re.compile(r"(ray://)?(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+")

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


def resolved(address: str) -> str:
    """`address`, or for auto that of the cluster that was started on this machine; ClusterUnreachable without one."""
    if address != "auto":
        return address
    found = os.environ.get("RAY_ADDRESS") or (_KNOWN_CLUSTER.read_text().strip() if _KNOWN_CLUSTER.is_file() else "")
    if not found:
        raise ClusterUnreachable("execute.address=auto: no Ray cluster was started on this machine; give host:port")
    return found


def has_port(address: str) -> bool:
    """Whether the port at the end of an address, where one is given, is one that there is."""
    port = re.search(r":(\d+)/?$", address)
    return port is None or 1 <= int(port[1]) <= _LAST_PORT


def reach(address: str | None) -> str:
    """The address of the cluster at `address` (None: auto), once it has answered and taken the token.

    Ray itself would wait long and say little. Raises ClusterUnreachable.
    """
    found = resolved(address or "auto")
    probe(found, token())
    return found


class Head:
    """The head of a cluster in use, at host:port. Of what is asked of a head that is gone Ray says nothing for a
    minute; then it ends the process."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        self._place = (host.strip("[]"), int(port))
        self._address, self._there = address, True
        self._asked = self._heard = time.monotonic()

    def answers(self, every: float = 1.0) -> bool:
        """Whether it takes connections; asked anew where the last answer is so many seconds old. ClusterUnreachable
        where it has taken none for long."""
        now = time.monotonic()
        if now - self._asked >= every:
            self._asked, self._there = now, self._connects()
        if self._there:
            self._heard = now
        elif now - self._heard > _GONE_SECONDS:
            raise ClusterUnreachable(
                f"the Ray cluster at {self._address} has not answered for {_GONE_SECONDS:.0f} seconds; "
                "the same command trains the rest"
            )
        return self._there

    def _connects(self) -> bool:
        try:
            socket.create_connection(self._place, timeout=_PROBE_SECONDS).close()
        except OSError:
            return False
        return True


def without_token(key: str) -> ClusterUnreachable:
    """The error for a cluster on another machine, named by the setting `key`, where there is no token."""
    return ClusterUnreachable(
        f"{key}: a cluster on another machine is used only with a token, and there is none in RAY_AUTH_TOKEN_PATH, "
        "RAY_AUTH_TOKEN or ~/.ray/auth_token"
    )


def refused(address: str, token: str) -> ClusterUnreachable:
    """The error for a cluster that does not take this token, or wants one."""
    found = "refused the token of this machine" if token else "asks for a token and this machine has none"
    return ClusterUnreachable(
        f"the Ray cluster at {address} {found}: RAY_AUTH_TOKEN_PATH must name a file with the cluster's token"
    )


def probe(address: str, token: str) -> None:
    """Ask the cluster whether it is there and takes the token, within a few seconds; ClusterUnreachable if not."""
    if not (token or _LOOPBACK.fullmatch(address)):
        raise without_token(f"execute.address={address}")
    status, details = _ask(address.removeprefix("ray://"), token)
    if status == "UNAUTHENTICATED":
        raise refused(address, token)
    if status not in ("OK", "UNIMPLEMENTED"):  # a ray:// port knows no such question, but it is there
        raise ClusterUnreachable(
            f"no Ray cluster answers at execute.address={address} ({details}): start one with `ray start --head`, "
            "correct the address, or take execute=local, which needs none"
        )


def _ask(address: str, token: str) -> tuple[str, str]:
    """The status by which the cluster answers `CheckAlive`, and what it says."""
    import grpc  # type: ignore[import-untyped]  # it comes with ray[default]

    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            check = channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")
            check(b"", timeout=_PROBE_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            return str(error.code().name), str(error.details())
    return "OK", ""
