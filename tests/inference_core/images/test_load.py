"""Every kind of source gives the same image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import DecodeError, FetchError, TooLargeError, UnsupportedError
from inference_core.images.limits import Limits
from inference_core.images.load import load_image
from inference_core.images.policy import DecodePolicy


@pytest.fixture
def stored(scene, encode, tmp_path) -> Path:
    file = tmp_path / "image.jpg"  # a PNG by its bytes: names do not matter
    file.write_bytes(encode(scene(6, 9), "PNG"))
    return file


def test_sources_agree(scene, stored):
    pixels = scene(6, 9)
    sources = [stored.read_bytes(), stored, str(stored), stored.as_uri(), pixels, Image.fromarray(pixels)]
    for source in sources:
        np.testing.assert_array_equal(load_image(source).pixels, pixels)
    with Image.open(stored) as lazy:
        np.testing.assert_array_equal(load_image(lazy).pixels, pixels)


def test_what_the_record_says_of_memory(scene):
    assert (load_image(scene(2, 2)).format, load_image(scene(2, 2)).decoder) == ("array", "numpy")
    from_pillow = load_image(Image.fromarray(scene(2, 2)))
    assert (from_pillow.format, from_pillow.decoder) == ("array", "pillow")


def test_pillow_images_follow_the_policy():
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.info["exif"] = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    upright = load_image(image)
    assert (upright.image_hw, upright.orientation, int(upright.pixels.min())) == ((4, 2), 6, 255)
    stored = load_image(image, policy=DecodePolicy(apply_orientation=False, alpha="drop"))
    assert (stored.image_hw, int(stored.pixels.max())) == ((2, 4), 0)
    assert image.mode == "RGBA"


@pytest.mark.parametrize("kind", [str, Path])
def test_an_absent_file_is_a_fetch_error(tmp_path, kind):
    missing = kind(tmp_path / "absent.png")
    with pytest.raises(FetchError) as caught:
        load_image(missing)
    assert caught.value.uri == str(missing)


def test_errors_carry_the_uri(stored, scene):
    for source in (scene(6, 9), Image.fromarray(scene(6, 9)), stored.read_bytes()):
        with pytest.raises(TooLargeError) as caught:
            load_image(source, limits=Limits(max_pixels=1), uri="s3://bucket/key.png")
        assert caught.value.uri == "s3://bucket/key.png"
    with pytest.raises(TooLargeError) as caught:
        load_image(stored, limits=Limits(max_bytes=8))
    assert caught.value.uri == str(stored)


def test_memory_has_one_page(scene):
    for source in (scene(2, 2), Image.fromarray(scene(2, 2))):
        with pytest.raises(DecodeError, match="page must be less than 1"):
            load_image(source, policy=DecodePolicy(page=1))


def test_bad_arrays_and_lazy_images_are_input_errors(stored):
    with pytest.raises(UnsupportedError, match="move the channels last"):
        load_image(np.zeros((3, 9, 9)))
    stored.write_bytes(stored.read_bytes()[:-60])
    with Image.open(stored) as lazy, pytest.raises(DecodeError, match="image must be a whole, valid image"):
        load_image(lazy)


def test_other_types_are_a_programming_error():
    with pytest.raises(TypeError, match="source must be bytes, str, Path, numpy array or PIL image, got int"):
        load_image(5)
