"""The printed rows of tables 1 to 9 trained three times: as written, under the best readings of each table, and under
one set of readings for all of them. `make reproduce` trains what is missing and prints how many lines come out.

With `rivals`, it trains the rows of other networks than LSTM instead, which takes some hours. With `report`, writes the
trials into the package (`source=shipped`) and renews from them docs/reproduction.md, docs/tables/ and the figure.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pages import ROOT, markdown, printed, renew
from reproduction_figure import draw

from lstm_search.cli.dispatch import main as main_of_program
from lstm_search.config import compose
from lstm_search.published import Published, published_rows
from lstm_search.record import SHIPPED, Record, shipped_trials, studies
from lstm_search.report import Summary, summaries, summarise
from lstm_search.spec import Definition, Row, Trial

PAGE, PAGES = ROOT / "docs" / "reproduction.md", ROOT / "docs" / "tables"
README, FIGURE = ROOT / "README.md", ROOT / "docs" / "images" / "published-measured.svg"
BLOCK = re.compile(r"(<!-- (opening|lines|rivals|commands) -->\n).*?(<!-- end -->)", re.DOTALL)

TABLES = ("1", "2", "2b", "3", "4", "5", "6", "7", "8", "9")
WAYS = {
    "as written": {name: f"table={name}" for name in TABLES},
    "best readings": {name: f"recipe=best-{name} seed=2026" for name in TABLES if name != "2b"},  # which has none
    "one set": {name: f"recipe={name} seed=2026" for name in ("one-set", "one-set-linear")},
}
"""What trains the tables in each way, by table or recipe. Readings were chosen under seed 1998, and are shown under a
seed that nothing was chosen by."""

ALL = tuple(words for way in WAYS.values() for words in way.values())

WRITTEN = "Written by `python docs/reproduce.py report`, from the trials that are shipped."

RIVALS = (
    "table=1 rows=rivals study=table-1-rivals seed=2026",
    "table=2 rows=rivals study=table-2-rivals seed=2026",
    "table=2b rows=rivals study=table-2b-rivals seed=2026",
    "recipe=best-2-rtrl seed=2026",
    "table=guessing seed=2026",
)
"""The published rows of other networks than LSTM, as written; RTRL with p = 4 also under coded targets."""

Line = tuple[str, str]
"""A printed line: its table, and its name there."""


def train(commands: Sequence[str]) -> None:
    """Train what is missing of the studies, one after the other, and tell how much is ahead by what is shipped."""
    ahead = [cost(words) / 60 for words in commands]
    for number, words in enumerate(commands):
        left = f"{sum(ahead[number:]):.0f} of {sum(ahead):.0f} core-minutes ahead"
        print(f"study {number + 1} of {len(commands)}, {left}: lstm-search run {words}", flush=True)
        print(printed(f"run {words} tracking=none"), flush=True)


def cost(words: str) -> float:
    """Core-seconds of the study's shipped trials; of a row that has none, of those of its table as written."""
    asked = compose(shlex.split(words)).definition
    some = [shipped_of(asked, row) or _as_written(row) for row in asked.rows]
    return sum(trial.result.seconds for trials in some for trial in trials)


def _as_written(row: Row) -> Sequence[Trial]:
    """The shipped trials of a row of a table, with the settings that the paper has."""
    written = compose([f"table={row.table}", "rows=all"]).definition
    (same,) = (each for each in written.rows if each.name == row.name.rpartition("/")[2])  # joint: TABLE/ROW
    return shipped_of(written, same)


def ship(commands: Iterable[str], folder: Path) -> None:
    """Write the recorded trials of the studies into a folder; what is there of others stays."""
    known = studies(ROOT / "studies")
    for words in commands:
        asked = compose(shlex.split(words)).definition
        if asked.name not in known:
            print(f"{asked.name} is not recorded: what is shipped of it stays", flush=True)
            continue
        path = folder / f"{asked.name}.csv"
        before = [path.read_text(encoding="utf-8")] if path.exists() else []
        text = merged(asked, *before, bare(printed(f"export {words}")))
        if text.count("\n") > 1:  # a trial has ended
            path.write_text(text, encoding="utf-8")


def bare(exported: str) -> str:
    """What was exported without the settings, which the keys stand for."""
    lines = list(csv.reader(exported.splitlines()))
    last = lines[0].index("weights_sha256") + 1
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(line[:last] for line in lines)
    return text.getvalue()


def merged(asked: Definition, *exported: str) -> str:
    """All trials of the study that are in one of the texts, in the order of its rows; those of a later text count.

    So a study can be trained row by row, and on several machines."""
    lines: dict[str, list[str]] = {}
    head = exported[-1].splitlines(keepends=True)[0]
    for text in exported:
        for key, ends in itertools.groupby(text.splitlines(keepends=True)[1:], key=lambda line: line.split(",")[0]):
            lines[key] = list(ends)
    keys = [spec.key for row in asked.rows for spec in row.trials(asked.seed)]
    return head + "".join(line for key in keys for line in lines.get(key, ()))


def shipped_of(asked: Definition, row: Row, folder: Path = SHIPPED) -> Sequence[Trial]:
    """The row's shipped trials; none where it has not been trained."""
    try:
        return shipped_trials(replace(asked, rows=(row,)), folder)[row.name]
    except ValueError:
        return ()


def found(commands: Iterable[str], folder: Path = SHIPPED) -> dict[Line, Summary]:
    """What came of every printed line in these studies."""
    lines: dict[Line, Summary] = {}
    for words in commands:
        asked = compose(shlex.split(words)).definition
        trials = {row.name: shipped_of(asked, row, folder) for row in asked.rows}
        some = summaries(asked.rows, trials)
        lines |= {(row.published.table, row.published.row): row for row in some if row.published}
    return lines


def of_lstm() -> list[Published]:
    """The printed lines of LSTM, in the order of the paper."""
    return [row for row in published_rows() if row.method == "LSTM"]


def opening(folder: Path = SHIPPED) -> str:
    """Of the printed lines of LSTM, how many come out: by table, and all."""
    ways = {way: found(each.values(), folder) for way, each in WAYS.items()}
    lines = {name: [row for row in of_lstm() if row.table == name] for name in TABLES}
    body = [[name, f"{len(some)}", *(_consistent(ways[way], some) for way in WAYS)] for name, some in lines.items()]
    body.append(["**all**", f"**{len(of_lstm())}**", *(f"**{_consistent(ways[way], of_lstm())}**" for way in WAYS)])
    return markdown(["table", "printed lines", *(f"consistent {way}" for way in WAYS)], body)


def _consistent(found_: Mapping[Line, Summary], lines: Iterable[Published]) -> str:
    """How many of the lines are consistent with the print."""
    verdicts = [found_[row.table, row.row].verdict for row in lines if (row.table, row.row) in found_]
    return f"{verdicts.count('consistent')}"


def all_lines() -> str:
    """Every printed line of LSTM: what was printed, and what came out in each of the three ways."""
    ways = [found(each.values()) for each in WAYS.values()]
    head = ["table", "row", "published", *itertools.chain(*((way, "verdict") for way in WAYS))]
    body = []
    for row in of_lstm():
        told = [_told(way.get((row.table, row.row))) for way in ways]
        body.append([row.table, row.row, _printed(row), *itertools.chain(*told)])
    return markdown(head, body)


def _told(row: Summary | None) -> tuple[str, str]:
    """Successes and mean, and the verdict."""
    if row is None or not row.finished:
        return "not trained", "-"
    return f"{row.k}/{row.n}" + ("" if row.mean is None else f", {row.mean:,.0f}"), row.verdict or "-"


def _printed(row: Published) -> str:
    """Published successes, where their number is known, and mean or bound."""
    mean = row.sequences if row.mean_sequences is None else f"{row.mean_sequences:,.0f}"
    return mean if row.successes is None else f"{row.successes}/{row.trials}, {mean}"


def commands() -> str:
    """What trains them, with the readings of each recipe."""
    lines = []
    for way, each in WAYS.items():
        lines += [f"{way}:", "", *(f"    lstm-search run {words}" for words in each.values()), ""]
    return "\n".join(lines).strip()


RIVAL_HEAD = "| table | row | trials ended | solved | {unit} | ERT | cap | published | verdict | core-seconds |"


def rivals() -> str:
    """Every published row of other networks, as far as it has been trained, with the commands that train them: a table
    for each unit that trials count in."""
    lines: dict[str, list[str]] = {}
    for words in RIVALS:
        asked = compose(shlex.split(words)).definition
        for row in asked.rows:
            (summary,) = summarise(row, shipped_of(asked, row))
            lines.setdefault(row.unit, []).append(_rival(row, summary))
    tables = []
    for unit, some in lines.items():
        head = RIVAL_HEAD.format(unit=unit)
        tables += [head, "|" + "---|" * (head.count("|") - 1), *some, ""]
    return "\n".join([*tables, *(f"    lstm-search run {words}" for words in RIVALS)])


def _rival(row: Row, summary: Summary) -> str:
    low, high = summary.success_interval
    cells = (
        row.table,
        " ".join([row.name, *(f"{key.partition('.')[2]}={value}" for key, value in row.readings)]),
        f"{summary.finished} of {summary.planned}",
        f"{summary.k}/{summary.n} [{100 * low:.0f} to {100 * high:.0f} %]" if summary.n else "-",
        "-" if summary.mean is None else f"{summary.mean:,.0f}",
        "-" if summary.ert is None else f"{summary.ert:,.0f}".replace("inf", "infinite"),
        f"{row.cap:,}",
        _printed(summary.published) if summary.published else "-",
        (summary.verdict or "-") if summary.finished else "not trained",
        f"{summary.core_seconds:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def page_of(name: str) -> str:
    """The page of one table: what the program prints of it, as written and under its best readings."""
    parts = [f"# {compose([f'table={name}']).definition.title}", WRITTEN]
    return "\n\n".join([*parts, *(_shown(way, WAYS[way].get(name)) for way in ("as written", "best readings"))])


def page_of_one_set() -> str:
    """What the program prints of all tables under one set."""
    parts = [_shown(name, words) for name, words in WAYS["one set"].items()]
    return "\n\n".join(["# One set of readings for all tables", WRITTEN, *parts])


def _shown(heading: str, words: str | None) -> str:
    """A part of a page: what the program prints of a study; nothing where there is none."""
    if words is None:
        return ""
    asked = compose(shlex.split(words)).definition
    trained = [row.name for row in asked.rows if shipped_of(asked, row)]
    missing = "" if len(trained) == len(asked.rows) else f"rows=[{','.join(trained)}]"
    with contextlib.redirect_stdout(io.StringIO()) as text:
        main_of_program(["table", *shlex.split(words), "source=shipped", *missing.split()])
    shown = text.getvalue().partition("\n")[2].strip()
    image = curves(words)
    if image.exists():
        shown += f"\n\n![Learning curves, {heading}](../images/{image.name})"
    return f"## {heading[0].upper()}{heading[1:]}\n\n    lstm-search run {words}\n\n{shown}\n"


def curves(words: str) -> Path:
    """Where the figure of a study's learning curves stands."""
    return ROOT / "docs" / "images" / f"{compose(shlex.split(words)).definition.name}-learning_curves.png"


def draw_curves(commands: Iterable[str]) -> None:
    """Draw the learning curves of the studies that are recorded with all that is shipped; figures of others stay."""
    for words in commands:
        asked = compose(shlex.split(words)).definition
        shipped = sum(len(shipped_of(asked, row)) for row in asked.rows)
        if asked.name in studies(ROOT / "studies") and 0 < shipped <= recorded(asked.name):
            printed(f"plot {words}")
            image = curves(words)
            shutil.copy(ROOT / "studies" / image.name, image)


def recorded(name: str) -> int:
    """How many trials of a study have ended here."""
    with Record.read(ROOT / "studies", name) as record:
        return sum(counts.total() for counts in record.counts().values())


def report() -> None:
    """Renew the shipped trials, the pages and the figures."""
    ship((*ALL, *RIVALS), SHIPPED)
    draw_curves(ALL)
    views = {"opening": opening, "lines": all_lines, "rivals": rivals, "commands": commands}
    for page in (README, PAGE):
        renew(page, BLOCK, lambda block: f"\n{views[block[2]]()}\n\n")
    PAGES.mkdir(exist_ok=True)
    for name in TABLES:
        (PAGES / f"table-{name}.md").write_text(page_of(name), encoding="utf-8")
    (PAGES / "one-set.md").write_text(page_of_one_set(), encoding="utf-8")
    draw(FIGURE, of_lstm(), {way: found(WAYS[way].values()) for way in ("as written", "best readings")})


def main() -> None:
    """Train what is missing, then print how many of the printed lines come out of what was trained here."""
    train(ALL)
    with tempfile.TemporaryDirectory() as folder:
        ship(ALL, Path(folder))
        print(opening(Path(folder)))


if __name__ == "__main__":
    if sys.argv[1:] == ["report"]:
        report()
    elif sys.argv[1:] == ["rivals"]:
        train(RIVALS)
    elif sys.argv[1:]:
        sys.exit(f"{' '.join(sys.argv[1:])}: takes nothing, or rivals, or report")
    else:
        main()
