from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inference_core.errors import ConfigError, ShapeError
from inference_core.prepare.resize import PILLOW_FILTERS, check_resampler, resize_image, resize_window
from inference_core.records import Uint8Array

RESAMPLERS = ["pillow", "pillow_box", "torch", "opencv"]
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(height: int, width: int, channels: int = 3) -> Uint8Array:
    pixels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), np.uint8)
    pixels.setflags(write=False)
    return pixels


@settings(deadline=None)
@given(image=SIZES, size=SIZES, interpolation=st.sampled_from(sorted(PILLOW_FILTERS)))
def test_pillow_is_image_resize(image: tuple[int, int], size: tuple[int, int], interpolation: str) -> None:
    pixels = noise(*image)
    expected = Image.fromarray(pixels).resize(size[::-1], PILLOW_FILTERS[interpolation], reducing_gap=None)
    assert np.array_equal(resize_image(pixels, size_hw=size, interpolation=interpolation), np.asarray(expected))


@pytest.mark.parametrize(
    ("interpolation", "flag"),
    [
        ("nearest", cv2.INTER_NEAREST),
        ("bilinear", cv2.INTER_LINEAR),
        ("bicubic", cv2.INTER_CUBIC),
        ("lanczos", cv2.INTER_LANCZOS4),
        ("area", cv2.INTER_AREA),
    ],
)
def test_opencv_is_cv2_resize(interpolation: str, flag: int) -> None:
    pixels = noise(37, 50)
    scaled = resize_image(pixels, size_hw=(20, 31), interpolation=interpolation, resampler="opencv")
    assert np.array_equal(scaled, cv2.resize(pixels, (31, 20), interpolation=flag))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_torch_is_the_antialiased_tensor_transform(interpolation: str) -> None:
    pixels = noise(37, 50)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    kwargs = {} if interpolation == "nearest" else {"antialias": True, "align_corners": False}
    expected = torch.nn.functional.interpolate(tensor, size=(20, 31), mode=interpolation, **kwargs)
    scaled = resize_image(pixels, size_hw=(20, 31), interpolation=interpolation, resampler="torch")
    assert np.array_equal(scaled, expected[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_torch_is_within_1_of_pillow(interpolation: str) -> None:
    pixels = noise(75, 100)
    ours = resize_image(pixels, size_hw=(40, 61), interpolation=interpolation, resampler="torch")
    pillow = resize_image(pixels, size_hw=(40, 61), interpolation=interpolation)
    assert np.abs(ours.astype(int) - pillow).max() <= 1


def test_opencv_bilinear_is_another_resize_than_pillow() -> None:
    pixels = noise(75, 100)
    ours = resize_image(pixels, size_hw=(30, 40), resampler="opencv")
    assert (ours != resize_image(pixels, size_hw=(30, 40))).mean() > 0.5


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("image", "size"),
    [
        pytest.param((1, 1), (1, 1), id="one_pixel"),
        pytest.param((1, 1), (7, 5), id="one_pixel_up"),
        pytest.param((9, 8), (1, 1), id="to_one_pixel"),
        pytest.param((1, 5000), (3, 2), id="line"),
        pytest.param((40000, 1), (5, 5), id="over_int16"),
        pytest.param((5, 5), (2, 40000), id="to_over_int16"),
    ],
)
def test_every_resampler_takes_extreme_sizes(
    resampler: str, channels: int, image: tuple[int, int], size: tuple[int, int]
) -> None:
    scaled = resize_image(noise(*image, channels), size_hw=size, resampler=resampler)
    assert scaled.shape == (*size, channels)
    assert scaled.dtype == np.uint8
    flat = np.full((*image, channels), 93, np.uint8)
    assert np.all(resize_image(flat, size_hw=size, resampler=resampler) == 93)


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_strided_and_read_only_pixels_give_the_same(resampler: str) -> None:
    pixels = noise(20, 30)
    mirrored = pixels[::-1, ::-1]
    assert not mirrored.flags.c_contiguous
    expected = resize_image(mirrored.copy(), size_hw=(9, 11), resampler=resampler)
    assert np.array_equal(resize_image(mirrored, size_hw=(9, 11), resampler=resampler), expected)


@pytest.mark.parametrize("resampler", ["pillow", "torch", "opencv"])
def test_window_is_cut_from_the_whole(resampler: str) -> None:
    pixels = noise(37, 50)
    whole = resize_image(pixels, size_hw=(20, 31), resampler=resampler)
    window = resize_window(pixels, scaled_hw=(20, 31), window_yx=(3, 5), window_hw=(10, 12), resampler=resampler)
    assert np.array_equal(window, whole[3:13, 5:17])


@given(image=SIZES, scaled=SIZES, data=st.data())
def test_pillow_box_is_within_1_of_pillow(image: tuple[int, int], scaled: tuple[int, int], data: st.DataObject) -> None:
    pixels = noise(*image)
    top, left = (data.draw(st.integers(0, side - 1)) for side in scaled)
    window_hw = (data.draw(st.integers(1, scaled[0] - top)), data.draw(st.integers(1, scaled[1] - left)))
    exact, fast = (
        resize_window(pixels, scaled_hw=scaled, window_yx=(top, left), window_hw=window_hw, resampler=resampler)
        for resampler in ("pillow", "pillow_box")
    )
    assert exact.shape == fast.shape == (*window_hw, 3)
    assert np.abs(exact.astype(int) - fast).max() <= 1


def test_window_without_scaling_does_not_hold_the_image() -> None:
    pixels = noise(37, 50)
    window = resize_window(pixels, scaled_hw=(37, 50), window_yx=(3, 0), window_hw=(10, 50))
    assert np.array_equal(window, pixels[3:13])
    assert not np.shares_memory(window, pixels)


@pytest.mark.parametrize(
    ("interpolation", "resampler", "message"),
    [
        pytest.param("area", "torch", "interpolation must be one of nearest, bilinear, bicubic", id="torch_area"),
        pytest.param("lanczos", "torch", "interpolation must be one of nearest, bilinear, bicubic", id="torch_lanczos"),
        pytest.param("cubic", "pillow", "got 'cubic'", id="unknown_interpolation"),
        pytest.param("bilinear", "skimage", "resampler must be one of pillow, pillow_box", id="unknown_resampler"),
    ],
)
def test_impossible_choices_are_refused(interpolation: str, resampler: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_resampler(interpolation=interpolation, resampler=resampler)
    with pytest.raises(ConfigError, match=message):
        resize_image(noise(2, 2), size_hw=(2, 2), interpolation=interpolation, resampler=resampler)


@pytest.mark.parametrize("size_hw", [(0, 4), (4, 0), (-1, 4)])
def test_empty_sizes_are_refused(size_hw: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="size_hw must be at least 1 x 1"):
        resize_image(noise(4, 5), size_hw=size_hw)


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, inference_core.prepare, inference_core.postprocess;"
        "print([name for name in ('torch', 'ray', 'pydantic', 'scipy', 'skimage') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
