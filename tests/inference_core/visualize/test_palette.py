from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_cie76, rgb2lab

from inference_core.errors import ConfigError
from inference_core.visualize.choose_colors import VISION, choose_colors
from inference_core.visualize.palette import (
    DEFAULT_PALETTE,
    build_palette,
    class_color,
    class_palette,
    object_color,
    read_color,
)

OKABE_ITO = "000000 56b4e9 e69f00 009e73 f0e442 0072b2 d55e00 cc79a7"


def closest(count: int, vision: str) -> float:
    """Smallest distance of two of the first colours as somebody sees them, by an independent library."""
    linear = np.array(DEFAULT_PALETTE.colors[:count]) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0, 1)
    srgb = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    return min(float(deltaE_cie76(rgb2lab(a), rgb2lab(b))) for a, b in combinations(srgb, 2))


@pytest.mark.parametrize("vision", list(VISION))
@pytest.mark.parametrize(("count", "distance"), [(20, 15), (32, 11), (64, 7.5)])
def test_the_first_colours_stay_apart_for_every_kind_of_vision(count: int, distance: float, vision: str) -> None:
    # 2.3 is just noticeable side by side; Okabe and Ito's own eight come as close as 16.
    assert closest(count, vision) > distance


def test_the_table_is_what_the_search_gives() -> None:
    first = [read_color(f"#{word}") for word in OKABE_ITO.split()]
    found = choose_colors(first, count=40)  # the search is greedy: more colours do not change the first
    assert tuple(found[:8]) == DEFAULT_PALETTE.colors[:8]
    assert set(found) == set(DEFAULT_PALETTE.colors[:40])


@pytest.mark.parametrize("num_classes", [1, 2, 3, 256, 1000])
def test_a_palette_of_a_mask_is_768_bytes(num_classes: int) -> None:
    palette = class_palette(num_classes)
    assert len(palette) == 768
    assert all(0 <= value <= 255 for value in palette)


def test_classes_have_colours_of_their_own_and_only_the_background_is_black() -> None:
    colors = [class_color(index) for index in range(256)]
    assert len(set(colors)) == 256
    assert colors.index((0, 0, 0)) == 0
    assert (0, 0, 0) not in {object_color(index) for index in range(1000)}


def test_own_colours_are_those_of_the_class_ids() -> None:
    palette = build_palette(["black", "#ff0000", (1, 2, 3)], num_classes=3)
    assert [palette.class_color(index) for index in range(3)] == [(0, 0, 0), (255, 0, 0), (1, 2, 3)]
    assert palette.object_color(0) == (0, 0, 0)
    assert build_palette([], num_classes=500) is DEFAULT_PALETTE


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        (["red"], "palette: must have a colour for each of 3 classes, got 1; name 2 more"),
        (["red", "green", "blau"], "must hold names of CSS, #rrggbb or three numbers from 0 to 255, got 'blau'"),
        (["red", "green", (1, 2, 300)], "three numbers from 0 to 255, got \\(1, 2, 300\\)"),
        (["red", "green", (1, 2)], "three numbers from 0 to 255, got \\(1, 2\\)"),
        (["red", "green", "#ff000080"], "three numbers from 0 to 255, got '#ff000080'"),
    ],
    ids=["too few", "no colour", "out of range", "two numbers", "with alpha"],
)
def test_wrong_palettes_are_refused(colors: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_palette(colors, num_classes=3)
