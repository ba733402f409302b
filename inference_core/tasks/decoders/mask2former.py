"""MaskFormer, Mask2Former and their kin: a set of masks, one class or none for each, and no boxes of their own."""

from __future__ import annotations

from collections.abc import Mapping

from array_api_compat import array_namespace, device

from inference_core.detection_spec import Mask2formerDecoder
from inference_core.engines.protocol import Array
from inference_core.tasks.candidates import NO_SCORE, Candidates
from inference_core.tasks.decoders.scores import activate_last, best_class, check_shape, without_extra
from inference_core.tasks.outputs import sigmoid


def decode_mask2former(
    outputs: Mapping[str, Array], options: Mask2formerDecoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of ``class_queries_logits`` (B, N, K) and ``masks_queries_logits`` (B, N, h, w).

    The score is that of the class times the mean score of the mask's pixels; a mask without pixels is no candidate.

    Source: Cheng et al., Masked-attention Mask Transformer for Universal Image Segmentation, CVPR 2022;
    facebookresearch/Mask2Former, ``mask2former/maskformer_model.py``, ``instance_inference``.
    """
    logits, masks = outputs["class_queries_logits"], outputs["masks_queries_logits"]
    num_columns = num_classes + (options.no_object != "none")
    check_shape(logits, ("B", "N", num_columns), decoder=options.name, role="class_queries_logits")
    check_shape(masks, ("B", logits.shape[1], "h", "w"), decoder=options.name, role="masks_queries_logits")
    best, class_ids = best_class(
        without_extra(activate_last(logits, activation="softmax"), extra=options.no_object)
    )  # (B, N)
    xp = array_namespace(masks)
    is_shown = masks > 0
    num_shown = xp.sum(xp.astype(is_shown, xp.float32), axis=(2, 3))
    total = xp.sum(xp.where(is_shown, sigmoid(masks), xp.zeros_like(masks)), axis=(2, 3))
    scores = best * total / xp.where(num_shown > 0, num_shown, xp.ones_like(num_shown))
    peak = xp.max(masks, axis=(2, 3))
    is_empty = (peak <= 0) & xp.isfinite(best)
    scores = xp.where(xp.isnan(peak), peak, scores)
    boxes = boxes_of_masks(masks, input_hw=input_hw)
    return Candidates(
        boxes_xyxy=xp.where(is_empty[..., None], xp.zeros_like(boxes), boxes),
        scores=xp.where(is_empty, xp.full_like(scores, NO_SCORE), scores),
        class_ids=class_ids,
    )


def boxes_of_masks(masks: Array, *, input_hw: tuple[int, int]) -> Array:
    """(B, N, 4) boxes in input pixels around what is above 0 in (B, N, h, w) logits over the whole input.

    Of the largest logit in each row and column, so a box is at most a part of a pixel larger than its mask.
    """
    xp = array_namespace(masks)
    left, right = extent(xp.max(masks, axis=2))
    top, bottom = extent(xp.max(masks, axis=3))
    across, down = input_hw[1] / masks.shape[3], input_hw[0] / masks.shape[2]
    return xp.stack([left * across, top * down, right * across, bottom * down], axis=-1)


def extent(profile: Array) -> tuple[Array, Array]:
    """Where (B, N, L) logits first rise above 0 and last fall below it, linear between the centres of the pixels.

    Returns:
        (B, N) positions in pixels from 0 to L; not finite where nothing is above 0.
    """
    xp = array_namespace(profile)
    count = profile.shape[2]
    starts = xp.arange(count, dtype=profile.dtype, device=device(profile))  # left ends of the pixels
    end = xp.full_like(profile[..., :1], -float("inf"))
    before, behind = (xp.concat(parts, axis=2) for parts in ([end, profile[..., :-1]], [profile[..., 1:], end]))
    is_shown, infinite = profile > 0, xp.full_like(profile, float("inf"))
    rises = xp.where(is_shown & (before <= 0), starts + 0.5 - way_to_zero(profile, before), infinite)
    falls = xp.where(is_shown & (behind <= 0), starts + 0.5 + way_to_zero(profile, behind), -infinite)
    low = xp.where(is_shown[..., 0], xp.zeros_like(rises[..., 0]), xp.min(rises, axis=2))
    high = xp.where(is_shown[..., -1], xp.full_like(falls[..., 0], float(count)), xp.max(falls, axis=2))
    return low, high


def way_to_zero(value: Array, other: Array) -> Array:
    """The share of the way from a pixel above 0 to its neighbour, at or below 0, that is above 0."""
    xp = array_namespace(value)
    drop = value - other
    return value / xp.where(drop > 0, drop, xp.ones_like(drop))
