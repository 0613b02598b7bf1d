"""From the arguments of the command line to an exit code: a verb is looked up, its settings are composed, it is called,
and whatever it raises becomes one line on stderr.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from lstm_search import config
from lstm_search.cli.help import overview, text
from lstm_search.cli.outlets import outlets
from lstm_search.cli.seen import as_recorded
from lstm_search.cli.shell import ENDINGS, Exit, say
from lstm_search.cli.submit import ask
from lstm_search.cli.verbs import VERBS, checked
from lstm_search.config import ConfigError, hint, nearest
from lstm_search.execute import ClusterUnreachable
from lstm_search.record import RecordDamaged, RecordFull, StudyLocked
from lstm_search.tracking import TrackingFailed

HELP = frozenset({"--help", "-h", "help"})
UNUSABLE = frozenset({errno.ENAMETOOLONG, errno.EROFS})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (`sys.argv` by default) and return its exit code."""
    with outlets():
        return _run(list(sys.argv[1:] if argv is None else argv))


def _run(arguments: list[str]) -> int:
    told: list[signal.Signals] = []
    rest = "; finished trials are recorded, the same command trains the rest" if arguments[:1] == ["run"] else ""
    try:
        with _endable(told):
            code = _dispatch(arguments)
            print(end="", flush=True)
    except (Exception, KeyboardInterrupt, SystemExit) as ending:  # noqa: BLE001  # here all errors become exit codes
        if isinstance(ending, KeyboardInterrupt):  # raised by hand
            told.append(signal.SIGINT)
        if told:  # an exit that passes through Ray's core, or an import, may arrive here as another exception
            say(f"{ENDINGS[told[0]]}{rest}")
            return 128 + told[0]
        return _ended(ending)
    return code


def _ended(ending: BaseException) -> int:
    """The exit code for the exception that ended the command; a line on stderr says what happened, where that helps."""
    if isinstance(ending, SystemExit):
        return ending.code if isinstance(ending.code, int) else Exit.UNEXPECTED
    return _explain(ending)


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(overview())
        return Exit.DONE
    if HELP & set(arguments):
        print(text([word for word in arguments if word not in HELP]))
        return Exit.DONE
    if arguments[0] == "--version":
        print(f"lstm-search {version('lstm-search')}")
        return Exit.DONE
    name = arguments.pop(0)
    if name not in VERBS:
        raise ConfigError(f"{ascii(name)[1:-1][:80]}: no such verb{hint(name) or nearest(name, VERBS)}")
    verb = VERBS[name]
    positional = [arguments.pop(0)] if verb.positional and arguments and "=" not in arguments[0] else []
    if verb.positional and not positional and not verb.positional.startswith("["):
        raise ConfigError(f"{name}: takes {verb.positional} before its settings")
    config.refuse_repeated(arguments)
    settings = config.compose(arguments)
    if verb.resumes:
        settings = as_recorded(settings)
    if settings.studies and name != "compare":
        raise ConfigError(f"study=[{','.join(settings.studies)}]: {name} takes one study; compare takes two")
    settings = checked(name, settings)
    if settings.source == "cluster":
        return ask(settings, name)
    return verb.call(settings, *positional)


def exit_code(error: BaseException) -> int:
    """The exit code for an error. A ValueError that this package raises is a mistake of the user; one that a library
    raises is a defect of this package."""
    if isinstance(error, StudyLocked):
        return Exit.LOCKED
    if isinstance(error, ClusterUnreachable):
        return Exit.UNREACHABLE
    if isinstance(error, TrackingFailed):
        return Exit.UNPUBLISHED
    if isinstance(error, MemoryError | RecordFull | RecordDamaged) or (
        isinstance(error, OSError) and error.errno in FULL
    ):
        return Exit.DISK_OR_MEMORY
    if isinstance(error, PermissionError | NotADirectoryError) or getattr(error, "errno", 0) in UNUSABLE:
        return Exit.BAD_INPUT
    return Exit.BAD_INPUT if isinstance(error, ValueError) and _ours(error) else Exit.UNEXPECTED


def _ours(error: BaseException) -> bool:
    """Whether a `raise` statement of this package made the error, and neither a library nor Python itself did."""
    if isinstance(error, ConfigError):
        return True
    line = traceback.extract_tb(error.__traceback__)[-1].line or "raise"  # "": installed without sources
    return _last_frame_is_ours(error) and line.split(maxsplit=1)[0] == "raise"


def _last_frame_is_ours(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return Path(frames[-1].filename).is_relative_to(Path(__file__).parents[1])


def _explain(error: BaseException) -> int:
    code = exit_code(error)
    text = str(error) or type(error).__name__
    if code == Exit.UNEXPECTED:
        text = f"unexpected {type(error).__name__}: {text[:300]}; the details are in {_log(error)}"
    say(text)
    return code


def _log(error: BaseException) -> str:
    """Write the traceback into a new file; its path."""
    handle, path = tempfile.mkstemp(prefix="lstm-search-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(traceback.format_exception(error))
    return path


@contextmanager
def _endable(told: list[signal.Signals]) -> Iterator[None]:
    """Turn the signals that end a program into exceptions, so that workers end and the record is closed; the signal is
    added to `told`. One that is ignored, as under nohup, stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(signal.Signals(number))
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in ENDINGS}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
