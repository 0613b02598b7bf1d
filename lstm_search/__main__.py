"""`python -m lstm_search` is `lstm-search`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn


def main() -> int:
    """Load the program and run it; its exit code. Loading takes a second: who interrupts it sees no traceback."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _end)
    from lstm_search.cli import main as program

    for number in heard:
        signal.signal(number, before[number])
    return program()


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End at once, while nothing has been begun: an exception may become another one in a library that is loaded."""
    with suppress(OSError):
        os.write(2, b"lstm-search: interrupted; nothing was begun\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
