"""Call a function of the user's on pixels or class ids: it gives what it got, in dtype and shape."""

from __future__ import annotations

import numpy as np

from inference_core.errors import InferError
from inference_core.hooks.function import HookFunction
from inference_core.hooks.guest_values import read_only
from inference_core.records import Uint8Array, describe_value


def call_on_pixels(function: HookFunction, pixels: Uint8Array) -> Uint8Array:
    """What a function makes of an array, in memory of its own, since the function may use its memory again.

    Args:
        function: gets the array read-only.
        pixels: uint8 of any shape; not modified.

    Raises:
        InferError: the function raised something, or gave another dtype or shape.
    """
    found = function(read_only(pixels))
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != pixels.shape:
        raise InferError(
            f"{function.name} must give uint8{list(pixels.shape)}, as it got, got {describe_value(found)[:80]}; "
            "correct the function"
        )
    return np.array(found)
