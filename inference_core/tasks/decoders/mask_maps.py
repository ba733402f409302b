"""Instance masks as decoders give them: for the boxes that stay, a map each over the whole input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from array_api_compat import array_namespace

from inference_core.detection_spec import (
    DecoderSpec,
    DetrDecoder,
    Mask2formerDecoder,
    TorchvisionDecoder,
    Yolov5Decoder,
    Yolov8Decoder,
)
from inference_core.engines.protocol import Array
from inference_core.tasks.decoders.scores import check_shape

GIVEN_MARGIN_PX = 1.0
"""Pixels of the map around a box in which its mask may lie: torchvision rounds boxes before it pastes masks."""
SET_MARGIN_FRAC = 1 / 8
"""The same as a share of the box's sides where a model finds box and mask apart from each other."""


class MaskMaps(Protocol):
    """Masks of the candidates of B tiles."""

    @property
    def map_hw(self) -> tuple[int, int]:
        """Height and width of a map; it covers the whole input."""

    def of_rows(self, tile_index: int, rows: Array) -> Array:
        """(n, h, w) maps of n candidates of a tile: logits or scores, or scores times 255 where they are integers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeMaps:
    """A map for each candidate."""

    maps: Array
    """(B, N, h, w)."""

    @property
    def map_hw(self) -> tuple[int, int]:
        """See MaskMaps."""
        return int(self.maps.shape[2]), int(self.maps.shape[3])

    def of_rows(self, tile_index: int, rows: Array) -> Array:
        """See MaskMaps."""
        return array_namespace(self.maps).take(self.maps[tile_index, ...], rows, axis=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrototypeMaps:
    """A few maps for all, and for each candidate how much of each makes its mask."""

    coefficients: Array
    """(B, N, P) float32."""
    prototypes: Array
    """(B, P, h, w) float32."""

    @property
    def map_hw(self) -> tuple[int, int]:
        """See MaskMaps."""
        return int(self.prototypes.shape[2]), int(self.prototypes.shape[3])

    def of_rows(self, tile_index: int, rows: Array) -> Array:
        """See MaskMaps."""
        xp = array_namespace(self.prototypes)
        prototypes = self.prototypes[tile_index, ...]
        coefficients = xp.take(self.coefficients[tile_index, ...], rows, axis=0)
        maps = xp.matmul(coefficients, xp.reshape(prototypes, (prototypes.shape[0], -1)))
        return xp.reshape(maps, (maps.shape[0], *self.map_hw))


def mask_maps(outputs: Mapping[str, Array], decoder: DecoderSpec, *, num_boxes: int) -> MaskMaps:
    """The masks of a decoder that gives them.

    Args:
        outputs: under the decoder's own names, boxes decoded and their shapes checked.
        decoder: gives masks.
        num_boxes: N, candidates of a tile.

    Raises:
        ModelError: the shape of the masks does not fit.

    Source: ultralytics/ultralytics, ``ultralytics/utils/ops.py``, ``process_mask``; pytorch/vision,
    ``torchvision/models/detection/mask_rcnn.py``; huggingface/transformers,
    ``models/mask2former/image_processing_mask2former.py``, ``post_process_instance_segmentation``.
    """
    match decoder:
        case Yolov5Decoder() | Yolov8Decoder():
            prototypes = channels_first(outputs["prototypes"], decoder)
            rows = boxes_first(outputs["output"], layout=decoder.layout)
            return PrototypeMaps(coefficients=rows[..., -prototypes.shape[1] :], prototypes=prototypes)
        case TorchvisionDecoder():
            masks = outputs["masks"]
            masks = masks[None, ...] if masks.ndim == 4 else masks
            check_shape(masks, ("B", num_boxes, 1, "h", "w"), decoder=decoder.name, role="masks")
            return WholeMaps(maps=masks[:, :, 0, ...])
        case DetrDecoder() | Mask2formerDecoder():
            role = "pred_masks" if isinstance(decoder, DetrDecoder) else "masks_queries_logits"
            check_shape(outputs[role], ("B", num_boxes, "h", "w"), decoder=decoder.name, role=role)
            return WholeMaps(maps=outputs[role])
        case _:
            raise AssertionError(f"decoder {decoder.name} gives no masks")


def channels_first(prototypes: Array, decoder: Yolov5Decoder | Yolov8Decoder) -> Array:
    """(B, P, h, w) prototypes."""
    check_shape(prototypes, tuple(decoder.prototype_layout), decoder=decoder.name, role="prototypes")
    if decoder.prototype_layout == "BCHW":
        return prototypes
    return array_namespace(prototypes).permute_dims(prototypes, (0, 3, 1, 2))


def boxes_first(rows: Array, *, layout: str) -> Array:
    """(B, N, C) rows of a (B, N, C) or (B, C, N) output."""
    return array_namespace(rows).permute_dims(rows, (0, 2, 1)) if layout == "BCN" else rows


def count_prototypes(outputs: Mapping[str, Array], decoder: Yolov5Decoder | Yolov8Decoder) -> int:
    """Coefficients at the end of each row: one for each prototype."""
    return int(channels_first(outputs["prototypes"], decoder).shape[1]) if decoder.masks else 0


def mask_windows(
    boxes_xyxy: Array, decoder: DecoderSpec, *, map_hw: tuple[int, int], input_hw: tuple[int, int]
) -> Array:
    """Where in the input the masks of (n, 4) boxes may lie: (n, 4) float32, within the input.

    The box itself where a model's masks are meant to be cut to it, and else a little more.
    """
    xp = array_namespace(boxes_xyxy)
    height, width = input_hw
    share = SET_MARGIN_FRAC if isinstance(decoder, DetrDecoder) else 0.0
    pixels = GIVEN_MARGIN_PX if isinstance(decoder, DetrDecoder | TorchvisionDecoder) else 0.0
    ends = []
    for axis, (side, num_pixels) in enumerate(((width, map_hw[1]), (height, map_hw[0]))):
        low, high = boxes_xyxy[:, axis], boxes_xyxy[:, axis + 2]
        margin = (high - low) * share + pixels * side / num_pixels
        ends.append((xp.clip(low - margin, 0.0, float(side)), xp.clip(high + margin, 0.0, float(side))))
    return xp.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], axis=-1)
