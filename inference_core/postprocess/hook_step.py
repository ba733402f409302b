"""A step of the user's on a mask: class ids in, class ids of the same shape out."""

from __future__ import annotations

from inference_core.errors import InferError
from inference_core.hooks.function import HookFunction
from inference_core.hooks.pixel_function import call_on_pixels
from inference_core.records import Uint8Array


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
        found = call_on_pixels(self._function, mask)
        if int(found.max()) >= self._num_classes:
            raise InferError(
                f"{self._function.name} must give class ids below {self._num_classes}, got {int(found.max())}; correct "
                "the function"
            )
        return found
