"""The commands of the README work, and the links of the documentation lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.program import Lstm, free_port
from helpers.waiting import PATIENCE, PUBLISHED

from lstm_search.networks import NETWORKS
from lstm_search.tracking.dashboard import Dashboard

CHECKOUT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's own, at import

DOCUMENTS = [
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(CHECKOUT.glob("docs/**/*.md")),
]

COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith(("lstm-search ", "make "))
]

SHORT = "replicates=1 cap=300"
"""What makes every study of the README short; the rest of the command is as printed."""


def words_of(command: str) -> list[str]:
    """What `lstm-search` gets where the README says `command`."""
    words = shlex.split(command, comments=True)
    if words[0] == "lstm-search":
        return words[1:]
    assert words[:2] == ["make", "run"], command
    return shlex.split(words[2].removeprefix("ARGS=")) if len(words) > 2 else ["run", "table=9"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all commands: the later ones look at what the earlier ones recorded."""
    return tmp_path_factory.mktemp("reader")


def test_every_network_is_named() -> None:
    named = re.findall(r"^\| `(\w+)` \|", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(NETWORKS)


def test_the_two_commands_come_first() -> None:
    assert COMMANDS[:2] == ["make run", "make test"]
    assert len(COMMANDS) > 5


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "make test"])
def test_a_command_of_the_readme_works(command: str, folder: Path, lstm: Lstm, monkeypatch: pytest.MonkeyPatch) -> None:
    words = words_of(command)
    if words[0] == "ui":
        monkeypatch.setattr(Dashboard, "wait", interrupted)
        words += [f"tracking.port={free_port()}"]
    if words[0] == "run":
        short = SHORT.split()
        words = [word for word in words if not word.startswith(tuple(f"{key.partition('=')[0]}=" for key in short))]
        words += short
        words += [] if "tracking=none" in words else [PUBLISHED]
        words += [] if command == "make run" else ["execute=inline"]  # once is enough for Ray, which takes its time
    if command != "make run":  # nor does each need a process of its own
        assert lstm(shlex.join(words), folder).stdout
        return
    program = [sys.executable, "-m", "lstm_search", *words]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def interrupted(dashboard: Dashboard) -> None:
    """The reader presses Ctrl-C once the server answers."""
    assert dashboard.links[0].startswith("http://127.0.0.1:")
    raise KeyboardInterrupt


def anchors(document: Path) -> set[str]:
    """The names by which the headings of a document can be linked, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name}: {link}"
        assert target.is_relative_to(CHECKOUT), f"{document.name}: {link} leads out of the repository"
        assert not anchor or anchor in anchors(target), f"{document.name}: {link}"
