"""A decoder of the user's: the model's outputs in, what the task reads in their place out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from inference_core.engines.protocol import Array
from inference_core.errors import InferError
from inference_core.hooks.function import HookFunction
from inference_core.hooks.guest_values import read_only
from inference_core.records import describe_value
from inference_core.spec import ModelSpec

BOX_ROLES = ("boxes_xyxy", "scores", "class_ids")
"""What a decoder of a detection model gives: (B, N, 4) corners in input pixels, (B, N) scores, (B, N) class ids."""
ONLY_OUTPUT = "decoded"
"""Name of the array of a decoder of any other model."""


class HookDecoder:
    """Calls a function on the outputs and checks what it gives.

    Args:
        function: takes the outputs by name, NumPy arrays (read-only) or torch tensors as the engine gives them; gives
            arrays of the same library on the same device: one, or with task detection those of BOX_ROLES by name.
        spec: the model's.
    """

    def __init__(self, function: HookFunction, *, spec: ModelSpec) -> None:
        self._function = function
        self._spec = spec

    def __call__(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays by the name that the task reads them by.

        Raises:
            InputError: the function raised something, or gave something else.
        """
        given = {name: read_only(out) if isinstance(out, np.ndarray) else out for name, out in outputs.items()}
        found = self._function(given)
        like = next(iter(outputs.values()))
        if self._spec.task == "detection":
            return self._read_boxes(found, like=like)
        return {self._spec.output.name or ONLY_OUTPUT: self._read_array("an array", found, like=like)}

    def _read_boxes(self, found: Any, *, like: Array) -> dict[str, Array]:
        """Boxes, scores and class ids, in the dtypes that candidates have."""
        if not isinstance(found, Mapping) or set(found) != set(BOX_ROLES):
            shown = sorted(map(str, found)) if isinstance(found, Mapping) else describe_value(found)[:80]
            raise self._wrong(f"a dict of {', '.join(BOX_ROLES)}", shown)
        boxes, scores, class_ids = (self._read_array(role, found[role], like=like) for role in BOX_ROLES)
        xp = array_namespace(scores)
        shapes = [list(array.shape) for array in (boxes, scores, class_ids)]
        if boxes.ndim != 3 or boxes.shape[2] != 4 or shapes[1] != shapes[0][:2] or shapes[2] != shapes[0][:2]:
            raise self._wrong("boxes_xyxy (B, N, 4), scores (B, N) and class_ids (B, N)", shapes)
        for role, array, kind in (("boxes_xyxy", boxes, "real floating"), ("scores", scores, "real floating")):
            if not xp.isdtype(array.dtype, kind):
                raise self._wrong(f"{role} as floating-point numbers", array.dtype)
        if not xp.isdtype(class_ids.dtype, "integral"):
            raise self._wrong("class_ids as integers", class_ids.dtype)
        num_classes = len(self._spec.classes)
        if class_ids.shape[1] and not (int(xp.min(class_ids)) >= 0 and int(xp.max(class_ids)) < num_classes):
            raise self._wrong(
                f"class_ids from 0 to {num_classes - 1}", f"{int(xp.min(class_ids))} to {int(xp.max(class_ids))}"
            )
        return {"boxes_xyxy": boxes, "scores": scores, "class_ids": xp.astype(class_ids, xp.int32)}

    def _read_array(self, role: str, found: Any, *, like: Array) -> Array:
        """An array of the outputs' library, float32 where it is floating."""
        xp = array_namespace(like)
        kind = xp.__name__.rpartition(".")[2]
        if not is_array_api_obj(found) or array_namespace(found) is not xp:
            raise self._wrong(f"{role} of {kind}, as the outputs are", describe_value(found)[:80])
        if device(found) != device(like):
            raise self._wrong(f"{role} on {device(like)}, as the outputs are", device(found))
        return xp.astype(found, xp.float32) if xp.isdtype(found.dtype, "real floating") else found

    def _wrong(self, rule: str, found: Any) -> InferError:
        return InferError(f"{self._function.name} must give {rule}, got {found}; correct the function")
