"""Objects in a picture: masks as tints, boxes, and names that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from inference_core.errors import ShapeError
from inference_core.records import Uint8Array
from inference_core.results import Detection
from inference_core.visualize.blend import ALPHA, blend
from inference_core.visualize.label_places import LabelPlace, Rect, place_labels
from inference_core.visualize.lettering import fitted, font_px_for, ink_on, load_font, printable, text_size, write
from inference_core.visualize.palette import DEFAULT_PALETTE, Color, Palette
from inference_core.visualize.typefaces import Font

MAX_LABELS = 100
"""Names that are placed, those of the best objects; beyond, nobody reads them and looking for room takes long."""
MAX_LABEL_SHARE = 0.6
"""Of the picture's width."""


def draw_objects(
    pixels: Uint8Array, result: Detection, *, alpha: float = ALPHA, palette: Palette = DEFAULT_PALETTE
) -> Uint8Array:
    """Masks, boxes and names of objects; the best ones lie on top, and their names find a place first.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        result: in the same pixels.
        alpha: share of the colours in masks, in [0, 1].
        palette: colours of classes.

    Raises:
        ShapeError: masks are of an image of another size.
    """
    image = Image.fromarray(tint_objects(pixels, result, alpha=alpha, palette=palette))
    draw = ImageDraw.Draw(image)
    line_px = line_width(pixels.shape[:2])
    colors = [palette.object_color(int(class_id)) for class_id in result.class_ids]
    boxes = [drawn_rect(box) for box in result.boxes_xyxy.tolist()]
    for box, color in reversed(list(zip(boxes, colors, strict=True))):
        draw_box(draw, box, color=color, line_px=line_px)
    font = load_font(max(10, round(font_px_for(pixels.shape[:2]) * 0.85)))
    names = [f"{label} {float(score):.2f}" for label, score in zip(result.labels, result.scores, strict=True)]
    draw_names(draw, boxes[:MAX_LABELS], names[:MAX_LABELS], colors, font=font, image_hw=pixels.shape[:2])
    return np.asarray(image)


def tint_objects(pixels: Uint8Array, result: Detection, *, alpha: float, palette: Palette) -> Uint8Array:
    """The masks of objects, if there are any."""
    tinted = pixels.copy()
    for index in range(len(result.masks or ()) - 1, -1, -1):
        assert result.masks is not None, "there is a mask to draw"
        if result.masks[index].size_hw != pixels.shape[:2]:
            raise ShapeError(
                f"masks must be {list(pixels.shape[:2])} as the image, got {list(result.masks[index].size_hw)}; give "
                "the image that the result is of"
            )
        is_object = result.masks[index].to_array()
        color = np.array(palette.object_color(int(result.class_ids[index])), np.uint8)
        tinted[is_object] = blend(tinted[is_object], color, alpha=alpha)
    return tinted


def line_width(image_hw: tuple[int, ...]) -> int:
    """Width of lines that are seen at a size."""
    return max(1, round(max(image_hw) / 400))


def drawn_rect(box_xyxy: Sequence[float]) -> Rect:
    """The pixels of a half-open box, at least one each way."""
    left, top, right, bottom = (round(value) for value in box_xyxy)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def draw_box(draw: ImageDraw.ImageDraw, box: Rect, *, color: Color, line_px: int) -> None:
    """One box; Pillow draws the last pixel, too."""
    left, top, right, bottom = box
    draw.rectangle((left, top, right - 1, bottom - 1), outline=color, width=line_px)


def draw_names(
    draw: ImageDraw.ImageDraw,
    boxes: Sequence[Rect],
    names: Sequence[str],
    colors: Sequence[Color],
    *,
    font: Font,
    image_hw: tuple[int, ...],
) -> None:
    """Names on grounds of their box's colour; a line leads to a box that has no room beside it."""
    pad = max(1, line_width(image_hw))
    height, width = image_hw
    texts = [fitted(printable(name), font, max_width_px=max(8, int(width * MAX_LABEL_SHARE))) for name in names]
    sizes = [size_with_pad(text, font, pad=pad) for text in texts]
    places = place_labels(boxes, sizes, image_hw=(height, width))
    for box, place, color in zip(boxes, places, colors, strict=False):
        if place is not None and not place.is_beside:
            draw_leader(draw, box, place, color=color, line_px=max(1, pad // 2))
    for text, place, color in zip(texts, places, colors, strict=False):
        if place is not None and text:
            left, top, right, bottom = place.rect
            draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
            write(draw, (left + pad, (top + bottom) / 2), text, font=font, fill=ink_on(color), anchor="lm")


def size_with_pad(text: str, font: Font, *, pad: int) -> tuple[int, int]:
    """Width and height of a name's ground."""
    width, height = text_size(text, font)
    return width + 2 * pad, height + pad


def draw_leader(draw: ImageDraw.ImageDraw, box: Rect, place: LabelPlace, *, color: Color, line_px: int) -> None:
    """A line from a name to the nearest point of its box."""
    left, top, right, bottom = place.rect
    x, y = (left + right) / 2, (top + bottom) / 2
    nearest = min(max(x, box[0]), box[2] - 1), min(max(y, box[1]), box[3] - 1)
    draw.line((x, y, *nearest), fill=color, width=line_px)
