"""Renew docs/images/mlflow-*.png and report.png: a study in MLflow and on a page of its own, as Chromium shows them.

A study of 12 cells and 288 trials is simulated in a temporary folder, `lstm-search ui` is started on it, and the
pages behind its two links are photographed without a window; then what `lstm-search report` writes. Takes chromium and
chromium-driver (Debian's packages).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from pages import ROOT, printed
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

STUDY = (
    "run task=adding task.T=20 training.rate=0.1,0.2,0.5,1,2,5 network.size=1,2 replicates=24 execute=simulated "
    "study=simulated tracking.wait=600"
)
PICTURES = {
    "mlflow-cells": (".ag-center-cols-container .ag-row", 1400, 800),
    "mlflow-axes": (".parcoords text.label", 1400, 950),
    "mlflow-study": ("img[src*=solved_fraction]", 1400, 800),
    "report": (".js-plotly-plot .main-svg", 1100, 1900),
}
"""The pictures: what the page shows when it is ready, and the size of the window."""

LOOK = """
for (const button of document.querySelectorAll('button'))
    if (button.ariaLabel === 'Close' || button.innerText === 'Show more') button.click();
const places = [...document.querySelectorAll(arguments[0])].map(found => [found, found.getBoundingClientRect()]);
places.sort(([, a], [, b]) => a.top - b.top || a.left - b.left);
return places.map(([found]) => (found.innerText ?? found.textContent).replace(/\\s+/g, ' ').trim());
"""

PATIENCE = 300.0  # seconds until a page shows it


@contextmanager
def chromium(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """Debian's Chromium without a window."""
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},{height}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        driver.set_page_load_timeout(PATIENCE)
        yield driver
    finally:
        driver.quit()


def shown(driver: webdriver.Chrome, selector: str) -> list[str]:
    """The texts of the elements that the selector finds, from top to bottom and left to right, once they are the same
    for a second; meanwhile MLflow's assistant is shut and a description unfolded. TimeoutError where there are none."""
    deadline, before = time.monotonic() + PATIENCE, list[str]()
    while time.monotonic() < deadline:
        found = list(driver.execute_script(LOOK, selector))
        if found and found == before:
            return found
        before = found
        time.sleep(1)
    raise TimeoutError(f"{driver.current_url} does not show {selector}")


def open_page(driver: webdriver.Chrome, link: str, selector: str) -> list[str]:
    """Open a link; the texts that `shown` finds."""
    driver.get(link)
    return shown(driver, selector)


def main() -> None:
    """Simulate the study, serve it, photograph its pages."""
    with tempfile.TemporaryDirectory() as home:
        printed(f"{STUDY} home={home}")
        page = Path(printed(f"report study=simulated home={home}").strip()).as_uri()
        command = [sys.executable, "-m", "lstm_search", "ui", "study=simulated", f"home={home}", "tracking.port=5055"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ui, chromium(1400, 800) as driver:
            cells, study = (link.strip() for link in islice(ui.stdout or (), 2))
            pages = (cells, f"{cells}&compareRunsMode=CHART", study, page)
            for (name, (selector, width, height)), link in zip(PICTURES.items(), pages, strict=True):
                driver.set_window_size(width, height)
                open_page(driver, link, selector)
                driver.save_screenshot(str(ROOT / "docs" / "images" / f"{name}.png"))
            ui.terminate()


if __name__ == "__main__":
    main()
