"""A page of the documentation, followed to the letter: files are written, commands run, outputs compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from helpers.waiting import PATIENCE

CHECKOUT = Path(__file__).parents[2]


class Block(NamedTuple):
    """A fenced block: its language, the file that it is, if any, and its text."""

    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found]


def environment(folder: Path) -> Path:
    """A new environment in `folder` that sees the packages of this one; the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = folder / "bin" / "lstm-search"
    program.write_text('#!/bin/sh\nexec python -m lstm_search "$@"\n')
    program.chmod(0o755)
    return program.parent


def follow(page: Path, folder: Path, programs: Path) -> str:
    """Do what the page says in `folder`, with the programs of an environment; all that was printed as results."""
    variables = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(CHECKOUT)}
    printed = ""
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "bash":
            command = ["bash", "-euo", "pipefail", "-c", block.text]
            done = subprocess.run(
                command, cwd=folder, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout
        elif block.language == "text":
            assert block.text in printed, f"{block.text}\n{printed}"
    return printed
