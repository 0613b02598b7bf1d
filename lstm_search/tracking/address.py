"""Where MLflow is: what `tracking.uri` may be, and the file behind it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote

_DRIVERS = {
    "postgresql": "psycopg",
    "postgresql+psycopg": "psycopg",
    "postgresql+psycopg2": "psycopg2",
    "mysql": "MySQLdb",
    "mysql+mysqldb": "MySQLdb",
    "mysql+pymysql": "pymysql",
}
"""What a database's address may begin with, and the package that it takes."""

_MAGIC = b"SQLite format 3\0"


def check_address(uri: str) -> None:
    """Raises ValueError for an address that MLflow does not take, or where nothing would last."""
    given, scheme = f"tracking.uri={without_password(uri)}", uri.partition("://")[0] if "://" in uri else ""
    if scheme in {"http", "https"} or (scheme == "sqlite" and _lasts(uri)):
        return
    if scheme == "sqlite":
        raise ValueError(
            f"{given}: names no file, and what is in memory is lost; name one, sqlite:////folder/mlflow.db"
        )
    if scheme not in _DRIVERS:
        raise ValueError(
            f"{given}: takes a server such as http://127.0.0.1:5000, or a database such as sqlite:////folder/mlflow.db "
            f"or {', '.join(f'{name}://' for name in _DRIVERS)}; without tracking.uri the runs go to mlflow.db in the "
            "home folder"
        )
    if find_spec(_DRIVERS[scheme]) is None:
        package = _DRIVERS[scheme]
        name = {"psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient"}.get(package, package)
        raise ValueError(
            f"{given}: needs the package {package}; install {name} here, or give the address of an MLflow server"
        )


def _lasts(uri: str) -> bool:
    file = sqlite_file(uri)
    return file is not None and file.name not in {"", ":memory:"} and not str(file).startswith("file:")


def check_file(uri: str) -> None:
    """Raises ValueError where the file of a SQLite address holds something else."""
    path = sqlite_file(uri)
    if path is None or not path.exists():
        return
    if not path.is_file():
        raise ValueError(f"tracking.uri={uri}: {path} is no file; name one, as {uri.rstrip('/')}/mlflow.db")
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start not in {b"", _MAGIC}:
        raise ValueError(f"tracking.uri={uri}: {path} is no SQLite database; name another file")


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite database, as SQLAlchemy reads the address; None for other addresses."""
    found = re.match(r"sqlite:///([^?]*)", uri)
    return Path(unquote(found[1])) if found else None


def sqlite_address(path: Path) -> str:
    """The address of a SQLite file."""
    return f"sqlite:///{quote(str(path))}"


def is_server(uri: str) -> bool:
    """Whether an address is that of a server."""
    return uri.startswith("http")


def without_password(uri: str) -> str:
    """`uri` without its password."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", uri)
