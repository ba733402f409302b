"""Functions that test packages name by import path, and what is wrong with some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.errors import UnsupportedError
from inference_core.records import Uint8Array
from inference_core.results import Detection, Embedding, MultiLabel

NOT_CALLABLE = 3


def shift_channels(pixels: Uint8Array, *, by: int = 1) -> Uint8Array:
    """Channels in another order."""
    return np.roll(pixels, by, axis=2)


def mirror(pixels: Uint8Array) -> Uint8Array:
    """A view with negative strides."""
    return pixels[:, ::-1]


def fill(pixels: Uint8Array, *, value: int) -> Uint8Array:
    """Tries to change what it was given."""
    pixels[:] = value
    return pixels


def refuse_dark(pixels: Uint8Array, *, least: int = 1) -> Uint8Array:
    """Raises its own error for some images."""
    if pixels.max() < least:
        raise ValueError(f"brightest pixel is {pixels.max()}")
    return pixels


def leave_program(pixels: Uint8Array) -> Uint8Array:
    """Ends the thread that runs it, or the process, but for images whose first value is 0, as blank ones have."""
    if pixels.flat[0]:
        raise SystemExit("for no reason")
    return pixels


def leave_dark_out(pixels: Uint8Array, *, least: int = 1) -> Uint8Array:
    """Gives some images a status of its choice."""
    if pixels.max() < least:
        raise UnsupportedError("too dark to be judged")
    return pixels


_BUFFER: dict[tuple[int, ...], Uint8Array] = {}


def reuse_memory(pixels: Uint8Array) -> Uint8Array:
    """The inverse, always in the same memory."""
    out = _BUFFER.setdefault(pixels.shape, np.empty(pixels.shape, np.uint8))
    np.subtract(255, pixels, out=out)
    return out


def crop(pixels: Uint8Array) -> Uint8Array:
    """Another size, which a filter must not give."""
    return pixels[1:]


def to_float(pixels: Uint8Array) -> Any:
    """Another dtype."""
    return pixels / 255


def to_list(pixels: Any) -> Any:
    """No array."""
    return pixels.tolist()


def nothing(argument: Any) -> None:
    """A function whose author forgot to return."""


def always_raise(argument: Any) -> Any:
    """Fails on every image."""
    raise KeyError("missing")


def take_nothing() -> None:
    """Takes no argument."""


def swap_classes(outputs: Mapping[str, Any], *, gain: float = 1.0) -> Any:
    """(B, K) scores in reverse order, whatever the library."""
    scores = next(iter(outputs.values()))
    return array_namespace(scores).flip(scores, axis=1) * gain


def write_to_outputs(outputs: Mapping[str, Any]) -> Any:
    """Tries to change what it was given."""
    scores = next(iter(outputs.values()))
    scores[:] = 0
    return scores


def first_class_only(outputs: Mapping[str, Any]) -> Any:
    """Too few scores."""
    return next(iter(outputs.values()))[:, :1]


def as_numpy(outputs: Mapping[str, Any]) -> Any:
    """Another library's array, where the engine is torch."""
    return np.asarray(next(iter(outputs.values())))


def scores_and_list(outputs: Mapping[str, Any]) -> Any:
    """No array at all."""
    return [next(iter(outputs.values()))]


def poisoned(outputs: Mapping[str, Any], *, limit: float) -> Any:
    """Raises where any image of the batch has a large score."""
    scores = next(iter(outputs.values()))
    if float(array_namespace(scores).max(scores)) > limit:
        raise RuntimeError("a score is too large")
    return scores


_LOST: list[str] = []


def lose_device(outputs: Mapping[str, Any], *, limit: float = 2.0) -> Any:
    """Fails at an image with a large score as CUDA does at a broken kernel, and at everything after it."""
    scores = next(iter(outputs.values()))
    if float(array_namespace(scores).max(scores)) > limit:
        _LOST.append("CUDA error: device-side assert triggered")
    if _LOST:
        raise RuntimeError(_LOST[0])
    return scores


def boxes_of_scores(outputs: Mapping[str, Any], *, side: float = 8.0) -> dict[str, Any]:
    """One box for each class, as large as ``side``, at the class's number."""
    scores = next(iter(outputs.values()))  # (B, K)
    xp = array_namespace(scores)
    ids = xp.broadcast_to(xp.arange(scores.shape[1], device=device(scores))[None, :], scores.shape)
    corner = xp.astype(ids, xp.float64)
    return {
        "boxes_xyxy": xp.stack([corner, corner, corner + side, corner + side], axis=-1),
        "scores": 1 / (1 + xp.exp(-scores)),
        "class_ids": ids,
    }


def boxes_without_classes(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """A part is missing."""
    found = boxes_of_scores(outputs)
    del found["class_ids"]
    return found


def boxes_of_unknown_classes(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Class ids that no class has."""
    found = boxes_of_scores(outputs)
    return {**found, "class_ids": found["class_ids"] + 1}


def boxes_of_other_shapes(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Scores that do not fit the boxes."""
    found = boxes_of_scores(outputs)
    return {**found, "scores": found["scores"][:, :1]}


def float_class_ids(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Class ids that are no integers."""
    found = boxes_of_scores(outputs)
    return {**found, "class_ids": found["scores"]}


def clear_left_half(mask: Uint8Array, *, class_id: int = 0) -> Uint8Array:
    """A mask with another left half."""
    changed = mask.copy()
    changed[:, : mask.shape[1] // 2] = class_id
    return changed


def write_to_mask(mask: Uint8Array) -> Uint8Array:
    """Tries to change what it was given."""
    mask[:] = 0
    return mask


def drop_class(result: Detection, *, label: str) -> Detection:
    """Without the boxes of one class."""
    return result.where(np.array([found != label for found in result.labels], bool))


def write_to_boxes(result: Detection) -> Detection:
    """Tries to change what it was given."""
    result.boxes_xyxy[:] = 0
    return result


def boxes_alone(result: Detection) -> Any:
    """Another kind of record."""
    return result.boxes_xyxy


def rename_objects(result: Detection) -> Detection:
    """Labels that are not those of the class ids."""
    return replace(result, labels=tuple("thing" for _ in result.labels))


def worst_first(result: Detection) -> Detection:
    """Boxes in the wrong order."""
    return result.where(np.arange(len(result.scores))[::-1])


def keep_sure_labels(result: MultiLabel, *, least: float) -> MultiLabel:
    """Only the classes with a high score."""
    count = int((result.scores >= least).sum())
    return replace(
        result, class_ids=result.class_ids[:count], scores=result.scores[:count], labels=result.labels[:count]
    )


def halve_vector(result: Embedding) -> Embedding:
    """The first half of a vector."""
    return replace(result, vector=result.vector[: len(result.vector) // 2])


def infinite_vector(result: Embedding) -> Embedding:
    """A vector that is no vector."""
    return replace(result, vector=result.vector / np.float32(0))


def build_means() -> Any:
    """A module of torch: (B, 3) means of the channels times a weight."""
    import torch

    class Means(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean(dim=(2, 3)) * self.gain

    return Means()
