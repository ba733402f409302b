"""Join the boxes of overlapping tiles: an object that several tiles see is one object.

Two tiles have seen the same object if their boxes agree about the part of the image that both tiles see: there, the
intersection over union of the two boxes, each cut to that part, is over the threshold. This holds for an object that
both see whole, for one that one tile sees whole and the other cut off at its edge, and for one that is larger than the
overlap, of which each tile sees another part. Comparing scores or whole boxes would not: a cut box overlaps the whole
one by little, and often has the higher score.

Where a tile sees but a sliver of a round object, its box agrees with nobody's: there the object is as high as the
sliver, elsewhere in the shared part it is higher. Such a box is a part of the object whose box, in a tile that sees all
of the sliver and made no other box of it, holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.detection_spec import NmsSpec
from inference_core.prepare import boxes_to_image
from inference_core.records import FloatArray, Int32Array, Placement
from inference_core.tasks.boxes import areas, pairwise_iou
from inference_core.tasks.instance_masks import MaskPart

EDGE_FRAC = 1 / 64
"""A box that comes as near to a tile's edge, in shares of the tile's side, is taken for cut off there."""

SLIVER_FRAC = 0.8
"""Share of a cut box that must lie in another's to be a part of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileBoxes:
    """Boxes of one tile, or of all together, in the image's pixels, best first."""

    boxes_xyxy: FloatArray
    """(N, 4) float32."""
    scores: FloatArray
    """(N,) float32."""
    class_ids: Int32Array
    """(N,) int32."""
    mask_parts: Sequence[tuple[MaskPart, ...]]
    """(N,) what makes the mask of each; nothing where the model gives no masks."""


def join_tile_boxes(tiles: Sequence[TileBoxes], placement: Placement, *, nms: NmsSpec) -> TileBoxes:
    """The objects of an image.

    An object gets the box and the mask of the best tile that sees it whole, or, where each tile cuts it off, the box
    around all its parts and the masks of all; its score is the best of them. What still overlaps then competes once
    more, as within a tile.

    Args:
        tiles: boxes of each tile, in the order of the placement.
        placement: says what each tile sees.
        nms: ``iou_threshold`` decides what agrees; boxes of different classes never agree unless ``class_agnostic``.

    Returns:
        Best first; equal scores by class id.
    """
    views = tile_views(placement)  # (T, 4)
    tile_ids = np.repeat(np.arange(len(tiles), dtype=np.int64), [len(tile.scores) for tile in tiles])
    boxes = np.concatenate([tile.boxes_xyxy for tile in tiles])
    scores = np.concatenate([tile.scores for tile in tiles])
    class_ids = np.concatenate([tile.class_ids for tile in tiles])
    mask_parts = [parts for tile in tiles for parts in tile.mask_parts]
    if not len(scores):
        return TileBoxes(boxes_xyxy=boxes, scores=scores, class_ids=class_ids, mask_parts=mask_parts)
    is_cut = touches_inner_edge(boxes, views[tile_ids], image_hw=placement.image_hw)
    order = np.lexsort((tile_ids, class_ids, -scores, is_cut))  # whole ones first, then by score
    boxes, scores, class_ids = boxes[order], scores[order], class_ids[order]
    tile_ids, is_cut = tile_ids[order], is_cut[order]
    kinds = class_ids * 0 if nms.class_agnostic else class_ids
    groups = group_boxes(
        boxes, kinds=kinds, tile_ids=tile_ids, is_cut=is_cut, views=views, iou_threshold=nms.iou_threshold
    )
    shown = [group if is_cut[group[0]] else group[:1] for group in groups]  # whose boxes and masks make the object's
    joined = TileBoxes(
        boxes_xyxy=np.stack([box_around(boxes[group]) for group in shown]),
        scores=np.array([scores[group].max() for group in groups], np.float32),
        class_ids=class_ids[[group[0] for group in groups]],
        mask_parts=[tuple(part for index in group for part in mask_parts[order[index]]) for group in shown],
    )
    return compete(joined, nms=nms)


def tile_views(placement: Placement) -> FloatArray:
    """(T, 4) what each tile sees of the image, as a box in its pixels."""
    height, width = placement.tile_hw
    whole = np.array([[0, 0, width, height]], np.float32)
    return np.concatenate([boxes_to_image(whole, placement, tile_index=i) for i in range(placement.num_tiles)])


def touches_inner_edge(
    boxes_xyxy: FloatArray, views_xyxy: FloatArray, *, image_hw: tuple[int, int]
) -> NDArray[np.bool_]:
    """(N,) bool: whether a box reaches an edge of its tile beyond which the image goes on."""
    height, width = image_hw
    sides = views_xyxy[:, 2:] - views_xyxy[:, :2]
    margin = sides * EDGE_FRAC
    low = (views_xyxy[:, :2] > 0) & (boxes_xyxy[:, :2] <= views_xyxy[:, :2] + margin)
    high = (views_xyxy[:, 2:] < (width, height)) & (boxes_xyxy[:, 2:] >= views_xyxy[:, 2:] - margin)
    return np.asarray(np.any(low | high, axis=1), np.bool_)


def group_boxes(
    boxes_xyxy: FloatArray,
    *,
    kinds: Int32Array,
    tile_ids: NDArray[np.int64],
    is_cut: NDArray[np.bool_],
    views: FloatArray,
    iou_threshold: float,
) -> list[list[int]]:
    """Positions of boxes that show the same object; a box that no other tile confirms is alone.

    Groups that agree are joined, the best agreement first, unless both hold a box of the same tile: what one tile
    tells apart stays apart. Then slivers are added to what they are a part of, under the same condition.

    Args:
        boxes_xyxy: (N, 4), best first.
        kinds: (N,) what must be equal to agree.
        tile_ids: (N,) whose box it is.
        is_cut: (N,) whether its tile cuts it off.
        views: (T, 4) what the tiles see.
        iou_threshold: above which two boxes agree.

    Returns:
        Lists of rising positions, by their first ones.

    Cost: time by the square of the boxes of one kind.
    """
    groups: dict[int, list[int]] = {}
    group_of = np.arange(len(boxes_xyxy))
    for index in range(len(boxes_xyxy)):
        groups[index] = [index]
        others = np.flatnonzero((kinds[:index] == kinds[index]) & (tile_ids[:index] != tile_ids[index]))
        agreements = agreement(boxes_xyxy[index], boxes_xyxy[others], views[tile_ids[index]], views[tile_ids[others]])
        for other in others[np.argsort(-agreements, kind="stable")][: (agreements > iou_threshold).sum()]:
            join_groups(groups, group_of, index, int(other), tile_ids=tile_ids)
    for index in [index for index, (first, *others) in groups.items() if is_cut[first] and not others]:
        others = np.flatnonzero((kinds == kinds[index]) & (tile_ids != tile_ids[index]))
        shares = held_shares(boxes_xyxy[index], boxes_xyxy[others], views[tile_ids[others]])
        for other in others[np.argsort(-shares, kind="stable")][: (shares > SLIVER_FRAC).sum()]:
            join_groups(groups, group_of, index, int(other), tile_ids=tile_ids)
    return [groups[first] for first in sorted(groups)]


def join_groups(
    groups: dict[int, list[int]],
    group_of: NDArray[np.int64],
    index: int,
    other: int,
    *,
    tile_ids: NDArray[np.int64],
) -> None:
    """Make one group of those of two boxes, unless they are one already or both hold a box of the same tile."""
    first, second = sorted((int(group_of[index]), int(group_of[other])))
    if first == second or set(tile_ids[groups[first]]) & set(tile_ids[groups[second]]):
        return
    groups[first] = sorted(groups[first] + groups.pop(second))
    group_of[groups[first]] = first


def agreement(box_xyxy: FloatArray, others_xyxy: FloatArray, view: FloatArray, other_views: FloatArray) -> FloatArray:
    """(M,) intersection over union of a box with (M, 4) others, within what both tiles see; 0 where that is nothing."""
    low, high = np.maximum(view[:2], other_views[:, :2]), np.minimum(view[2:], other_views[:, 2:])
    own, theirs = (
        np.concatenate([np.clip(part[:, :2], low, high), np.clip(part[:, 2:], low, high)], axis=-1)
        for part in (np.broadcast_to(box_xyxy, others_xyxy.shape), others_xyxy)
    )
    return np.asarray(pairwise_iou(own[:, None, :], theirs[:, None, :])[:, 0, 0], np.float32)


def held_shares(box_xyxy: FloatArray, others_xyxy: FloatArray, other_views: FloatArray) -> FloatArray:
    """(M,) how much of a box lies in each of (M, 4) others and in what their tiles see."""
    low = np.maximum(np.maximum(box_xyxy[:2], others_xyxy[:, :2]), other_views[:, :2])
    high = np.minimum(np.minimum(box_xyxy[2:], others_xyxy[:, 2:]), other_views[:, 2:])
    return np.asarray(areas(np.concatenate([low, high], axis=-1)) / areas(box_xyxy), np.float32)


def box_around(boxes_xyxy: FloatArray) -> FloatArray:
    """(4,) the box around (M, 4) boxes."""
    corners = [boxes_xyxy[:, :2].min(axis=0), boxes_xyxy[:, 2:].max(axis=0)]
    return np.concatenate(corners).astype(np.float32)


def compete(joined: TileBoxes, *, nms: NmsSpec) -> TileBoxes:
    """The joined boxes in order; without those that overlap a better one too much, unless the method is ``none``.

    One box after the other, not all pairs at once as on the device: a large image may have more boxes than there is
    memory for their pairs.
    """
    order = np.lexsort((joined.class_ids, -joined.scores))
    boxes, kinds = joined.boxes_xyxy[order], joined.class_ids[order] * (not nms.class_agnostic)
    stays = np.ones(len(order), np.bool_)
    for index in range(len(order) if nms.method != "none" else 0):
        if stays[index]:
            later = index + 1 + np.flatnonzero(stays[index + 1 :] & (kinds[index + 1 :] == kinds[index]))
            stays[later] = pairwise_iou(boxes[index : index + 1], boxes[later])[0] <= nms.iou_threshold
    kept = order[stays]
    return TileBoxes(
        boxes_xyxy=joined.boxes_xyxy[kept],
        scores=joined.scores[kept],
        class_ids=joined.class_ids[kept],
        mask_parts=[joined.mask_parts[index] for index in kept],
    )
