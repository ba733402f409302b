"""What is explained of one object: the score of its box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array
from inference_core.explain.not_shown import NotShownError
from inference_core.explain.targets import as_numpy
from inference_core.prepare import boxes_to_image
from inference_core.records import FloatArray, Placement
from inference_core.spec import ModelSpec
from inference_core.tasks.boxes import pairwise_iou
from inference_core.tasks.candidates import Candidates, candidates_of
from inference_core.tasks.decoders.decode import decode

LEAST_IOU = 0.5
"""Of an answer's box with the candidate that it comes from; steps of the user's may have moved it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxTarget:
    """One object of one tile."""

    spec: ModelSpec
    is_decoded: bool
    """Whether the outputs are boxes by name already."""
    tile_hw: tuple[int, int]
    row: int
    """Which of the decoded candidates it is."""
    class_id: int
    box_xyxy: FloatArray
    """(4,) in the tile's pixels."""

    def evidence(self, outputs: Mapping[str, Array]) -> Array:
        """The candidate's score."""
        return read_boxes(outputs, spec=self.spec, tile_hw=self.tile_hw, is_decoded=self.is_decoded).scores[:, self.row]

    def support(self, outputs: Mapping[str, Array]) -> Array:
        """The score of the box of this class that lies most where this one did, times their overlap.

        Source: Petsiuk et al., Black-box Explanation of Object Detectors via Saliency Maps, CVPR 2021, equation 6.
        """
        found = read_boxes(outputs, spec=self.spec, tile_hw=self.tile_hw, is_decoded=self.is_decoded)
        xp = array_namespace(found.scores)
        if found.scores.shape[1] == 0:
            return xp.zeros_like(xp.sum(found.scores, axis=1))
        box = xp.asarray(self.box_xyxy[None, None], device=device(found.scores))  # (1, 1, 4)
        overlap = pairwise_iou(found.boxes_xyxy, box)[..., 0]  # (B, N)
        likeness = xp.clip(found.scores, 0.0, None) * overlap
        is_same = found.class_ids == self.class_id
        return xp.max(xp.where(is_same, likeness, xp.zeros_like(likeness)), axis=1)


def read_boxes(
    outputs: Mapping[str, Array], *, spec: ModelSpec, tile_hw: tuple[int, int], is_decoded: bool
) -> Candidates:
    """All boxes of a batch, before any is dropped."""
    if is_decoded:
        return candidates_of(outputs)
    output = spec.output
    assert output.decoder is not None, "the spec of a detection model names its decoder"
    return decode(
        outputs,
        output.decoder,
        name=output.name,
        names=output.names,
        num_classes=len(spec.classes),
        input_hw=tile_hw,
    )


def find_box(
    outputs: Sequence[Mapping[str, Array]],
    placement: Placement,
    *,
    spec: ModelSpec,
    is_decoded: bool,
    class_id: int,
    box_xyxy: FloatArray,
) -> tuple[int, BoxTarget]:
    """The tile and the candidate that an object of the answer comes from.

    Args:
        outputs: of each tile alone.
        placement: of the image.
        spec: of the model.
        is_decoded: whether the outputs are boxes by name already.
        class_id: of the object.
        box_xyxy: (4,) in the image's pixels.

    Raises:
        NotShownError: none lies where the object does.
    """
    best: tuple[float, float, int, int] = (0.0, 0.0, 0, 0)
    for tile_index, of_tile in enumerate(outputs):
        found = read_boxes(of_tile, spec=spec, tile_hw=placement.tile_hw, is_decoded=is_decoded)
        scores = np.where(as_numpy(found.class_ids)[0] == class_id, as_numpy(found.scores)[0], -1.0)
        for row in np.flatnonzero(scores > 0).tolist():
            corners = as_numpy(found.boxes_xyxy)[0, row][None]
            if not np.isfinite(corners).all():
                continue
            moved = boxes_to_image(corners, placement, tile_index=tile_index)
            overlap = float(pairwise_iou(moved, box_xyxy[None])[0, 0])
            best = max(best, (round(overlap, 4), float(scores[row]), -tile_index, -row))
    if best[0] < LEAST_IOU:
        raise NotShownError(
            "the object must lie where a box of the model does, got none there; explain another one, or take occlusion"
        )
    tile_index, row = -best[2], -best[3]
    corners = read_boxes(outputs[tile_index], spec=spec, tile_hw=placement.tile_hw, is_decoded=is_decoded).boxes_xyxy
    target = BoxTarget(
        spec=spec,
        is_decoded=is_decoded,
        tile_hw=placement.tile_hw,
        row=row,
        class_id=class_id,
        box_xyxy=np.asarray(as_numpy(corners)[0, row], np.float32),
    )
    return tile_index, target
