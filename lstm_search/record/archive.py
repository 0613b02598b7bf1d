"""A trial's final weights as a record keeps them: an npz archive of two arrays, `hidden` and `output`."""

from __future__ import annotations

import hashlib
import io
from typing import Any

_NAMES = ("hidden", "output")


def unpacked(archive: bytes) -> dict[str, Any]:
    """The arrays of an archive by name. Raises ValueError where it is none."""
    import numpy as np  # only here, for the sake of verbs that look at no weights

    try:
        with np.load(io.BytesIO(archive)) as arrays:
            return {name: arrays[name] for name in _NAMES}
    except Exception as error:  # of damaged bytes numpy and zipfile raise nearly anything
        raise ValueError(f"its weights cannot be read ({type(error).__name__}: {error})") from error


def weights_sha256(archive: bytes) -> str:
    """SHA-256 (hex) of the arrays in a trial's archive of weights; empty where it is none."""
    try:
        arrays = unpacked(archive)
    except ValueError:
        return ""
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in _NAMES)).hexdigest()
