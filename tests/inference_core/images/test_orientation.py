"""Turning upright equals Pillow's way, and can be undone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from inference_core.images.exif import ORIENTATION_TAG
from inference_core.images.orientation import apply_orientation, undo_orientation

PIXELS = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
PIXELS.flags.writeable = False


@pytest.mark.parametrize("orientation", range(1, 9))
def test_equals_exif_transpose(orientation):
    image = Image.fromarray(PIXELS)
    image.getexif()[ORIENTATION_TAG] = orientation
    upright = apply_orientation(PIXELS, orientation)
    np.testing.assert_array_equal(upright, np.asarray(ImageOps.exif_transpose(image)))
    assert upright.flags.c_contiguous


@pytest.mark.parametrize("shape", [(3, 5, 3), (1, 1, 3), (1, 4, 3), (4, 1, 3)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_undo_inverts(orientation, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    upright = apply_orientation(pixels, orientation)
    assert upright.ndim == 3
    np.testing.assert_array_equal(undo_orientation(upright, orientation), pixels)
