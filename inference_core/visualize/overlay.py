"""A result drawn over its image: classes as tints, objects as tints, boxes and names."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inference_core.records import Detection, Segmentation, Uint8Array, check_array
from inference_core.visualize.palette import Color, class_color, object_color

TINT = 128
"""Share of a class's colour in a pixel, of 256."""
DARK, LIGHT = (0, 0, 0), (255, 255, 255)
LUMA_LIMIT = 140
"""Text on a colour is dark above it, light below."""


def draw_overlay(pixels: Uint8Array, result: Segmentation | Detection) -> Uint8Array:
    """The image with what was found in it.

    Args:
        pixels: (H, W, 3) uint8, upright, not modified.
        result: in the same pixels.

    Returns:
        (H, W, 3) uint8.
    """
    check_array("pixels", pixels, ndim=3, dtype=np.uint8)
    if isinstance(result, Segmentation):
        return tint_classes(pixels, result.mask)
    return draw_objects(pixels, result)


def tint_classes(pixels: Uint8Array, mask: Uint8Array) -> Uint8Array:
    """Class colours over the pixels of all classes but 0, the background.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        mask: (H, W) uint8 class ids.
    """
    colors = np.array([class_color(index) for index in range(256)], np.uint16)  # (256, 3)
    tinted = pixels.copy()
    is_tinted = mask > 0
    ids = mask[is_tinted]
    tinted[is_tinted] = blend(pixels[is_tinted], colors[ids])
    return tinted


def blend(pixels: Uint8Array, colors: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> Uint8Array:
    """``TINT`` parts of the colours, the rest of the pixels, rounded down; colours may broadcast."""
    return ((pixels.astype(np.uint16) * (256 - TINT) + colors * TINT) >> 8).astype(np.uint8)


def draw_objects(pixels: Uint8Array, result: Detection) -> Uint8Array:
    """Masks, boxes and names of objects; the best ones lie on top."""
    tinted = pixels.copy()
    order = range(len(result.scores) - 1, -1, -1)
    if result.masks is not None:
        for index in order:
            is_object = result.masks[index].to_array()
            color = np.array(object_color(int(result.class_ids[index])), np.uint16)
            tinted[is_object] = blend(tinted[is_object], color)
    image = Image.fromarray(tinted)
    draw = ImageDraw.Draw(image)
    line_px = max(1, round(max(image.size) / 400))
    font = ImageFont.load_default(size=max(10.0, max(image.size) / 50))
    for index in order:
        color_ = object_color(int(result.class_ids[index]))
        text = f"{result.labels[index]} {float(result.scores[index]):.2f}"
        draw_box(draw, result.boxes_xyxy[index].tolist(), text, color=color_, line_px=line_px, font=font)
    return np.asarray(image)


def draw_box(
    draw: ImageDraw.ImageDraw,
    box_xyxy: list[float],
    text: str,
    *,
    color: Color,
    line_px: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """One box with its name above it, or inside where there is no room above."""
    left, top, right, bottom = box_xyxy
    # Boxes are half-open, and Pillow draws the last pixel, too.
    draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color, width=line_px)
    text = printable(text)
    x0, y0, x1, y1 = draw.textbbox((0, 0), text, font=font)
    height = y1 - y0 + 2 * line_px
    anchor_y = top - height if top >= height else top
    draw.rectangle((left, anchor_y, left + x1 - x0 + 2 * line_px, anchor_y + height), fill=color)
    draw.text((left + line_px - x0, anchor_y + line_px - y0), text, font=font, fill=ink_on(color))


def printable(text: str) -> str:
    """At most 60 characters without line ends, which a name in a box cannot have."""
    return "".join(char if char.isprintable() else " " for char in text[:60])


def ink_on(color: Color) -> Color:
    """Black or white, whichever is read better on a colour. Source: ITU-R BT.601, luma."""
    luma = (299 * color[0] + 587 * color[1] + 114 * color[2]) / 1000
    return DARK if luma > LUMA_LIMIT else LIGHT
