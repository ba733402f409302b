"""SSD and its kin: class scores and boxes for each of many prior boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from inference_core.detection_spec import PriorLevel, SsdDecoder
from inference_core.engines.protocol import Array
from inference_core.records import FloatArray
from inference_core.tasks.boxes import corners_of_centers, scale_boxes
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.scores import activate_last, best_class, check_shape, without_extra


def decode_ssd(
    outputs: Mapping[str, Array], options: SsdDecoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of ``scores`` (B, N, K) and ``boxes`` (B, N, 4).

    Source: Liu et al., SSD: Single Shot MultiBox Detector, ECCV 2016, equation 2, with the variances of its code: the
    centre is prior + offset * variance * prior size, the size prior size * exp(value * variance).
    """
    scores, boxes = outputs["scores"], outputs["boxes"]
    num_columns = num_classes + (options.background != "none")
    check_shape(scores, ("B", "N", num_columns), decoder=options.name, role="scores")
    check_shape(boxes, ("B", scores.shape[1], 4), decoder=options.name, role="boxes")
    if options.boxes == "offsets":
        priors = prior_boxes(options.priors, input_hw=input_hw, cells=options.cells)
        if options.clip_priors:
            priors = np.clip(priors, 0, np.array([*input_hw[::-1]] * 2, np.float32))
        boxes = apply_offsets(boxes, priors, variances=options.variances)
    elif options.units == "relative":
        boxes = scale_boxes(boxes, input_hw=input_hw)
    activated = activate_last(scores, activation=options.activation)
    best, class_ids = best_class(without_extra(activated, extra=options.background))
    return Candidates(boxes_xyxy=boxes, scores=best, class_ids=class_ids)


def prior_boxes(
    levels: Sequence[PriorLevel], *, input_hw: tuple[int, int], cells: Literal["stride", "input"] = "stride"
) -> FloatArray:
    """(N, 4) float32 centre x, centre y, width and height in input pixels, in the order of the output."""
    parts = []
    for level in levels:
        ys, xs = (cell_centers(side, stride=level.stride, cells=cells) for side in input_hw)
        rows, columns = np.meshgrid(ys, xs, indexing="ij")
        centers = np.stack([columns.ravel(), rows.ravel()], axis=-1)  # (cells, 2)
        sizes = np.asarray(level.sizes_hw)[:, ::-1]  # (S, 2), width first
        shape = (len(centers), len(sizes), 2)
        pairs = [np.broadcast_to(part, shape) for part in (centers[:, None, :], sizes[None, :, :])]
        parts.append(np.concatenate(pairs, axis=-1).reshape(-1, 4))
    return np.concatenate(parts).astype(np.float32)


def cell_centers(side: int, *, stride: int, cells: Literal["stride", "input"]) -> NDArray[np.float64]:
    """Centres of a map's cells along one side of the input, in its pixels."""
    count = -(-side // stride)
    size = stride if cells == "stride" else side / count
    return np.asarray((np.arange(count) + 0.5) * size, np.float64)


def apply_offsets(offsets: Array, priors: FloatArray, *, variances: tuple[float, float]) -> Array:
    """(B, N, 4) corners in input pixels of offsets from (N, 4) priors."""
    xp = array_namespace(offsets)
    check_shape(offsets, ("B", len(priors), 4), decoder="ssd", role="boxes")
    known = xp.asarray(priors, device=device(offsets))
    centers = known[:, :2] + offsets[..., :2] * variances[0] * known[:, 2:]
    sizes = known[:, 2:] * xp.exp(offsets[..., 2:] * variances[1])
    return corners_of_centers(xp.concat([centers, sizes], axis=-1))
