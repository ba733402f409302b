from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from inference_core.errors import JobError
from inference_core.export.mask_files import (
    SUFFIXES,
    MapFormat,
    MaskFormat,
    PlaneOutput,
    encode_map,
    encode_mask_file,
    encode_planes,
    read_plane,
)
from inference_core.images import load_image
from inference_core.items import Prediction
from inference_core.records import GeoTag, SourceFacts
from inference_core.results import Segmentation

FILE_FORMATS = pytest.mark.parametrize("mask_format", SUFFIXES)
UTM = ((33550, 12, (10.0, 10.0, 0.0)), (33922, 12, (0.0, 0.0, 0.0, 600000.0, 5200000.0, 0.0)))
KEYS = (34735, 3, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633))
CITATION = (34737, 2, "WGS 84 / UTM zone 33N|")


@FILE_FORMATS
@given(mask=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_class_ids_come_back(mask_format: MaskFormat, mask: NDArray[np.uint8]) -> None:
    mask.setflags(write=False)
    encoded = encode_mask_file(mask, mask_format=mask_format, num_classes=256)
    assert np.array_equal(read_plane(encoded, origin="here"), mask)
    assert encoded == encode_mask_file(mask, mask_format=mask_format, num_classes=256)


def test_16_bits_are_16_bits() -> None:
    encoded = encode_mask_file(np.array([[0, 255]], np.uint8), mask_format="png16", num_classes=256)
    assert Image.open(io.BytesIO(encoded)).mode == "I;16"


def test_a_mask_may_be_larger_than_what_pillow_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.ones((300, 300), np.uint8)
    encoded = encode_mask_file(mask, mask_format="png", num_classes=2)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 179 million by default, which limits.max_pixels may exceed
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(encoded))
    assert np.array_equal(read_plane(encoded, origin="here"), mask)


@pytest.mark.parametrize("map_format", ["npy", "tiff"])
def test_maps_are_counts_or_shares(map_format: MapFormat) -> None:
    scores = np.arange(256, dtype=np.uint8).reshape(16, 16)
    whole = read_plane(encode_map(scores, kind="uint8", map_format=map_format), origin="here")
    shares = read_plane(encode_map(scores, kind="float16", map_format=map_format), origin="here")
    assert np.array_equal(whole, scores)
    assert shares.dtype == np.float16
    np.testing.assert_allclose(shares, scores / 255, atol=2**-12)  # half a step of float16 below 1
    assert (shares.min(), shares.max()) == (0, 1)


def geotiff(path: Path, *, orientation: int = 1) -> bytes:
    """An image somewhere in Carinthia."""
    tags = [
        (code, kind, 0 if kind == 2 else len(values), values, True) for code, kind, values in (*UTM, KEYS, CITATION)
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (300, 520, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=[*tags, (274, 3, 1, orientation, True)], metadata=None)
    return path.read_bytes()


@pytest.mark.parametrize("plane", ["mask", "map"])
def test_geotags_are_those_of_the_source(tmp_path: Path, plane: str) -> None:
    image = load_image(geotiff(tmp_path / "in.tif"))
    pixels = np.zeros(image.image_hw, np.uint8)
    if plane == "mask":
        encoded = encode_mask_file(pixels, mask_format="tiff", num_classes=2, geo_tags=image.geo_tags)
    else:
        encoded = encode_map(pixels, kind="float16", map_format="tiff", geo_tags=image.geo_tags)
    with tifffile.TiffFile(io.BytesIO(encoded)) as written, tifffile.TiffFile(tmp_path / "in.tif") as source:
        page = written.pages[0].aspage()
        assert (page.is_tiled, page.compression.name, page.shape) == (True, "ADOBE_DEFLATE", image.image_hw)
        assert page.geotiff_tags == source.pages[0].aspage().geotiff_tags
        assert page.geotiff_tags["ProjectedCSTypeGeoKey"].value == 32633


def test_an_image_that_is_turned_keeps_no_place(tmp_path: Path) -> None:
    assert load_image(geotiff(tmp_path / "in.tif", orientation=6)).geo_tags == ()


def test_a_plain_tiff_has_no_place(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((4, 4), np.uint8))
    assert load_image(tmp_path / "in.tif").geo_tags == ()


def segmented() -> Prediction:
    mask = np.array([[0, 1]], np.uint8)
    result = Segmentation(
        mask=mask,
        scores=mask * 200,
        class_pixels=np.array([1, 1]),
        class_scores=np.array([1, 1], np.float32),
        labels=("sky", "sea"),
    )
    return Prediction(source=SourceFacts(image_id="a"), status="ok", result=result)


@pytest.mark.parametrize(
    ("planes", "columns"),
    [
        pytest.param(PlaneOutput(), ["mask_path"], id="by-default"),
        pytest.param(PlaneOutput(masks="none"), [], id="none"),
        pytest.param(PlaneOutput(masks="rle"), [], id="run-lengths"),
        pytest.param(PlaneOutput(masks="rle", maps="uint8"), ["map_path"], id="maps-alone"),
        pytest.param(
            PlaneOutput(masks="tiff", maps="float16", map_format="tiff"), ["mask_path", "map_path"], id="both"
        ),
    ],
)
def test_what_is_kept_is_what_is_asked(planes: PlaneOutput, columns: list[str]) -> None:
    assert list(encode_planes(segmented(), planes, num_classes=2)) == columns
    assert encode_planes(Prediction(source=SourceFacts(image_id="a"), status="oom"), planes, num_classes=2) == {}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x93NUMPY\x01", id="cut-off"),
        pytest.param(b"II*\0\x08\0\0\0", id="tiff-without-a-page"),
        pytest.param(encode_mask_file(np.zeros((9, 9), np.uint8), mask_format="png", num_classes=2)[:60], id="torn"),
    ],
)
def test_damaged_files_are_told(data: bytes) -> None:
    with pytest.raises(JobError, match=r"masks/a\.png must be a mask, got a damaged file"):
        read_plane(data, origin="masks/a.png")


def test_a_picture_is_no_mask() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 3)).save(buffer, format="PNG")
    with pytest.raises(JobError, match=r"must be a mask of one channel, got shape \[3, 2, 3\]"):
        read_plane(buffer.getvalue(), origin="here")


def test_geotags_are_texts_and_numbers(tmp_path: Path) -> None:
    tags = load_image(geotiff(tmp_path / "in.tif")).geo_tags
    assert GeoTag(code=33550, kind=12, values=(10.0, 10.0, 0.0)) in tags
    assert {tag.code for tag in tags} == {33550, 33922, 34735, 34737}
