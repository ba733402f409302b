"""A filter of the user's: pixels in, pixels of the same shape out."""

from __future__ import annotations

from inference_core.hooks.function import HookFunction
from inference_core.hooks.pixel_function import call_on_pixels
from inference_core.records import Uint8Array


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
        return call_on_pixels(self._function, pixels)
