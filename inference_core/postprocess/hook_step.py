"""A step of the user's on a mask: class ids in, class ids of the same shape out."""

from __future__ import annotations

import numpy as np

from inference_core.errors import InferError
from inference_core.hooks.function import HookFunction
from inference_core.hooks.guest_values import read_only
from inference_core.records import Uint8Array, describe_value


class HookStep:
    """Calls a function on a mask and checks what it gives.

    Args:
        function: takes (H, W) uint8 class ids in the image's pixels, read-only; gives the same dtype and shape.
        num_classes: class ids are below it.
    """

    def __init__(self, function: HookFunction, *, num_classes: int) -> None:
        self._function = function
        self._num_classes = num_classes

    def __call__(self, mask: Uint8Array) -> Uint8Array:
        """The changed mask, in memory of its own.

        Raises:
            InputError: the function raised something, or gave something else.
        """
        found = self._function(read_only(mask))
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != mask.shape:
            raise InferError(
                f"{self._function.name} must give uint8{list(mask.shape)}, as it got, got "
                f"{describe_value(found)[:80]}; correct the function"
            )
        if int(found.max()) >= self._num_classes:
            raise InferError(
                f"{self._function.name} must give class ids below {self._num_classes}, got {int(found.max())}; correct "
                "the function"
            )
        return np.array(found)  # a copy: the function may use its memory again
