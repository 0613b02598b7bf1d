"""Standard output and standard error that nobody needs to read to the end."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Outlet(io.TextIOWrapper):
    """A stream whose reader may go, as `head` does after its last line, or a terminal that hangs up: what is written
    from then on goes nowhere, and the command goes on to its end and its exit code."""

    def write(self, text: str, /) -> int:
        """Write, as long as somebody reads."""
        try:
            return super().write(text)
        except OSError as error:
            self._close_unread(error)
            return len(text)

    def flush(self) -> None:
        """Flush, as long as somebody reads."""
        try:
            super().flush()
        except OSError as error:
            self._close_unread(error)

    def _close_unread(self, error: OSError) -> None:
        """Let the descriptor lead nowhere, where nobody reads; what is still in the buffer is then written there."""
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


@contextmanager
def outlets() -> Iterator[None]:
    """`sys.stdout` and `sys.stderr` as outlets for the time of a `with` block. A stream that was closed before the
    program began is none; one of a test, which is in memory, stays as it is."""
    before = sys.stdout, sys.stderr
    opened = [_outlet(stream) for stream in before]
    sys.stdout, sys.stderr = (outlet or stream for outlet, stream in zip(opened, before, strict=True))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for outlet in filter(None, opened):
            outlet.flush()
            outlet.detach()  # the buffer belongs to the stream that was there before


def _outlet(stream: TextIO | None) -> Outlet | None:
    if not isinstance(stream, io.TextIOWrapper):
        return None
    try:
        stream.fileno()
    except io.UnsupportedOperation:
        return None
    stream.flush()
    return Outlet(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
