"""The best classes as bars, and the classes of a mask as a legend, beside a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from inference_core.records import Uint8Array
from inference_core.results import Classification, MultiLabel, Segmentation
from inference_core.visualize.lettering import DARK, LIGHT, fitted, font_px_for, load_font, printable, text_size, write
from inference_core.visualize.palette import DEFAULT_PALETTE, Color, Palette
from inference_core.visualize.typefaces import Font

BAR, CHOSEN_BAR, GROUND = (148, 163, 184), (0, 114, 178), (241, 245, 249)
MAX_BARS = 10
MIN_PANEL_PX, MIN_PANEL_LINES = 160, 12
"""Least width of bars, and the same in heights of a line: beside a narrow picture letters may be large."""
MAX_LEGEND = 24


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel."""

    text: str
    value: str
    color: Color | None = None
    """None where nothing is painted: of what stays as it is, and of a line that tells of others."""
    share: float | None = None
    """Length of its bar, in [0, 1]; None where a square of the colour stands in its place."""


def draw_top_k(pixels: Uint8Array, result: Classification | MultiLabel, *, max_bars: int = MAX_BARS) -> Uint8Array:
    """The image, and beside it the best classes with their scores as bars; those that are said to be shown are blue.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        result: of the image.
        max_bars: most bars.
    """
    return add_panel(pixels, top_k_lines(result)[:max_bars])


def top_k_lines(result: Classification | MultiLabel) -> list[Line]:
    """A line for each of the best classes."""
    if isinstance(result, MultiLabel):
        shown = set(result.class_ids.tolist())
        entries = zip(result.top_class_ids.tolist(), result.top_labels, result.top_scores.tolist(), strict=True)
    else:
        shown = {int(result.class_ids[0])}
        entries = zip(result.class_ids.tolist(), result.labels, result.scores.tolist(), strict=True)
    return [
        Line(label, f"{score:.1%}", CHOSEN_BAR if class_id in shown else BAR, share=score)
        for class_id, label, score in entries
    ]


def add_legend(
    picture: Uint8Array, result: Segmentation, *, palette: Palette = DEFAULT_PALETTE, background: int | None = None
) -> Uint8Array:
    """A picture with the classes that its mask shows beside it, the largest first, with their shares.

    Args:
        picture: (H, W, 3) uint8, not modified.
        result: whose mask it shows.
        palette: colours of classes.
        background: the class that is not painted; None where all are.
    """
    return add_panel(picture, legend_lines(result, palette=palette, background=background))


def legend_lines(result: Segmentation, *, palette: Palette, background: int | None = None) -> list[Line]:
    """A line for each class that has pixels, and one for those that there is no room for."""
    total = max(int(result.class_pixels.sum()), 1)
    order = np.argsort(-result.class_pixels, kind="stable")[: np.count_nonzero(result.class_pixels)].tolist()
    lines = [
        Line(
            result.labels[index],
            share_text(result.class_pixels[index] / total),
            None if index == background else palette.class_color(index),
        )
        for index in order[:MAX_LEGEND]
    ]
    if rest := order[MAX_LEGEND:]:
        lines.append(Line(f"{len(rest)} more", share_text(result.class_pixels[rest].sum() / total)))
    return lines


def share_text(share: float) -> str:
    """A share in per cent; what there is of a class is never nothing."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def add_panel(picture: Uint8Array, lines: Sequence[Line]) -> Uint8Array:
    """Lines at the right of a picture, which is made higher where they need it."""
    font = load_font(font_px_for(picture.shape[:2]))
    _, line_height = text_size("", font)
    pad = max(8, line_height)
    has_bars = any(line.share is not None for line in lines)
    step = round(line_height * (2.6 if has_bars else 1.6))
    wide = max(MIN_PANEL_PX, round(picture.shape[1] * 0.55), MIN_PANEL_LINES * line_height)
    width = wide if has_bars else legend_width(lines, font, pad=pad)
    height = max(picture.shape[0], step * len(lines) + 2 * pad)
    canvas = Image.new("RGB", (picture.shape[1] + width, height), LIGHT)
    canvas.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(canvas)
    left, right = picture.shape[1] + pad, picture.shape[1] + width - pad
    for index, line in enumerate(lines):
        top = pad + index * step
        draw_line(draw, line, font=font, left=left, right=right, top=top, line_height=line_height)
    return np.asarray(canvas)


def legend_width(lines: Sequence[Line], font: Font, *, pad: int) -> int:
    """Of a panel without bars."""
    widest = max(
        (text_size(f"{printable(line.text, max_chars=28)}  {line.value}", font)[0] for line in lines), default=0
    )
    return widest + 2 * text_size("", font)[1] + 3 * pad


def draw_line(
    draw: ImageDraw.ImageDraw, line: Line, *, font: Font, left: int, right: int, top: int, line_height: int
) -> None:
    """One line: a name, its value at the right, and the bar below or the square before it."""
    value_width = text_size(line.value, font)[0]
    has_bar = line.share is not None
    name_left = left if has_bar else left + round(line_height * 1.5)
    text = fitted(printable(line.text), font, max_width_px=right - value_width - name_left - line_height // 2)
    middle = top + line_height // 2
    write(draw, (name_left, middle), text, font=font, fill=DARK, anchor="lm")
    write(draw, (right, middle), line.value, font=font, fill=DARK, anchor="rm")
    if line.share is None:
        draw_swatch(draw, (left, top, left + line_height, top + line_height), color=line.color)
        return
    bar_top, bar_bottom = top + round(line_height * 1.3), top + round(line_height * 1.9)
    draw.rectangle((left, bar_top, right, bar_bottom), fill=GROUND)
    end = left + round((right - left) * min(max(line.share, 0.0), 1.0))
    if end > left:
        draw.rectangle((left, bar_top, end, bar_bottom), fill=line.color)


def draw_swatch(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], *, color: Color | None) -> None:
    """A square of a colour; struck out where there is none."""
    draw.rectangle(box, fill=color or LIGHT, outline=BAR)
    if color is None:
        draw.line((box[0], box[3], box[2], box[1]), fill=BAR)
