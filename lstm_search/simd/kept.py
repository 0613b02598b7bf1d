"""Machine code that is kept on disk. What is damaged there, or may be another user's, is not run: it is compiled anew.

numba itself runs whatever it finds in its folder, and where that cannot be written it takes one beside the sources, in
which stale code would be found.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, UserProvidedCacheLocator

_DIGEST = hashlib.sha256().digest_size
_ROOM = 2**20  # bytes; the largest kernels take about as much
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class _Locator(UserProvidedCacheLocator):  # type: ignore[misc]  # numba has no types
    """The folder of a file's kernels, below `numba.config.CACHE_DIR`. It is made when the first of them is kept."""

    def ensure_cache_path(self) -> None:
        """Nothing is written before something is kept."""

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator:
        return cls(function, file)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]  # numba has no types
    _locator_classes = (_Locator,)


class _Files(IndexDataCacheFile):  # type: ignore[misc]  # numba has no types
    """Each file begins with the SHA-256 of the rest of it, and each piece of code says which it is: two processes that
    compile at the same time may give different code the same name."""

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        found, data = super().load(key) or (None, None)
        return data if found == key else None

    @contextmanager
    def _open_for_write(self, path: str) -> Iterator[BinaryIO]:
        content = BytesIO()
        yield content
        with super()._open_for_write(path) as file:
            file.write(hashlib.sha256(content.getvalue()).digest() + content.getvalue())

    def _load_index(self) -> dict[Any, str]:
        try:
            content = BytesIO(_checked(self._index_path))
        except OSError:
            return {}
        version, rest = pickle.load(content), content.read()  # noqa: S301  (nobody else can have written it)
        stamp, index = pickle.loads(rest) if version == self._version else (None, {})  # noqa: S301
        return index if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_checked(self._data_path(name)))  # noqa: S301


class KeptCode(FunctionCache):  # type: ignore[misc]  # numba has no types
    """What numba asks for a kernel's machine code, and gives it to."""

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, *asked: Any) -> Any:
        """The machine code, or None where the kernel is to be compiled."""
        return None if unsafe() else super().load_overload(*asked)

    def save_overload(self, *made: Any) -> None:
        """Keep it where that is possible. It is run in any case."""
        with suppress(OSError):
            _make(Path(self._cache_path))
            if not unsafe():
                super().save_overload(*made)


def trouble() -> str:
    """Why machine code cannot be kept, in words that name the folder, which is made; empty where it can."""
    folder = Path(numba.config.CACHE_DIR)
    try:
        _make(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror or error}): set LSTM_SEARCH_CACHE to another folder"
    return unsafe()


def unsafe() -> str:
    """Why what lies in the folder may be another user's, in words that name it; empty where it is not."""
    folder = Path(numba.config.CACHE_DIR)
    for place in (folder.parent, folder):
        with suppress(FileNotFoundError):
            if _others_write(place.stat()):
                return f"others may write {place}: chmod go-w it, or set LSTM_SEARCH_CACHE to a folder of your own"
    return ""


def _make(folder: Path) -> None:
    """Make `folder`, and those around it, so that others do not write them, whatever the umask."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o755, exist_ok=True)


def _others_write(status: os.stat_result) -> bool:
    return bool(status.st_mode & _OTHERS) or status.st_uid not in (0, os.geteuid())


def _checked(path: str) -> bytes:
    """What follows the digest in a file; OSError where that is not what was written, or may be another user's."""
    with open(path, "rb") as file:  # noqa: PTH123  (numba has paths as text)
        content, status = file.read(), os.fstat(file.fileno())
    if _others_write(status) or hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        raise OSError(f"{path} is not what was written")
    return content[_DIGEST:]
