"""Detectors told by the shapes, the names and the values of their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.detection_spec import Yolov8Decoder, roles_of
from inference_core.importing.class_names import class_gap, fit_classes
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.probe import Probed

STRIDES = (8, 16, 32)
"""Of the YOLO family's three maps."""
YOLOV5_ANCHORS = 3
MAX_QUERIES = 1000
"""A set of more boxes than this is no DETR's."""
BOX_VALUES = 4
EPSILON = 1e-3


def draft_detection(outputs: Probed, *, size_hw: tuple[int, int], given: Mapping[str, Any]) -> Draft | None:
    """The facts of a detector, None where the outputs are those of no detector that is known.

    Args:
        outputs: of drawn images, by name.
        size_hw: of the input.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: the user names more or fewer classes than the detector has.
    """
    if len(outputs) == 1:
        (values,) = outputs.values()
        guess = guess_rows(values, size_hw=size_hw) or guess_fastestdet(values)
        found = guess and draft_of(*guess, given=given)
    else:
        found = draft_masks(outputs, size_hw=size_hw, given=given) or draft_set(outputs, given=given)
    is_said = given.get("task") == "detection" or any(key.startswith("output.decoder") for key in given)
    return found or (draft_unknown(outputs, given=given) if is_said else None)


def draft_unknown(outputs: Probed, *, given: Mapping[str, Any]) -> Draft:
    """A detector by the user's word alone."""
    shapes = ", ".join(f"{name} {list(values.shape[1:])}" for name, values in outputs.items())
    decoder = Gap(
        key="output.decoder",
        reason=f"how the outputs ({shapes}, per image) become boxes; the decoders are listed in docs/model-package.md",
        example="{name: yolov8}",
    )
    return Draft(
        found=(),
        assumed=(Fact(key="task", value="detection", origin="a decoder of boxes is said"),),
        missing=(decoder, *(() if "classes" in given else (class_gap(None),))),
    )


def fit_decoder(decoder: str, count: int, *, given: Mapping[str, Any]) -> tuple[Gap, ...]:
    """The gap of class names; their number is held against the model's only if its decoder is the user's, too."""
    if given.get("output.decoder.name", decoder) != decoder:
        return () if "classes" in given else (class_gap(None),)
    return fit_classes(count, given=given)[1]


def draft_of(decoder: dict[str, Any], count: int, origin: str, *, given: Mapping[str, Any]) -> Draft:
    """A detector with one output."""
    missing = fit_decoder(decoder["name"], count, given=given)
    return Draft(
        found=(),
        assumed=(
            Fact(key="task", value="detection", origin=origin),
            Fact(key="output.decoder", value=decoder, origin=origin),
        ),
        missing=missing,
    )


def guess_rows(values: NDArray[Any], *, size_hw: tuple[int, int]) -> tuple[dict[str, Any], int, str] | None:
    """Decoder, classes and reason of rows of boxes of the YOLO family: (B, N, C) or (B, C, N)."""
    if values.ndim != 3:
        return None
    cells = sum(-(-size_hw[0] // stride) * -(-size_hw[1] // stride) for stride in STRIDES)
    last, middle = values.shape[2], values.shape[1]
    origin = f"an output of {list(values.shape[1:])} per image: boxes of {size_hw[0]}x{size_hw[1]} at strides 8, 16, 32"
    if last == cells and middle > BOX_VALUES:
        return with_units({"name": "yolov8"}, values[:, :4], size_hw), middle - BOX_VALUES, origin
    if middle == cells and last > BOX_VALUES + 1:
        is_decoded = bool(values[..., 2:4].min() >= 0 and values[..., :2].max() > max(size_hw) / 2)
        return {"name": "yolox", "is_decoded": is_decoded}, last - BOX_VALUES - 1, origin
    if middle == YOLOV5_ANCHORS * cells and last > BOX_VALUES + 1:
        units = with_units({"name": "yolov5"}, values[..., :4], size_hw)
        return units, last - BOX_VALUES - 1, f"{origin}, {YOLOV5_ANCHORS} each"
    return None


def draft_masks(outputs: Probed, *, size_hw: tuple[int, int], given: Mapping[str, Any]) -> Draft | None:
    """Rows of boxes of the YOLO family that end in coefficients of prototypes, and the prototypes."""
    rows = [name for name, values in outputs.items() if values.ndim == 3]
    maps = [name for name, values in outputs.items() if values.ndim == 4]
    if len(outputs) != 2 or len(rows) != 1 or len(maps) != 1:
        return None
    guess = guess_rows(outputs[rows[0]], size_hw=size_hw)
    if guess is None or guess[0]["name"] == "yolox":
        return None
    decoder, count, origin = guess
    shape = outputs[maps[0]].shape
    is_last = shape[1] > shape[3]  # prototypes are fewer than the pixels of a side
    decoder |= {"masks": True, **({"prototype_layout": "BHWC"} if is_last else {})}
    reason = f"{origin}; prototypes {list(shape[1:])}"
    draft = draft_of(decoder, count - shape[3 if is_last else 1], reason, given=given)
    roles = roles_of(Yolov8Decoder(masks=True))
    names = renamed(dict(zip(roles, (rows[0], maps[0]), strict=True)), origin=reason)
    return Draft(found=(), assumed=(*draft.assumed, *names), missing=draft.missing)


def with_units(decoder: dict[str, Any], boxes: NDArray[Any], size_hw: tuple[int, int]) -> dict[str, Any]:
    """The decoder, told that boxes are shares of the input where they are."""
    is_relative = float(np.abs(boxes).max()) <= 2 < min(size_hw)
    return {**decoder, "units": "relative"} if is_relative else decoder


def guess_fastestdet(values: NDArray[Any]) -> tuple[dict[str, Any], int, str] | None:
    """Decoder, classes and reason of a (B, 5 + K, h, w) map whose first plane and last K are shares."""
    if values.ndim != 4 or values.shape[1] <= 6 or not np.isfinite(values).all():
        return None
    objectness, classes = values[:, 0], values[:, 5:]
    are_shares = min(objectness.min(), classes.min()) >= 0 and objectness.max() <= 1
    if not are_shares or np.abs(classes.sum(axis=1) - 1).max() > EPSILON:
        return None
    origin = f"a map of {list(values.shape[1:])} per image: one objectness, four of a box, class shares that sum to 1"
    return {"name": "fastestdet"}, values.shape[1] - 5, origin


def draft_set(outputs: Probed, *, given: Mapping[str, Any]) -> Draft | None:
    """A detector with outputs for boxes and for scores."""
    boxes = [name for name, values in outputs.items() if values.ndim >= 2 and values.shape[-1] == BOX_VALUES]
    if len(outputs) == 3:
        return draft_torchvision(outputs)
    if len(outputs) != 2 or not boxes:
        return None
    box = next((name for name in boxes if "box" in name), boxes[-1])
    (score,) = (name for name in outputs if name != box)
    if outputs[score].ndim != 3 or outputs[score].shape[1] != outputs[box].shape[1]:
        return None
    if "logits" in score or (outputs[box].shape[1] <= MAX_QUERIES and not is_share_rows(outputs[score])):
        return draft_detr(outputs, box=box, score=score, given=given)
    return draft_ssd(outputs, box=box, score=score, given=given)


def draft_torchvision(outputs: Probed) -> Draft | None:
    """Boxes that are final, with integer labels and scores."""
    roles = {
        "boxes": [name for name, values in outputs.items() if values.shape[-1:] == (BOX_VALUES,)],
        "labels": [name for name, values in outputs.items() if np.issubdtype(values.dtype, np.integer)],
    }
    if any(len(names) != 1 for names in roles.values()):
        return None
    names = {role: found[0] for role, found in roles.items()}
    (names["scores"],) = (name for name in outputs if name not in names.values())
    origin = f"outputs {', '.join(outputs)}: boxes of four, whole-number labels and scores"
    return Draft(
        found=(),
        assumed=(
            Fact(key="task", value="detection", origin=origin),
            Fact(key="output.decoder", value={"name": "torchvision"}, origin=f"{origin}; label 0 is the background"),
            Fact(key="output.nms.method", value="none", origin="such detectors suppress overlapping boxes themselves"),
            *renamed(names, origin=origin),
        ),
        missing=(
            Gap(
                key="classes",
                reason="names of the labels from 1 on, in order: a list, or a text file with one a line",
                example="classes.txt",
            ),
        ),
    )


def draft_detr(outputs: Probed, *, box: str, score: str, given: Mapping[str, Any]) -> Draft:
    """A set of logits and boxes."""
    origin = f"outputs {score} {list(outputs[score].shape[1:])} and {box} {list(outputs[box].shape[1:])} per image"
    extra = given.get("output.decoder.no_object", "last") != "none"
    missing = fit_decoder("detr", outputs[score].shape[2] - extra, given=given)
    return Draft(
        found=(),
        assumed=(
            Fact(key="task", value="detection", origin=origin),
            Fact(key="output.decoder", value={"name": "detr"}, origin=f"{origin}; the last logit is no object"),
            Fact(key="output.nms.method", value="none", origin="such detectors give each object once"),
            *renamed({"logits": score, "pred_boxes": box}, origin=origin),
        ),
        missing=missing,
    )


def draft_ssd(outputs: Probed, *, box: str, score: str, given: Mapping[str, Any]) -> Draft:
    """Scores and boxes of prior boxes; offsets leave the priors to be said."""
    shapes = f"outputs {score} {list(outputs[score].shape[1:])} and {box} {list(outputs[box].shape[1:])} per image"
    is_softmax = is_share_rows(outputs[score])
    decoder: dict[str, Any] = {"name": "ssd", "activation": "none" if is_softmax else "softmax"}
    corners = outputs[box]
    has_corners = bool((corners[..., 2:] - corners[..., :2] > 0).mean() > 0.99)
    missing: tuple[Gap, ...] = ()
    if has_corners:
        decoder["boxes"] = "corners"
        if np.abs(corners).max() > 4:
            decoder["units"] = "pixels"
    else:
        missing = (prior_gap(),)
    origin = f"{shapes}; boxes are {'corners' if has_corners else 'offsets from priors'}, class 0 is the background"
    extra = given.get("output.decoder.background", "first") != "none"
    names = fit_decoder("ssd", outputs[score].shape[2] - extra, given=given)
    return Draft(
        found=(),
        assumed=(
            Fact(key="task", value="detection", origin=shapes),
            Fact(key="output.decoder", value=decoder, origin=origin),
            *renamed({"scores": score, "boxes": box}, origin=shapes),
        ),
        missing=(*missing, *names),
    )


def prior_gap() -> Gap:
    """The gap of a detector's prior boxes."""
    return Gap(
        key="output.decoder.priors",
        reason="the prior boxes of each map, which stand in the training's code",
        example="[{stride: 16, sizes_hw: [[32, 32], [64, 64]]}]",
    )


def is_share_rows(values: NDArray[Any]) -> bool:
    """Whether rows are shares that sum to 1."""
    return bool(values.min() >= 0 and np.abs(values.sum(axis=-1) - 1).max() <= EPSILON)


def renamed(names: Mapping[str, str], *, origin: str) -> tuple[Fact, ...]:
    """The fact that outputs are called otherwise than the decoder calls them."""
    own = {role: name for role, name in names.items() if role != name}
    return (Fact(key="output.names", value=own, origin=origin),) if own else ()
