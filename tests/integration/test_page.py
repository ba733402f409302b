"""The page at ``/`` in a real browser, against a service that really listens."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from inference_core.images import DecodePolicy, Limits, decode_image
from serve.config import ServeConfig
from serve.key_file import add_key
from serve.listener import Addresses
from tests.drawn_images import png_bytes
from tests.drawn_objects import disc, draw, drawn_package, rectangle
from tests.integration.browser import browser
from tests.integration.documented import documented_blocks
from tests.integration.page_driver import Page, texts
from tests.serve.listening_service import listening_service
from tests.serve.tiny_service import tiny_packages
from tests.telling_packages import declared, masks
from tests.tiny_models import tiny_classifier

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CELLS = ROOT / "examples" / "cells"
CHECKS = Path(__file__).with_name("page_checks.js").read_text()
OBJECTS_HW = (64, 96)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn cells (among them a JPEG that lies on its side, and TIFF), four files that are no images, and objects."""
    folder = tmp_path_factory.mktemp("images")
    command = [sys.executable, CELLS / "generate.py", "--out", folder, "--count", "6", "--seed", "7", "--bad"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    pixels, _ = draw(OBJECTS_HW, [disc(20, 20, 10), rectangle(40, 70, 24, 20)])
    Image.fromarray(pixels).save(folder / "images" / "objects.png")
    (folder / "images" / "colour.png").write_bytes(png_bytes(1))
    noise = np.random.default_rng(3).integers(0, 256, (32, 48, 3), np.uint8)
    noise[:, 16:] = (0, 200, 0)
    Image.fromarray(noise).save(folder / "images" / "noise.png")
    return folder / "images"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    folder = tmp_path_factory.mktemp("service")
    tiny = tiny_packages(folder)
    objects = drawn_package(folder / "objects", "yolo", fit={"fit": "stretch", "size_hw": list(OBJECTS_HW)})
    rules = {"rules": [{"when": {"set_size": {"above": 1}}, "verdict": "review", "reason": "more than one <class>"}]}
    facts = {"conformal": {"method": "aps", "quantile": 0.9, "coverage": 0.8}, "quality": rules}
    sets = declared(tiny_classifier(folder / "sets"), name="sets", **facts)
    packages = [CELLS / "package", objects, *tiny.values(), masks(folder / "masks"), sets]
    models = [{"package": str(package), "concurrent_batches": 1, "num_threads": 1} for package in packages]
    config = ServeConfig.model_validate({"models": models, "http": {"port": 0}, "grpc": {"is_on": False}})
    with listening_service(config) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("browser")) as chrome:
        yield chrome


@pytest.fixture
def page(chrome: Chrome, addresses: Addresses) -> Iterator[Page]:
    """The page, loaded anew. After each test: no mistake in a script, and no request to anywhere else."""
    page = Page(chrome, addresses.url)
    page.emulate()
    page.open()
    page.wait_ready()
    yield page
    assert page.complaints() == []
    assert page.hosts() == {f"127.0.0.1:{addresses.http_port}"}


def answer_of(addresses: Addresses, file: Path, model: str) -> dict[str, Any]:
    """What the service says of an image, with all its pictures."""
    query = {"model": model} | ({"mask": "true", "probabilities": "true"} if "unet" in model else {})
    answer = httpx.post(f"{addresses.url}/v1/predict", params=query, content=file.read_bytes())
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def plane(encoded: dict[str, str]) -> NDArray[np.uint8]:
    """(H, W) uint8 values of a PNG in an answer."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded["data"]))))


@pytest.mark.parametrize(
    "name", ["00000.png", "00003.jpg", "00004.tif"], ids=["PNG", "JPEG on its side", "16-bit TIFF"]
)
def test_cells_are_drawn_exactly_where_the_service_found_them(
    page: Page, addresses: Addresses, images: Path, name: str
) -> None:
    page.give(images / name)
    expected = answer_of(addresses, images / name, "cells-unet")
    mask = plane(expected["mask"]) > 0
    assert 0 < mask.mean() < 1
    page.until(lambda: page.run("return document.querySelector('canvas.thumb') !== null"))
    np.testing.assert_array_equal(page.drawn(mask.shape), mask)
    share = f"{100 * expected['prediction']['foreground_frac']:.1f} %"
    assert page.text("headline") == f"cell {share}"
    assert [row.text.split()[0] for row in page.all("#answer tbody tr")] == ["background", "cell"]
    assert page.text("facts").count(expected["model_digest"][:12]) == 1
    stages = texts(page.all("#timings tbody th"))
    assert stages == ["Decode and fit", "Wait for the model", "Model", "Finish", "Transfer and the rest"]
    assert page.at("overlay").get_attribute("aria-label") == f"Result: cell {share}"


def test_the_service_shows_what_browsers_cannot(addresses: Addresses, images: Path) -> None:
    data = (images / "00004.tif").read_bytes()
    query, headers = {"model": "cells-unet", "view": "image"}, {"accept": "image/png"}
    answer = httpx.post(f"{addresses.url}/v1/predict", params=query, headers=headers, content=data).raise_for_status()
    found = np.asarray(Image.open(io.BytesIO(answer.content)))
    np.testing.assert_array_equal(found, decode_image(data, policy=DecodePolicy(), limits=Limits()).pixels)
    query = {"model": "tiny-classification"}  # it has no picture of its own, and gives none unasked
    assert httpx.post(f"{addresses.url}/v1/predict", params=query, headers=headers, content=data).status_code == 406


def test_the_threshold_cuts_the_score_map_without_another_request(
    page: Page, addresses: Addresses, images: Path
) -> None:
    page.give(images / "00000.png")
    scores = plane(answer_of(addresses, images / "00000.png", "cells-unet")["probabilities"]["score_map"])
    asked, first = page.num_predicts(), page.text("headline")
    page.at("threshold").send_keys(Keys.END)
    page.until(lambda: page.text("threshold-value") == "0.99")
    cut = scores >= 253  # the first that is at least 0.99 times 255
    np.testing.assert_array_equal(page.drawn(cut.shape), cut)
    assert page.text("headline") == f"cell {100 * cut.mean():.1f} %" != first
    assert "score map" in page.text("threshold-note")
    page.at("threshold-reset").click()
    page.until(lambda: page.text("headline") == first)
    page.at("opacity").send_keys(Keys.HOME)
    page.until(lambda: page.text("opacity-value") == "0 %")
    assert not page.drawn(cut.shape).any()
    assert page.num_predicts() == asked


def test_boxes_and_masks_of_objects_follow_slider_and_legend(page: Page, addresses: Addresses, images: Path) -> None:
    page.use_model("drawn-yolo")
    page.give(images / "objects.png")
    objects = answer_of(addresses, images / "objects.png", "drawn-yolo")["prediction"]["objects"]
    assert [found["label"] for found in objects] == ["round", "square"]
    assert page.text("headline") == "2 objects"
    asked = page.num_predicts()
    drawn = page.drawn(OBJECTS_HW)
    for found in objects:
        inner = [int(found[name]) + step for name, step in (("y_min", 1), ("y_max", -1), ("x_min", 1), ("x_max", -1))]
        assert drawn[inner[0] : inner[1], inner[2] : inner[3]].all()
    assert not drawn[-4:, :8].any()
    between = (objects[0]["score"] + objects[1]["score"]) / 2
    steps = round(100 * (between - float(str(page.at("threshold").get_attribute("min")))))
    page.at("threshold").send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * steps)
    page.until(lambda: page.text("headline") == "1 object")
    assert [row.text.split()[0] for row in page.all("#answer tbody tr")] == ["round"]
    assert not page.drawn(OBJECTS_HW)[36:44, 66:74].any()
    page.all("#legend input")[0].send_keys(Keys.SPACE)
    page.until(lambda: not page.drawn(OBJECTS_HW).any())
    assert page.num_predicts() == asked


def test_scores_of_classes_are_a_table_with_bars(page: Page, addresses: Addresses, images: Path) -> None:
    page.use_model("tiny-classification")
    page.give(images / "colour.png")
    row = answer_of(addresses, images / "colour.png", "tiny-classification")["prediction"]
    assert page.text("headline") == row["label"] == "green"
    shown = [cells.text.split() for cells in page.all("#answer tbody tr")]
    assert shown == [[entry["label"], f"{min(entry['score'], 0.999):.3f}"] for entry in row["top_k"]]
    widths = [float(str(bar.get_attribute("style")).split()[1].rstrip("%;")) for bar in page.all("#answer .meter span")]
    assert widths == pytest.approx([100 * entry["score"] for entry in row["top_k"]], abs=0.01)
    assert not page.at("figure-overlay").is_displayed()
    assert not page.at("controls").is_displayed()


def test_labels_follow_the_threshold(page: Page, addresses: Addresses, images: Path) -> None:
    page.use_model("tiny-multilabel")
    page.give(images / "colour.png")
    row = answer_of(addresses, images / "colour.png", "tiny-multilabel")["prediction"]
    asked = page.num_predicts()
    assert page.text("headline") == ", ".join(row["labels"])
    page.at("threshold").send_keys(Keys.HOME)
    page.until(lambda: len(page.text("headline").split(", ")) == 3)  # the package shows two at most, scores are of all
    page.at("threshold").send_keys(Keys.END)
    page.until(lambda: page.text("headline") == "no label")
    assert len(page.all("#answer tr.is-below")) == 3
    assert page.num_predicts() == asked


def test_what_an_answer_is_worth_is_told_in_words(page: Page, addresses: Addresses, images: Path) -> None:
    page.use_model("sets")
    page.give(images / "colour.png")
    row = answer_of(addresses, images / "colour.png", "sets")["prediction"]
    assert len(row["prediction_set"]) > 1
    assert page.text("verdict").splitlines() == ["For review", "more than one <class>"]
    names = ", ".join(("red", "green", "blue")[class_id] for class_id in row["prediction_set"])
    assert page.text("worth").splitlines()[:2] == ["Set of 80.0 % coverage", names]
    assert texts(page.all(".item-state span:last-child"))[0].endswith(", for review")
    page.use_model("tiny-classification")
    page.wait_answers()
    assert not page.all("#verdict, #worth")


def test_the_uncertainty_of_each_pixel_is_drawn_in_the_place_of_the_classes(
    page: Page, addresses: Addresses, images: Path
) -> None:
    page.give(images / "noise.png")
    assert not page.at("uncertainty-field").is_displayed()
    page.use_model("telling-masks")
    page.wait_answers()
    query = {"model": "telling-masks", "uncertainty": "true"}
    answer = httpx.post(f"{addresses.url}/v1/predict", params=query, content=(images / "noise.png").read_bytes())
    unsure = plane(answer.raise_for_status().json()["uncertainty"])
    asked = page.num_predicts()
    page.at("uncertainty").send_keys(Keys.SPACE)
    page.until(lambda: page.text("overlay-caption") == "Uncertainty")
    assert 0 < (unsure > 0).mean() < 1
    np.testing.assert_array_equal(page.drawn(unsure.shape), unsure > 0)
    assert "Uncertainty (PNG)" in texts(page.all("#downloads button"))
    page.at("uncertainty").send_keys(Keys.SPACE)
    page.until(lambda: page.text("overlay-caption") == "Result")
    assert page.num_predicts() == asked


def test_an_embedding_is_drawn_and_told(page: Page, images: Path) -> None:
    page.use_model("tiny-embedding")
    page.give(images / "colour.png")
    assert page.text("headline").startswith("3 numbers, length ")
    assert len(page.all("canvas.spark[aria-label]")) == 1


def test_bad_files_are_told_in_words_among_good_ones(page: Page, images: Path) -> None:
    page.give(images / "00001.png", images / "bad_cut_off.jpg", images / "bad_huge.png", images / "bad_web_page.jpg")
    assert page.states() == ["done", "failed", "failed", "failed"]
    assert texts(page.all(".item-state span:last-child"))[1:] == ["image not usable"] * 3
    page.all(".item")[1].click()
    assert "must be a whole, valid image" in page.text("problem")
    assert "decode_error" in page.text("problem")
    page.all(".item")[2].click()
    assert "too_large" in page.text("problem")
    assert not page.at("details").is_displayed()
    page.all(".item")[0].click()
    assert not page.at("problem").is_displayed()
    assert page.at("details").is_displayed()


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_images_come_by_paste_and_by_drop(page: Page, images: Path, kind: str) -> None:
    page.use_model("tiny-classification")
    page.give_by(kind, "given.png", base64.b64encode((images / "colour.png").read_bytes()).decode())
    page.wait_answers()
    assert page.text("image-name") == "given.png"
    assert page.text("live") == "" or "given.png: green" in page.run(
        "return document.getElementById('live').textContent"
    )


def test_files_are_saved_as_the_service_gave_them(
    page: Page, addresses: Addresses, images: Path, chrome: Chrome
) -> None:
    page.give(images / "00000.png")
    expected = answer_of(addresses, images / "00000.png", "cells-unet")
    buttons = page.all("#downloads button")
    assert texts(buttons) == ["Mask (PNG)", "Overlay (PNG)", "JSON"]
    folder = Path(chrome.capabilities["chrome"]["userDataDir"]).parent / "downloads"
    files = [folder / name for name in ("00000.mask.png", "00000.overlay.png", "00000.json")]
    for button, file in zip(buttons, files, strict=True):
        button.click()
        page.until(file.is_file)
    assert files[0].read_bytes() == base64.b64decode(expected["mask"]["data"])
    assert Image.open(io.BytesIO(files[1].read_bytes())).size == (900, 900)
    assert json.loads(files[2].read_text())["prediction"]["sha256"] == expected["prediction"]["sha256"]


def test_the_keyboard_is_enough(page: Page, images: Path) -> None:
    passed = page.tab_to("drop")
    assert passed == ["A", "model", "theme", "drop"]
    page.press(Keys.SHIFT + Keys.TAB, times=2)
    page.press(Keys.ARROW_DOWN, times=2)  # the model: tiny-segmentation is not far
    page.use_model("tiny-classification")
    page.give(images / "colour.png", images / "00001.png", images / "objects.png")
    page.run("document.getElementById('drop').focus()")
    page.press(Keys.TAB)
    page.press(Keys.TAB)
    assert page.chrome.switch_to.active_element.get_attribute("role") == "option"
    page.press(Keys.ARROW_DOWN)
    assert page.text("image-name") == "00001.png"
    page.press(Keys.END)
    assert page.text("image-name") == "objects.png"
    page.press(Keys.DELETE)
    page.until(lambda: len(page.states()) == 2)
    assert page.text("image-name") == "00001.png"
    assert page.chrome.switch_to.active_element.get_attribute("aria-selected") == "true"
    page.use_model("cells-unet")
    page.wait_answers()
    page.run("document.getElementById('list').querySelector('[tabindex=\"0\"]').focus()")
    assert page.tab_to("opacity")[-2:] == ["threshold", "opacity"]  # the reset between them is off
    page.run("document.querySelector('#view [aria-checked=true]').focus()")
    page.press(Keys.ARROW_RIGHT)
    assert not page.at("figure-original").is_displayed()
    page.press(Keys.ARROW_RIGHT)
    assert page.at("figure-original").is_displayed()
    assert not page.at("figure-overlay").is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_have_names_and_text_has_contrast(page: Page, images: Path, scheme: str) -> None:
    page.emulate(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    assert page.run(CHECKS) == {"nameless": [], "pale": []}
    page.give(images / "00000.png", images / "bad_cut_off.jpg")
    assert page.run(CHECKS) == {"nameless": [], "pale": []}
    page.all(".item")[1].click()
    assert page.run(CHECKS) == {"nameless": [], "pale": []}
    page.use_model("tiny-multilabel")
    page.wait_answers()
    assert page.run(CHECKS) == {"nameless": [], "pale": []}
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 380) == (scheme == "light")
    assert page.run("return getComputedStyle(document.querySelector('.dot')).animationName") == "none"


def test_the_theme_can_be_chosen_and_is_kept(page: Page) -> None:
    page.emulate(prefers_color_scheme="light")
    scheme = "return getComputedStyle(document.documentElement).colorScheme"
    page.at("theme").click()
    assert page.run(scheme) == "dark"
    assert page.at("theme").get_attribute("aria-pressed") == "true"
    page.chrome.refresh()
    assert page.run(scheme) == "dark"


@pytest.mark.parametrize("width", [320, 390, 800, 1100])
def test_narrow_screens_need_no_sideways_scrolling(page: Page, images: Path, width: int) -> None:
    too_wide = "return document.documentElement.scrollWidth - innerWidth"
    page.emulate(width=width, height=800)
    assert page.run(too_wide) <= 0
    page.give(images / "00000.png", images / "bad_cut_off.jpg")
    assert page.run(too_wide) <= 0


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("The page", ["200 "]),
        ("Streaming", ["ready", "jpeg"]),
    ],
)
def test_examples_of_the_documentation_run_in_a_page(page: Page, section: str, expected: list[str]) -> None:
    (text,) = [text for language, text in documented_blocks(section) if language == "js"]
    told = page.chrome.execute_async_script(
        """
        const [text, done] = arguments;
        const told = [];
        const log = (...parts) => told.push(parts.join(" "));
        const run = eval(`(async (console) => {${text}})`);
        run({ log }).then(() => done(told), (error) => done([`${error}`]));
        """,
        text.replace("mobilenet", "tiny-classification"),
    )
    assert len(told) == len(expected)
    assert all(found.startswith(start) for found, start in zip(told, expected, strict=True)), told


def test_a_service_with_keys_asks_for_one_and_keeps_it_in_memory(chrome: Chrome, tmp_path: Path, images: Path) -> None:
    key = add_key(tmp_path / "keys.yaml", "visitor", per_minute=120, burst=4)
    models = [{"package": str(tiny_packages(tmp_path)["classification"]), "num_threads": 1}]
    settings = {
        "models": models,
        "http": {"port": 0},
        "grpc": {"is_on": False},
        "security": {"keys_file": str(tmp_path / "keys.yaml")},
    }
    with listening_service(ServeConfig.model_validate(settings)) as addresses:
        page = Page(chrome, addresses.url)
        page.emulate()
        page.open()
        page.until(lambda: page.at("key-dialog").is_displayed())
        page.at("key").send_keys("wrong", Keys.ENTER)
        page.until(lambda: page.text("key-title") == "This key was refused")
        page.at("key").send_keys(key, Keys.ENTER)
        page.wait_ready()
        stored = "return JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, history.state])"
        assert key not in page.run(stored)
        assert key not in page.chrome.page_source
        page.give(*[images / name for name in ("colour.png", "00000.png", "00001.png", "00002.jpg", "objects.png")])
        assert page.states() == ["done"] * 5  # over the key's limit, and so asked again when the service said
        assert page.complaints() == []
