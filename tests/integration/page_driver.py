"""The page in a browser, as a person uses it and as a test looks at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE_S = 20

# Which pixels of an image differ on the two canvases, looked at in the middle of each.
DIFFERENCES = """
const [height, width] = arguments;
const [one, other] = ["original", "overlay"].map((id) => {
  const canvas = document.getElementById(id);
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
});
let found = "";
for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
  const row = Math.floor((y + 0.5) * one.height / height);
  const at = 4 * (row * one.width + Math.floor((x + 0.5) * one.width / width));
  found += [0, 1, 2, 3].some((part) => one.data[at + part] !== other.data[at + part]) ? "1" : "0";
}
return found;
"""

GIVE = """
const [name, base64, kind] = arguments;
const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name));
const event = kind === "paste"
  ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
  : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
document.body.dispatchEvent(event);
"""


class Page:
    """The page of a service.

    Args:
        chrome: a browser.
        url: of the service.
    """

    def __init__(self, chrome: Chrome, url: str) -> None:
        self.chrome = chrome
        self.url = url

    def open(self) -> None:
        """Load it anew, without what was kept of an earlier visit."""
        self.chrome.get(self.url)
        self.chrome.execute_script("localStorage.clear()")
        self.chrome.get_log("browser")
        self.chrome.get_log("performance")
        self.chrome.get(self.url)

    def wait_ready(self) -> None:
        """Until it knows the models."""
        self.until(lambda: self.at("model").is_enabled())

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait for something; the time is over when the test's patience is."""
        WebDriverWait(self.chrome, PATIENCE_S, poll_frequency=0.05).until(lambda _: is_so())

    def at(self, element_id: str) -> WebElement:
        """An element by its id."""
        return self.chrome.find_element(By.ID, element_id)

    def all(self, selector: str) -> list[WebElement]:
        """Elements by a selector."""
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def text(self, element_id: str) -> str:
        """What an element says, in one step: the page may put another in its place at any time."""
        return str(self.run("return document.getElementById(arguments[0]).innerText", element_id))

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script."""
        return self.chrome.execute_script(script, *arguments)

    def use_model(self, name: str) -> None:
        """Choose a model."""
        Select(self.at("model")).select_by_value(name)

    def give(self, *files: Path) -> None:
        """Choose files, and wait for what becomes of all images."""
        self.at("files").send_keys("\n".join(map(str, files)))
        self.wait_answers()

    def give_by(self, kind: str, name: str, base64: str) -> None:
        """Paste or drop one file."""
        self.run(GIVE, name, base64, kind)

    def wait_answers(self) -> None:
        """Until no image waits any more."""
        self.until(lambda: self.states() and set(self.states()) <= {"done", "failed"})

    def states(self) -> list[str]:
        """What became of the images, in the order of the list."""
        states: list[str] = self.run("return [...document.querySelectorAll('.item')].map((node) => node.dataset.state)")
        return states

    def drawn(self, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) bool, where something is drawn over the image."""
        found: str = self.run(DIFFERENCES, *image_hw)
        return (np.frombuffer(found.encode(), np.uint8) == ord("1")).reshape(image_hw)

    def num_predicts(self) -> int:
        """Requests for predictions since the page was loaded."""
        return int(
            self.run(
                "return performance.getEntriesByType('resource').filter(({name}) => name.includes('predict')).length"
            )
        )

    def press(self, *keys: str, times: int = 1) -> None:
        """Type into whatever has the focus."""
        for _ in range(times):
            self.chrome.switch_to.active_element.send_keys(*keys)

    def tab_to(self, element_id: str, *, most: int = 30) -> list[str]:
        """Press the tab key until an element has the focus.

        Returns:
            The ids (or tags) of what had it on the way, each with a visible focus.
        """
        passed = []
        for _ in range(most):
            self.press(Keys.TAB)
            name, outline = self.run(
                "const at = document.activeElement;"
                "const box = at.closest('.chip') ?? at;"
                "return [at.id || at.tagName, getComputedStyle(box).outlineStyle + getComputedStyle(box).outlineWidth]"
            )
            assert outline != "none0px", f"{name} has the focus and does not show it"
            passed.append(name)
            if name == element_id:
                return passed
        raise AssertionError(f"{element_id} must be reached with the tab key, got {passed}")

    def emulate(self, *, width: int = 1400, height: int = 950, **features: str) -> None:
        """Another screen, or other wishes of the person, e.g. ``prefers_color_scheme="dark"``."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        wishes = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wishes})

    def complaints(self) -> list[str]:
        """What the browser complains of: mistakes in scripts, breaches of the page's policy."""
        entries = self.chrome.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE" and entry["source"] != "network"]

    def hosts(self) -> set[str]:
        """Where requests went."""
        found = set()
        for entry in self.chrome.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                parts = urlsplit(message["params"]["request"]["url"])
                found |= {parts.netloc} if parts.scheme not in ("blob", "data") else set()
        return found


def texts(elements: Sequence[WebElement]) -> list[str]:
    """What each element says."""
    return [element.text for element in elements]
