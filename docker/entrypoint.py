"""What each container starts first: looks at what it was given, refuses in words what will not do, becomes the command.

Secrets come as files. MLflow takes two of its own from the environment only: for these, NAME_FILE names the file, and
only the server's process gets NAME.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

_FILES = ("RAY_AUTH_TOKEN_PATH", "PGPASSFILE", "MLFLOW_LOGIN_FILE")
_VALUES = ("MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")


def check_secret(path: Path) -> str:
    """The text of a secret. SystemExit where it is missing, empty, unreadable or readable for others."""
    try:
        status = path.stat()
        text = path.read_text().strip()
    except FileNotFoundError:
        raise SystemExit(f"{path}: no such secret; run `make secrets` and start again") from None
    except PermissionError:
        raise SystemExit(
            f"{path}: is not readable for user {os.geteuid()}, as whom this container runs; LSTM_UID in .env must be "
            "the owner of the files in secrets/"
        ) from None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SystemExit(
            f"{path}: others may read this secret (mode {stat.S_IMODE(status.st_mode):04o}); chmod 0400 it"
        )
    if not text:
        raise SystemExit(f"{path}: is empty; delete it and run `make secrets`")
    return text


def read_secrets(environment: dict[str, str]) -> dict[str, str]:
    """The environment with what NAME_FILE names as NAME, after a look at every secret that it points to."""
    for name in _FILES:
        if name in environment:
            check_secret(Path(environment[name]))
    named = {name: environment.get(f"{name}_FILE") for name in _VALUES}
    return environment | {name: check_secret(Path(path)) for name, path in named.items() if path}


def prepare_kernels(compiled: str, cache: str) -> None:
    """Refuse a processor that the kernels were not compiled for, and lay them where they can be found.

    numba uses no cache folder that it cannot write, and the image is read-only.
    """
    from lstm_search.simd import UnsupportedProcessor, target_features

    try:
        target_features()
    except UnsupportedProcessor as error:
        raise SystemExit(str(error)) from None
    shutil.copytree(compiled, cache, dirs_exist_ok=True)


def main(command: list[str]) -> None:
    """Check, prepare, and become the command."""
    if not command:
        raise SystemExit("entrypoint.py: takes the command to run")
    environment = read_secrets(dict(os.environ))
    if "LSTM_SEARCH_KERNELS" in environment:
        prepare_kernels(environment["LSTM_SEARCH_KERNELS"], environment["LSTM_SEARCH_CACHE"])
    os.execvpe(command[0], command, environment)  # noqa: S606  (no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
