from __future__ import annotations

import io
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from inference_core.errors import ShapeError, StorageError
from inference_core.export.masks import MAX_PART_BYTES, encode_mask, mask_name
from inference_core.storage import join

IMAGE_IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""Any text without lone surrogates, which no store and no table can hold."""

TRICKY_IDS = st.lists(st.sampled_from(["", ".", "..", "%", "%2E", "%25", "a", "a.png", "\0", "x" * 300]), max_size=3)
"""Parts that are written in another way, and those that look like it."""


def opened(encoded: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(encoded))
    assert (image.format, image.mode) == ("PNG", "P")
    return image


@pytest.mark.parametrize("num_classes", [2, 3, 21, 256])
def test_all_ids_come_back_through_pillow(num_classes: int) -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    mask.setflags(write=False)
    assert np.array_equal(np.asarray(opened(encode_mask(mask, num_classes=num_classes))), mask)


@given(mask=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20)), num_classes=st.integers(2, 256))
def test_any_mask_comes_back(mask: NDArray[np.uint8], num_classes: int) -> None:
    encoded = encode_mask(mask, num_classes=num_classes)
    assert np.array_equal(np.asarray(opened(encoded)), mask)
    assert encoded == encode_mask(mask, num_classes=num_classes)


def test_two_classes_are_black_and_white() -> None:
    shown = opened(encode_mask(np.array([[0, 1]], np.uint8), num_classes=2)).convert("RGB")
    assert [shown.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]


def test_more_classes_have_colours_of_their_own() -> None:
    mask = np.arange(256, dtype=np.uint8)[None]
    shown = np.asarray(opened(encode_mask(mask, num_classes=256)).convert("RGB"))[0]
    assert len({tuple(color) for color in shown.tolist()}) == 256
    assert shown[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "mask", [np.zeros((2, 2), np.int64), np.zeros((2, 2, 1), np.uint8)], ids=["int64", "three-axes"]
)
def test_other_arrays_are_refused(mask: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="mask must be a 2-D uint8 array, got"):
        encode_mask(mask, num_classes=2)


@pytest.mark.parametrize(
    ("image_id", "name"),
    [
        pytest.param("photo.jpg", "masks/photo.jpg.png", id="file"),
        pytest.param("a/b/photo.jpg", "masks/a/b/photo.jpg.png", id="folders"),
        pytest.param("photo", "masks/photo.png", id="no-suffix"),
        pytest.param("Ä b/ü.tif", "masks/Ä b/ü.tif.png", id="letters-and-spaces"),
        pytest.param("", "masks/.png", id="empty"),
        pytest.param("/a", "masks/%/a.png", id="absolute"),
        pytest.param("../a", "masks/%2E2E/a.png", id="up"),
        pytest.param("./a", "masks/%2E/a.png", id="here"),
        pytest.param("a//b", "masks/a/%/b.png", id="empty-folder"),
        pytest.param("100%.jpg", "masks/100%25.jpg.png", id="percent"),
        pytest.param("a\0b", "masks/a%00b.png", id="nul"),
        pytest.param("a.png/b", "masks/a%2Epng/b.png", id="folder-like-a-mask"),
        pytest.param("../../etc/passwd", "masks/%2E2E/%2E2E/etc/passwd.png", id="up-and-away"),
        pytest.param("2026-11-21T12:00:00.jpg", "masks/2026-11-21T12:00:00.jpg.png", id="colons"),
        pytest.param("CON", "masks/CON.png", id="a-device-elsewhere"),
        pytest.param("a/x.jpg", "masks/a/x.jpg.png", id="one-name"),
        pytest.param("b/x.jpg", "masks/b/x.jpg.png", id="in-two-folders"),
        pytest.param("x" * 300, f"masks/{'x' * 218}%~33c8c4f3a01362a9.png", id="300-letters"),
        pytest.param("a.PNG/b", "masks/a%2EPNG/b.png", id="folder-like-a-mask-in-capitals"),
    ],
)
def test_mask_names(image_id: str, name: str) -> None:
    assert mask_name(image_id) == name


@given(IMAGE_IDS | TRICKY_IDS.map("/".join))
def test_a_name_is_safe_in_every_store(image_id: str) -> None:
    name = mask_name(image_id)
    try:
        uri = join("file:///out", name)
    except StorageError as exc:
        pytest.fail(str(exc))
    assert uri == f"file:///out/{name}"
    assert name.startswith("masks/")
    assert name.endswith(".png")
    assert all(0 < len(part.encode()) <= MAX_PART_BYTES for part in PurePosixPath(name).parts)


@given(st.lists(IMAGE_IDS | TRICKY_IDS.map("/".join), unique=True, max_size=30))
def test_distinct_ids_have_distinct_names(image_ids: list[str]) -> None:
    names = {mask_name(image_id) for image_id in image_ids}
    assert len(names) == len(image_ids)
    # Nor is one mask's folder another mask.
    assert not names & {str(folder) for name in names for folder in PurePosixPath(name).parents}


@given(st.lists(st.integers(1, 400), min_size=1, max_size=3), st.sampled_from("aé€😀"))
def test_long_names_are_cut_between_letters(lengths: list[int], letter: str) -> None:
    image_id = "/".join(letter * length for length in lengths)
    name = mask_name(image_id)
    assert name != mask_name(f"{image_id}{letter}")
    assert all(len(part.encode()) <= MAX_PART_BYTES for part in name.split("/"))
    if max(len(part.encode()) for part in f"{image_id}.png".split("/")) <= MAX_PART_BYTES:
        assert name == f"masks/{image_id}.png"
