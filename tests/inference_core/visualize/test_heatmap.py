from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import ShapeError
from inference_core.visualize.heatmap import draw_heatmap, encode_png, muted

GRAY = np.full((60, 80, 3), 120, np.uint8)


@pytest.mark.parametrize(
    "heatmap",
    [
        pytest.param(np.zeros((60, 80), np.float32), id="nothing"),
        pytest.param(np.full((60, 80), 1e-38, np.float32), id="tiny"),
    ],
)
def test_no_evidence_is_no_error(heatmap: np.ndarray) -> None:
    picture = draw_heatmap(GRAY, heatmap, has_bar=False)
    assert picture.shape == GRAY.shape
    if not heatmap.any():
        np.testing.assert_array_equal(picture, np.rint(muted(GRAY)))


def test_colour_comes_with_evidence_alone() -> None:
    heatmap = np.zeros((60, 80), np.float32)
    heatmap[10:20, 10:20], heatmap[30:40, 30:40] = 3.0, -3.0
    picture = draw_heatmap(GRAY, heatmap, has_bar=False).astype(int)
    for_, against, nothing = picture[15, 15], picture[35, 35], picture[50, 70]
    assert for_[0] > for_[2] + 60  # yellow to red
    assert against[2] > against[0] + 60  # blue
    assert abs(nothing - 120).max() <= 1


def test_a_floor_takes_the_scale_s_beginning() -> None:
    heatmap = np.full((60, 80), 4.0, np.float32)
    heatmap[10:20, 10:20] = 5.0
    plain, floored = (draw_heatmap(GRAY, heatmap, has_bar=False, floor=floor).astype(int) for floor in (0.0, 4.0))
    assert abs(floored[50, 70] - 120).max() <= 1
    assert abs(plain[50, 70] - 120).max() > 40
    np.testing.assert_array_equal(floored[15, 15], plain[15, 15])


def test_the_bar_stands_beside_and_the_title_above() -> None:
    heatmap = np.linspace(0, 1, 60 * 80, dtype=np.float32).reshape(60, 80)
    bare, titled = (draw_heatmap(GRAY, heatmap, title=title) for title in ("", "zebra 0.92 - occlusion"))
    assert titled.shape[0] > bare.shape[0] > 60
    assert titled.shape[1] == bare.shape[1] > 80
    assert (titled[:14] < 100).any()  # letters


def test_a_blur_spreads_and_a_box_is_framed() -> None:
    heatmap = np.zeros((60, 80), np.float32)
    heatmap[30, 40] = 1.0
    plain, blurred = (draw_heatmap(GRAY, heatmap, has_bar=False, blur_px=blur) for blur in (0.0, 3.0))
    assert (blurred != np.rint(muted(GRAY))).sum() > (plain != np.rint(muted(GRAY))).sum()
    framed = draw_heatmap(GRAY, np.zeros((60, 80), np.float32), has_bar=False, box_xyxy=(10, 10, 40, 50))
    assert framed[10, 20].tolist() == [0, 0, 0]
    assert framed[5, 5].tolist() == [120, 120, 120]


def test_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"heatmap must be of the image's size \[60, 80\], got \[60, 81\]"):
        draw_heatmap(GRAY, np.zeros((60, 81), np.float32))


def test_a_png_gives_the_pixels_back() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture)
