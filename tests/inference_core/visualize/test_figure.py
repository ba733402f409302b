from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.results import InstanceMask, Result
from inference_core.run_length import encode_mask
from inference_core.visualize.draw import KINDS_OF
from inference_core.visualize.figure import render_figure, save_figure
from inference_core.visualize.palette import object_color
from tests.drawn_results import classification, detection, segmentation

pytest.importorskip("matplotlib", reason="figures need Matplotlib")
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
MASK = np.zeros((60, 80), np.uint8)
MASK[10:30, 20:60] = 1
NAMES = ("<script>", "$x_1$ & co")
RESULTS: dict[str, Result] = {
    "classification": classification(0.9, 0.1, labels=NAMES),
    "detection": detection((10, 20, 40, 50), (5, 5, 30, 30), labels=NAMES),
    "segmentation": segmentation(MASK),
}


@pytest.mark.parametrize("task", RESULTS)
def test_names_are_letters_in_svg(task: str) -> None:
    svg = render_figure(PIXELS, RESULTS[task], file_format="svg").decode()
    texts = " ".join(re.findall(r">([^<>]+)</text>", svg))
    expected = ("a  ", "b  ") if task == "segmentation" else ("&lt;script&gt;", "$x_1$ &amp; co")
    assert all(name in texts for name in expected)
    assert "<script" not in svg


def test_outlines_and_boxes_are_lines() -> None:
    svg = render_figure(PIXELS, RESULTS["segmentation"], file_format="svg", kind="contours").decode()
    assert svg.count("<path") > 0
    assert svg.count("<image") == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS_OF["segmentation"] if kind != "side_by_side"])
def test_every_kind_of_mask_is_a_figure(kind: str) -> None:
    pdf = render_figure(PIXELS, RESULTS["segmentation"], kind=kind, file_format="pdf")  # type: ignore[arg-type]
    assert pdf.startswith(b"%PDF")


def test_letters_of_pdf_can_be_edited() -> None:
    assert b"/FontFile2" in render_figure(PIXELS, RESULTS["detection"], file_format="pdf")  # TrueType, not outlines


@pytest.mark.parametrize("dpi", [100, 300])
def test_pixels_are_as_many_as_print_asks_for(dpi: int) -> None:
    png = render_figure(PIXELS, RESULTS["detection"], file_format="png", width_mm=50.8, dpi=dpi)
    width = Image.open(io.BytesIO(png)).width
    assert width == pytest.approx(2 * dpi, rel=0.08)


@pytest.mark.parametrize("file_format", ["pdf", "svg", "png"])
def test_the_same_figure_is_the_same_file(file_format: str) -> None:
    one, two = (render_figure(PIXELS, RESULTS["detection"], file_format=file_format) for _ in range(2))
    assert one == two


def test_the_ending_says_the_format(tmp_path: Path) -> None:
    save_figure(tmp_path / "a.SVG", PIXELS, RESULTS["detection"])
    assert (tmp_path / "a.SVG").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.jpg", {}, "path: must end in .pdf, .svg, .png, got"),
        ("a.pdf", {"dpi": 0}, "must be above 0"),
        ("a.pdf", {"width_mm": float("nan")}, "must be above 0"),
        ("a.pdf", {"kind": "side_by_side"}, "must be of one picture in a figure"),
    ],
)
def test_wrong_figures_are_refused(tmp_path: Path, name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        save_figure(tmp_path / name, PIXELS, RESULTS["segmentation"], **options)  # type: ignore[arg-type]


def test_one_pixel_is_a_figure() -> None:
    assert render_figure(PIXELS[:1, :1], segmentation(MASK[:1, :1]), file_format="png")


@pytest.mark.parametrize("image_hw", [(20_000, 1), (1, 20_000), (5_000, 1_000)])
def test_long_images_fit_a_page_and_what_stands_beside_is_read(image_hw: tuple[int, int]) -> None:
    pixels = np.zeros((*image_hw, 3), np.uint8)
    kinds = {"overlay": segmentation(pixels[..., 0]), "heatmap": segmentation(pixels[..., 0])}
    for kind, result in {**kinds, "boxes": detection((0, 0, 1, 1)), "top_k": classification(0.9, 0.1)}.items():
        png = render_figure(pixels, result, kind=kind, file_format="png", dpi=50)  # type: ignore[arg-type]
        size = Image.open(io.BytesIO(png)).size
        assert size[1] <= 50 * 250 / 25.4
        if kind in ("heatmap", "top_k"):
            assert size[1] >= 50 * 0.7
        if kind == "top_k":
            assert size[0] >= 50 * 1.4


def test_a_high_image_is_as_sharp_as_a_wide_one() -> None:
    lines = np.zeros((4_000, 400, 3), np.uint8)
    lines[::2] = 255
    png = render_figure(lines, detection(), file_format="png", width_mm=20, dpi=500)  # 400 pixels on 394 dots
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("L"), int)
    assert (np.abs(np.diff(shown[100:-100, 200])) > 128).mean() > 0.8


def test_objects_have_their_pixels_in_figures() -> None:
    is_object = np.zeros((60, 80), bool)
    is_object[20:40, 20:60] = True
    mask = InstanceMask(size_hw=(60, 80), counts=encode_mask(is_object), area_px=800)
    plain = detection((20, 20, 60, 40))
    gray = np.full((60, 80, 3), 100, np.uint8)
    drawn = [
        np.asarray(Image.open(io.BytesIO(render_figure(gray, result, file_format="png", dpi=100))))
        for result in (plain, replace(plain, masks=(mask,)))
    ]
    middle = drawn[0].shape[0] // 2, drawn[0].shape[1] // 2
    assert drawn[0][middle][:3].tolist() == [100, 100, 100]
    assert drawn[1][middle][:3].tolist() == [(100 + channel) // 2 for channel in object_color(0)]


@pytest.mark.parametrize("file_format", ["pdf", "svg", "png"])
@pytest.mark.parametrize("name", ["猫\U000f0000", "🐈 cat", "line\nbreak", "שלום", "x" * 300, ""])
def test_names_of_any_script_are_figures_without_a_warning(name: str, file_format: str) -> None:
    labels = (name, "cat")
    results = (
        detection((10, 20, 40, 50), (5, 5, 30, 30), labels=labels),
        classification(0.9, 0.1, labels=labels),
        replace(segmentation(MASK, num_classes=2), labels=labels),
    )
    for result in results:
        assert render_figure(PIXELS, result, file_format=file_format)
    assert render_figure(PIXELS, replace(results[2], labels=labels[::-1]), kind="heatmap", file_format=file_format)


def test_a_long_name_stays_in_the_picture() -> None:
    long, short = (
        Image.open(io.BytesIO(render_figure(PIXELS, detection((50, 30, 70, 50), labels=(name,)), file_format="png")))
        for name in ("x" * 300, "x")
    )
    assert long.size == short.size
