"""What ``output`` of a detection model says: how its raw outputs become boxes, and which of them are kept."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inference_core.hook_spec import HookSpec
from inference_core.validation import Frac, Frozen, NonNegativeInt, PositiveFloat, PositiveInt


class YoloxDecoder(Frozen):
    """(B, N, 5 + K): centre, size, objectness, class scores; one row for each cell of each stride."""

    name: Literal["yolox"] = "yolox"
    """Chooses this decoder."""
    strides: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (8, 16, 32)
    """Input pixels of a cell, in the order of the rows."""
    is_decoded: bool = False
    """Whether the graph already gives pixels; else it gives offsets from the cells, in strides."""
    activation: Literal["sigmoid", "none"] = "none"
    """Of objectness and class scores; ``none`` where the graph applies it."""


def check_prototypes(layout: str, *, masks: bool) -> None:
    """Raise ValueError where an option of prototypes is set and there are none."""
    if layout != "BCHW" and not masks:
        raise ValueError("prototype_layout must go with masks, which have prototypes; remove it, or set masks: true")


class Yolov5Decoder(Frozen):
    """(B, N, 5 + K): centre, size, objectness, class scores; with masks (B, N, 5 + K + P) and P prototypes."""

    name: Literal["yolov5"] = "yolov5"
    """Chooses this decoder."""
    layout: Literal["BNC", "BCN"] = "BNC"
    """Order of the output's axes: N boxes, C values of a box."""
    units: Literal["pixels", "relative"] = "pixels"
    """Of centre and size: input pixels, or shares of the input."""
    activation: Literal["sigmoid", "none"] = "none"
    """Of objectness and class scores; ``none`` where the graph applies it."""
    masks: bool = False
    """Whether each row ends in one coefficient for each of the ``prototypes``, maps that together give masks."""
    prototype_layout: Literal["BCHW", "BHWC"] = "BCHW"
    """With ``masks``: order of the axes of ``prototypes``."""

    @model_validator(mode="after")
    def _check_prototypes(self) -> Self:
        check_prototypes(self.prototype_layout, masks=self.masks)
        return self


class Yolov8Decoder(Frozen):
    """(B, 4 + K, N): centre, size, class scores; no objectness. YOLOv8, v9, v11 and their kin; with masks (B, 4 + K +
    P, N) and P prototypes.
    """

    name: Literal["yolov8"] = "yolov8"
    """Chooses this decoder."""
    layout: Literal["BCN", "BNC"] = "BCN"
    """Order of the output's axes: N boxes, C values of a box."""
    units: Literal["pixels", "relative"] = "pixels"
    """Of centre and size: input pixels, or shares of the input."""
    activation: Literal["sigmoid", "none"] = "none"
    """Of the class scores; ``none`` where the graph applies it."""
    masks: bool = False
    """Whether each row ends in one coefficient for each of the ``prototypes``, maps that together give masks."""
    prototype_layout: Literal["BCHW", "BHWC"] = "BCHW"
    """With ``masks``: order of the axes of ``prototypes``."""

    @model_validator(mode="after")
    def _check_prototypes(self) -> Self:
        check_prototypes(self.prototype_layout, masks=self.masks)
        return self


class FastestdetDecoder(Frozen):
    """(B, 5 + K, h, w): objectness, offsets and size of one box for each cell, class probabilities."""

    name: Literal["fastestdet"] = "fastestdet"
    """Chooses this decoder."""


class PriorLevel(Frozen):
    """The prior boxes of one feature map."""

    stride: PositiveInt
    """Input pixels of a cell; the map has one for each begun stride."""
    sizes_hw: Annotated[tuple[tuple[PositiveFloat, PositiveFloat], ...], Field(min_length=1)]
    """Height and width in input pixels of each of a cell's priors, in the order of the output."""


class SsdDecoder(Frozen):
    """``scores`` (B, N, K) and ``boxes`` (B, N, 4): offsets from priors, or corners."""

    name: Literal["ssd"] = "ssd"
    """Chooses this decoder."""
    boxes: Literal["offsets", "corners"] = "offsets"
    """``offsets`` from ``priors``, or corners x_min, y_min, x_max, y_max that the graph computed."""
    units: Literal["relative", "pixels"] = "relative"
    """Of corners: shares of the input, or input pixels."""
    priors: tuple[PriorLevel, ...] = ()
    """With ``offsets``: level by level, in each row by row, in each cell as listed."""
    cells: Literal["stride", "input"] = "stride"
    """Size of a prior's cell where the stride does not divide the input: the stride (SSD), or the input divided by the
    number of cells (UltraFace)."""
    clip_priors: bool = False
    """Whether centre and size of a prior are limited to the input."""
    variances: tuple[PositiveFloat, PositiveFloat] = (0.1, 0.2)
    """With ``offsets``: scale of centre and of size offsets."""
    background: Literal["first", "last", "none"] = "first"
    """Which score column is no class of ``classes``."""
    activation: Literal["softmax", "sigmoid", "none"] = "none"
    """Of the scores, background included."""

    @model_validator(mode="after")
    def _check_priors(self) -> SsdDecoder:
        if (self.boxes == "offsets") != bool(self.priors):
            raise ValueError("priors must be given with boxes offsets, and only there; list the levels, or set corners")
        return self


class TorchvisionDecoder(Frozen):
    """``boxes`` (B, N, 4) or (N, 4) corners in input pixels, ``labels`` and ``scores``: boxes that are final."""

    name: Literal["torchvision"] = "torchvision"
    """Chooses this decoder."""
    first_label: NonNegativeInt = 1
    """The label of the first of ``classes``; smaller ones are background and left out."""
    masks: bool = False
    """Whether the model gives ``masks`` (B, N, 1, h, w), too: scores of pixels over the whole input."""


class DetrDecoder(Frozen):
    """``logits`` (B, N, K) and ``pred_boxes`` (B, N, 4): a set of centres and sizes as shares of the input."""

    name: Literal["detr"] = "detr"
    """Chooses this decoder."""
    activation: Literal["softmax", "sigmoid"] = "softmax"
    """Turns logits into scores."""
    no_object: Literal["last", "first", "none"] = "last"
    """Which logit stands for no object."""
    masks: bool = False
    """Whether the model gives ``pred_masks`` (B, N, h, w), too: logits of pixels over the whole input."""


class Mask2formerDecoder(Frozen):
    """``class_queries_logits`` (B, N, K) and ``masks_queries_logits`` (B, N, h, w): a set of masks; a box is what its
    mask fills.
    """

    name: Literal["mask2former"] = "mask2former"
    """Chooses this decoder."""
    no_object: Literal["last", "first", "none"] = "last"
    """Which class logit stands for no object."""


DecoderSpec = Annotated[
    YoloxDecoder
    | Yolov5Decoder
    | Yolov8Decoder
    | FastestdetDecoder
    | SsdDecoder
    | TorchvisionDecoder
    | DetrDecoder
    | Mask2formerDecoder
    | HookSpec,
    Field(discriminator="name"),
]
"""How raw outputs become boxes with a class and a score."""


def roles_of(decoder: DecoderSpec) -> tuple[str, ...]:
    """What a decoder that reads several outputs calls them; nothing for one that reads a single output."""
    match decoder:
        case SsdDecoder():
            return ("scores", "boxes")
        case TorchvisionDecoder():
            return ("boxes", "labels", "scores", *("masks",) * decoder.masks)
        case DetrDecoder():
            return ("logits", "pred_boxes", *("pred_masks",) * decoder.masks)
        case Mask2formerDecoder():
            return ("class_queries_logits", "masks_queries_logits")
        case Yolov5Decoder() | Yolov8Decoder():
            return ("output", "prototypes") if decoder.masks else ()
        case _:
            return ()


def gives_masks(decoder: DecoderSpec | None) -> bool:
    """Whether boxes come with instance masks."""
    return isinstance(decoder, Mask2formerDecoder) or getattr(decoder, "masks", False)


def has_logit_masks(decoder: DecoderSpec) -> bool:
    """Whether the maps of a decoder that gives masks are logits."""
    return not isinstance(decoder, TorchvisionDecoder)


class NmsSpec(Frozen):
    """Which of overlapping boxes are kept. With ``tile``, the numbers are those of one tile."""

    method: Literal["hard", "soft", "none"] = "hard"
    """``hard`` drops boxes that overlap a better one; ``soft`` lowers their score; ``none`` keeps all."""
    iou_threshold: Frac = 0.45
    """``hard``: boxes that overlap a better one by more are dropped."""
    sigma: PositiveFloat = 0.5
    """``soft``: scores are multiplied by ``exp(-iou^2 / sigma)``."""
    class_agnostic: bool = False
    """Whether boxes of different classes compete."""
    max_candidates: PositiveInt = 1000
    """Boxes over the score threshold that compete; the best ones."""
    max_boxes: PositiveInt = 100
    """Boxes that are kept; the best ones."""
