from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from inference_core.errors import ConfigError, ShapeError
from inference_core.prepare.fit import apply_fit
from inference_core.prepare.plan import plan_fit
from inference_core.records import Uint8Array

SIDES = st.integers(1, 90)


def noise(height: int, width: int, channels: int = 3) -> Uint8Array:
    pixels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), np.uint8)
    pixels.setflags(write=False)
    return pixels


def torchvision_eval(pixels: Uint8Array, *, resize_px: int, crop_hw: tuple[int, int], fill: int) -> Uint8Array:
    """Resize(resize_px) and CenterCrop(crop_hw) on a Pillow image, written from torchvision's documentation."""
    image = Image.fromarray(pixels)
    width, height = image.size
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = resize_px, int(resize_px * long / short)
    new_size = (new_short, new_long) if width <= height else (new_long, new_short)
    image = image.resize(new_size, Image.Resampling.BILINEAR)
    width, height = image.size
    crop_height, crop_width = crop_hw
    if crop_width > width or crop_height > height:
        left, top, right, bottom = (
            (crop_width - width) // 2 if crop_width > width else 0,
            (crop_height - height) // 2 if crop_height > height else 0,
            (crop_width - width + 1) // 2 if crop_width > width else 0,
            (crop_height - height + 1) // 2 if crop_height > height else 0,
        )
        image = ImageOps.expand(image, (left, top, right, bottom), fill=(fill, fill, fill))
        width, height = image.size
    top, left = int(round((height - crop_height) / 2.0)), int(round((width - crop_width) / 2.0))  # noqa: RUF046
    return np.asarray(image.crop((left, top, left + crop_width, top + crop_height)))


@settings(deadline=None)
@given(
    image_hw=st.tuples(SIDES, SIDES),
    resize_px=st.integers(1, 40),
    crop_hw=st.tuples(st.integers(1, 48), st.integers(1, 48)),
)
def test_shortest_side_crop_is_resize_and_center_crop(
    image_hw: tuple[int, int], resize_px: int, crop_hw: tuple[int, int]
) -> None:
    pixels = noise(*image_hw)
    placement = plan_fit(image_hw, fit="shortest_side_crop", size_hw=crop_hw, resize_px=resize_px)
    tiles = apply_fit(pixels, placement, pad_value=0).tiles
    assert np.array_equal(tiles[0], torchvision_eval(pixels, resize_px=resize_px, crop_hw=crop_hw, fill=0))


@pytest.mark.parametrize("channels", [1, 3])
def test_letterbox_of_a_gradient_has_the_right_geometry(channels: int) -> None:
    ramp = np.tile(np.arange(0, 200, dtype=np.uint8)[None, :, None], (100, 1, channels))  # (100, 200, C), x = value
    tile = apply_fit(ramp, plan_fit((100, 200), fit="letterbox", size_hw=(128, 128)), pad_value=9).tiles[0]
    assert tile.shape == (128, 128, channels)
    assert np.all(tile[:32] == 9)
    assert np.all(tile[96:] == 9)
    inside = tile[32:96, :, 0].astype(float)
    expected = (np.arange(128) + 0.5) * 200 / 128 - 0.5
    assert np.abs(inside - expected).max() <= 1


def test_letterbox_pads_with_114_unless_told() -> None:
    placement = plan_fit((10, 20), fit="letterbox", size_hw=(20, 20))
    assert apply_fit(noise(10, 20), placement).tiles[0, 0, 0].tolist() == [114, 114, 114]


@pytest.mark.parametrize(
    ("pad_mode", "row"),
    [
        pytest.param("constant", [1, 2, 3, 7, 7, 7, 7, 7], id="constant"),
        pytest.param("edge", [1, 2, 3, 3, 3, 3, 3, 3], id="edge"),
        pytest.param("reflect", [1, 2, 3, 2, 1, 2, 3, 2], id="reflect_again_and_again"),
    ],
)
def test_pad_modes(pad_mode: str, row: list[int]) -> None:
    pixels = np.array([[[1], [2], [3]]], np.uint8)
    tile = apply_fit(pixels, plan_fit((1, 3), fit="native", multiple_px=8), pad_mode=pad_mode, pad_value=7).tiles[0]
    assert tile.shape == (8, 8, 1)
    assert tile[0, :, 0].tolist() == row


@pytest.mark.parametrize("pad_mode", ["edge", "reflect"])
def test_one_pixel_fills_the_input(pad_mode: str) -> None:
    tile = apply_fit(np.full((1, 1, 3), 5, np.uint8), plan_fit((1, 1), fit="native", multiple_px=32), pad_mode=pad_mode)
    assert np.all(tile.tiles == 5)


@given(image_hw=st.tuples(SIDES, SIDES), overlap_px=st.integers(0, 8))
def test_tiles_are_cut_from_the_padded_image(image_hw: tuple[int, int], overlap_px: int) -> None:
    pixels = noise(*image_hw)
    placement = plan_fit(image_hw, fit="tile", size_hw=(16, 24), overlap_px=overlap_px)
    prepared = apply_fit(pixels, placement, pad_mode="edge")
    pad = [(0, canvas - side) for canvas, side in zip(placement.canvas_hw, image_hw, strict=True)]
    canvas = np.pad(pixels, [*pad, (0, 0)], mode="edge")
    for tile, (top, left) in zip(prepared.tiles, placement.tile_origins_yx, strict=True):
        assert np.array_equal(tile, canvas[top : top + 16, left : left + 24])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"fit": "letterbox", "size_hw": (32, 48)}, id="letterbox"),
        pytest.param({"fit": "stretch", "size_hw": (32, 48)}, id="stretch"),
        pytest.param({"fit": "shortest_side_crop", "size_hw": (32, 48), "resize_px": 40}, id="crop_and_pad"),
        pytest.param({"fit": "native", "multiple_px": 32}, id="native"),
        pytest.param({"fit": "tile", "size_hw": (32, 48), "overlap_px": 8}, id="tile"),
    ],
)
@pytest.mark.parametrize("resampler", ["pillow", "pillow_box", "torch", "opencv"])
@pytest.mark.parametrize("image_hw", [(1, 1), (1, 500), (500, 1), (61, 47)], ids=str)
def test_every_fit_gives_whole_contiguous_tiles(
    options: dict[str, object], resampler: str, image_hw: tuple[int, int]
) -> None:
    placement = plan_fit(image_hw, **options)
    for channels in (1, 3):
        pixels = noise(*image_hw, channels)
        before = pixels.copy()
        prepared = apply_fit(pixels, placement, resampler=resampler)
        assert prepared.tiles.shape == (placement.num_tiles, *placement.tile_hw, channels)
        assert prepared.tiles.flags.c_contiguous
        assert np.array_equal(pixels, before)


@pytest.mark.parametrize("resampler", ["torch", "opencv"])
def test_resampler_and_interpolation_reach_the_resize(resampler: str) -> None:
    pixels = noise(60, 80)
    placement = plan_fit((60, 80), fit="letterbox", size_hw=(32, 32))
    default = apply_fit(pixels, placement).tiles
    assert not np.array_equal(apply_fit(pixels, placement, resampler=resampler).tiles, default)
    assert not np.array_equal(apply_fit(pixels, placement, interpolation="nearest").tiles, default)


@pytest.mark.parametrize(
    "options", [{"pad_mode": "wrap"}, {"pad_value": 256}, {"pad_value": -1}], ids=["mode", "over", "under"]
)
def test_unknown_padding_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="padding must be constant, edge or reflect"):
        apply_fit(noise(4, 4), plan_fit((4, 4), fit="native"), **options)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="pixels must be of the planned size"):
        apply_fit(noise(4, 5), plan_fit((5, 4), fit="native"))


@pytest.mark.parametrize("fit", ["native", "tile", "letterbox"])
def test_strided_pixels_give_the_same_tiles(fit: str) -> None:
    mirrored = noise(20, 30)[::-1, ::-1]
    placement = plan_fit((20, 30), fit=fit, size_hw=(32, 32), multiple_px=16)
    tiles = [apply_fit(pixels, placement, pad_mode="edge").tiles for pixels in (mirrored, mirrored.copy())]
    assert np.array_equal(tiles[0], tiles[1])
