"""Give the driver its login at the MLflow server, or its new password. May be repeated."""

from __future__ import annotations

import base64
import configparser
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path


def read_login(path: Path) -> tuple[str, str]:
    """User and password from a file in the format of ~/.mlflow/credentials."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    return parser["mlflow"]["mlflow_tracking_username"], parser["mlflow"]["mlflow_tracking_password"]


def ask(server: str, method: str, route: str, login: tuple[str, str], body: dict[str, str]) -> int:
    """The status by which the server answers."""
    credentials = base64.b64encode(":".join(login).encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    request = urllib.request.Request(  # noqa: S310  (the address is the compose file's)
        f"{server}/api/2.0/mlflow/users/{route}", json.dumps(body).encode(), headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def ensure(server: str, admin: tuple[str, str], login: tuple[str, str]) -> str:
    """Make the user, or set the password of the one that is there; what was done. SystemExit where it is refused."""
    body = dict(zip(("username", "password"), login, strict=True))
    status = ask(server, "POST", "create", admin, body)
    if status == 200:
        return "made"
    if status == 400:  # the user is there already
        status = ask(server, "PATCH", "update-password", admin, body)
    if status != 200:
        raise SystemExit(
            f"MLflow at {server} answers {status} to user {admin[0]}: secrets/mlflow-admin-password must hold the "
            "password that this user has in MLflow"
        )
    return "kept, password set"


def main() -> None:
    """Addresses and files come from the environment."""
    admin = os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"]
    login = read_login(Path(os.environ["MLFLOW_LOGIN_FILE"]))
    done = ensure(os.environ["MLFLOW_TRACKING_URI"].rstrip("/"), admin, login)
    sys.stdout.write(f"MLflow user {login[0]}: {done}\n")


if __name__ == "__main__":
    main()
