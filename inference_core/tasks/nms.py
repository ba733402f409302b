"""Non-maximum suppression for a whole batch at once, on NumPy arrays and torch tensors alike."""

from __future__ import annotations

from dataclasses import replace

from array_api_compat import array_namespace, device

from inference_core.detection_spec import NmsSpec
from inference_core.engines.protocol import Array
from inference_core.tasks.boxes import pairwise_iou
from inference_core.tasks.candidates import NO_SCORE, Candidates, Threshold, least_scores, pad_to, ranked, take


def suppress(candidates: Candidates, *, nms: NmsSpec, threshold: Threshold) -> Candidates:
    """The boxes that stay.

    Args:
        candidates: (B, N) as decoded, not modified.
        nms: how.
        threshold: least score, one for all or one for each class, before and, with soft suppression, after.

    Returns:
        (B, ``nms.max_boxes``), best first; equal scores come by class id, then by position. Slots that are not used
        have NO_SCORE and come last.

    Cost: a few (B, M, M) arrays, M the most candidates over the threshold in a tile.
    """
    found = ranked(candidates, threshold=threshold, max_candidates=nms.max_candidates)
    if nms.method == "hard":
        found = hard_nms(found, iou_threshold=nms.iou_threshold, class_agnostic=nms.class_agnostic)
    elif nms.method == "soft":
        found = soft_nms(
            found, sigma=nms.sigma, class_agnostic=nms.class_agnostic, threshold=threshold, max_boxes=nms.max_boxes
        )
    return pad_to(found, nms.max_boxes)


def hard_nms(found: Candidates, *, iou_threshold: float, class_agnostic: bool) -> Candidates:
    """Drop each box that overlaps a better one, which itself stays, by more than ``iou_threshold``.

    The usual loop over boxes is a fixed point: a box stays if no better box that stays overlaps it. Applying that rule
    to all boxes at once settles at least one more of them each time, mostly all within a few, and ends at exactly what
    the loop gives.

    Args:
        found: (B, M), ranked.
        iou_threshold: in [0, 1].
        class_agnostic: whether boxes of different classes compete.

    Returns:
        (B, M), those that stay first, in the same order.

    Source: Zheng et al., Enhancing Geometric Factors in Model Learning and Inference for Object Detection and Instance
    Segmentation (Cluster-NMS), IEEE Transactions on Cybernetics 52(8), 2022, section III-C.
    """
    xp = array_namespace(found.scores)
    is_box = found.scores > NO_SCORE
    is_beaten_by = xp.tril(overlaps(found, class_agnostic=class_agnostic) > iou_threshold, k=-1)  # (B, M, M)
    stays = is_box
    while True:
        updated = is_box & ~xp.any(is_beaten_by & stays[:, None, :], axis=2)
        if bool(xp.all(updated == stays)):
            break
        stays = updated
    kept = replace(found, scores=xp.where(stays, found.scores, xp.full_like(found.scores, NO_SCORE)))
    return take(kept, xp.argsort(xp.astype(stays, xp.int8), axis=1, descending=True, stable=True))


def soft_nms(
    found: Candidates, *, sigma: float, class_agnostic: bool, threshold: Threshold, max_boxes: int
) -> Candidates:
    """Lower the score of each box by its overlap with better ones, and drop those that fall under ``threshold``.

    Args:
        found: (B, M), ranked.
        sigma: > 0; smaller lowers more.
        class_agnostic: whether boxes of different classes compete.
        threshold: least score afterwards, one for all or one for each class.
        max_boxes: most boxes that are kept.

    Returns:
        (B, min(M, max_boxes)), by their lowered scores; of equal ones, the one that was better before comes first.

    Source: Bodla et al., Soft-NMS: Improving Object Detection With One Line of Code, ICCV 2017, equation 3.
    """
    xp = array_namespace(found.scores)
    decay = xp.exp(-(overlaps(found, class_agnostic=class_agnostic) ** 2) / sigma)  # (B, M, M)
    least = least_scores(found.class_ids, threshold)
    scores, positions, kept_scores = found.scores, [], []
    for _ in range(min(max_boxes, scores.shape[1])):
        best = xp.argmax(scores, axis=1)[:, None]  # (B, 1), the first of equal ones
        best_scores = xp.take_along_axis(scores, best, axis=1)
        positions.append(best)
        kept_scores.append(best_scores)
        factors = xp.take_along_axis(decay, xp.stack([best] * scores.shape[1], axis=-1), axis=1)[:, 0, :]
        scores = xp.where(scores > NO_SCORE, scores * factors, scores)
        is_best = xp.arange(scores.shape[1], device=device(scores))[None, :] == best
        scores = xp.where(is_best | (scores < least), xp.full_like(scores, NO_SCORE), scores)
    kept = take(found, xp.concat(positions, axis=1))
    return replace(kept, scores=xp.concat(kept_scores, axis=1))


def overlaps(found: Candidates, *, class_agnostic: bool) -> Array:
    """(B, M, M) intersection over union of the boxes that compete, 0 for those that do not."""
    xp = array_namespace(found.scores)
    iou = pairwise_iou(found.boxes_xyxy, found.boxes_xyxy)
    if class_agnostic:
        return iou
    is_same = found.class_ids[:, :, None] == found.class_ids[:, None, :]
    return xp.where(is_same, iou, xp.zeros_like(iou))
