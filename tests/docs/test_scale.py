"""benchmarks/scale.py plays the crew as studies do; times are left to it. The citation names this version."""

from __future__ import annotations

import runpy
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import yaml

from lstm_search.execute.crew import Crew

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "scale.py"))


def test_workers_on_paper_end_a_trial_with_each_answer() -> None:
    pool, specs = SCRIPT["OnPaper"](5), list(islice(SCRIPT["endless"](), 200))
    crew = Crew(pool, {}, lambda *_: None, lanes=16, slice_seconds=0.5, timeout=None, clock=lambda: pool.now)
    ended, waiting = [], specs[:]
    while waiting or crew.pending:
        new, waiting = waiting[: crew.room], waiting[crew.room :]
        crew.submit(new)
        ended += crew.gather(0.5)
    assert {trial.spec.key for trial in ended} == {spec.key for spec in specs}
    assert len(ended) == 200 == pool.answers - 5  # the first answer of each says that it is ready


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version("lstm-search")
