"""Images of coloured shapes whose masks are known, and models whose answers are exact functions of their pixels.

Objects are red and green in a proportion of their own on black. Where a resize blends an object with the background,
the proportion stays and the brightness says how much of the pixel is the object's: so the models below know soft masks
at the resolution of their input, and hand them on in the ways of detectors that are in use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor, nn

from tests.asset_packages import write_package
from tests.onnx_graphs import graph_bytes

Mask = NDArray[np.bool_]
Shape = Callable[[Any, Any], Any]
"""Whether points, rows first, belong to an object."""

BRIGHTNESS = 240
"""Red and green of an object together."""
RED_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the first object, the second, ..."""
TOLERANCE = 0.08
"""How far a share may be off."""
SCORES = (0.95, 0.9, 0.85, 0.8, 0.75)
CLASSES = ("round", "square")
"""Of the objects in turn."""
LEAST_AREA = 4.0
"""Pixels below which a model finds nothing."""
STRIDE = 4
"""Pixels of the input for one of a map of logits."""
LOGIT_RANGE = 16.0
"""Between the logits of no and of all of a pixel."""
MIXTURE = np.random.default_rng(7).normal(size=(len(RED_SHARES), 8)).astype(np.float32)
"""(5, 8) how much of each of eight prototypes makes each object's mask."""


def disc(y: float, x: float, radius: float) -> Shape:
    """A disc."""
    return lambda ys, xs: (ys - y) ** 2 + (xs - x) ** 2 < radius**2


def rectangle(y: float, x: float, height: float, width: float) -> Shape:
    """A rectangle around a point."""
    return lambda ys, xs: (abs(ys - y) < height / 2) & (abs(xs - x) < width / 2)


def ring(y: float, x: float, radius: float, inner: float) -> Shape:
    """What lies between two circles."""
    return lambda ys, xs: disc(y, x, radius)(ys, xs) & ~disc(y, x, inner)(ys, xs)


def draw(image_hw: tuple[int, int], shapes: Sequence[Shape]) -> tuple[NDArray[np.uint8], list[Mask]]:
    """An image of shapes that do not touch, and their masks."""
    ys, xs = np.mgrid[: image_hw[0], : image_hw[1]] + 0.5
    pixels = np.zeros((*image_hw, 3), np.uint8)
    masks = [np.asarray(shape(ys, xs), np.bool_) for shape in shapes]
    for share, mask in zip(RED_SHARES, masks, strict=False):
        red = round(BRIGHTNESS * share)
        pixels[mask] = (red, BRIGHTNESS - red, 0)
    return pixels, masks


def mask_iou(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks, 1 for two empty ones."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


class DrawnObjects(nn.Module):
    """Finds drawn objects.

    Args:
        kind: ``torchvision`` (a list of mappings), ``detr`` or ``mask2former`` (a mapping each).
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("shares", torch.tensor(RED_SHARES).reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Any:
        """Objects of (B, 3, h, w) images in [0, 1]."""
        maps = self.soft_masks(images)  # (B, 5, h, w)
        boxes, areas = centers_of(maps), maps.sum(dim=(2, 3))
        if self.kind == "torchvision":
            return [found_in(*parts) for parts in zip(maps, boxes, areas, strict=True)]
        logits = torch.full((*areas.shape, len(CLASSES) + 1), -4.0)
        for index in range(len(RED_SHARES)):
            logits[:, index, index % len(CLASSES)] = 4.0 - index / 4
        logits[..., -1] = torch.where(areas > LEAST_AREA, logits[..., -1], torch.tensor(9.0))
        masks = (F.avg_pool2d(maps, STRIDE) - 0.5) * LOGIT_RANGE
        if self.kind == "mask2former":
            return {"class_queries_logits": logits, "masks_queries_logits": masks}
        height, width = images.shape[2:]
        return {"logits": logits, "pred_boxes": boxes / torch.tensor([width, height] * 2), "pred_masks": masks}

    def soft_masks(self, images: Tensor) -> Tensor:
        """(B, 5, h, w) how much of each pixel is each object's."""
        red, green, blue = (images[:, index : index + 1] for index in range(3))
        amount = ((red + green - 2 * blue) * (255 / BRIGHTNESS)).clamp(0, 1)
        is_near = (red - self.shares * (red + green)).abs() < TOLERANCE * (red + green)
        return amount * is_near


def centers_of(maps: Tensor) -> Tensor:
    """(B, N, 4) centre x, centre y, width and height of soft masks, which need not lie on whole pixels."""
    values = []
    for axis in (2, 3):
        profile = maps.amax(dim=axis)  # (B, N, L), which ends in parts of pixels
        length = profile.sum(dim=2)
        places = torch.arange(profile.shape[2]) + 0.5
        values.append(((profile * places).sum(dim=2) / length.clamp(min=1e-6), length))
    (x, width), (y, height) = values
    return torch.stack([x, y, width, height], dim=-1)


def found_in(maps: Tensor, boxes: Tensor, areas: Tensor) -> dict[str, Tensor]:
    """What torchvision's Mask R-CNN returns of an image."""
    found = torch.where(areas > LEAST_AREA)[0]
    centers, halves = boxes[found, :2], boxes[found, 2:] / 2
    return {
        "boxes": torch.cat([centers - halves, centers + halves], dim=1),
        "labels": found % len(CLASSES) + 1,
        "scores": torch.tensor(SCORES)[found],
        "masks": maps[found][:, None],
    }


def yolo_graph() -> bytes:
    """The same as a YOLO with masks: ``output0`` (B, 4 + 2 + 8, 5) and ``output1`` (B, 8, h / 4, w / 4)."""
    count = len(RED_SHARES)
    shares = np.float32([[1 - share, -share, 0] for share in RED_SHARES])  # red - share * (red + green)
    weights: dict[str, Any] = {
        "amounts": np.float32([[1, 1, -2]])[:, :, None, None] * np.float32(255 / BRIGHTNESS),
        "shares": shares[:, :, None, None],
        "limits": np.float32([[TOLERANCE, TOLERANCE, 0]])[:, :, None, None],
        "zero": np.float32(0),
        "half": np.float32(0.5),
        "one": np.float32(1),
        "tiny": np.float32(1e-6),
        "least": np.float32(LEAST_AREA),
        "range": np.float32(LOGIT_RANGE),
        "last": np.int64(2),
        "scores": np.float32(SCORES)[None],
        "is_class": np.float32([[[k % len(CLASSES) == c for k in range(count)] for c in range(len(CLASSES))]]),
        "coefficients": MIXTURE.T[None],
        "unmix": np.linalg.pinv(MIXTURE)[:, :, None, None].astype(np.float32),
        "planes": np.int64([2, 3]),
        "line": np.int64([2]),
        "row": np.int64([1]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "amounts"], ["sums"]),
        helper.make_node("Clip", ["sums", "zero", "one"], ["amount"]),
        helper.make_node("Conv", ["images", "shares"], ["offs"]),
        helper.make_node("Abs", ["offs"], ["distances"]),
        helper.make_node("Conv", ["images", "limits"], ["allowed"]),
        helper.make_node("Less", ["distances", "allowed"], ["is_near"]),
        helper.make_node("Cast", ["is_near"], ["near"], to=1),
        helper.make_node("Mul", ["amount", "near"], ["maps"]),
        *line_nodes("x", axis=2),
        *line_nodes("y", axis=3),
        helper.make_node("ReduceSum", ["maps", "planes"], ["areas"], keepdims=0),
        helper.make_node("Greater", ["areas", "least"], ["is_there"]),
        helper.make_node("Where", ["is_there", "scores", "zero"], ["found"]),
        helper.make_node("Unsqueeze", ["found", "row"], ["found_row"]),
        helper.make_node("Mul", ["found_row", "is_class"], ["class_rows"]),
        helper.make_node("Mul", ["found_row", "zero"], ["blank_row"]),
        helper.make_node("Add", ["blank_row", "coefficients"], ["coefficient_rows"]),
        helper.make_node(
            "Concat",
            ["x_center", "y_center", "x_length", "y_length", "class_rows", "coefficient_rows"],
            ["output0"],
            axis=1,
        ),
        helper.make_node("AveragePool", ["maps"], ["pooled"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2),
        helper.make_node("Sub", ["pooled", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "range"], ["logits"]),
        helper.make_node("Conv", ["logits", "unmix"], ["output1"]),
    ]
    return graph_bytes(
        nodes,
        inputs={"images": ["batch", 3, "height", "width"]},
        outputs={"output0": ["batch", 6 + MIXTURE.shape[1], count], "output1": ["batch", MIXTURE.shape[1], "h", "w"]},
        weights=weights,
    )


def line_nodes(name: str, *, axis: int) -> list[Any]:
    """Centre and length of the maps along one side, (B, 1, 5) each, as ``centers_of``."""
    p = f"{name}_profile"
    return [
        helper.make_node("ReduceMax", ["maps"], [p], axes=[axis], keepdims=0),
        helper.make_node("Mul", [p, "zero"], [f"{name}_zeros"]),
        helper.make_node("Add", [f"{name}_zeros", "one"], [f"{name}_ones"]),
        helper.make_node("CumSum", [f"{name}_ones", "last"], [f"{name}_counted"]),
        helper.make_node("Sub", [f"{name}_counted", "half"], [f"{name}_places"]),
        helper.make_node("ReduceSum", [p, "line"], [f"{name}_sum"], keepdims=0),
        helper.make_node("Mul", [p, f"{name}_places"], [f"{name}_weighted"]),
        helper.make_node("ReduceSum", [f"{name}_weighted", "line"], [f"{name}_moment"], keepdims=0),
        helper.make_node("Max", [f"{name}_sum", "tiny"], [f"{name}_safe"]),
        helper.make_node("Div", [f"{name}_moment", f"{name}_safe"], [f"{name}_mean"]),
        helper.make_node("Unsqueeze", [f"{name}_mean", "row"], [f"{name}_center"]),
        helper.make_node("Unsqueeze", [f"{name}_sum", "row"], [f"{name}_length"]),
    ]


DECODERS: dict[str, dict[str, Any]] = {
    "torchvision": {"name": "torchvision", "masks": True},
    "detr": {"name": "detr", "masks": True},
    "mask2former": {"name": "mask2former"},
    "yolo": {"name": "yolov8", "masks": True},
}


def drawn_package(folder: Path, kind: str, *, fit: dict[str, Any], **output: Any) -> Path:
    """A package that finds drawn objects; ``kind`` is one of DECODERS."""
    spec: dict[str, Any] = {
        "name": f"drawn-{kind}",
        "task": "detection",
        "classes": list(CLASSES),
        "input": fit,
        "output": {"decoder": DECODERS[kind], "nms": {"method": "hard", "max_boxes": 20}, **output},
    }
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "yolo":
        (folder / "model.onnx").write_bytes(yolo_graph())
        spec["output"].setdefault("names", {"output": "output0", "prototypes": "output1"})
        return write_package(folder, {**spec, "format": "onnx", "weights": "model.onnx"})
    torch.save(DrawnObjects(kind).state_dict(), folder / "model.pt")
    architecture = {"import": "tests.drawn_objects:DrawnObjects", "options": {"kind": kind}}
    return write_package(folder, {**spec, "format": "state_dict", "weights": "model.pt", "architecture": architecture})
