"""From a model's outputs to candidates, by the decoder that the package names."""

from __future__ import annotations

from collections.abc import Mapping

from inference_core.detection_spec import (
    DecoderSpec,
    DetrDecoder,
    FastestdetDecoder,
    Mask2formerDecoder,
    SsdDecoder,
    TorchvisionDecoder,
    Yolov5Decoder,
    Yolov8Decoder,
    YoloxDecoder,
    gives_masks,
    roles_of,
)
from inference_core.engines.protocol import Array
from inference_core.errors import ModelError
from inference_core.hook_spec import HookSpec
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.detr import decode_detr
from inference_core.tasks.decoders.fastestdet import decode_fastestdet
from inference_core.tasks.decoders.mask2former import decode_mask2former
from inference_core.tasks.decoders.mask_maps import MaskMaps, mask_maps
from inference_core.tasks.decoders.ssd import decode_ssd
from inference_core.tasks.decoders.torchvision import decode_torchvision
from inference_core.tasks.decoders.yolov5 import decode_yolov5
from inference_core.tasks.decoders.yolov8 import decode_yolov8
from inference_core.tasks.decoders.yolox import decode_yolox
from inference_core.tasks.outputs import pick_output


def decode(
    outputs: Mapping[str, Array],
    decoder: DecoderSpec,
    *,
    name: str | None,
    names: Mapping[str, str],
    num_classes: int,
    input_hw: tuple[int, int],
) -> Candidates:
    """Boxes in input pixels.

    Args:
        outputs: the model's, by name; the first axis is B tiles. With a hook those that it gave.
        decoder: the family of models and its options.
        name: the output that a decoder of one output reads; None for the first.
        names: outputs by the decoder's own names, where they differ.
        num_classes: K.
        input_hw: height and width of the model's input.

    Raises:
        ModelError: an output is missing or does not fit.
    """
    if isinstance(decoder, HookSpec):
        return Candidates(**outputs)
    roles = roles_of(decoder)
    picked = by_role(outputs, roles, names=names) if roles else {"output": pick_output(outputs, name=name)}
    match decoder:
        case YoloxDecoder():
            return decode_yolox(picked, decoder, num_classes=num_classes, input_hw=input_hw)
        case Yolov5Decoder():
            return decode_yolov5(picked, decoder, num_classes=num_classes, input_hw=input_hw)
        case Yolov8Decoder():
            return decode_yolov8(picked, decoder, num_classes=num_classes, input_hw=input_hw)
        case FastestdetDecoder():
            return decode_fastestdet(picked, decoder, num_classes=num_classes, input_hw=input_hw)
        case SsdDecoder():
            return decode_ssd(picked, decoder, num_classes=num_classes, input_hw=input_hw)
        case TorchvisionDecoder():
            return decode_torchvision(picked, decoder, num_classes=num_classes)
        case DetrDecoder():
            return decode_detr(picked, decoder, num_classes=num_classes, input_hw=input_hw)
        case Mask2formerDecoder():
            return decode_mask2former(picked, decoder, num_classes=num_classes, input_hw=input_hw)


def decode_masks(
    outputs: Mapping[str, Array], decoder: DecoderSpec, *, names: Mapping[str, str], num_boxes: int
) -> MaskMaps | None:
    """The masks of the candidates, None where the decoder gives none.

    Args:
        outputs: as for ``decode``, which has checked the boxes.
        decoder: likewise.
        names: likewise.
        num_boxes: N, candidates of a tile.

    Raises:
        ModelError: an output does not fit.
    """
    if not gives_masks(decoder):
        return None
    return mask_maps(by_role(outputs, roles_of(decoder), names=names), decoder, num_boxes=num_boxes)


def by_role(outputs: Mapping[str, Array], roles: tuple[str, ...], *, names: Mapping[str, str]) -> dict[str, Array]:
    """The outputs under the decoder's own names."""
    picked = {}
    for role in roles:
        wanted = names.get(role, role)
        if wanted not in outputs:
            raise ModelError(
                f"output.names.{role} must be one of {', '.join(outputs)}, got {wanted!r}; correct model.yaml"
            )
        picked[role] = outputs[wanted]
    return picked
