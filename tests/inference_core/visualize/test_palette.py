from __future__ import annotations

import pytest

from inference_core.visualize.palette import class_color, class_palette, distinct_color, object_color


def test_later_colours_are_those_of_pascal_voc() -> None:
    # From the VOC development kit's own table: bicycle, boat, person, tv monitor and the border.
    known = {2: (0, 128, 0), 4: (0, 0, 128), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {index: distinct_color(index) for index in known} == known


@pytest.mark.parametrize("num_classes", [2, 256])
def test_a_palette_is_768_bytes(num_classes: int) -> None:
    palette = class_palette(num_classes)
    assert len(palette) == 768
    assert all(0 <= value <= 255 for value in palette)


def test_classes_have_colours_of_their_own_and_only_the_background_is_black() -> None:
    colors = [class_color(index) for index in range(256)]
    assert len(set(colors)) == 256
    assert colors.index((0, 0, 0)) == 0
    assert (0, 0, 0) not in {object_color(index) for index in range(1000)}
