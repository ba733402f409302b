"""A filter of the user's: pixels in, pixels of the same shape out."""

from __future__ import annotations

import numpy as np

from inference_core.errors import InferError
from inference_core.hooks.function import HookFunction
from inference_core.hooks.guest_values import read_only
from inference_core.records import Uint8Array, describe_value


class HookFilter:
    """Calls a function on pixels and checks what it gives.

    Args:
        function: takes (H, W, C) uint8, C 3 (RGB) or 1 (gray), read-only; gives the same dtype and shape, since where
            the image lies in the model's input is told from its size.
    """

    def __init__(self, function: HookFunction) -> None:
        self._function = function

    def __call__(self, pixels: Uint8Array) -> Uint8Array:
        """The filtered pixels, in memory of their own.

        Raises:
            InputError: the function raised something, or gave something else.
        """
        found = self._function(read_only(pixels))
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != pixels.shape:
            raise InferError(
                f"{self._function.name} must give uint8{list(pixels.shape)}, as it got, got "
                f"{describe_value(found)[:80]}; correct the function"
            )
        return np.array(found)  # a copy: the function may use its memory again
