"""An explanation's heatmap over its image: where nothing is told the image stays, gray; colours come with evidence."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inference_core.errors import ShapeError
from inference_core.records import FloatArray, Uint8Array, check_array
from inference_core.visualize.color_scale import add_color_bar
from inference_core.visualize.lettering import (
    DARK,
    LIGHT,
    fitted,
    font_px_for,
    load_font,
    printable,
    text_size,
    write,
)

POSITIVE = cv2.COLORMAP_INFERNO
"""Lightness rises evenly: dark red where there is little, yellow where there is most."""
NEGATIVE_RGB = (40, 110, 255)
"""Of what speaks against the answer."""
MAX_ALPHA = 0.75
GRAY_SHARE = 0.6
"""How much of an image's own colours is taken back, so that those of the heatmap are told apart from them."""
PEAK_QUANTILE = 0.995
"""The value that takes the strongest colour: single pixels of gradients are far above all others."""
GROUND = 128.0
"""Gray on which the bar shows its colours, as they lie over an image."""
MAX_TITLE_CHARS = 200


def draw_heatmap(
    pixels: Uint8Array,
    heatmap: FloatArray,
    *,
    blur_px: float = 0.0,
    floor: float = 0.0,
    title: str = "",
    has_bar: bool = True,
    box_xyxy: tuple[float, float, float, float] | None = None,
) -> Uint8Array:
    """The image with its heatmap, and a bar of colours at the right.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        heatmap: (H, W) float32; below 0 is what speaks against the answer.
        blur_px: standard deviation by which the picture smooths the heatmap.
        floor: of a heatmap without negative values: what has no more than this shows no colour.
        title: a line above.
        has_bar: whether the bar, and the title, stand there.
        box_xyxy: of the object that is explained, drawn as a frame.

    Returns:
        (H, W, 3) uint8, larger with the bar.

    Raises:
        ShapeError: the heatmap is of another size than the image.
    """
    check_heatmap(pixels, heatmap)
    values = smooth(heatmap, sigma_px=blur_px) if blur_px > 0 else heatmap
    peak = peak_of(values)
    floor = floor if floor < peak else 0.0
    shares = (values if floor <= 0 else np.clip(values - floor, 0, None)) / ((peak - floor) or 1.0)
    colors, alpha = color_shares(shares)
    blended = muted(pixels) * (1 - alpha) + colors * alpha
    picture = np.rint(blended).astype(np.uint8)
    if box_xyxy is not None:
        picture = frame(picture, box_xyxy)
    if not has_bar:
        return picture
    is_signed = bool((values < 0).any())
    drawn = add_color_bar(picture, bar_colors(is_signed=is_signed), low=-peak if is_signed else floor, high=peak)
    return add_heading(drawn, title) if title else drawn


def check_heatmap(pixels: Uint8Array, heatmap: FloatArray) -> None:
    """Raise ShapeError unless a heatmap is of the image."""
    check_array("pixels", pixels, ndim=3, dtype=np.uint8)
    check_array("heatmap", heatmap, ndim=2, dtype=np.float32)
    if heatmap.shape != pixels.shape[:2]:
        raise ShapeError(f"heatmap must be of the image's size {list(pixels.shape[:2])}, got {list(heatmap.shape)}")


def peak_of(values: FloatArray) -> float:
    """The size that takes the strongest colour; 0 where all values are."""
    sizes = np.abs(values)
    quantile = float(np.quantile(sizes, PEAK_QUANTILE))
    return quantile if quantile > 0 else float(sizes.max())


def smooth(values: FloatArray, *, sigma_px: float) -> FloatArray:
    """Values blurred, (H, W) float32."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigmaX=sigma_px, borderType=cv2.BORDER_REFLECT_101), np.float32)


def muted(pixels: Uint8Array) -> NDArray[np.float32]:
    """The image nearly gray, float32."""
    image = pixels.astype(np.float32)
    gray = image @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, luma
    return image * (1 - GRAY_SHARE) + gray[..., None] * GRAY_SHARE


def color_shares(shares: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (H, W, 3) and how much of them is seen (H, W, 1), of values in [-1, 1]; those beyond are cut."""
    strength = np.clip(np.abs(shares), 0, 1).astype(np.float32)
    # From a third of the scale on: its beginning is black, which would look like a shadow.
    steps = np.rint((0.35 + 0.6 * strength) * 255).astype(np.uint8)
    colors = np.asarray(cv2.applyColorMap(steps, POSITIVE))[..., ::-1].astype(np.float32)
    colors[shares < 0] = NEGATIVE_RGB
    return colors, (MAX_ALPHA * strength)[..., None].astype(np.float32)


def frame(picture: Uint8Array, box_xyxy: tuple[float, float, float, float]) -> Uint8Array:
    """A picture with a box in white on black."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    line_px = max(1, round(max(image.size) / 300))
    left, top, right, bottom = box_xyxy
    corners = (left, top, max(left, right - 1), max(top, bottom - 1))
    draw.rectangle(corners, outline=DARK, width=3 * line_px)
    inner = (corners[0] + line_px, corners[1] + line_px, corners[2] - line_px, corners[3] - line_px)
    if inner[2] > inner[0] and inner[3] > inner[1]:
        draw.rectangle(inner, outline=LIGHT, width=line_px)
    return np.asarray(image)


def bar_colors(*, is_signed: bool) -> Uint8Array:
    """(256, 3) uint8, what values look like over middle gray, the lowest first."""
    colors, alpha = color_shares(np.linspace(-1.0 if is_signed else 0.0, 1.0, 256)[None])
    return np.rint(colors * alpha + GROUND * (1 - alpha)).astype(np.uint8).reshape(-1, 3)


def add_heading(picture: Uint8Array, title: str) -> Uint8Array:
    """A picture below a line of text."""
    font = load_font(font_px_for(picture.shape[:2]))
    pad = text_size("", font)[1] // 2
    text = fitted(printable(title, max_chars=MAX_TITLE_CHARS), font, max_width_px=picture.shape[1] - 2 * pad)
    head = text_size("", font)[1] + 2 * pad
    canvas = Image.new("RGB", (picture.shape[1], head + picture.shape[0]), LIGHT)
    canvas.paste(Image.fromarray(picture), (0, head))
    write(ImageDraw.Draw(canvas), (pad, head / 2), text, font=font, fill=DARK, anchor="lm")
    return np.asarray(canvas)


def encode_png(picture: Uint8Array) -> bytes:
    """A (H, W, 3) uint8 picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()
