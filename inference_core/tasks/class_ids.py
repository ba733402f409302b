"""Read segmentation models that give the class of every pixel instead of scores."""

from __future__ import annotations

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.errors import ModelError

CERTAIN = 255
"""The score of every pixel, as uint8: class ids come without scores."""


def is_class_ids(output: Array) -> bool:
    """Whether an output holds class ids: integers, with at most one plane."""
    return bool(array_namespace(output).isdtype(output.dtype, "integral")) and (
        output.ndim == 3 or (output.ndim == 4 and 1 in (output.shape[1], output.shape[3]))
    )


def read_class_ids(output: Array, *, num_classes: int, size_hw: tuple[int, int]) -> Array:
    """Class ids of every pixel at the size of the model's input.

    Args:
        output: (B, h, w), (B, 1, h, w) or (B, h, w, 1) integers; not modified.
        num_classes: ids are below it.
        size_hw: H and W; each pixel takes the id of the nearest one of the output.

    Returns:
        (B, H, W) uint8.

    Raises:
        ModelError: an id has no class.
    """
    xp = array_namespace(output)
    if output.ndim == 4:
        output = output[:, 0, ...] if output.shape[1] == 1 else output[..., 0]
    lowest, highest = int(xp.min(output)), int(xp.max(output))
    if lowest < 0 or highest >= num_classes:
        raise ModelError(
            f"the model must give class ids from 0 to {num_classes - 1}, got {lowest} to {highest}; correct classes in "
            "model.yaml, or output.name"
        )
    class_ids = xp.astype(output, xp.uint8)
    for axis, size in enumerate(size_hw, start=1):
        found = class_ids.shape[axis]
        if found != size:
            centres = [(2 * index + 1) * found // (2 * size) for index in range(size)]
            class_ids = xp.take(class_ids, xp.asarray(centres, device=class_ids.device), axis=axis)
    return class_ids
