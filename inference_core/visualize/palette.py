"""A colour for every class, the same in masks, overlays and charts."""

from __future__ import annotations

# Okabe and Ito's colour-blind safe colours after black for the background.
# Source: Okabe & Ito, Color Universal Design, 2008.
OKABE_ITO = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

Color = tuple[int, int, int]


def class_palette(num_classes: int) -> list[int]:
    """768 palette bytes: black and white for two classes, distinct colours for more."""
    black_and_white = [(0, 0, 0), (255, 255, 255)]
    colors = black_and_white if num_classes == 2 else [class_color(index) for index in range(256)]
    return [channel for color in colors for channel in color] + [0] * (768 - 3 * len(colors))


def class_color(class_id: int) -> Color:
    """Red, green and blue of a class; 0, the background of masks, is black."""
    return OKABE_ITO[class_id] if class_id < len(OKABE_ITO) else distinct_color(class_id % 256)


def object_color(class_id: int) -> Color:
    """Red, green and blue of the objects of a class, whose first class is no background: never black."""
    return class_color(1 + class_id % 255)


def distinct_color(index: int) -> Color:
    """The colour of a class id as in the palette of PASCAL VOC: the bits of the id spread over the channels.

    Source: Everingham et al., The PASCAL VOC Challenge, development kit, VOClabelcolormap.
    """
    red = green = blue = 0
    for bit in range(8):
        red |= ((index >> (3 * bit)) & 1) << (7 - bit)
        green |= ((index >> (3 * bit + 1)) & 1) << (7 - bit)
        blue |= ((index >> (3 * bit + 2)) & 1) << (7 - bit)
    return red & 255, green & 255, blue & 255
