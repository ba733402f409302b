"""Where an image will lie in the model's input, computed before anything is allocated."""

from __future__ import annotations

from itertools import product
from typing import Literal

from inference_core.errors import ConfigError, ShapeError, TooLargeError
from inference_core.records import Placement

Fit = Literal["letterbox", "stretch", "shortest_side_crop", "tile", "native"]

LongSideRounding = Literal["truncate", "nearest"]
"""How the long side is rounded when the short side is scaled: as torchvision, timm and transformers, or to nearest."""
CropRounding = Literal["half_even", "floor"]
"""How an odd rest is split around a centre crop: as torchvision and timm, or as transformers and most NumPy code."""

MAX_TILES = 65_536
"""Tiles of one image; more would make the plan itself large. 256 px tiles at half overlap reach it at 1 gigapixel."""


def plan_fit(
    image_hw: tuple[int, int],
    *,
    fit: Fit,
    size_hw: tuple[int, int] | None = None,
    resize_px: int | None = None,
    resize_hw: tuple[int, int] | None = None,
    longest_px: int | None = None,
    scaled_multiple_px: int = 1,
    multiple_px: int = 1,
    overlap_px: int = 0,
    long_side_rounding: LongSideRounding = "truncate",
    crop_rounding: CropRounding = "half_even",
) -> Placement:
    """Scale, offset, canvas and tiles for an image of a given size.

    Args:
        image_hw: size of the decoded image, at least 1 x 1.
        fit: ``letterbox`` keeps the aspect and centres; ``stretch`` does not keep it; ``shortest_side_crop`` scales
            the short side and cuts the centre; ``native`` keeps the image's pixels and pads at the right and the
            bottom; ``tile`` covers it with tiles.
        size_hw: size of the model's input, for ``tile`` of one tile. Not used by ``native``.
        resize_px: short side after scaling, for ``shortest_side_crop`` (None: the longer side of ``size_hw``, so that
            the crop is always full), ``native`` and ``tile`` (None: no scaling).
        resize_hw: size after scaling, for ``stretch`` (None: ``size_hw``); of a larger one the centre is cut.
        longest_px: limit of the long side where ``resize_px`` sets the short one. Used by ``native`` only.
        scaled_multiple_px: sides after scaling are rounded down to multiples of it. Used by ``native`` only.
        multiple_px: height and width become multiples of it. Used by ``native`` only.
        overlap_px: least overlap of neighbouring tiles, up to half a tile. Used by ``tile`` only.
        long_side_rounding: of the long side, where the short side is scaled to ``resize_px``.
        crop_rounding: of the crop's corner, for ``shortest_side_crop`` and ``stretch``.

    Raises:
        ConfigError: an option is out of range.
        ShapeError: the image is empty.
        TooLargeError: more than 65,536 tiles.
    """
    if min(image_hw) < 1:
        raise ShapeError(f"image_hw must be at least 1 x 1, got {list(image_hw)}")
    if resize_px is not None and resize_px < 1:
        raise ConfigError(f"resize_px must be at least 1, got {resize_px}; give the short side in pixels")
    scaled_hw = image_hw
    if resize_px is not None and fit in ("native", "tile", "shortest_side_crop"):
        scaled_hw = scale_short_side(image_hw, short_px=resize_px, longest_px=longest_px, rounding=long_side_rounding)
    if fit == "native":
        scaled_hw = round_down(scaled_hw, multiple=scaled_multiple_px)
        return _plan_native(image_hw, scaled_hw=scaled_hw, multiple_px=multiple_px)
    if size_hw is None or min(size_hw) < 1:
        raise ConfigError(
            f"size_hw must be two sizes of at least 1 with fit {fit}, got {size_hw}; give [height, width]"
        )
    if fit == "letterbox":
        return _plan_letterbox(image_hw, size_hw=size_hw)
    if fit == "stretch":
        return _plan_crop(image_hw, scaled_hw=resize_hw or size_hw, size_hw=size_hw, rounding=crop_rounding)
    if fit == "shortest_side_crop":
        if resize_px is None:
            scaled_hw = scale_short_side(image_hw, short_px=max(size_hw), rounding=long_side_rounding)
        return _plan_crop(image_hw, scaled_hw=scaled_hw, size_hw=size_hw, rounding=crop_rounding)
    if fit == "tile":
        return _plan_tile(image_hw, scaled_hw=scaled_hw, tile_hw=size_hw, overlap_px=overlap_px)
    raise ConfigError(
        f"fit must be letterbox, stretch, shortest_side_crop, tile or native, got {fit!r}; correct the name"
    )


def check_fit_limit(placement: Placement, *, max_pixels: int) -> None:
    """Refuse a fit that would allocate too much, before it does.

    Counts the largest of the scaled image, the canvas and all tiles together, whatever the resampler.

    Raises:
        TooLargeError: over ``max_pixels``.
    """
    tile_pixels = placement.num_tiles * placement.tile_hw[0] * placement.tile_hw[1]
    sizes = (
        (tile_pixels, f"{placement.num_tiles} tiles of {_by(placement.tile_hw)}"),
        (placement.scaled_hw[0] * placement.scaled_hw[1], f"{_by(placement.scaled_hw)} scaled"),
        (placement.canvas_hw[0] * placement.canvas_hw[1], f"a canvas of {_by(placement.canvas_hw)}"),
    )
    pixels, what = max(sizes)
    if pixels > max_pixels:
        raise TooLargeError(
            f"pixels after the fit must be at most {max_pixels}, got {pixels} ({what}, "
            f"from an image of {_by(placement.image_hw)}); raise the limit or leave the image out"
        )


def scale_short_side(
    image_hw: tuple[int, int],
    *,
    short_px: int,
    longest_px: int | None = None,
    rounding: LongSideRounding = "truncate",
) -> tuple[int, int]:
    """Size of an image whose short side becomes ``short_px``, or less where the long one would exceed ``longest_px``.

    Source: for the limit, facebookresearch/detr, ``datasets/transforms.py``, and transformers,
    ``get_size_with_aspect_ratio``, operation by operation: the long side may come out one pixel below the limit.
    """
    short, long = min(image_hw), max(image_hw)
    exact = short_px * long / short
    if longest_px is not None and long / short * short_px > longest_px:
        limited = longest_px * short / long
        short_px, exact = max(1, round(limited)), limited * long / short
        if short == short_px:
            return image_hw
    scaled_long = int(exact) if rounding == "truncate" else round(exact)
    return (short_px, scaled_long) if image_hw[0] <= image_hw[1] else (scaled_long, short_px)


def round_down(size_hw: tuple[int, int], *, multiple: int) -> tuple[int, int]:
    """Sides as multiples, at least one of them.

    Raises:
        ConfigError: the multiple is not positive.
    """
    if multiple < 1:
        raise ConfigError(f"scaled_multiple_px must be at least 1, got {multiple}; 1 changes nothing")
    height, width = (max(multiple, side - side % multiple) for side in size_hw)
    return height, width


def count_tiles(length: int, *, tile: int, overlap: int) -> int:
    """The fewest tiles that cover ``length``, at least one tile long, and overlap by at least ``overlap``."""
    return 1 + -(-(length - tile) // (tile - overlap))


def tile_starts(length: int, *, tile: int, num_tiles: int) -> tuple[int, ...]:
    """First pixels of tiles spread evenly from edge to edge: none leaves ``length``, overlaps differ by at most 1."""
    return tuple(index * (length - tile) // max(1, num_tiles - 1) for index in range(num_tiles))


def _plan_letterbox(image_hw: tuple[int, int], *, size_hw: tuple[int, int]) -> Placement:
    # Rounded and centred as in Ultralytics' LetterBox: sides to the nearest pixel, an odd rest to the right and bottom.
    scale = min(size_hw[0] / image_hw[0], size_hw[1] / image_hw[1])
    height = min(size_hw[0], max(1, round(image_hw[0] * scale)))
    width = min(size_hw[1], max(1, round(image_hw[1] * scale)))
    offset_yx = ((size_hw[0] - height) // 2, (size_hw[1] - width) // 2)
    return _one_tile(image_hw, scaled_hw=(height, width), canvas_hw=size_hw, offset_yx=offset_yx)


def _plan_crop(
    image_hw: tuple[int, int], *, scaled_hw: tuple[int, int], size_hw: tuple[int, int], rounding: CropRounding
) -> Placement:
    offset_yx = (
        _crop_offset(scaled_hw[0], size_hw[0], rounding=rounding),
        _crop_offset(scaled_hw[1], size_hw[1], rounding=rounding),
    )
    return _one_tile(image_hw, scaled_hw=scaled_hw, canvas_hw=size_hw, offset_yx=offset_yx)


def _crop_offset(length: int, crop: int, *, rounding: CropRounding) -> int:
    """Canvas position of the image's edge: an odd rest goes as asked where it cuts, to the end where it pads."""
    if crop > length:
        return (crop - length) // 2
    return -((length - crop) // 2 if rounding == "floor" else round((length - crop) / 2.0))


def _plan_native(image_hw: tuple[int, int], *, scaled_hw: tuple[int, int], multiple_px: int) -> Placement:
    if multiple_px < 1:
        raise ConfigError(f"multiple_px must be at least 1, got {multiple_px}; 1 pads nothing")
    height, width = (-(-side // multiple_px) * multiple_px for side in scaled_hw)
    return _one_tile(image_hw, scaled_hw=scaled_hw, canvas_hw=(height, width), offset_yx=(0, 0))


def _plan_tile(
    image_hw: tuple[int, int], *, scaled_hw: tuple[int, int], tile_hw: tuple[int, int], overlap_px: int
) -> Placement:
    if not 0 <= overlap_px <= min(tile_hw) // 2:
        raise ConfigError(
            f"overlap_px must be 0 to {min(tile_hw) // 2}, half a tile's short side, got {overlap_px}; lower it"
        )
    canvas_hw = (max(scaled_hw[0], tile_hw[0]), max(scaled_hw[1], tile_hw[1]))
    rows, columns = (
        count_tiles(length, tile=tile, overlap=overlap_px) for length, tile in zip(canvas_hw, tile_hw, strict=True)
    )
    if rows * columns > MAX_TILES:
        raise TooLargeError(
            f"tiles of one image must be at most {MAX_TILES}, got {rows * columns}; use larger tiles or less overlap"
        )
    ys = tile_starts(canvas_hw[0], tile=tile_hw[0], num_tiles=rows)
    xs = tile_starts(canvas_hw[1], tile=tile_hw[1], num_tiles=columns)
    return Placement(
        image_hw=image_hw,
        scaled_hw=scaled_hw,
        canvas_hw=canvas_hw,
        offset_yx=(0, 0),
        tile_hw=tile_hw,
        tile_origins_yx=tuple(product(ys, xs)),
    )


def _one_tile(
    image_hw: tuple[int, int],
    *,
    scaled_hw: tuple[int, int],
    canvas_hw: tuple[int, int],
    offset_yx: tuple[int, int],
) -> Placement:
    return Placement(
        image_hw=image_hw,
        scaled_hw=scaled_hw,
        canvas_hw=canvas_hw,
        offset_yx=offset_yx,
        tile_hw=canvas_hw,
        tile_origins_yx=((0, 0),),
    )


def _by(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]} x {size_hw[1]}"
