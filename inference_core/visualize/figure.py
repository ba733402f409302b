"""Figures for print: pixels as an image, and all that is drawn as lines and letters that stay sharp at any size."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import Uint8Array
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.visualize.blend import ALPHA
from inference_core.visualize.boxes import MAX_LABELS, drawn_rect, tint_objects
from inference_core.visualize.charts import BAR, MAX_BARS, legend_lines, top_k_lines
from inference_core.visualize.color_scale import ScaleName
from inference_core.visualize.contours import class_outlines
from inference_core.visualize.draw import Kind, check_kind, task_of
from inference_core.visualize.figure_names import fitted_name, font_of, literal, name_of, width_pt
from inference_core.visualize.label_places import place_labels
from inference_core.visualize.lettering import ink_on
from inference_core.visualize.overlay import tint_classes
from inference_core.visualize.palette import DEFAULT_PALETTE, Color, Palette
from inference_core.visualize.picture_size import check_same_size, working_copy
from inference_core.visualize.score_maps import is_binary, uncertainty_of

FIGURE_FORMATS = ("pdf", "svg", "png")
POINTS_PER_INCH = 72
FONT_PT = 7.0
"""What journals ask for in figures."""
LINE_SHARE = 1.25
"""Height of a name's ground in heights of its letters."""
PAD_SHARE = 0.3
"""Of that height, what stands on each side of a name."""
MAX_HEIGHT_MM = 240.0
"""Of a picture: a page."""
BARS_SHARE, MIN_BARS_IN, BAR_IN = 0.7, 1.4, 0.24
"""Width of bars, of the picture's and in inches; and what each takes of the height."""
MAX_NAME_SHARE = 0.6
"""Of the picture's width."""
SETTINGS: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "millrace", "font.size": FONT_PT}
"""Letters stay letters: they can be searched, and edited in a drawing program. The same figure is the same file."""


def save_figure(
    path: str | Path,
    pixels: Uint8Array,
    result: Result,
    *,
    kind: Kind | Literal["auto"] = "auto",
    width_mm: float = 89.0,
    dpi: int = 300,
    alpha: float = ALPHA,
    palette: Palette = DEFAULT_PALETTE,
) -> None:
    """Write a figure of a result as PDF, SVG or PNG, by the ending of its name.

    Args:
        path: where to.
        pixels: (H, W, 3) uint8, upright, not modified.
        result: of the image, in the same pixels.
        kind: as for ``draw_result``, but ``side_by_side``.
        width_mm: of the picture without what stands beside it; 89 is one column of most journals. Narrower where it
            would be higher than a page.
        dpi: of the pixels in print, and of a PNG.
        alpha: share of a class's colour in a pixel, in [0, 1].
        palette: colours of classes.

    Raises:
        ConfigError: the ending, the kind or a number is wrong, or Matplotlib is not installed.
        ShapeError: the result is of an image of another size.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FIGURE_FORMATS:
        raise ConfigError(f"must end in .{', .'.join(FIGURE_FORMATS)}, got {path}; name another file", key="path")
    data = render_figure(
        pixels, result, kind=kind, file_format=suffix, width_mm=width_mm, dpi=dpi, alpha=alpha, palette=palette
    )
    Path(path).write_bytes(data)


def render_figure(
    pixels: Uint8Array,
    result: Result,
    *,
    kind: Kind | Literal["auto"] = "auto",
    file_format: str = "pdf",
    width_mm: float = 89.0,
    dpi: int = 300,
    alpha: float = ALPHA,
    palette: Palette = DEFAULT_PALETTE,
) -> bytes:
    """The file of a figure; see ``save_figure``. The same arguments give the same bytes."""
    if not (width_mm > 0 and dpi > 0):
        raise ConfigError(f"must be above 0, got {width_mm} mm and {dpi} dpi; correct it", key="width_mm, dpi")
    chosen = check_kind(kind, task=task_of(result))
    if chosen == "side_by_side":
        raise ConfigError("must be of one picture in a figure, got side_by_side; make two", key="kind")
    size_in = printed_size(pixels.shape[:2], width_mm=width_mm)
    pixels, result = working_copy(pixels, result, max_side_px=max(1, round(max(size_in) * dpi * 2)))
    with settings():
        figure, axes = build_axes(pixels.shape[:2], size_in=size_in)
        if isinstance(result, Segmentation):
            draw_segmentation(figure, axes, pixels, result, kind=chosen, alpha=alpha, palette=palette)
        elif isinstance(result, Detection):
            draw_detection(figure, axes, pixels, result, alpha=alpha, palette=palette)
        else:
            assert isinstance(result, Classification | MultiLabel), "other tasks have no kinds"
            draw_bars(figure, axes, pixels, result)
        buffer = io.BytesIO()
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {"Software": None}}[file_format]
        figure.savefig(buffer, format=file_format, dpi=dpi, bbox_inches="tight", pad_inches=0.02, metadata=metadata)
    return buffer.getvalue()


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib with our settings for a while.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError as exc:
        raise ConfigError("figures for print need Matplotlib; pip install 'millrace[figures]'") from exc
    with rc_context(SETTINGS):
        yield


def printed_size(image_hw: tuple[int, ...], *, width_mm: float) -> tuple[float, float]:
    """Width and height of a picture in inches: as wide as asked for, or as high as a page."""
    width_in = min(width_mm, MAX_HEIGHT_MM * image_hw[1] / image_hw[0]) / 25.4
    return width_in, width_in * image_hw[0] / image_hw[1]


def build_axes(image_hw: tuple[int, ...], *, size_in: tuple[float, float]) -> tuple[Any, Any]:
    """A figure without a window and axes that are the image's pixels."""
    from matplotlib.figure import Figure

    height, width = image_hw
    figure = Figure(figsize=size_in)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    return figure, axes


def side_axes(figure: Any, *, gap_in: float, width_in: float, min_height_in: float) -> Any:
    """Axes at the right of the picture, as high as that, or higher where it is low."""
    width, height = figure.get_size_inches()
    share = max(1.0, min_height_in / height)
    return figure.add_axes((1 + gap_in / width, 1 - share, width_in / width, share))


def show_pixels(axes: Any, pixels: Uint8Array) -> None:
    """Pixels as they are, from corner to corner."""
    height, width = pixels.shape[:2]
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="none")


def draw_segmentation(
    figure: Any, axes: Any, pixels: Uint8Array, result: Segmentation, *, kind: Kind, alpha: float, palette: Palette
) -> None:
    """Tints as pixels, outlines as lines, names and scales as letters."""
    check_same_size(pixels, result.mask, name="mask")
    if kind in ("heatmap", "uncertainty"):
        draw_map(figure, axes, pixels, result, kind=kind)
        return
    shares = {"overlay": alpha, "mask": 1.0, "contours": 0.0}
    background = None if kind == "mask" else 0
    show_pixels(axes, tint_classes(pixels, result.mask, alpha=shares[kind], palette=palette, background=background))
    if kind != "mask":
        for class_id, outlines in class_outlines(result.mask, background=0):
            draw_outlines(axes, outlines, color=palette.class_color(class_id))
    draw_legend(axes, result, palette=palette, background=background)


def draw_outlines(axes: Any, outlines: Any, *, color: Color) -> None:
    """Outlines of a class, through the middle of their pixels."""
    from matplotlib.collections import PolyCollection

    paths = [cv2.approxPolyDP(outline, 0.4, closed=True)[:, 0, :] + 0.5 for outline in outlines if len(outline) > 2]
    axes.add_collection(PolyCollection(paths, facecolors="none", edgecolors=[unit(color)], linewidths=0.5))


def draw_legend(axes: Any, result: Segmentation, *, palette: Palette, background: int | None) -> None:
    """Names of the classes that occur, at the right."""
    from matplotlib.patches import Patch

    lines = legend_lines(result, palette=palette, background=background)
    names = [name_of(line.text) for line in lines]
    patches = [
        Patch(
            facecolor="none" if line.color is None else unit(line.color),
            edgecolor="0.6",
            linewidth=0.4,
            hatch="//////" if line.color is None else None,
            label=f"{literal(name)}  {line.value}",
        )
        for line, name in zip(lines, names, strict=True)
    ]
    legend = axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_fontproperties(font_of(name, size_pt=FONT_PT))


def draw_map(figure: Any, axes: Any, pixels: Uint8Array, result: Segmentation, *, kind: Kind) -> None:
    """Scores or uncertainty as colours over the image, with the bar of their scale."""
    scale: ScaleName = "viridis" if kind == "heatmap" else "inferno"
    values = result.scores if kind == "heatmap" else uncertainty_of(result)
    title = kind if kind == "uncertainty" else result.labels[1] if is_binary(result) else "score"
    show_pixels(axes, pixels)
    height, width = pixels.shape[:2]
    shown = axes.imshow(
        values / np.float32(255), extent=(0, width, height, 0), cmap=scale, vmin=0, vmax=1, alpha=0.75,
        interpolation="none",
    )  # fmt: skip
    bar = figure.colorbar(shown, cax=side_axes(figure, gap_in=0.07, width_in=0.1, min_height_in=0.8))
    name = name_of(title)
    bar.set_label(literal(name), fontproperties=font_of(name, size_pt=FONT_PT))
    bar.outline.set_linewidth(0.4)
    bar.solids.set_alpha(1)


def draw_detection(
    figure: Any, axes: Any, pixels: Uint8Array, result: Detection, *, alpha: float, palette: Palette
) -> None:
    """Masks as pixels, boxes as lines, names as letters, placed as in pictures."""
    from matplotlib.patches import Rectangle

    show_pixels(axes, tint_objects(pixels, result, alpha=alpha, palette=palette))
    boxes = [drawn_rect(box) for box in result.boxes_xyxy.tolist()]
    colors = [palette.object_color(int(class_id)) for class_id in result.class_ids]
    for (left, top, right, bottom), color in reversed(list(zip(boxes, colors, strict=True))):
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=unit(color), lw=0.8))
    px_per_pt = pixels.shape[1] / (figure.get_figwidth() * POINTS_PER_INCH)
    font_pt = FONT_PT * 0.75
    names = [
        fitted_name(
            f"{label} {float(score):.2f}", max_width_pt=pixels.shape[1] / px_per_pt * MAX_NAME_SHARE, size_pt=font_pt
        )
        for label, score in zip(result.labels[:MAX_LABELS], result.scores[:MAX_LABELS], strict=True)
    ]
    pad_pt = font_pt * PAD_SHARE
    sizes = [
        (
            math.ceil((width_pt(name, size_pt=font_pt) + 2 * pad_pt) * px_per_pt),
            math.ceil(font_pt * LINE_SHARE * px_per_pt),
        )
        for name in names
    ]
    height, width = pixels.shape[:2]
    places = place_labels(boxes[:MAX_LABELS], sizes, image_hw=(height, width))
    for box, name, place, color in zip(boxes, names, places, colors, strict=False):
        if place is None:
            continue
        left, top, right, bottom = place.rect
        if not place.is_beside:
            nearest = np.clip((left, top), (box[0], box[1]), (box[2], box[3]))
            axes.plot((left, nearest[0]), (top, nearest[1]), color=unit(color), lw=0.5)
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, facecolor=unit(color), lw=0))
        middle = ((left + right) / 2, (top + bottom) / 2)
        font = font_of(name, size_pt=font_pt)
        axes.text(*middle, literal(name), font=font, color=unit(ink_on(color)), ha="center", va="center_baseline")


def draw_bars(figure: Any, axes: Any, pixels: Uint8Array, result: Classification | MultiLabel) -> None:
    """The best classes as bars at the right of the image."""
    show_pixels(axes, pixels)
    lines = top_k_lines(result)[:MAX_BARS]
    width_in = max(figure.get_figwidth() * BARS_SHARE, MIN_BARS_IN)
    bars = side_axes(figure, gap_in=0.2, width_in=width_in, min_height_in=max(len(lines), 3) * BAR_IN)
    room_pt = width_in * POINTS_PER_INCH * 0.8  # the rest is the score's
    bars.barh(
        range(len(lines)), [line.share for line in lines], color=[unit(line.color or BAR) for line in lines], height=0.4
    )
    for index, line in enumerate(lines):
        name = fitted_name(line.text, max_width_pt=room_pt, size_pt=FONT_PT)
        bars.text(0, index - 0.28, literal(name), ha="left", va="bottom", font=font_of(name, size_pt=FONT_PT))
        bars.text(1, index - 0.28, line.value, ha="right", va="bottom")
    bars.set_xlim(0, 1)
    bars.set_ylim(max(len(lines), 3) - 0.4, -0.9)
    bars.set_axis_off()


def unit(color: Color) -> tuple[float, float, float]:
    """A colour as Matplotlib takes it."""
    return color[0] / 255, color[1] / 255, color[2] / 255
