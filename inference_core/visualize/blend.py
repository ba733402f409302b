"""Colours over pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError
from inference_core.records import Uint8Array

ALPHA = 0.5
"""Default share of a colour in a pixel."""


def blend(pixels: Uint8Array, colors: NDArray[np.uint8], *, alpha: float) -> Uint8Array:
    """``alpha`` of the colours, the rest of the pixels, rounded down; colours may broadcast.

    Raises:
        ConfigError: alpha is out of range.
    """
    share = alpha_share(alpha)
    return ((pixels.astype(np.uint16) * (256 - share) + colors.astype(np.uint16) * share) >> 8).astype(np.uint8)


def alpha_share(alpha: float) -> int:
    """Alpha in 256ths.

    Raises:
        ConfigError: it is out of range.
    """
    if not 0 <= alpha <= 1:
        raise ConfigError(f"must lie in [0, 1], got {alpha}; correct it", key="alpha")
    return round(alpha * 256)
