"""A run's page in a real browser, opened from the disk as a person does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from inference_core.stats.grid import Grid
from inference_core.stats.summary import Summary
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.page import report_html
from jobs.report.page_extras import PageExtras
from jobs.report.shown_evaluation import ShownEvaluation
from tests.integration.browser import browser
from tests.jobs.report.test_pictures import BREAKOUT, EVALUATION, shown

pytestmark = pytest.mark.integration

CHECKS = Path(__file__).parents[2].joinpath("integration", "page_checks.js").read_text()
GRID = Grid(axis="size", cells=tuple((column * 32 + row, column) for column in range(8, 20) for row in (4, 9)))


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("browser")) as chrome:
        yield chrome


def jpeg(side_px: int) -> bytes:
    written = BytesIO()
    Image.new("RGB", (side_px, side_px), "teal").save(written, "JPEG")
    return written.getvalue()


@pytest.fixture
def page(tmp_path: Path, judged: Summary, facts: RunFacts) -> Path:
    """A page with every kind of section, and names that attack whoever shows them."""
    names = ("a.jpg", "b.jpg", BREAKOUT, "</script><script>alert(3)</script>")
    images = [
        shown(name, label=BREAKOUT, thumbnail=jpeg(8), thumbnail_hw=(8, 8), picture=jpeg(64), policy=policy)
        for name, policy in zip(names, ("review", "worst", "random", "random"), strict=True)
    ]
    content = report_html(
        replace(judged, grids={"size": GRID}),
        facts=facts,
        errors=[ErrorRow(image_id=f"{k:03d}{BREAKOUT}", uri="", status="oom", error=f"no {k}") for k in range(60)],
        extras=PageExtras(
            images=tuple(images),
            num_drawn=4,
            evaluation=ShownEvaluation.model_validate(EVALUATION),
            decisions={"calibration": {}, "threshold": 0.5},
        ),
    )
    path = tmp_path / "report.html"
    path.write_bytes(content)
    return path


def one(chrome: Chrome, selector: str) -> WebElement:
    return chrome.find_element(By.CSS_SELECTOR, selector)


def shown_texts(chrome: Chrome, selector: str) -> list[str]:
    return [found.text for found in chrome.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()]


def look(chrome: Chrome, *, width: int, scheme: str) -> dict[str, Any]:
    """What is wrong with names and contrast, and how far the page is wider than the window."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    found: dict[str, Any] = chrome.execute_script(CHECKS)
    too_wide = chrome.execute_script("return document.documentElement.scrollWidth - innerWidth")
    return {**found, "too wide": max(0, too_wide)}


def test_the_page_works_offline_and_for_everyone(chrome: Chrome, page: Path) -> None:
    chrome.get("about:blank")
    chrome.get_log("performance")
    chrome.get(page.as_uri())

    search = one(chrome, "input[aria-label='Search errors']")
    search.send_keys("042 onerror")
    assert [text.split()[-1] for text in shown_texts(chrome, "#errors ~ details tbody tr")] == ["42"]
    assert "1 of 60" in shown_texts(chrome, ".search [role=status]")

    scores = "#review ~ div tbody td:nth-child(4)"
    one(chrome, "#review ~ div th:nth-child(4) button").send_keys(Keys.ENTER)
    assert shown_texts(chrome, scores) == ["0.5000", "0.2500"]
    one(chrome, "#review ~ div th:nth-child(4) button").send_keys(Keys.ENTER)
    assert shown_texts(chrome, scores) == ["0.2500", "0.5000"]
    assert one(chrome, "#review ~ div th:nth-child(4)").get_attribute("aria-sort") == "ascending"

    plot = one(chrome, ".histogram .plot")
    svg = one(chrome, ".histogram svg")
    plot.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 16)
    assert shown_texts(chrome, ".histogram .tip") == ["0.250 to 0.266: 1 images (33.3 %)"]
    plot.send_keys("+")
    assert svg.get_dom_attribute("viewBox") == "0 0 33 100"
    plot.send_keys("0")
    assert svg.get_dom_attribute("viewBox") == "0 0 64 100"
    one(chrome, ".heat .plot").send_keys(Keys.HOME)
    assert shown_texts(chrome, ".heat .tip")[0].startswith("size 54 to 64 px, uncertainty 0.97 to 1.00: 0 images")

    assert len(shown_texts(chrome, ".gallery .card")) == 2
    one(chrome, ".choices button:last-child").send_keys(Keys.ENTER)
    assert len(shown_texts(chrome, ".gallery .card")) == 4
    one(chrome, ".gallery a.picture").send_keys(Keys.ENTER)
    assert chrome.execute_script("return document.querySelector('dialog img').naturalWidth") == 64
    one(chrome, "dialog button").send_keys(Keys.ARROW_RIGHT)
    assert BREAKOUT in one(chrome, "dialog .said").text
    one(chrome, "dialog .close").send_keys(Keys.ENTER)
    assert chrome.switch_to.active_element.get_attribute("class") == "picture"

    for scheme in ("light", "dark"):
        assert look(chrome, width=1280, scheme=scheme) == {"nameless": [], "pale": [], "too wide": 0}
    assert look(chrome, width=390, scheme="dark")["too wide"] == 0
    one(chrome, "nav button").send_keys(Keys.ENTER)
    assert chrome.execute_script("return getComputedStyle(document.documentElement).colorScheme") == "light"

    assert chrome.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert [url for url in asked if url.startswith("file")] == [page.as_uri()]
