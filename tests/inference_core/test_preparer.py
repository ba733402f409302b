from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import FetchError, MissingObjectError, TooLargeError
from inference_core.images import Limits
from inference_core.items import PreparedItem
from inference_core.preparer import Preparer
from inference_core.records import Uint8Array
from tests.specs import input_spec


def preparer_of(options: dict[str, Any] | None = None, *, limits: Limits | None = None, **more: int) -> Preparer:
    return Preparer(input_spec(options), limits=limits or Limits(), **more)


def tiles_of(item: PreparedItem) -> Uint8Array:
    assert item.prepared is not None, item.error
    return item.prepared.tiles


def pixels(*, image_hw: tuple[int, int] = (12, 20)) -> Uint8Array:
    image = np.random.default_rng(0).integers(0, 256, (*image_hw, 3), np.uint8)
    image.setflags(write=False)
    return image


def png(image: Uint8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def test_bytes_array_and_pillow_image_become_the_same_tiles() -> None:
    preparer = preparer_of({"fit": "letterbox"})
    image = pixels()
    tiles = [tiles_of(preparer.prepare(source, image_id="x")) for source in (png(image), image, Image.fromarray(image))]
    assert tiles[0].shape == (1, 8, 8, 3)
    assert all(np.array_equal(tiles[0], other) for other in tiles[1:])


def test_the_facts_of_a_file_are_recorded() -> None:
    encoded = png(pixels())
    item = preparer_of().prepare(encoded, image_id="a/b.png", uri="file:///in/a/b.png", fetch_ms=5.0)
    source = item.source
    assert (source.image_id, source.uri, source.size_bytes) == ("a/b.png", "file:///in/a/b.png", len(encoded))
    assert source.sha256 == hashlib.sha256(encoded).hexdigest()
    assert (source.format, source.image_hw, source.orientation, source.page, source.num_pages) == (
        "png", (12, 20), 1, 0, 1,
    )  # fmt: skip
    assert item.stage_ms.fetch == 5.0
    assert item.stage_ms.prepare > 0
    assert item.stage_ms.infer == 0


def test_an_array_has_no_bytes_to_record() -> None:
    source = preparer_of().prepare(pixels(), image_id="x").source
    assert (source.size_bytes, source.sha256, source.format) == (0, "", "array")


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        pytest.param(b"", "decode_error", "", id="empty"),
        pytest.param(b"not an image at all", "unsupported", "", id="text"),
        pytest.param(png(pixels())[:200], "decode_error", "", id="truncated"),
        pytest.param(np.zeros((4, 4, 7), np.uint8), "unsupported", "", id="seven-channels"),
        pytest.param(np.zeros((0, 4, 3), np.uint8), "decode_error", "", id="no-pixels"),
        pytest.param(
            MissingObjectError("nothing is stored at x"), "fetch_error", "nothing is stored at x", id="absent"
        ),
        pytest.param(FetchError("no answer"), "fetch_error", "no answer", id="not-fetched"),
        pytest.param(TooLargeError("9 bytes"), "too_large", "9 bytes", id="too-large-to-fetch"),
    ],
)
def test_what_is_no_image_is_an_item_with_its_reason(source: Any, status: str, error: str) -> None:
    item = preparer_of().prepare(source, image_id="x", uri="file:///x", fetch_ms=2.0)
    assert item.prepared is None
    assert (item.source.image_id, item.source.uri, item.stage_ms.fetch) == ("x", "file:///x", 2.0)
    assert error in item.error
    assert item.error
    assert item.status == status


def test_the_bytes_of_a_bad_file_are_recorded_too() -> None:
    item = preparer_of().prepare(b"nothing", image_id="x")
    assert (item.source.size_bytes, item.source.sha256) == (7, hashlib.sha256(b"nothing").hexdigest())


def test_limits_on_the_file() -> None:
    item = preparer_of(limits=Limits(max_pixels=100)).prepare(png(pixels()), image_id="x")
    assert (item.status, item.prepared) == ("too_large", None)
    assert "must be at most 100, got 240" in item.error


def test_a_limit_on_the_fit_keeps_the_facts_of_the_image() -> None:
    preparer = preparer_of({"fit": "native", "size_hw": None, "resize_px": 1000}, max_fit_pixels=10_000)
    item = preparer.prepare(png(pixels()), image_id="x")
    assert item.status == "too_large"
    assert "pixels after the fit must be at most 10000" in item.error
    assert item.source.image_hw == (12, 20)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        pytest.param({"fit": "stretch"}, (1, 8, 8, 3), id="stretch"),
        pytest.param({"fit": "letterbox", "size_hw": [6, 10]}, (1, 6, 10, 3), id="letterbox"),
        pytest.param({"fit": "shortest_side_crop"}, (1, 8, 8, 3), id="crop"),
        pytest.param({"fit": "native", "size_hw": None, "multiple_px": 8}, (1, 16, 24, 3), id="native"),
        pytest.param({"fit": "tile", "overlap_px": 2}, (6, 8, 8, 3), id="tile"),
        pytest.param({"color": "gray"}, (1, 8, 8, 1), id="gray"),
        pytest.param({"color": "bgr"}, (1, 8, 8, 3), id="bgr"),
    ],
)
def test_the_shape_of_the_tiles(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    tiles = tiles_of(preparer_of(options).prepare(pixels(), image_id="x"))
    assert tiles.shape == shape
    assert tiles.dtype == np.uint8


CROP = {"fit": "shortest_side_crop", "resize_px": 11}
NATIVE = {"fit": "native", "size_hw": None, "multiple_px": 4}


@pytest.mark.parametrize(
    ("plain", "changed"),
    [
        pytest.param({}, {"interpolation": "nearest"}, id="interpolation"),
        pytest.param({}, {"resampler": "opencv"}, id="resampler"),
        pytest.param({}, {"filters": ["gray"]}, id="filters"),
        pytest.param({}, {"size_hw": [8, 9]}, id="size"),
        pytest.param({}, {"fit": "letterbox"}, id="fit"),
        pytest.param({"fit": "letterbox"}, {"pad_value": 0}, id="pad-value"),
        pytest.param({"fit": "letterbox"}, {"pad_mode": "reflect"}, id="pad-mode"),
        pytest.param(CROP, {"resize_px": 12}, id="resize"),
        pytest.param(CROP, {"long_side_rounding": "nearest"}, id="long-side-rounding"),
        pytest.param(CROP, {"crop_rounding": "floor"}, id="crop-rounding"),
        pytest.param(NATIVE, {"multiple_px": 8}, id="multiple"),
        pytest.param({"fit": "tile"}, {"overlap_px": 4}, id="overlap"),
    ],
)
def test_every_option_of_the_input_changes_the_tiles(plain: dict[str, Any], changed: dict[str, Any]) -> None:
    image = pixels(image_hw=(12, 17))
    before, after = (
        tiles_of(preparer_of(options).prepare(image, image_id="x")) for options in (plain, plain | changed)
    )
    assert not np.array_equal(before, after)


@pytest.mark.assets
@pytest.mark.parametrize("apply", [True, False])
def test_orientation_is_applied_as_the_package_says(apply: bool, assets: Path) -> None:
    preparer = preparer_of({"decode": {"apply_orientation": apply}})
    item = preparer.prepare((assets / "exif" / "Landscape_6.jpg").read_bytes(), image_id="x")
    height, width = item.source.image_hw
    assert (height < width) is apply
    assert item.source.orientation == 6


def test_alpha_is_laid_over_the_packages_background() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    means = {
        alpha: int(tiles_of(preparer_of({"decode": {"alpha": alpha}}).prepare(clear, image_id="x")).mean())
        for alpha in ("white", "black")
    }
    assert means == {"white": 255, "black": 0}


def test_a_page_that_is_not_there() -> None:
    item = preparer_of({"decode": {"page": 2}}).prepare(png(pixels()), image_id="x")
    assert (item.status, item.error) == ("decode_error", "page must be less than 1, got 2; this image has 1")


def test_threads_may_share_one() -> None:
    preparer = preparer_of({"fit": "tile", "overlap_px": 2, "filters": [{"clahe": 2}]})
    encoded = png(pixels(image_hw=(40, 50)))
    expected = tiles_of(preparer.prepare(encoded, image_id="x"))
    with ThreadPoolExecutor(4) as pool:
        items = pool.map(lambda index: preparer.prepare(encoded, image_id=str(index)), range(32))
        assert all(np.array_equal(tiles_of(item), expected) for item in items)
