"""Commands that are refused, in this process."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lstm_search.cli import dispatch as cli


def attempt(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and message of a command that must print nothing else."""
    code = cli.main(words)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lstm-search: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return code, captured.err
