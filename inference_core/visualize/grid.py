"""Several pictures as one: side by side, in a grid, on a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from PIL import Image, ImageDraw

from inference_core.errors import ConfigError, ShapeError
from inference_core.records import Uint8Array
from inference_core.visualize.lettering import DARK, LIGHT, fitted, font_px_for, load_font, printable, text_size, write
from inference_core.visualize.palette import Color
from inference_core.visualize.picture_size import scale_pixels

GAP_SHARE = 0.02
"""Of a cell's longer side, between cells."""
MAX_CELLS = 1_000
"""Of one grid; more belong on several sheets."""


def side_by_side(pictures: Sequence[Uint8Array], *, titles: Sequence[str] = ()) -> Uint8Array:
    """Pictures in a row, as they are, each below its title.

    Args:
        pictures: (H, W, 3) uint8 of any sizes, not modified.
        titles: of the pictures, or of the first ones.
    """
    return draw_grid(pictures, titles=titles, num_columns=max(len(pictures), 1))


def contact_sheet(
    pictures: Sequence[Uint8Array],
    *,
    titles: Sequence[str] = (),
    num_columns: int | None = None,
    cell_px: int = 256,
) -> Uint8Array:
    """Many pictures, each scaled into a square of one size.

    Args:
        pictures: (H, W, 3) uint8 of any sizes, not modified.
        titles: of the pictures, or of the first ones.
        num_columns: by default about as many as rows.
        cell_px: side of the squares.

    Raises:
        ConfigError: there is no picture, there are more than 1,000, or a number is below 1.
    """
    if cell_px < 1:
        raise ConfigError(f"must be at least 1, got {cell_px}; correct it", key="cell_px")
    scaled = [scale_into(picture, cell_px) for picture in pictures[: MAX_CELLS + 1]]
    return draw_grid(scaled, titles=titles, num_columns=num_columns, cell_hw=(cell_px, cell_px))


def draw_grid(
    pictures: Sequence[Uint8Array],
    *,
    titles: Sequence[str] = (),
    num_columns: int | None = None,
    cell_hw: tuple[int, int] | None = None,
    ground: Color = LIGHT,
) -> Uint8Array:
    """Pictures in rows, each in the middle of its cell and below its title.

    Args:
        pictures: (H, W, 3) uint8 of any sizes, not modified.
        titles: of the pictures, or of the first ones.
        num_columns: by default about as many as rows.
        cell_hw: height and width of all cells; by default those of the largest picture.
        ground: colour between them.

    Raises:
        ConfigError: there is no picture, there are more than 1,000, or ``num_columns`` is below 1.
        ShapeError: one is no picture.
    """
    check_pictures(pictures, num_columns=num_columns)
    columns = min(num_columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    cell_height, cell_width = cell_hw or (max(p.shape[0] for p in pictures), max(p.shape[1] for p in pictures))
    gap = max(2, round(max(cell_height, cell_width) * GAP_SHARE))
    font = load_font(max(10, round(font_px_for((cell_height, cell_width)) * 1.1)))
    title_height = text_size("", font)[1] + gap if any(titles) else 0
    step_y, step_x = cell_height + title_height + gap, cell_width + gap
    canvas = Image.new("RGB", (gap + columns * step_x, gap + rows * step_y), ground)
    draw = ImageDraw.Draw(canvas)
    for index, (picture, title) in enumerate(zip_longest(pictures, titles[: len(pictures)], fillvalue="")):
        assert not isinstance(picture, str), "there are no more titles than pictures"
        left = gap + index % columns * step_x + (cell_width - picture.shape[1]) // 2
        top = gap + index // columns * step_y + title_height + (cell_height - picture.shape[0]) // 2
        canvas.paste(Image.fromarray(picture), (left, top))
        if title:
            text = fitted(printable(str(title)), font, max_width_px=cell_width)
            write(draw, (left, top - title_height / 2), text, font=font, fill=DARK, anchor="lm")
    return np.asarray(canvas)


def scale_into(picture: Uint8Array, side_px: int) -> Uint8Array:
    """A picture whose longer side is just so long."""
    scale = side_px / max(picture.shape[:2])
    size_hw = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    return picture if size_hw == picture.shape[:2] else scale_pixels(picture, size_hw)


def check_pictures(pictures: Sequence[Uint8Array], *, num_columns: int | None) -> None:
    """Raise ConfigError or ShapeError where no grid can be made."""
    if not 1 <= len(pictures) <= MAX_CELLS:
        raise ConfigError(f"must be 1 to {MAX_CELLS} in a grid, got {len(pictures)}; make several", key="pictures")
    if num_columns is not None and num_columns < 1:
        raise ConfigError(f"must be at least 1, got {num_columns}; correct it", key="num_columns")
    for picture in pictures:
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
            raise ShapeError(f"pictures must be (H, W, 3) uint8, got {picture.dtype}{list(picture.shape)}")
