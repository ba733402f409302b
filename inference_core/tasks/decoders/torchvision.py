"""torchvision's detection models: boxes, labels and scores that the graph decoded and thinned out itself."""

from __future__ import annotations

from collections.abc import Mapping

from array_api_compat import array_namespace

from inference_core.detection_spec import TorchvisionDecoder
from inference_core.engines.protocol import Array
from inference_core.errors import ModelError
from inference_core.tasks.candidates import NO_SCORE, Candidates
from inference_core.tasks.decoders.scores import check_shape


def decode_torchvision(outputs: Mapping[str, Array], options: TorchvisionDecoder, *, num_classes: int) -> Candidates:
    """Candidates of ``boxes`` (B, N, 4), ``labels`` (B, N) and ``scores`` (B, N), in input pixels.

    Without a batch axis they are those of one image, as an exported graph gives them.

    Raises:
        ModelError: a shape does not fit, or a label has no class.
    """
    boxes, labels, scores = (outputs[role] for role in ("boxes", "labels", "scores"))
    if boxes.ndim == 2:
        boxes, labels, scores = boxes[None, ...], labels[None, ...], scores[None, ...]
    check_shape(boxes, ("B", "N", 4), decoder=options.name, role="boxes")
    for role, array in (("labels", labels), ("scores", scores)):
        check_shape(array, tuple(boxes.shape[:2]), decoder=options.name, role=role)
    xp = array_namespace(scores)
    class_ids = xp.astype(labels, xp.int32) - options.first_label
    if class_ids.shape[1] and (highest := int(xp.max(class_ids))) >= num_classes:
        raise ModelError(
            f"labels must be below {options.first_label + num_classes}, one for each of {num_classes} classes from "
            f"{options.first_label}, got {highest + options.first_label}; correct classes or decoder.first_label"
        )
    is_class = class_ids >= 0
    return Candidates(
        boxes_xyxy=boxes,
        scores=xp.where(is_class, scores, xp.full_like(scores, NO_SCORE)),
        class_ids=xp.where(is_class, class_ids, xp.zeros_like(class_ids)),
    )
