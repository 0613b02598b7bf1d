"""Make what docker-compose.yml takes from secrets/ and .env, where it is not there yet. Nothing is ever overwritten.

To rotate a secret see docs/deploy.md. Run by `make secrets`; takes nothing but Python.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from pathlib import Path

_ROOTS_STAND_IN = 10001
"""The user of the containers where root runs this: they never run as root."""

LOGIN = "[mlflow]\nmlflow_tracking_username = driver\nmlflow_tracking_password = {}\n"
"""The format of ~/.mlflow/credentials: the driver on the head has no rights but on the experiments that it makes."""


def contents() -> dict[str, str]:
    """Name and text of every secret; the database has two, its superuser's and that of MLflow's role."""
    return {
        "ray-token": secrets.token_hex(32),
        "mlflow-admin-password": secrets.token_urlsafe(24),
        "mlflow-driver-login": LOGIN.format(secrets.token_urlsafe(24)),
        "mlflow-flask-key": secrets.token_hex(32),
        "postgres-password": secrets.token_hex(24),
        "postgres-pgpass": f"*:*:*:mlflow:{secrets.token_hex(24)}",
    }


def _write(path: Path, text: str) -> None:
    """All of it or nothing, and never readable for others, not for a moment."""
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        file.write(text)
    partial.rename(path)


def make(folder: Path, owner: int, group: int) -> list[str]:
    """Write the secrets that are missing, readable for `owner` alone; their names. SystemExit where one is exposed."""
    folder.mkdir(mode=0o700, exist_ok=True)
    made = []
    for name, text in contents().items():
        path = folder / name
        if not path.exists():
            _write(path, text + "\n")
            made.append(name)
        if path.stat().st_uid != owner:
            os.chown(path, owner, group)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SystemExit(
                f"{path}: others may read this secret (mode {mode:04o}); chmod 0400 it, or better replace it"
            )
    return made


def main() -> None:
    """Secrets and .env in the current folder."""
    owner, group = os.getuid(), os.getgid()
    if owner == 0:
        owner = group = _ROOTS_STAND_IN
    made = make(Path("secrets"), owner, group)
    settings = Path(".env")
    if not settings.exists():
        settings.write_text(f"LSTM_UID={owner}\nLSTM_GID={group}\n")
        made.append(".env")
    sys.stdout.write(f"made {', '.join(made)}\n" if made else "all secrets are there\n")


if __name__ == "__main__":
    main()
