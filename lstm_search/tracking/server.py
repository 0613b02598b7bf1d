"""The process that serves MLflow to one person. It takes all it needs from standard input, where nobody sees it."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Served:
    """What is served, to whom: the database `uri` with the artifacts below `home`, at the socket `listener`, to those
    who know `key`, for as long as the process `parent` lives."""

    uri: str
    home: str
    hosts: list[str]
    listener: int
    key: str
    parent: int

    def text(self) -> bytes:
        """For `main`."""
        return json.dumps(asdict(self)).encode()


class Guard:
    """Lets in who knows the key, which is the first part of the path: 403 for all else.

    A cookie would go to every server of this machine, whoever's it is, for browsers tell no ports apart; and a page of
    another one could make the browser send it. A path is sent by those alone who know it. The server behind the guard
    sees the rest of the path; its pages have relative links only.
    """

    def __init__(self, app: Any, key: str) -> None:
        self._app, self._door = app, f"/{key}"

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        end = len(self._door)
        door, path = scope["path"][:end], scope["path"][end:]
        if path[:1] == "/" and secrets.compare_digest(door.encode(), self._door.encode()):
            inside = {"path": path, "raw_path": scope["raw_path"][end:]}
            await self._app(scope | inside, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Take the link that lstm-search ui has printed.\n"})


def end_with(parent: int) -> None:
    """End this process when `parent`, which has started it, ends, in whatever way."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        sys.exit("the process that asked for this server has ended")


def main() -> None:
    """Serve what standard input describes."""
    served = Served(**json.load(sys.stdin))
    end_with(served.parent)
    app = _mlflow(served)
    import uvicorn  # it comes with MLflow

    config = uvicorn.Config(Guard(app, served.key), access_log=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run([socket.socket(fileno=served.listener)])


def _mlflow(served: Served) -> Any:
    """MLflow's application. It reads its settings from the environment, some of them when it is imported."""
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(served.hosts),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in served.hosts),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    from mlflow.server import constants, handlers

    from lstm_search.tracking.pinned import pin

    artifacts = (Path(served.home) / "artifacts").as_uri()
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: served.uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: served.uri,
        constants.ARTIFACT_ROOT_ENV_VAR: artifacts,
    }
    pin(artifacts)
    handlers.initialize_backend_stores(served.uri, served.uri, artifacts)
    from mlflow.server.fastapi_app import app

    return app
