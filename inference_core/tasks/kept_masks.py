"""The masks of the boxes that stay, on grids: made on the device for them alone, and cut to as many as there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from inference_core.detection_spec import DecoderSpec, has_logit_masks
from inference_core.engines.protocol import Array
from inference_core.tasks.candidates import Candidates, pad_axis_1
from inference_core.tasks.decoders.mask_maps import MaskMaps, mask_windows
from inference_core.tasks.mask_grid import sample_grid


def reduce_masks(
    maps: MaskMaps, kept: Candidates, num_boxes: Array, *, decoder: DecoderSpec, input_hw: tuple[int, int], mask_px: int
) -> tuple[dict[str, Array], Array]:
    """The masks of the boxes that stay.

    Args:
        maps: of all candidates.
        kept: (B, M) what suppression left, with ``rows``.
        num_boxes: (B,) int32 how many of them are boxes.
        decoder: gave the maps.
        input_hw: height and width of the input.
        mask_px: m, cells of a grid along each side.

    Returns:
        ``masks`` (B, n, m, m) uint8 and ``mask_windows`` (B, n, 4) float32 in input pixels, n the most boxes of a tile;
        and (B,) bool, whether all of a tile are numbers.

    Cost: the maps of one tile's boxes at a time.
    """
    xp = array_namespace(kept.scores)
    assert kept.rows is not None, "suppression takes candidates by row"
    counts = num_boxes.tolist()
    grids, windows, finite = [], [], []
    for index, count in enumerate(counts):
        found = mask_windows(
            kept.boxes_xyxy[index, :count, :], decoder, map_hw=maps.map_hw, input_hw=input_hw
        )  # (count, 4)
        grid, is_finite = sample_grid(
            maps.of_rows(index, kept.rows[index, :count]),
            found,
            input_hw=input_hw,
            mask_px=mask_px,
            is_logits=has_logit_masks(decoder),
        )
        grids.append(pad_axis_1(grid[None, ...], max(counts), fill=0))
        windows.append(pad_axis_1(found[None, ...], max(counts), fill=0))
        finite.append(xp.all(is_finite))
    arrays = {"masks": xp.concat(grids, axis=0), "mask_windows": xp.concat(windows, axis=0)}
    return arrays, xp.stack(finite)


def cut_to_boxes(tiles: Sequence[Mapping[str, NDArray[Any]]]) -> list[dict[str, NDArray[Any]]]:
    """One image's tiles, their masks cut or filled up to the most boxes of one of them, whatever shared the forward."""
    if "masks" not in tiles[0]:
        return [dict(tile) for tile in tiles]
    most = max(int(tile["num_boxes"]) for tile in tiles)
    return [{**tile, **{name: resized(tile[name], most) for name in ("masks", "mask_windows")}} for tile in tiles]


def resized(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The first ``count`` entries of an array; zeros for those that it lacks."""
    missing = np.zeros((max(0, count - len(array)), *array.shape[1:]), array.dtype)
    return np.concatenate([array[:count], missing]) if len(missing) else array[:count]
