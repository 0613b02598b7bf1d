"""MLflow's pages of a study, as Chromium shows them: the link of `ui` opens its cells with the columns that matter."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator

import pytest
from helpers.program import free_port, lstm, running
from helpers.waiting import PATIENCE

MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
MISSING += [] if importlib.util.find_spec("selenium") else ["selenium"]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not here: {', '.join(MISSING)} (Debian: apt-get install chromium chromium-driver)"
)

STUDY = "task=adding task.T=20 training.rate=0.2,1,5 network.size=1,2 execute=simulated study=seen tracking.wait=600"


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The links that `ui` prints of a study of six cells."""
    folder = tmp_path_factory.mktemp("seen")
    lstm(f"run {STUDY} replicates=8", folder)
    with running(f"ui study=seen tracking.port={free_port()}", folder) as ui:
        assert ui.stdout is not None
        yield [ui.stdout.readline().strip() for _ in range(2)]
        ui.terminate()  # a server outlives a ui that is killed
        ui.wait(PATIENCE)


def test_the_link_opens_the_cells_best_first_with_the_columns_that_matter(links: list[str]) -> None:
    from mlflow_page import chromium, open_page, shown

    with chromium(1600, 900) as driver:
        rows = open_page(driver, links[0], ".ag-center-cols-container .ag-row")
        heads = [head for head in shown(driver, ".ag-header-cell") if head]
        erts = [float(text) for text in shown(driver, ".ag-center-cols-container .ag-cell[col-id*='ert']")]
        names = shown(driver, ".ag-pinned-left-cols-container .ag-row, .is-runs-name-cell, .ag-cell a")
        driver.get(links[0].replace("viewStateShareKey=cells", "viewStateShareKey=trials"))
        trials = shown(driver, ".ag-center-cols-container .ag-row")
        driver.get(f"{links[0]}&compareRunsMode=CHART")
        axes = shown(driver, ".parcoords text.label")
        charts = shown(driver, "[data-testid='experiment-view-compare-runs-card']")
    assert len(rows) == 6, "trials are folded behind their cells"
    wanted = ["Run Name", "Created", "training.rate", "network.size", "solved", "state", "ert"]
    assert [head for head in heads if head in wanted] == wanted
    assert all("/8" in row and "done" in row for row in rows)
    assert len(erts) == 6
    assert erts == sorted(erts)
    assert any("rate=" in name for name in names)
    assert len(trials) > 6
    assert axes == ["training.rate", "network.size", "ert"], "MLflow's parallel coordinates are of the axes"
    assert charts[0].startswith("Parallel Coordinates")
    assert charts[1].startswith("training.rate vs. ert")
    assert charts[2].startswith("network.size vs. ert")


def test_the_page_of_the_study_shows_its_table_its_figures_and_its_command(links: list[str]) -> None:
    from mlflow_page import chromium, open_page, shown

    with chromium(1600, 1800) as driver:
        open_page(driver, links[1], "img[src*=solved_fraction]")
        (image,) = driver.find_elements("css selector", "img[src*=solved_fraction]")
        until_loaded = "const i = arguments[0]; return i.decode().then(() => i.naturalWidth)"
        assert driver.execute_script(until_loaded, image) > 500, "the figure is there, not only its frame"
        text = " ".join(shown(driver, "body"))
    assert f"lstm-search run {STUDY.partition(' execute')[0]}" in text
    assert "rate=1,size=2" in text
